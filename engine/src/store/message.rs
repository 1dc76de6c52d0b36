//! What is sent to runs.

use serde::{Deserialize, Serialize};

use crate::{
    error::ErrorReport,
    event::{RunStatus, SignalTo},
    units::Millis,
    usage::Spent,
    value::Value,
};

/// A message to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Unique within the run: sending it again changes nothing.
    pub id: String,
    /// When it was sent.
    pub at: Millis,
    /// What it says.
    pub body: MessageBody,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageBody {
    /// Input for a waiting node.
    Signal {
        /// For whom.
        to: SignalTo,
        /// What it carries.
        payload: Value,
        /// Who sent it.
        by: Option<String>,
    },
    /// Stop the run.
    Cancel {
        /// Who asks.
        by: Option<String>,
    },
    /// A child run ended.
    ChildEnded {
        /// The node that started it.
        node: String,
        /// The attempt of that node.
        attempt: u32,
        /// How it ended.
        status: RunStatus,
        /// Its outputs.
        outputs: Value,
        /// Why it did not succeed.
        error: Option<ErrorReport>,
        /// What it used of models, with the runs that it started, and how many nodes it started.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        usage: Spent,
    },
}

/// A message in the inbox of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxMessage {
    /// Its place in the store, in order of arrival.
    pub row: i64,
    /// The message.
    pub message: Message,
}
