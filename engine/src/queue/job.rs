//! What waits in queues.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{id::RunId, units::Millis};

/// Which workers take a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Everything that has no group of its own: delivery of webhooks, retention, backfill.
    #[default]
    Default,
    /// Runs that index documents, and their steps.
    Indexing,
    /// Runs.
    Workflow,
    /// Steps that compute embeddings.
    Embedding,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 4] = [Self::Default, Self::Indexing, Self::Workflow, Self::Embedding];

    /// The name on the command line, in metrics and in Redis.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Indexing => "indexing",
            Self::Workflow => "workflow",
            Self::Embedding => "embedding",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|group| group.as_str() == text).ok_or_else(|| {
            format!("expected a queue (`default`, `indexing`, `workflow` or `embedding`), found `{text}`")
        })
    }
}

/// What a job points to. Prints as `run_…` or as `run_…/ATTEMPT/PATH`, without spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pointer {
    /// A run that someone should take.
    Run(RunId),
    /// An attempt of a node that is dispatched.
    Step {
        /// The run.
        run: RunId,
        /// The path of the node, `each[3].fetch`.
        node: String,
        /// The attempt of that node, from 1 on.
        attempt: u32,
    },
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => run.fmt(f),
            Self::Step { run, node, attempt } => write!(f, "{run}/{attempt}/{node}"),
        }
    }
}

impl FromStr for Pointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((run, rest)) = text.split_once('/') else { return text.parse().map(Self::Run) };
        let step = || {
            let (attempt, node) = rest.split_once('/')?;
            let good = !node.is_empty() && !node.contains(char::is_whitespace);
            Some(Self::Step { run: run.parse().ok()?, node: node.to_owned(), attempt: attempt.parse().ok()? })
                .filter(|_| good)
        };
        step().ok_or_else(|| format!("expected a run or a step such as `run_…/1/each[3].fetch`, found `{text}`"))
    }
}

/// A pointer to work, and when it should come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The work.
    pub pointer: Pointer,
    /// 0 to 9; higher ones come first. 5 by default.
    pub priority: u8,
    /// Jobs with the same key share one turn: the workflow, a tenant, a user. Empty by default.
    pub key: String,
    /// It does not come before this time.
    pub not_before: Option<Millis>,
    /// How often it failed or was lost.
    pub attempt: u32,
    /// When it was pushed, as the pusher has noted it with the truth.
    pub pushed_at: Millis,
}

impl Job {
    /// The highest priority.
    pub const HIGHEST: u8 = 9;

    /// A job of usual priority that comes at once.
    pub fn new(pointer: Pointer, pushed_at: Millis) -> Self {
        Self { pointer, priority: 5, key: String::new(), not_before: None, attempt: 0, pushed_at }
    }

    /// With a priority; above 9 it is 9.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority.min(Self::HIGHEST);
        self
    }

    /// With the key whose turns it takes.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// Not before a time.
    pub fn not_before(mut self, at: Millis) -> Self {
        self.not_before = Some(at);
        self
    }

    /// As it is when it is given back.
    pub fn again(&self, back: &Back) -> Self {
        match back {
            Back::HandedOver => Self { not_before: None, ..self.clone() },
            Back::Failed { not_before, .. } => {
                Self { not_before: *not_before, attempt: self.attempt.saturating_add(1), ..self.clone() }
            }
        }
    }
}

/// A job and the right to do it for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The job.
    pub job: Job,
    /// Names this delivery in the queue.
    pub id: String,
    /// Who popped it.
    pub consumer: String,
}

/// Why a job is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// Someone else shall do it, at once: the worker stops, or it cannot. Counts as nothing.
    HandedOver,
    /// It failed; counts as an attempt.
    Failed {
        /// When it may be tried again; `None` is at once.
        not_before: Option<Millis>,
        /// Why, for the dead letter that it becomes after the last attempt.
        reason: String,
    },
}

/// A job that nobody shall try again by himself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id in the queue; later ones are greater.
    pub id: String,
    /// The job; `None` when what was found in the queue cannot be read.
    pub job: Option<Job>,
    /// What was found in the queue, when it cannot be read.
    pub unreadable: Option<String>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Millis,
}

impl DeadLetter {
    /// The reason of a job that nobody finished.
    pub fn lost(attempts: u32) -> String {
        format!("it was delivered {attempts} times and never finished")
    }
}

/// What waits in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Jobs that could be popped now.
    pub ready: u64,
    /// Jobs whose time has not come.
    pub delayed: u64,
    /// Jobs that someone holds.
    pub leased: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the longest waiting job was pushed. A pointer that was pushed earlier does not wait here any more.
    pub oldest: Option<Millis>,
}

impl Depth {
    /// For how long the oldest job has waited, in milliseconds; 0 when nothing waits.
    pub fn age(&self, now: Millis) -> u64 {
        self.oldest.map_or(0, |oldest| u64::try_from(now - oldest).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_read_back_and_nothing_else_is() {
        let run = RunId::random();
        for pointer in [Pointer::Run(run), Pointer::Step { run, node: "each[3].agent[2].fetch".into(), attempt: 7 }] {
            assert_eq!(pointer.to_string().parse(), Ok(pointer));
        }
        for wrong in ["", "run_", "x/1/a", &format!("{run}/a"), &format!("{run}/x/a"), &format!("{run}/1/")] {
            assert!(wrong.parse::<Pointer>().is_err(), "{wrong}");
        }
    }
}
