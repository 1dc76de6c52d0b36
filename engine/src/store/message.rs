//! What is sent to runs.

use serde::{Deserialize, Serialize};

use crate::{
    error::ErrorReport,
    event::{Payload, RunStatus, SignalTo, Write},
    id::{JobId, SessionId},
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
    /// A process has taken the job of a node. Of several that try, the first has it.
    JobTaken {
        /// The path of the node.
        node: String,
        /// The job.
        job: JobId,
        /// The process.
        session: SessionId,
    },
    /// The process that had taken the job of a node gives it back: it closes, it cannot go on, or the run or frame of the
    /// node ends.
    JobGivenBack {
        /// The path of the node.
        node: String,
        /// The job.
        job: JobId,
        /// The process.
        session: SessionId,
        /// What it used of models until then.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        usage: Spent,
    },
    /// An attempt that ran elsewhere is over. Of several, the first counts.
    StepEnded {
        /// The path of the node.
        node: String,
        /// The attempt.
        attempt: u32,
        /// How it ended. Secrets are hidden already.
        result: StepResult,
        /// What it used of models.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        usage: Spent,
        /// What it printed, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<String>,
    },
}

/// How an attempt ended that ran elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// Well.
    Done {
        /// The port that it leaves by; `None` for its only ordinary one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<String>,
        /// Its output; a large one is a blob, which is stored.
        output: Payload,
        /// What it wrote to the conversation.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        writes: Vec<Write>,
    },
    /// It failed.
    Failed {
        /// Why.
        error: ErrorReport,
        /// How long the other side asks to wait before the next attempt, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
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
