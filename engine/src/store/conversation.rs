//! Conversations: their variables, and what was said in them, turn by turn.
//!
//! A turn belongs to a run and stands after another one. To edit what was said, or to have it answered again, is a turn
//! beside the old one, so a conversation is a tree; its head is the newest turn.

use std::sync::Arc;

use async_trait::async_trait;

use super::Journal;
use crate::{
    capability::{History, Turn},
    error::{ErrorClass, NodeError},
    id::RunId,
    units::Millis,
    value::Value,
};

/// What a person says with a run that is about to exist.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTurn {
    /// What the person says.
    pub message: String,
    /// The files that come with it: a list of file values.
    pub files: Value,
    /// The run beside which it stands: it was edited, or is answered again. Else it stands after the head.
    pub beside: Option<RunId>,
}

/// A turn, as it is kept. It outlives its run.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTurn {
    /// The run.
    pub run: RunId,
    /// The turn that it stands after.
    pub after: Option<RunId>,
    /// What the person said.
    pub message: String,
    /// The files that came with it: a list of file values.
    pub files: Value,
    /// What the workflow answered; `None` while the run goes on, and when it answered nothing.
    pub answer: Option<String>,
    /// When the person said it.
    pub at: Millis,
}

/// What the end of a run leaves in its conversation, in the same transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationEnd {
    /// The conversation.
    pub id: String,
    /// Its variables.
    pub variables: Value,
    /// What the workflow answered.
    pub answer: Option<String>,
}

/// A conversation in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationRow {
    /// Its id.
    pub id: String,
    /// The workflow of its first turn.
    pub workflow: String,
    /// The beginning of what was said first.
    pub title: String,
    /// The newest turn.
    pub head: RunId,
    /// When it began.
    pub created_at: Millis,
    /// When something was last said.
    pub updated_at: Millis,
}

/// The title of a conversation that begins with this message: its first line, at most 80 characters.
pub fn title_of(message: &str) -> String {
    const MOST: usize = 80;
    let line = message.trim().lines().next().unwrap_or_default().trim_end();
    if line.chars().count() <= MOST {
        return line.to_owned();
    }
    let head: String = line.chars().take(MOST - 1).collect();
    format!("{}…", head.trim_end())
}

/// The history of conversations that a journal keeps.
pub struct StoredHistory(pub Arc<dyn Journal>);

#[async_trait]
impl History for StoredHistory {
    async fn before(&self, run: RunId, most: usize) -> Result<Vec<Turn>, NodeError> {
        let turns = self.0.turns_before(run, most).await.map_err(|error| {
            NodeError::new(error.code(), ErrorClass::Unavailable, format!("the conversation cannot be read: {error}"))
                .hint(error.hint())
        })?;
        let turn = |turn: StoredTurn| Turn {
            message: turn.message,
            files: turn.files.as_list().unwrap_or_default().to_vec(),
            answer: turn.answer.unwrap_or_default(),
        };
        Ok(turns.into_iter().map(turn).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_and_not_long() {
        assert_eq!(title_of("  Where is it?\nI wait."), "Where is it?");
        assert_eq!(title_of(""), "");
        let long = title_of(&"é".repeat(200));
        assert_eq!((long.chars().count(), long.chars().last()), (80, Some('…')));
    }
}
