//! The queue of one process.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;

use self::line::Line;
use crate::{
    queue::{Back, DeadLetter, Depth, Group, Job, Leased, Queue, QueueError, QueueRules},
    time::{Clock, SystemClock},
    units::{self, Millis},
};

mod line;

/// Jobs in the memory of the process; gone when it ends.
pub struct MemoryQueue {
    groups: [Waiting; Group::ALL.len()],
    rules: QueueRules,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Waiting {
    line: Mutex<Line>,
    /// Tells who waits in `pop` to look again.
    changed: Notify,
}

impl MemoryQueue {
    /// An empty queue with the usual rules and the clock of the machine.
    pub fn new() -> Self {
        Self::with(QueueRules::default(), Arc::new(SystemClock))
    }

    /// An empty queue.
    pub fn with(rules: QueueRules, clock: Arc<dyn Clock>) -> Self {
        Self { groups: Default::default(), rules, clock }
    }

    /// Forgets everything, as Redis does when it is emptied.
    pub fn clear(&self) {
        for group in Group::ALL {
            *self.line(group) = Line::default();
        }
    }

    fn line(&self, group: Group) -> MutexGuard<'_, Line> {
        self.groups[group as usize].line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease_until(&self) -> Millis {
        self.clock.now().saturating_add(units::Duration(self.rules.lease).millis())
    }

    fn changed(&self, group: Group) {
        self.groups[group as usize].changed.notify_waiters();
    }
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn push(&self, group: Group, jobs: Vec<Job>) -> Result<(), QueueError> {
        let now = self.clock.now();
        {
            let mut line = self.line(group);
            for job in jobs {
                line.add(job, now);
            }
        }
        self.changed(group);
        Ok(())
    }

    async fn pop(&self, group: Group, consumer: &str, most: usize, wait: Duration) -> Result<Vec<Leased>, QueueError> {
        let until = self.clock.now().saturating_add(units::Duration(wait).millis());
        loop {
            // Asked for before looking: what is pushed in between is not missed.
            let mut changed = pin!(self.groups[group as usize].changed.notified());
            changed.as_mut().enable();
            let (now, lease) = (self.clock.now(), self.lease_until());
            let (popped, next) = {
                let mut line = self.line(group);
                (line.pop(consumer, most, now, lease), line.next_due())
            };
            if !popped.is_empty() || now >= until || most == 0 {
                return Ok(popped);
            }
            let wake = next.map_or(until, |next| next.min(until));
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep_until(wake) => {}
            }
        }
    }

    async fn claim(&self, group: Group, consumer: &str, most: usize) -> Result<Vec<Leased>, QueueError> {
        let (now, lease) = (self.clock.now(), self.lease_until());
        Ok(self.line(group).claim(consumer, most, now, lease, self.rules.attempts))
    }

    async fn extend(&self, group: Group, leased: &[Leased]) -> Result<Vec<bool>, QueueError> {
        let until = self.lease_until();
        let mut line = self.line(group);
        Ok(leased.iter().map(|leased| line.extend(leased, until)).collect())
    }

    async fn ack(&self, group: Group, leased: &[Leased]) -> Result<(), QueueError> {
        let mut line = self.line(group);
        for leased in leased {
            line.take_back(&leased.id);
        }
        Ok(())
    }

    async fn release(&self, group: Group, leased: &[Leased], back: Back) -> Result<(), QueueError> {
        let now = self.clock.now();
        {
            let mut line = self.line(group);
            for leased in leased {
                if line.take_back(&leased.id) {
                    let job = leased.job.again(&back);
                    match &back {
                        Back::Failed { reason, .. } if job.attempt >= self.rules.attempts => {
                            line.bury(job, reason, now);
                        }
                        _ => line.add(job, now),
                    }
                }
            }
        }
        self.changed(group);
        Ok(())
    }

    async fn dead(&self, group: Group, leased: &[Leased], reason: &str) -> Result<(), QueueError> {
        let now = self.clock.now();
        let mut line = self.line(group);
        for leased in leased {
            if line.take_back(&leased.id) {
                line.bury(leased.job.clone(), reason, now);
            }
        }
        Ok(())
    }

    async fn depth(&self, group: Group) -> Result<Depth, QueueError> {
        let now = self.clock.now();
        Ok(self.line(group).depth(now))
    }

    async fn dead_letters(
        &self,
        group: Group,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(self.line(group).letters(after, limit))
    }

    async fn retry_dead(&self, group: Group, ids: &[String], at: Millis) -> Result<usize, QueueError> {
        let now = self.clock.now();
        let jobs: Vec<Job> = {
            let mut line = self.line(group);
            let jobs: Vec<Job> = ids.iter().filter_map(|id| line.unbury(id)).collect();
            for job in &jobs {
                line.add(Job { attempt: 0, not_before: None, pushed_at: at, ..job.clone() }, now);
            }
            jobs
        };
        self.changed(group);
        Ok(jobs.len())
    }

    async fn drop_dead(&self, group: Group, ids: &[String]) -> Result<usize, QueueError> {
        let mut line = self.line(group);
        Ok(ids.iter().filter(|id| line.unbury(id).is_some()).count())
    }

    async fn generation(&self, group: Group) -> Result<String, QueueError> {
        Ok(self.line(group).generation.get_or_insert_with(|| format!("{:032x}", rand::random::<u128>())).clone())
    }
}
