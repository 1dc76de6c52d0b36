//! Who works: workers say now and then that they are there, and anyone may ask who is.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    id::SessionId,
    queue::{Group, QueueError},
    units::Millis,
};

/// A worker, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its session: another one each time that it starts.
    pub id: SessionId,
    /// What it is called; by default its machine and its process.
    pub name: String,
    /// Its machine.
    pub host: String,
    /// The queues that it takes from.
    pub queues: Vec<Group>,
    /// How many jobs of each queue it works on at once.
    pub concurrency: usize,
    /// How many runs it executes now.
    pub active: usize,
    /// Whether it takes nothing any more, and ends.
    pub draining: bool,
    /// Its release.
    pub version: String,
    /// When it started.
    pub started_at: Millis,
    /// When it said this, by its own clock.
    pub seen_at: Millis,
}

/// The workers that are there.
///
/// # Contract
/// A worker that says nothing for [`GONE`] is not there. Nothing depends on it but what people see.
#[async_trait]
pub trait Roster: Send + Sync {
    /// A worker says that it is there, and how it stands.
    async fn tell(&self, worker: &WorkerInfo) -> Result<(), QueueError>;
    /// A worker ends.
    async fn leave(&self, worker: SessionId) -> Result<(), QueueError>;
    /// Who is there, by name.
    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError>;
}

/// After so long a worker that says nothing is not there.
pub const GONE: std::time::Duration = std::time::Duration::from_secs(30);

/// The workers of one process.
#[derive(Debug, Default)]
pub struct MemoryRoster(Mutex<HashMap<SessionId, (tokio::time::Instant, WorkerInfo)>>);

#[async_trait]
impl Roster for MemoryRoster {
    async fn tell(&self, worker: &WorkerInfo) -> Result<(), QueueError> {
        let mut workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        workers.insert(worker.id, (tokio::time::Instant::now(), worker.clone()));
        Ok(())
    }

    async fn leave(&self, worker: SessionId) -> Result<(), QueueError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&worker);
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        let mut workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|_, (seen, _)| seen.elapsed() < GONE);
        Ok(in_order(workers.values().map(|(_, worker)| worker.clone()).collect()))
    }
}

/// By name; of two with one name, the older first.
pub fn in_order(mut workers: Vec<WorkerInfo>) -> Vec<WorkerInfo> {
    workers.sort_by(|one, other| (&one.name, one.started_at).cmp(&(&other.name, other.started_at)));
    workers
}
