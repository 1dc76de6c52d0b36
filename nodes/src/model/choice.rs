//! Which model is asked.

use liteagent_engine::node::prelude::*;

/// The models that a node asks: one, or several of which the next is asked when one cannot answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelChoice {
    /// `provider/model`, or an alias such as `default`.
    One(Template<String>),
    /// In the order in which they are tried.
    Several(Vec<Template<String>>),
}

impl ModelChoice {
    fn all(&self) -> &[Template<String>] {
        match self {
            Self::One(model) => std::slice::from_ref(model),
            Self::Several(models) => models,
        }
    }

    /// Checks what types cannot.
    pub(super) fn check(choice: Option<&Self>, allow: &[String]) -> Result<(), ConfigError> {
        let models = choice.map_or(&[] as &[_], Self::all);
        if choice.is_some() && models.is_empty() {
            return Err(ConfigError::new(codes::MODEL_CHOICE, "/model", "expected a model, found an empty list")
                .hint("name one, or remove `model` to take `default`"));
        }
        let empty = |model: &Template<String>| model.as_literal().is_some_and(|name| name.as_str() == Some(""));
        if models.iter().any(empty) {
            return Err(ConfigError::new(codes::MODEL_CHOICE, "/model", "expected a model, found an empty text")
                .hint("name one, or remove `model` to take `default`"));
        }
        if allow.is_empty() && models.iter().any(|model| model.compiled().is_some()) {
            let message = "expected `allow` beside a model that comes from a template, found none";
            return Err(ConfigError::new(codes::MODEL_CHOICE, "/model", message).hint(
                "list the models that it may name: `allow: [openai/gpt-4.1-mini, local/smollm2-135m-instruct]`",
            ));
        }
        Ok(())
    }

    /// The names to try; `default` where none is chosen.
    pub(super) fn names(choice: Option<&Self>, allow: &[String], ctx: &NodeCtx) -> Result<Vec<String>, NodeError> {
        let Some(choice) = choice else { return Ok(vec!["default".to_owned()]) };
        let name = |model: &Template<String>| {
            let name = ctx.render(model)?;
            if model.compiled().is_some() && !allow.contains(&name) {
                let message = format!("expected one of {}, found the model `{name}`", shown(allow));
                return Err(NodeError::new(codes::MODEL_NOT_ALLOWED, ErrorClass::Forbidden, message)
                    .hint("add it to `allow` if that is right"));
            }
            Ok(name)
        };
        choice.all().iter().map(name).collect()
    }
}

fn shown(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
