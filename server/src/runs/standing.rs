//! How a run stands, in one word.

use liteagent_engine::{
    event::RunStatus,
    store::{RunFilter, RunPhase, RunRow},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has not begun.
    Queued,
    /// It goes on.
    Running,
    /// It waits for a person, a signal, a time or another run.
    Waiting,
    /// It came out of a backup, and waits for its release.
    Held,
    /// It ended well.
    Succeeded,
    /// It ended with a failure.
    Failed,
    /// It was stopped.
    Cancelled,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Waiting, Self::Held, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The name in requests and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn of(row: &RunRow) -> Self {
        match (row.status, row.phase) {
            (Some(status), _) => status.into(),
            (None, RunPhase::Queued) => Self::Queued,
            (None, RunPhase::Waiting) => Self::Waiting,
            (None, RunPhase::Held) => Self::Held,
            (None, RunPhase::Running | RunPhase::Ended) => Self::Running,
        }
    }

    /// How a run ended that stands so.
    pub const fn end(self) -> Option<RunStatus> {
        match self {
            Self::Queued | Self::Running | Self::Waiting | Self::Held => None,
            Self::Succeeded => Some(RunStatus::Succeeded),
            Self::Failed => Some(RunStatus::Failed),
            Self::Cancelled => Some(RunStatus::Cancelled),
        }
    }

    /// The phase of a run that stands so.
    pub const fn phase(self) -> RunPhase {
        match self {
            Self::Queued => RunPhase::Queued,
            Self::Running => RunPhase::Running,
            Self::Waiting => RunPhase::Waiting,
            Self::Held => RunPhase::Held,
            Self::Succeeded | Self::Failed | Self::Cancelled => RunPhase::Ended,
        }
    }

    /// The runs that stand so.
    pub fn filter(self) -> RunFilter {
        RunFilter { phase: Some(self.phase()), status: self.end(), ..RunFilter::default() }
    }
}

impl From<RunStatus> for Standing {
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Succeeded => Self::Succeeded,
            RunStatus::Failed => Self::Failed,
            RunStatus::Cancelled => Self::Cancelled,
        }
    }
}
