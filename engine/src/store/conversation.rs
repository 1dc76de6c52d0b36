//! Conversations: their variables, and what was said in them, turn by turn.
//!
//! A turn belongs to a run and stands after another one. To edit what was said, or to have it answered again, is a turn
//! beside the old one, so a conversation is a tree; its head is the newest turn.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Journal, StoreError};
use crate::{
    capability::{History, Turn},
    error::{ErrorClass, NodeError},
    event::{Event, Record},
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
    /// Whose the conversation is, where this turn begins it.
    pub speaker: Option<Speaker>,
}

/// Whose a conversation is: a user means nothing outside its space.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Speaker {
    /// Who vouches for the user: an API key, or the installation.
    pub space: String,
    /// The user.
    pub user: String,
}

/// What a person thinks of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rating {
    /// It helped.
    Up,
    /// It did not.
    Down,
}

/// A turn, as it is kept. It outlives its run.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTurn {
    /// The run.
    pub run: RunId,
    /// The conversation.
    pub conversation: String,
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
    /// What the person thinks of the answer.
    pub rating: Option<Rating>,
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
    /// The beginning of what was said first, or what people call it.
    pub title: String,
    /// Whose it is; nobody's in particular when it was begun outside of a server.
    pub speaker: Option<Speaker>,
    /// How many turns it has, also those beside the path to the newest.
    pub turns: u64,
    /// The newest turn: its head.
    pub last: StoredTurn,
    /// When it began.
    pub created_at: Millis,
    /// When something was last said.
    pub updated_at: Millis,
}

impl ConversationRow {
    /// Its place in lists.
    pub fn place(&self) -> (Millis, RunId) {
        (self.updated_at, self.last.run)
    }
}

/// Which conversations a list holds: those with something said in them, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Only those of this workflow.
    pub workflow: Option<String>,
    /// Only those of users of this space.
    pub space: Option<String>,
    /// Only those of this user.
    pub user: Option<String>,
    /// Only those that come after this [`ConversationRow::place`] in the list: the cursor.
    pub before: Option<(Millis, RunId)>,
    /// At most so many; 0 means 100.
    pub limit: u32,
}

impl ConversationFilter {
    /// How many conversations at most.
    pub fn limit(&self) -> u32 {
        if self.limit == 0 { 100 } else { self.limit }
    }

    /// Whether a conversation belongs in the list.
    pub fn fits(&self, row: &ConversationRow) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| wanted.as_ref().is_none_or(|it| Some(it) == found);
        is(&self.workflow, Some(&row.workflow))
            && is(&self.space, row.speaker.as_ref().map(|speaker| &speaker.space))
            && is(&self.user, row.speaker.as_ref().map(|speaker| &speaker.user))
            && self.before.is_none_or(|before| row.place() < before)
    }
}

/// Which of the turns that lead to the newest one, that one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnPage {
    /// Whether the newest comes first; else the oldest does.
    pub newest_first: bool,
    /// Only those that come after the turn of this run: the cursor.
    pub after: Option<RunId>,
    /// At most so many.
    pub limit: u32,
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

/// The history of conversations that a journal keeps. A run that belongs to none may bring what was said before in its
/// trigger: `messages` of `{ role, content }`, as clients do that keep conversations themselves.
pub struct StoredHistory(pub Arc<dyn Journal>);

#[async_trait]
impl History for StoredHistory {
    async fn before(&self, run: RunId, most: usize) -> Result<Vec<Turn>, NodeError> {
        let turns = self.0.turns_before(run, most).await.map_err(unreadable)?;
        if turns.is_empty() {
            return self.brought(run, most).await;
        }
        let turn = |turn: StoredTurn| Turn {
            message: turn.message,
            files: turn.files.as_list().unwrap_or_default().to_vec(),
            answer: turn.answer.unwrap_or_default(),
        };
        Ok(turns.into_iter().map(turn).collect())
    }
}

impl StoredHistory {
    /// What the trigger of a run brings.
    async fn brought(&self, run: RunId, most: usize) -> Result<Vec<Turn>, NodeError> {
        let records = self.0.read(run, 0, 1).await.map_err(unreadable)?;
        let Some(first) = records.first() else { return Ok(Vec::new()) };
        let record: Record = serde_json::from_str(&first.body)
            .map_err(|error| unreadable(StoreError::Damaged(format!("the first record of {run}: {error}"))))?;
        let Event::RunStarted { trigger, .. } = record.event else { return Ok(Vec::new()) };
        let mut turns = turns_of(trigger.get("messages").and_then(Value::as_list).unwrap_or_default());
        turns.drain(..turns.len().saturating_sub(most));
        Ok(turns)
    }
}

/// Turns of `{ role, content }`: what a user says begins one, what an assistant says ends it.
fn turns_of(messages: &[Value]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages {
        let text = |key| message.get(key).and_then(Value::as_str).unwrap_or_default();
        let content = text("content");
        match (text("role"), turns.last_mut()) {
            ("user", _) => {
                turns.push(Turn { message: content.to_owned(), files: Vec::new(), answer: String::new() });
            }
            ("assistant", Some(turn)) => turn.answer.push_str(content),
            ("assistant", None) => {
                turns.push(Turn { message: String::new(), files: Vec::new(), answer: content.to_owned() });
            }
            _ => {}
        }
    }
    turns
}

fn unreadable(error: StoreError) -> NodeError {
    NodeError::new(error.code(), ErrorClass::Unavailable, format!("the conversation cannot be read: {error}"))
        .hint(error.hint())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;

    #[test]
    fn messages_of_a_client_are_turns() {
        let said = value!([
            { "role": "system", "content": "Be brief." },
            { "role": "assistant", "content": "Hello." },
            { "role": "user", "content": "One?" },
            { "role": "assistant", "content": "Yes" },
            { "role": "assistant", "content": ", one." },
            { "role": "user", "content": "Two?" },
        ]);
        let turns = turns_of(said.as_list().unwrap());
        let shown: Vec<_> = turns.iter().map(|turn| (&*turn.message, &*turn.answer)).collect();
        assert_eq!(shown, [("", "Hello."), ("One?", "Yes, one."), ("Two?", "")]);
    }

    #[test]
    fn a_title_is_the_first_line_and_not_long() {
        assert_eq!(title_of("  Where is it?\nI wait."), "Where is it?");
        assert_eq!(title_of(""), "");
        let long = title_of(&"é".repeat(200));
        assert_eq!((long.chars().count(), long.chars().last()), (80, Some('…')));
    }
}
