//! What waits in one group, in the order in which it goes.

use std::collections::{BTreeMap, HashMap};

use crate::{
    queue::{DeadLetter, Depth, Job, Leased, Pointer, fair::Fair},
    units::Millis,
};

/// The oldest dead letters are dropped beyond these.
const DEAD: usize = 10_000;

#[derive(Default)]
pub(super) struct Line {
    /// By how far behind the highest priority, by turn, by arrival.
    ready: BTreeMap<(u8, u64, u64), Job>,
    /// By time, by arrival.
    delayed: BTreeMap<(Millis, u64), Job>,
    /// What waits, ready or delayed; where the delayed ones are.
    waits: HashMap<Pointer, Option<(Millis, u64)>>,
    fair: [Fair; Job::HIGHEST as usize + 1],
    leased: HashMap<String, Held>,
    dead: BTreeMap<u64, DeadLetter>,
    /// Numbers everything that arrives.
    arrivals: u64,
    pub(super) generation: Option<String>,
}

struct Held {
    job: Job,
    consumer: String,
    until: Millis,
}

impl Line {
    pub(super) fn add(&mut self, job: Job, now: Millis) {
        let job = Job { priority: job.priority.min(Job::HIGHEST), ..job };
        let due = job.not_before.unwrap_or(now);
        match self.waits.get(&job.pointer) {
            Some(Some(place)) if due < place.0 => {
                let place = *place;
                self.delayed.remove(&place);
            }
            Some(_) => return,
            None => {}
        }
        self.arrivals += 1;
        if due > now {
            let place = (due, self.arrivals);
            self.waits.insert(job.pointer.clone(), Some(place));
            self.delayed.insert(place, job);
        } else {
            self.line_up(job);
        }
    }

    fn line_up(&mut self, job: Job) {
        let number = self.fair[usize::from(job.priority)].number(&job.key);
        self.arrivals += 1;
        self.waits.insert(job.pointer.clone(), None);
        self.ready.insert((Job::HIGHEST - job.priority, number, self.arrivals), job);
    }

    fn line_up_due(&mut self, now: Millis) {
        while let Some(first) = self.delayed.first_entry().filter(|first| first.key().0 <= now) {
            let job = first.remove();
            self.line_up(job);
        }
    }

    /// When the next delayed job must be looked at.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.delayed.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn pop(&mut self, consumer: &str, most: usize, now: Millis, lease: Millis) -> Vec<Leased> {
        self.line_up_due(now);
        let mut popped = Vec::new();
        while popped.len() < most
            && let Some(((_, number, _), job)) = self.ready.pop_first()
        {
            self.fair[usize::from(job.priority)].served(&job.key, number);
            self.waits.remove(&job.pointer);
            popped.push(self.lease(job, consumer, lease));
        }
        popped
    }

    fn lease(&mut self, job: Job, consumer: &str, until: Millis) -> Leased {
        self.arrivals += 1;
        let leased = Leased { job, id: self.arrivals.to_string(), consumer: consumer.to_owned() };
        let held = Held { job: leased.job.clone(), consumer: leased.consumer.clone(), until };
        self.leased.insert(leased.id.clone(), held);
        leased
    }

    pub(super) fn claim(
        &mut self,
        consumer: &str,
        most: usize,
        now: Millis,
        until: Millis,
        attempts: u32,
    ) -> Vec<Leased> {
        let mut ended: Vec<(Millis, String)> = self
            .leased
            .iter()
            .filter(|(_, held)| held.until <= now)
            .map(|(id, held)| (held.until, id.clone()))
            .collect();
        ended.sort();
        let mut claimed = Vec::new();
        for (_, id) in ended {
            if claimed.len() >= most {
                break;
            }
            let Some(held) = self.leased.remove(&id) else { continue };
            let job = Job { attempt: held.job.attempt.saturating_add(1), ..held.job };
            if job.attempt >= attempts {
                self.bury(job, &DeadLetter::lost(attempts), now);
            } else {
                claimed.push(self.lease(job, consumer, until));
            }
        }
        claimed
    }

    pub(super) fn extend(&mut self, leased: &Leased, until: Millis) -> bool {
        match self.leased.get_mut(&leased.id) {
            Some(held) if held.consumer == leased.consumer => {
                held.until = until;
                true
            }
            _ => false,
        }
    }

    /// Ends a lease. Whether there was one.
    pub(super) fn take_back(&mut self, id: &str) -> bool {
        self.leased.remove(id).is_some()
    }

    pub(super) fn bury(&mut self, job: Job, reason: &str, at: Millis) {
        self.arrivals += 1;
        let id = format!("{:020}", self.arrivals);
        let letter = DeadLetter { id, job: Some(job), unreadable: None, reason: reason.to_owned(), at };
        self.dead.insert(self.arrivals, letter);
        if self.dead.len() > DEAD {
            self.dead.pop_first();
        }
    }

    pub(super) fn unbury(&mut self, id: &str) -> Option<Job> {
        self.dead.remove(&id.parse().ok()?)?.job
    }

    pub(super) fn letters(&self, after: Option<&str>, limit: usize) -> Vec<DeadLetter> {
        let after = after.and_then(|after| after.parse::<u64>().ok()).unwrap_or(0);
        self.dead.range(after + 1..).take(limit).map(|(_, letter)| letter.clone()).collect()
    }

    pub(super) fn depth(&mut self, now: Millis) -> Depth {
        self.line_up_due(now);
        let waiting = self.ready.values().chain(self.delayed.values());
        Depth {
            ready: self.ready.len() as u64,
            delayed: self.delayed.len() as u64,
            leased: self.leased.len() as u64,
            dead: self.dead.len() as u64,
            oldest: waiting.map(|job| job.pushed_at).min(),
        }
    }
}
