//! Conditions: a template that gives a boolean, or comparisons as files imported from Dify have them.

use std::{borrow::Cow, fmt};

use liteagent_engine::node::prelude::*;
use schemars::{SchemaGenerator, json_schema};
use serde::{
    Deserializer,
    de::{
        MapAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
};

pub use self::{
    file::{FileKey, FileTest, FileTests},
    operator::Operator,
};

mod file;
mod operator;

/// A template that gives `true` or `false`, or comparisons.
#[derive(Debug)]
pub enum Case {
    /// `"{{ inputs.amount > 100 }}"`.
    Template(Template<bool>),
    /// `true` or `false`, also as `"{{ true }}"`.
    Constant(bool),
    /// `{ all: [...] }` or `{ any: [...] }`.
    Tests(Tests),
}

/// Comparisons that are joined: exactly one of `all` and `any`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tests {
    /// Every one of these must hold. The first that does not ends the evaluation.
    #[serde(default)]
    pub all: Option<Vec<Test>>,
    /// One of these must hold. The first that does ends the evaluation.
    #[serde(default)]
    pub any: Option<Vec<Test>>,
}

/// One comparison.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What is looked at.
    pub value: TemplateTree,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with. Left out with `empty`, `null`, `exists` and their opposites.
    #[serde(default)]
    pub to: Option<TemplateTree>,
    /// Comparisons of each file, when `value` is a list of files and the operator is `contains`, `not contains` or
    /// `all of`.
    #[serde(default)]
    pub files: Option<FileTests>,
}

impl Case {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// LA1105 with the field below `field`.
    pub fn check(&self, field: &str) -> Result<(), ConfigError> {
        let Self::Tests(tests) = self else { return Ok(()) };
        let (key, list) = match (&tests.all, &tests.any) {
            (Some(list), None) => ("all", list),
            (None, Some(list)) => ("any", list),
            _ => {
                return Err(ConfigError::new(codes::CONDITION_SHAPE, field, "expected exactly one of `all` and `any`")
                    .hint("write `all: [...]` when every comparison must hold, else `any: [...]`"));
            }
        };
        if list.is_empty() {
            return Err(ConfigError::new(
                codes::CONDITION_SHAPE,
                format!("{field}/{key}"),
                "expected a comparison, found none",
            )
            .hint("add a comparison such as `{ value: \"{{ inputs.x }}\", operator: is, to: yes }`"));
        }
        list.iter().enumerate().try_for_each(|(index, test)| test.check(&format!("{field}/{key}/{index}")))
    }

    /// What it always gives, when that is certain.
    pub fn constant(&self) -> Option<bool> {
        match self {
            Self::Constant(value) => Some(*value),
            _ => None,
        }
    }

    /// Whether it holds. What follows the comparison that decides is not evaluated, so it cannot fail.
    ///
    /// # Errors
    /// When a template cannot be rendered, or a value has a type that its operator does not take.
    pub fn holds(&self, ctx: &NodeCtx) -> Result<bool, NodeError> {
        let (tests, deciding) = match self {
            Self::Template(template) => return ctx.render(template),
            Self::Constant(value) => return Ok(*value),
            Self::Tests(Tests { all: Some(tests), .. }) => (tests, false),
            Self::Tests(Tests { any: Some(tests), .. }) => (tests, true),
            Self::Tests(_) => return Ok(false),
        };
        for test in tests {
            if test.holds(ctx)? == deciding {
                return Ok(deciding);
            }
        }
        Ok(!deciding)
    }
}

impl Test {
    fn check(&self, field: &str) -> Result<(), ConfigError> {
        let wrong = |key: &str, message: String, hint: &str| {
            Err(ConfigError::new(codes::CONDITION_SHAPE, format!("{field}{key}"), message).hint(hint))
        };
        let name = self.operator.as_str();
        match (&self.files, &self.to) {
            (Some(_), _) if !self.operator.takes_files() => wrong(
                "/files",
                format!("the operator `{name}` compares no single files"),
                "use `contains`, `not contains` or `all of`, or remove `files`",
            ),
            (Some(_), Some(_)) => {
                wrong("/to", "expected one of `to` and `files`, found both".to_owned(), "remove `to`")
            }
            (Some(files), None) => files.check(&format!("{field}/files")),
            (None, Some(_)) if !self.operator.is_binary() => {
                wrong("/to", format!("the operator `{name}` compares with nothing"), "remove `to`")
            }
            (None, None) if self.operator.is_binary() => {
                wrong("", format!("the operator `{name}` needs something to compare with"), "add `to`")
            }
            _ => Ok(()),
        }
    }

    fn holds(&self, ctx: &NodeCtx) -> Result<bool, NodeError> {
        let value = ctx.render_tree(&self.value)?;
        if let Some(files) = &self.files {
            return files.hold(&value, ctx);
        }
        let to = self.to.as_ref().map(|to| ctx.render_tree(to)).transpose()?.unwrap_or_default();
        self.operator.holds(&value, &to)
    }
}

impl<'de> Deserialize<'de> for Case {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Case;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a template such as \"{{ inputs.amount > 100 }}\", or an object with `all` or `any`")
            }
            fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Case, E> {
                Ok(Case::Constant(value))
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Case, E> {
                match constant(value) {
                    Some(value) => Ok(Case::Constant(value)),
                    None => Template::deserialize(StrDeserializer::new(value)).map(Case::Template),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Case, A::Error> {
                Tests::deserialize(MapAccessDeserializer::new(map)).map(Case::Tests)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// The value of a template that is nothing but `true` or `false`.
pub(crate) fn constant(template: &str) -> Option<bool> {
    match template.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim() {
        "true" | "True" => Some(true),
        "false" | "False" => Some(false),
        _ => None,
    }
}

impl JsonSchema for Case {
    fn schema_name() -> Cow<'static, str> {
        "Case".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A template that gives true or false, or an object with `all` or `any` of some comparisons.",
            "anyOf": [generator.subschema_for::<Template<bool>>(), generator.subschema_for::<Tests>()],
        })
    }
}

#[cfg(test)]
mod tests;
