//! Ending work when nobody waits for it any more.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Says whether the work that holds it should end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it when the guard is dropped: who waits holds the guard.
    pub(crate) fn when_dropped(&self) -> Guard {
        Guard(self.clone())
    }
}

/// See [`Stop::when_dropped`].
#[derive(Debug)]
pub(crate) struct Guard(Stop);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
