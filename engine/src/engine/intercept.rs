//! Standing in for nodes: what tests of workflows fake.

use crate::{
    error::NodeError,
    id::RunId,
    node::{Effect, ErasedNode, Outcome},
    units::Millis,
    value::Value,
};

/// Stands in for nodes. It is asked when an attempt starts; all else is as without it: what the journal holds, retries,
/// timeouts, and what a crash repeats.
pub trait Intercept: Send + Sync {
    /// What happens instead of this attempt; `None` lets the node run.
    fn attempt(&self, attempt: &Attempt<'_>) -> Option<StandIn>;
}

/// An attempt that is about to start.
pub struct Attempt<'a> {
    /// The run.
    pub run: RunId,
    /// The path of the node in its run, `each[3].fetch`.
    pub path: &'a str,
    /// The name of its type.
    pub kind: &'a str,
    /// What another attempt may repeat.
    pub effect: Effect,
    /// The node as configured.
    pub node: &'a dyn ErasedNode,
    /// When the attempt is stopped.
    pub deadline: Option<Millis>,
}

/// What happens instead of an attempt.
#[derive(Debug)]
pub struct StandIn {
    /// When it ends; at once when that has passed.
    pub at: Millis,
    /// How it ends.
    pub result: Result<Outcome<Value>, NodeError>,
}
