//! What events are made of: places, waits, ends. Stored for ever, as the events are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Payload;
use crate::{
    error::ErrorReport,
    id::{JobId, RunId},
    queue::Group,
    units::Millis,
    value::Value,
};

/// Where a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// In the process that owns the run.
    Local {
        /// Its epoch: a newer owner knows that the node is lost.
        epoch: u64,
    },
    /// In a run of its own.
    Child {
        /// The child.
        run: RunId,
    },
    /// In the process that takes the job.
    Job {
        /// The job. An attempt that is dispatched again has another one.
        id: JobId,
        /// Where it waits.
        queue: Group,
    },
}

/// What a container passes over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Over {
    /// `iteration`: one frame per item.
    Items {
        /// The items: a list.
        items: Payload,
        /// How many frames are open at once.
        parallel: u32,
        /// What a failed frame means.
        on_item_error: OnItemError,
    },
    /// `loop`: one frame after the other.
    Rounds {
        /// The state of the first round: an object.
        state: Value,
    },
    /// A composite that repeats nothing: one frame.
    Once {},
    /// Calls of tools: one frame per call that can be made.
    Calls {
        /// The calls: a list of objects with `id`, `name` (as the model wrote it), `arguments`, and either `tool` (whose
        /// nodes run; with `operation` where the tool has several), or `result`: why the call cannot be made.
        calls: Payload,
        /// How many frames are open at once.
        parallel: u32,
    },
}

/// What a failed frame of an iteration means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnItemError {
    /// The iteration fails; other frames are stopped.
    #[default]
    Fail,
    /// Its place in `output` is `null`, and `errors` says why.
    Keep,
    /// It is left out of `output`, and `errors` says why.
    Drop,
}

/// How a frame ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FrameEnd {
    /// An item, or a call of a tool, was done.
    Item {
        /// The rendered `output`; of a call, its result.
        output: Payload,
    },
    /// A round was done, and another one follows.
    Next {
        /// How the state changed.
        ops: Vec<Write>,
    },
    /// The last round was done.
    Last {
        /// How the state changed.
        ops: Vec<Write>,
        /// The rendered `output`.
        output: Payload,
    },
    /// It failed.
    Failed {
        /// Why.
        error: ErrorReport,
    },
}

/// A change of one variable, as the journal keeps it: never the whole state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Write {
    /// The variable has this value.
    Set {
        /// Name of the variable.
        name: String,
        /// The value.
        value: Value,
    },
    /// These items were added to the end of a list.
    Extend {
        /// Name of the variable.
        name: String,
        /// The items.
        items: Vec<Value>,
    },
    /// This number was added.
    Increment {
        /// Name of the variable.
        name: String,
        /// The number.
        by: serde_json::Number,
    },
}

/// What a node waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The signal that ends it; `None` when only time does. Signals addressed to the node itself always count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// When time ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// What a person is asked: an object with `message`, `to`, `form` and `actions`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub ask: Value,
}

/// What follows from a failed attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterFailure {
    /// It is tried again at this time.
    Retry(Millis),
    /// `on_error: continue`: the port `error` opens.
    Continue,
    /// `on_error: { outputs }`: these stand in.
    StandIn(Value),
    /// The frame or the run fails.
    Fail,
}

/// Why a node was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SkipReason {
    /// An entry of `needs` was not taken.
    NotNeeded {
        /// The entry, as in `route.billing`.
        need: String,
    },
    /// A node that it must read has no value.
    NoValue {
        /// The id of that node.
        of: String,
    },
    /// None of its edges was taken.
    NothingTaken,
    /// `when` was false.
    When,
}

/// Whom a signal is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalTo {
    /// The node at this path.
    Node(String),
    /// Any node that waits for this name.
    Name(String),
}

/// Nodes that run at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handler {
    /// After a failure.
    OnFailure,
    /// Always.
    Finally,
}

impl Handler {
    /// The key in YAML, and the first part of the paths of its nodes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnFailure => "on_failure",
            Self::Finally => "finally",
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Every node ended well, was skipped, or its failure was handled.
    Succeeded,
    /// A node failed, or time or budget ran out.
    Failed,
    /// Someone stopped it.
    Cancelled,
}

impl RunStatus {
    /// The name in replies and templates.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
