//! Tools that the caller of a run brings, as clients of OpenAI's API do: `trigger.tools` tells of them, and
//! `trigger.called` has what came of the calls so far. They end the run; the caller makes them, and starts the next one.

use liteagent_engine::{
    capability::model::{Message, ToolSpec},
    node::prelude::*,
    value,
};

use super::LONGEST_NAME;

/// What the caller brings: objects with `name`, `description` and `parameters`, the JSON Schema of the arguments.
#[derive(Deserialize)]
struct Brought {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Value,
}

/// What a model is told of them.
pub(super) fn specs(ctx: &NodeCtx) -> Result<Vec<ToolSpec>, NodeError> {
    let brought: Vec<Brought> = of_trigger(ctx, "tools")?;
    let spec = |Brought { name, description, parameters }| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_name) {
            let expected = format!("expected at most {LONGEST_NAME} letters, digits, `_` and `-`");
            return Err(invalid(&format!("{expected} as the name of a tool, found `{name}`")));
        }
        let parameters = if parameters.is_null() { value!({ "type": "object" }) } else { parameters };
        Ok(ToolSpec { name, description, parameters })
    };
    brought.into_iter().map(spec).collect()
}

/// The calls that a model asked for since the last message of the user, and what came of them.
///
/// # Errors
/// When they are no messages.
pub(crate) fn called(ctx: &NodeCtx) -> Result<Vec<Message>, NodeError> {
    of_trigger(ctx, "called")
}

/// Refuses two tools of one name: nobody could tell whom a call is for.
pub(super) fn check_names(specs: &[ToolSpec]) -> Result<(), NodeError> {
    let twice =
        specs.iter().enumerate().find(|(index, spec)| specs[..*index].iter().any(|other| other.name == spec.name));
    match twice {
        Some((_, spec)) => Err(invalid(&format!("two tools are called `{}`", spec.name))),
        None => Ok(()),
    }
}

/// Nothing here calls them.
pub(super) fn not_here() -> NodeError {
    invalid("a tool of the caller can only be called by the caller")
}

fn of_trigger<T: serde::de::DeserializeOwned>(ctx: &NodeCtx, name: &str) -> Result<Vec<T>, NodeError> {
    match ctx.scope.roots.trigger.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => list.to_typed().map_err(|error| invalid(&format!("`trigger.{name}` cannot be read: {error}"))),
    }
}

fn invalid(message: &str) -> NodeError {
    NodeError::new(codes::TOOL_ARGUMENTS, ErrorClass::Invalid, message)
        .hint("send `tools` as OpenAI's API describes them, each with a name of its own")
}
