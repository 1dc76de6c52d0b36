//! Where work waits for workers: the traits [`Queue`] and [`Wakes`], and their forms in one process.
//!
//! A job is a pointer to work, never the work itself. The truth is in the stores: a queue may lose everything, and a job
//! may come twice, and no run is lost or done twice. What is missing is pushed again by whoever reads the truth.
//!
//! * `job.rs`: what waits: groups, pointers, jobs, leases, dead letters;
//! * `error.rs`: why a queue did not do what it was asked;
//! * `fair.rs`: whose turn it is;
//! * `memory.rs`: the queue of one process;
//! * `wakes.rs`: telling others at once that something happened; lossy;
//! * `roster.rs`: which workers are there;
//! * `rates.rs`: rates that several processes count together;
//! * `paces.rs`: paces of calls to somebody else that they keep to together.
//!
//! One conformance suite (`crate::testing::conformance::queue`) says what each sentence here means.

use std::time::Duration;

use async_trait::async_trait;

pub use self::{
    error::QueueError,
    job::{Back, DeadLetter, Depth, Group, Job, Leased, Pointer},
    memory::MemoryQueue,
    paces::{Pace, Paces, Taken},
    rates::{Rate, Rates},
    roster::{GONE, MemoryRoster, Roster, WorkerInfo, in_order},
    wakes::{LocalWakes, StepText, Wake, WakeListener, WakeTopic, Wakes},
};
use crate::units::Millis;

mod error;
mod fair;
mod job;
mod memory;
mod paces;
mod rates;
mod roster;
mod wakes;

/// What a queue promises about time and repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRules {
    /// How long who popped a job may keep it without [`Queue::extend`]; 30 seconds by default.
    pub lease: Duration,
    /// A job that failed or was lost so often is a dead letter; 5 by default.
    pub attempts: u32,
}

impl Default for QueueRules {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), attempts: 5 }
    }
}

/// Where jobs wait, one line for each [`Group`].
///
/// # Contract
/// * A higher priority comes first. Within a priority the keys take turns, however much one of them has pushed; within a
///   key the first comes first. Who waits in [`Queue::pop`] is given what is pushed at once, whatever comes after it.
/// * A pointer that waits already is not added again; it keeps its place, and of two times the earlier one counts. A
///   pointer that is leased is added: what happened since it was popped must be seen.
/// * A job is delivered to one consumer at a time while leases are kept. It may be delivered again after its lease ended
///   or when an answer was lost, so whoever works must ask the truth whether there is something to do.
/// * A job that was delivered so often as [`QueueRules::attempts`] says and never acknowledged becomes a dead letter.
/// * Nothing is promised about what a queue keeps when its server is restarted, emptied or replaced: see
///   [`Queue::generation`].
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds jobs.
    async fn push(&self, group: Group, jobs: Vec<Job>) -> Result<(), QueueError>;

    /// Takes at most `most` jobs under a lease; waits up to `wait` for the first one. `consumer` names who takes them: one
    /// name for each session of a process. When the future is dropped while it waits, what was about to be delivered comes
    /// again when its lease ends.
    async fn pop(&self, group: Group, consumer: &str, most: usize, wait: Duration) -> Result<Vec<Leased>, QueueError>;

    /// Takes at most `most` jobs whose lease ended; each counts as one attempt that failed. Every consumer does this now
    /// and then: nobody else notices that one died.
    async fn claim(&self, group: Group, consumer: &str, most: usize) -> Result<Vec<Leased>, QueueError>;

    /// Begins leases anew. Says for each whether it still belongs to who popped it: `false` when another consumer has
    /// claimed it, or when it is gone.
    async fn extend(&self, group: Group, leased: &[Leased]) -> Result<Vec<bool>, QueueError>;

    /// Says that jobs are done.
    async fn ack(&self, group: Group, leased: &[Leased]) -> Result<(), QueueError>;

    /// Gives jobs back. One that failed for the last time becomes a dead letter.
    async fn release(&self, group: Group, leased: &[Leased], back: Back) -> Result<(), QueueError>;

    /// Makes dead letters of jobs that cannot be done.
    async fn dead(&self, group: Group, leased: &[Leased], reason: &str) -> Result<(), QueueError>;

    /// What waits in a group.
    async fn depth(&self, group: Group) -> Result<Depth, QueueError>;

    /// Dead letters, the oldest first, at most `limit`, from the one after `after` on. The oldest are dropped beyond
    /// 10,000.
    async fn dead_letters(
        &self,
        group: Group,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError>;

    /// Pushes dead letters again as if they had never been tried. Returns how many of them there were; one that cannot be
    /// read stays.
    async fn retry_dead(&self, group: Group, ids: &[String], at: Millis) -> Result<usize, QueueError>;

    /// Forgets dead letters. Returns how many of them there were.
    async fn drop_dead(&self, group: Group, ids: &[String]) -> Result<usize, QueueError>;

    /// A random text that stays as long as what the group holds stays: when it is another one, everything that was pushed
    /// under the old one is lost. That it stayed does not say that nothing was lost.
    async fn generation(&self, group: Group) -> Result<String, QueueError>;
}
