//! Messages that a template gives: in the form of authors, or in that of answers and results. Nothing in them is a
//! template, whatever braces it holds.

use liteagent_engine::{capability::model::Message, node::prelude::*};

use super::{HistoryConfig, MessageConfig, PartConfig, UserConfig, check};

/// Reads the messages, and adds what was said before where they ask for it.
pub(super) async fn render(value: &Value, ctx: &NodeCtx, models: &[String]) -> Result<Vec<Message>, NodeError> {
    let Some(entries) = value.as_list() else { return Err(wrong("a list of messages", value)) };
    let mut messages = Vec::new();
    for entry in entries {
        if entry.get("role").is_some() {
            let stored = entry.to_typed().map_err(|error| wrong(&format!("a message ({error})"), entry))?;
            messages.push(stored);
            continue;
        }
        let config = config(entry)?;
        check(std::slice::from_ref(&config)).map_err(|error| wrong(&error.message, entry))?;
        messages.extend(super::render(&[config], ctx, models).await?);
    }
    Ok(messages)
}

/// A message in the form of authors.
fn config(entry: &Value) -> Result<MessageConfig, NodeError> {
    let Some(members) = entry.as_object() else { return Err(wrong("a message", entry)) };
    let mut config = MessageConfig::default();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        match &**name {
            "system" => config.system = Some(text(value)?),
            "assistant" => config.assistant = Some(text(value)?),
            "user" => config.user = Some(user(value)?),
            "history" => config.history = Some(history(value)?),
            _ => return Err(wrong("a message with `system`, `user`, `assistant` or `history`", entry)),
        }
    }
    Ok(config)
}

fn text(value: &Value) -> Result<Template<String>, NodeError> {
    match value {
        Value::String(_) => Ok(Template::literal(value.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Template::literal(value.to_string())),
        other => Err(wrong("a text", other)),
    }
}

fn user(value: &Value) -> Result<UserConfig, NodeError> {
    let Some(parts) = value.as_list() else { return Ok(UserConfig::Text(text(value)?)) };
    let part = |part: &Value| {
        let content = |name: &str| part.get(name).filter(|value| !value.is_null());
        Ok(PartConfig {
            text: content("text").map(text).transpose()?,
            image: content("image").cloned().map(Template::literal),
            file: content("file").cloned().map(Template::literal),
        })
    };
    Ok(UserConfig::Parts(parts.iter().map(part).collect::<Result<_, NodeError>>()?))
}

fn history(value: &Value) -> Result<HistoryConfig, NodeError> {
    let number = |name: &str| value.get(name).and_then(Value::as_i64).and_then(|number| u64::try_from(number).ok());
    let last = number("last").map(|last| u32::try_from(last).unwrap_or(u32::MAX));
    let tokens = number("tokens");
    match (last, tokens) {
        (None, None) => Err(wrong("`last` or `tokens` in `history`", value)),
        _ => Ok(HistoryConfig { last, tokens }),
    }
}

fn wrong(expected: &str, found: &Value) -> NodeError {
    let message = format!("expected {expected} in `messages`, found {}", found.kind());
    NodeError::new(codes::MODEL_CONTEXT, ErrorClass::Invalid, message)
        .hint("give messages such as `{ user: ... }`, `message` of an earlier answer, or `messages` of a `tool-calls`")
}
