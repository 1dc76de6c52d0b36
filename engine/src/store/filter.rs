//! Which runs a list holds.

use super::{RunPhase, RunRow};
use crate::{event::RunStatus, id::RunId};

/// Which runs a list holds; newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only this workflow.
    pub workflow: Option<String>,
    /// Only this phase.
    pub phase: Option<RunPhase>,
    /// Only this outcome.
    pub status: Option<RunStatus>,
    /// Only children of this run.
    pub parent: Option<RunId>,
    /// Only those about this subject.
    pub subject: Option<String>,
    /// Only runs older than this one: the cursor.
    pub before: Option<RunId>,
    /// At most so many; 0 means 100.
    pub limit: u32,
}

impl RunFilter {
    /// How many runs at most.
    pub fn limit(&self) -> u32 {
        if self.limit == 0 { 100 } else { self.limit }
    }

    /// Whether a run belongs in the list; the cursor is not looked at.
    pub fn fits(&self, row: &RunRow) -> bool {
        self.workflow.as_ref().is_none_or(|workflow| *workflow == row.workflow)
            && self.phase.is_none_or(|phase| phase == row.phase)
            && self.status.is_none_or(|status| Some(status) == row.status)
            && self.parent.is_none_or(|parent| row.parent.as_ref().is_some_and(|of| of.run == parent))
            && self.subject.as_ref().is_none_or(|subject| Some(subject) == row.subject.as_ref())
    }
}
