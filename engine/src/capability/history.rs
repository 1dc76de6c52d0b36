//! What was said before in a conversation.

use async_trait::async_trait;

use crate::{error::NodeError, id::RunId, value::Value};

/// The earlier turns of conversations.
#[async_trait]
pub trait History: Send + Sync {
    /// The last turns before a run in its conversation, at most `most`, oldest first; none for a run that belongs to no
    /// conversation. They never change while the run goes on.
    ///
    /// # Errors
    /// When the store fails.
    async fn before(&self, run: RunId, most: usize) -> Result<Vec<Turn>, NodeError>;
}

/// What a person said, and what came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// What the person said.
    pub message: String,
    /// The files that came with it: file values.
    pub files: Vec<Value>,
    /// What the workflow answered; empty when it answered nothing.
    pub answer: String,
}
