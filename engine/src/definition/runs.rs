//! How the runs of a workflow stand to each other: `concurrency` and `conversation`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{template::Template, types::Type};

/// How many runs may go on at once, and what becomes of one more.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// How many runs with the same key may go on at once.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub limit: u32,
    /// What runs are counted by: those for which it gives the same text are counted together, also those of other
    /// workflows. It is evaluated once, when a run starts, and reads `inputs`, `trigger`, `env` and `sys`. The name of
    /// the workflow if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Template<String>>,
    /// What becomes of a run when `limit` is reached: `queue`, `reject` or `replace`.
    #[serde(default)]
    pub when_full: WhenFull,
}

fn one() -> u32 {
    1
}

/// What becomes of a run when there is no room for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It waits until there is room; the oldest goes first.
    #[default]
    Queue,
    /// It does not start, and who asked for it is told which runs are in the way.
    Reject,
    /// The oldest are cancelled, and it goes on when they have ended.
    Replace,
}

impl WhenFull {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
    fn is_queue(&self) -> bool {
        *self == Self::Queue
    }
}

/// Makes a workflow a chat workflow.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// What is said before the first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<String>,
    /// Messages that are offered to a person who does not know what to ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<String>,
    /// Variables that live as long as the conversation; each needs a `default`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub variables: IndexMap<String, Type>,
    /// What becomes of a message that comes while a run of the same conversation goes on: `queue`, `reject` or
    /// `replace`. Under `durability: end` runs of a conversation do not wait for each other.
    #[serde(default, skip_serializing_if = "WhenFull::is_queue")]
    pub when_busy: WhenFull,
}
