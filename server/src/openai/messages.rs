//! The messages of a request: what was said before, what is asked, and what came of calls since.

use liteagent_engine::{capability::model, codes, value, value::Value};
use serde::Deserialize;
use utoipa::ToSchema;

use super::tools::Call;
use crate::problem::Problem;

/// A message.
#[derive(Deserialize, ToSchema)]
pub(super) struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    role: String,
    /// What it says.
    content: Option<Content>,
    /// The calls that an assistant asked for.
    #[serde(default)]
    tool_calls: Vec<Call>,
    /// The call that this is the result of, where `role` is `tool`.
    tool_call_id: Option<String>,
}

/// Text, alone or in parts.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Content {
    /// The text.
    Text(String),
    /// Its parts.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Clone, Debug, Deserialize, ToSchema)]
struct Part {
    /// `text`: others are refused.
    #[serde(rename = "type")]
    kind: String,
    /// The text.
    text: Option<String>,
}

impl Content {
    fn text(self) -> Result<String, Problem> {
        let parts = match self {
            Self::Text(text) => return Ok(text),
            Self::Parts(parts) => parts,
        };
        let text = |part: Part| match (part.kind.as_str(), part.text) {
            ("text", Some(text)) => Ok(text),
            (kind, _) => {
                Err(Problem::invalid(codes::REQUEST_BODY, format!("expected parts of the type `text`, found `{kind}`"))
                    .hint("send text alone"))
            }
        };
        parts.into_iter().map(text).collect::<Result<Vec<_>, _>>().map(|parts| parts.join("\n"))
    }
}

/// What the messages of a request say.
pub(super) struct Said {
    /// What was said before: `{ role, content }`, oldest first.
    pub(super) before: Vec<Value>,
    /// What is asked: the last message of the user.
    pub(super) message: String,
    /// The calls that the model asked for since, and what came of them.
    pub(super) called: Vec<model::Message>,
}

/// Reads the messages of a request.
///
/// # Errors
/// When nobody could answer them.
pub(super) fn read(mut messages: Vec<Message>) -> Result<Said, Problem> {
    let invalid = |detail: &str| Problem::invalid(codes::REQUEST_BODY, detail);
    let Some(at) = messages.iter().rposition(|message| message.role == "user") else {
        return Err(invalid("none of `messages` is the user's").hint("end `messages` with `role: user`"));
    };
    if messages[at + 1..].last().is_some_and(|last| last.role != "tool") {
        return Err(invalid("the last of `messages` is neither the user's nor of a tool")
            .hint("end `messages` with `role: user`"));
    }
    let since = messages.split_off(at + 1);
    let mut called = Vec::new();
    for message in since {
        called.push(of_call(message, &called)?);
    }
    let text = |content: Option<Content>| content.map_or(Ok(String::new()), Content::text);
    let message = text(messages.pop().and_then(|asked| asked.content))?;
    let before =
        messages.into_iter().filter(|message| message.role != "tool").map(|Message { role, content, .. }| {
            let content = text(content)?;
            Ok(value!({ "role": role, "content": content }))
        });
    Ok(Said { before: before.collect::<Result<_, Problem>>()?, message, called })
}

/// A message since the last of the user: calls that the model asked for, or what came of one of them.
fn of_call(message: Message, earlier: &[model::Message]) -> Result<model::Message, Problem> {
    let Message { role, content, tool_calls, tool_call_id } = message;
    let text = content.map_or(Ok(String::new()), Content::text)?;
    match (&*role, tool_call_id) {
        ("assistant", _) => {
            let calls = tool_calls.into_iter().map(Into::into).collect();
            Ok(model::Message::Assistant { text, calls, opaque: None })
        }
        ("tool", Some(id)) => {
            let calls = earlier.iter().filter_map(|message| match message {
                model::Message::Assistant { calls, .. } => Some(calls),
                _ => None,
            });
            match calls.flatten().find(|call| call.id == id) {
                Some(call) => {
                    Ok(model::Message::Tool { name: call.name.clone(), call: id, text, failed: false })
                }
                None => Err(Problem::invalid(
                    codes::REQUEST_BODY,
                    format!("`tool_call_id`: expected the id of a call since the last message of the user, found `{id}`"),
                )
                .hint("send the assistant's message with its `tool_calls` before the results")),
            }
        }
        (role, _) => Err(Problem::invalid(
            codes::REQUEST_BODY,
            format!("expected `assistant`, or `tool` with a `tool_call_id`, after the last message of the user, found `{role}`"),
        )
        .hint("end `messages` with `role: user`, or with the results of calls")),
    }
}
