//! Runs that this process cannot execute: they are given back as they were, for a process that can. What only a failure of the
//! store has stopped goes on here, when the store is back.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, MutexGuard, PoisonError},
};

use super::Inner;
use crate::{
    executor::OwnerError,
    id::RunId,
    store::{Append, AppendError, Release, RunPhase},
};

impl Inner {
    pub(super) fn left(&self) -> MutexGuard<'_, HashMap<RunId, Arc<OwnerError>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why this process does not take a run again.
    pub(super) fn why_left(&self, run: RunId) -> Option<Arc<OwnerError>> {
        self.left().get(&run).cloned()
    }

    /// Whether this process may take a run.
    pub(super) fn may_execute(&self, run: RunId) -> bool {
        self.alone.is_none_or(|only| only == run) && !self.left().contains_key(&run)
    }

    /// Puts a run back into the queue without a record, and remembers not to take it again.
    pub(super) async fn leave(&self, run: RunId, why: Arc<OwnerError>) {
        self.left().insert(run, why);
        if let Err(error) = self.give_back(run).await {
            // It is taken from this process when that ends.
            tracing::warn!(%run, %error, "the run could not be given back");
        }
    }

    pub(super) fn stranded(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.stranded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with the runs that the store has stopped and that are still owned here: nobody else may take them.
    pub(super) async fn take_up_stranded(self: &Arc<Self>) {
        let stranded = std::mem::take(&mut *self.stranded());
        for run in stranded {
            match self.stores.journal.run(run).await {
                Ok(Some(row)) if row.phase == RunPhase::Running && row.owner == Some(self.session) => {
                    self.drive(run, None);
                }
                Ok(_) => {}
                Err(_) => drop(self.stranded().insert(run)),
            }
        }
    }

    async fn give_back(&self, run: RunId) -> Result<(), AppendError> {
        let Some(row) = self.stores.journal.run(run).await? else { return Ok(()) };
        if row.phase != RunPhase::Running || row.owner != Some(self.session) {
            return Ok(());
        }
        let append = Append {
            run,
            epoch: row.epoch,
            session: self.session,
            expected: row.seq,
            records: Vec::new(),
            consumed: Vec::new(),
            blobs: Vec::new(),
            children: Vec::new(),
            send: Vec::new(),
            release: Some(Release::Queued),
            at: self.clock.now(),
        };
        self.stores.journal.append(append).await
    }
}
