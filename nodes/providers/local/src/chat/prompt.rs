//! The messages of a question as the model was trained to read them: its chat template, ChatML.

use liteagent_engine::{
    capability::model::{Message, Part},
    error::NodeError,
};

use super::vocabulary::Vocabulary;
use crate::{failure, weights::CHAT};

/// What the model is told where the question does not begin with what it is told.
const SYSTEM: &str = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

/// The tokens of a conversation, up to where the answer begins.
pub(super) fn tokens(messages: &[Message], vocabulary: &Vocabulary) -> Result<Vec<u32>, NodeError> {
    let mut tokens = Vec::new();
    let say = |text: &str| {
        let said = vocabulary.tokens(text);
        said.map_err(|error| NodeError::internal(format!("a text has no tokens: {error}")))
    };
    let mut message = |role: &str, text: &str| -> Result<(), NodeError> {
        tokens.push(vocabulary.begin);
        tokens.extend(say(&format!("{role}\n{text}"))?);
        tokens.push(vocabulary.end);
        tokens.extend(say("\n")?);
        Ok(())
    };
    if !matches!(messages.first(), Some(Message::System { .. })) {
        message("system", SYSTEM)?;
    }
    for said in messages {
        match said {
            Message::System { text } => message("system", text)?,
            Message::User { parts } => message("user", &text(parts)?)?,
            Message::Assistant { text, calls, .. } if calls.is_empty() => message("assistant", text)?,
            Message::Assistant { .. } | Message::Tool { .. } => {
                return Err(failure::unable(CHAT, "read what tools were called and gave"));
            }
        }
    }
    tokens.push(vocabulary.begin);
    tokens.extend(say("assistant\n")?);
    Ok(tokens)
}

fn text(parts: &[Part]) -> Result<String, NodeError> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text { text: part } => text.push_str(part),
            Part::Image { .. } => return Err(failure::unable(CHAT, "see images")),
            Part::File { .. } => return Err(failure::unable(CHAT, "read files")),
        }
    }
    Ok(text)
}
