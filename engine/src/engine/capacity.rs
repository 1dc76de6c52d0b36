//! How many runs a process executes at once, and how many may wait for that.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};

use super::{Engine, EngineError, Inner};
use crate::units::Millis;

/// How long it is believed how many runs wait in the queue: counting ten thousand takes longer than storing one.
const BELIEVED: Millis = 1_000;
/// The part of the room that was counted which this process may fill before it counts again. Others fill it as well.
const SHARE_OF_ROOM: u32 = 8;

/// How many runs a process executes at once. Children of runs, and runs that are steered, are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// So many runs. One more is kept in the queue.
    pub at_once: usize,
    /// So many runs may wait in the queue of the installation. One more is refused.
    pub waiting: u32,
}

/// How many more runs this process may put into the queue without counting those that wait there, and until when.
#[derive(Default)]
pub(super) struct Margin(Mutex<(u32, Millis)>);

impl Margin {
    /// Uses one; whether there was one.
    fn spend(&self, now: Millis) -> bool {
        let mut margin = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = margin.0 > 0 && now < margin.1;
        if is_there {
            margin.0 -= 1;
        }
        is_there
    }

    /// There was room for so many when it was counted.
    fn counted(&self, room: u32, now: Millis) {
        let mut margin = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *margin = (room / SHARE_OF_ROOM, now + BELIEVED);
    }
}

impl Engine {
    /// Limits how many runs this process executes; only the first call counts. Without it there is no limit.
    pub fn limit(&self, capacity: Capacity) {
        // A second limit means nothing.
        let _ = self.inner.capacity.set(capacity);
    }

    /// How many runs this process executes now. A run that was released is none of them.
    pub fn active_runs(&self) -> usize {
        self.inner.active().len()
    }

    /// The reconciler: executes runs that someone should take, as many as there is room for. Among other processes it pushes
    /// those whose pointers are lost, unless another one has looked a moment ago. Returns how many.
    ///
    /// # Errors
    /// When the store fails, or the queue cannot be used; that is logged once, when it begins.
    pub async fn poll(&self) -> Result<usize, EngineError> {
        let found = self.inner.poll().await?;
        if let Some(observer) = &self.inner.observer {
            observer.reconciled(self.inner.clock.now());
        }
        Ok(found)
    }
}

impl Inner {
    /// How many more runs may be executed here.
    fn room(&self) -> usize {
        self.capacity.get().map_or(usize::MAX, |capacity| capacity.at_once.saturating_sub(self.active().len()))
    }

    /// Whether one more run may be executed here.
    pub(crate) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// Whether runs wait in the queue because this process had no room for them.
    pub(super) fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// Whether a new run must wait in the queue.
    ///
    /// # Errors
    /// When too many wait there already.
    pub(super) async fn must_wait(&self) -> Result<bool, EngineError> {
        if self.has_room() {
            return Ok(false);
        }
        self.check_waiting().await?;
        // Among others it comes from the queue like any other.
        self.short.store(self.fleet.is_none(), Ordering::Relaxed);
        Ok(true)
    }

    /// Whether one more run may wait in the queue of the installation.
    ///
    /// # Errors
    /// When too many wait there already.
    pub(super) async fn check_waiting(&self) -> Result<(), EngineError> {
        let Some(capacity) = self.capacity.get() else { return Ok(()) };
        let now = self.clock.now();
        if self.margin.spend(now) {
            return Ok(());
        }
        let waiting = self.stores.journal.queued(capacity.waiting).await?;
        if waiting >= capacity.waiting {
            return Err(self.busy(waiting));
        }
        self.margin.counted(capacity.waiting - waiting, now);
        Ok(())
    }

    /// A run that exists only in memory cannot wait.
    ///
    /// # Errors
    /// When there is no room for one, here or on the disk.
    pub(super) async fn check_room(&self) -> Result<(), EngineError> {
        self.stores.journal.check_room().await?;
        if self.room() == 0 { Err(self.busy(0)) } else { Ok(()) }
    }

    fn busy(&self, waiting: u32) -> EngineError {
        EngineError::Busy { running: self.active().len(), waiting }
    }

    pub(super) async fn poll(self: &Arc<Self>) -> Result<usize, EngineError> {
        const BATCH: u32 = 1_000;
        if let Some(fleet) = self.fleet.clone() {
            return self.reconcile(&fleet).await;
        }
        // Runs that this process cannot execute must not hide the others.
        let limit = BATCH + u32::try_from(self.left().len()).unwrap_or(u32::MAX - BATCH);
        let mut runs = self.stores.journal.runnable(self.clock.now(), limit).await?;
        runs.retain(|run| self.may_execute(*run));
        let room = self.room();
        self.short.store(runs.len() > room, Ordering::Relaxed);
        runs.truncate(room);
        for run in &runs {
            self.wake(*run);
        }
        Ok(runs.len())
    }

    /// Takes runs from the queue when there is room again: for several at a time, because it reads the store.
    pub(super) async fn refill(self: &Arc<Self>) {
        const SHARE: usize = 8;
        let Some(capacity) = self.capacity.get() else { return };
        if !self.is_short() || self.room().saturating_mul(SHARE) < capacity.at_once || *self.closing.borrow() {
            return;
        }
        if let Err(error) = self.poll().await {
            // The reconciler finds them later.
            tracing::warn!(%error, "runs that wait in the queue could not be looked for");
        }
    }
}
