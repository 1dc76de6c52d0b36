//! How many tokens a question has, before anyone counts them.

use liteagent_engine::capability::model::{ChatRequest, Message, Part, ToolCall};

/// Bytes of a token: about right for English, too many tokens for most other texts.
const BYTES: u64 = 4;
/// Tokens of an image.
const IMAGE: u64 = 1_000;
/// Bytes of a file that is no text, for each token.
const FILE_BYTES: u64 = 100;
/// What roles and separators add to a message.
const MESSAGE: u64 = 4;
/// Tokens of an answer whose length is not limited.
const ANSWER: u64 = 1_000;

/// Tokens of a text.
pub(crate) fn text(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES)
}

/// Tokens of a question.
pub(crate) fn question(request: &ChatRequest) -> u64 {
    let messages: u64 = request.messages.iter().map(|message| MESSAGE + of(message)).sum();
    let tools: u64 = request
        .tools
        .iter()
        .map(|tool| text(tool.name.len() + tool.description.len() + tool.parameters.to_string().len()))
        .sum();
    messages + tools + request.schema.as_ref().map_or(0, |schema| text(schema.to_string().len()))
}

/// Tokens of a question and its answer together.
pub(crate) fn call(request: &ChatRequest) -> u64 {
    question(request) + request.sampling.max_tokens.unwrap_or(ANSWER)
}

fn of(message: &Message) -> u64 {
    let call = |call: &ToolCall| text(call.name.len() + call.arguments.len());
    match message {
        Message::System { text: said } | Message::Tool { text: said, .. } => text(said.len()),
        Message::User { parts } => parts.iter().map(part).sum(),
        Message::Assistant { text: said, calls, .. } => text(said.len()) + calls.iter().map(call).sum::<u64>(),
    }
}

fn part(part: &Part) -> u64 {
    match part {
        Part::Text { text: said } => text(said.len()),
        Part::Image { .. } => IMAGE,
        Part::File { mime, content, .. } if mime.starts_with("text/") => text(content.len()),
        Part::File { content, .. } => content.len() as u64 / FILE_BYTES,
    }
}
