//! Nodes that run as jobs, in the process that takes them: `ENGINE.md` section 8.

use super::state::{Addr, RunState, Status};
use crate::{
    event::Place,
    id::{JobId, SessionId},
    queue::Group,
};

/// A node that runs as a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenJob {
    /// The job.
    pub id: JobId,
    /// Where it waits.
    pub queue: Group,
    /// The process that has taken it, as far as the journal knows.
    pub taken: Option<SessionId>,
}

impl RunState {
    /// The job that a node runs as.
    pub fn job(&self, at: Addr) -> Option<OpenJob> {
        match self.node(at)?.status {
            Status::Started(Place::Job { id, queue }) => {
                Some(OpenJob { id, queue, taken: self.jobs.get(&at).copied().flatten() })
            }
            _ => None,
        }
    }

    /// Every node that runs as a job.
    pub fn jobs(&self) -> impl Iterator<Item = (Addr, OpenJob)> {
        self.jobs.keys().filter_map(|at| Some((*at, self.job(*at)?)))
    }

    /// Whether some node runs as a job.
    pub fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether an attempt that runs elsewhere, or was lost there a moment ago, is still waited for.
    pub fn awaits(&self, at: Addr, attempt: u32) -> bool {
        self.node(at).is_some_and(|node| {
            node.attempt == attempt && !node.status.is_settled() && (node.lost || self.jobs.contains_key(&at))
        })
    }

    pub(super) fn job_taken(&mut self, at: Addr, job: JobId, session: SessionId) {
        if self.job(at).is_some_and(|open| open.id == job) {
            self.jobs.insert(at, Some(session));
        }
    }
}
