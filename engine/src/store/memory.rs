//! The store in memory: for tests, for `liteagent test`, and for runs that nobody needs to keep.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use self::runs::Runs;
use super::{FileValue, KvEntry, Stores};
use crate::{
    id::{Digest, RunId, SessionId},
    time::{Clock, SystemClock},
    units::Millis,
    value::Value,
};

mod journal;
mod line;
mod operation;
mod runs;
mod talk;
mod usage;
mod values;

/// How long a session lives after its last heartbeat, unless a store is told otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// Keeps everything in memory; nothing survives the process.
///
/// A session is alive from [`open_session`](super::Journal::open_session) until it is closed, killed, or its last
/// heartbeat is older than the lease, judged against the `at` arguments.
pub struct MemoryStore {
    runs: Mutex<Runs>,
    values: Mutex<Values>,
    clock: Arc<dyn Clock>,
}

/// All but the runs.
#[derive(Default)]
struct Values {
    blobs: HashMap<Digest, (Bytes, Millis)>,
    files: HashMap<(RunId, String), FileValue>,
    kv: HashMap<(String, String), KvEntry>,
    cache: HashMap<Digest, (Value, Millis, RunId)>,
}

impl MemoryStore {
    /// A store whose sessions live `lease` after their last heartbeat, and whose blobs are as old as `clock` says.
    pub fn new(lease: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { runs: Mutex::new(Runs::new(lease)), values: Mutex::default(), clock }
    }

    /// Lets a session die, as if its process were killed: from now on its runs can be taken.
    pub fn kill_session(&self, session: SessionId) {
        self.runs().kill_session(session);
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    /// A lease of 30 s and the clock of the machine.
    fn default() -> Self {
        Self::new(DEFAULT_LEASE, Arc::new(SystemClock))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Stores {
    /// Everything in one store in memory, and that store.
    pub fn memory() -> (Self, Arc<MemoryStore>) {
        let store = Arc::new(MemoryStore::default());
        (Self::of_memory(&store), store)
    }

    /// Everything in this store in memory.
    pub fn of_memory(store: &Arc<MemoryStore>) -> Self {
        Self { journal: store.clone(), blobs: store.clone(), cache: store.clone() }
    }
}
