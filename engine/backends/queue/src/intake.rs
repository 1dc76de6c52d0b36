//! Takes jobs for a worker: pops no more than it may hold, keeps their leases, and claims what others lost.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use liteagent_engine::queue::{Back, Group, Leased, Queue, QueueError};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

/// How many jobs are popped at once, and settled at once.
const BATCH: usize = 250;
/// How long one call waits for work; stopping takes at most so long.
const WAIT: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What an [`Intake`] takes.
#[derive(Clone, Debug)]
pub struct IntakeOptions {
    /// From where.
    pub group: Group,
    /// In whose name: one for each session of a process.
    pub consumer: String,
    /// How many jobs it may hold that are not settled yet, those being worked on included. At least 1.
    pub hold: usize,
    /// The lease of the queue's rules; a third of it is how often leases are extended and lost ones claimed.
    pub lease: Duration,
}

/// Jobs of a queue, one after the other, each under a lease that is extended until the job is settled.
///
/// A queue that cannot be reached is asked again; nothing ends but by [`Settle::close`] and [`Intake::stop`]. When an intake is
/// dropped, what it holds comes to others when its leases end.
pub struct Intake {
    jobs: mpsc::Receiver<Leased>,
    settle: Settle,
    tasks: JoinSet<()>,
}

/// Says what became of jobs; clones say it to the same intake.
#[derive(Clone)]
pub struct Settle {
    shared: Arc<Shared>,
    outcomes: mpsc::UnboundedSender<(Leased, Outcome)>,
}

enum Outcome {
    Done,
    Back(Back),
    Dead(String),
}

struct Shared {
    queue: Arc<dyn Queue>,
    options: IntakeOptions,
    room: Arc<Semaphore>,
    held: Mutex<HashMap<String, Held>>,
    /// The queue was told what became of some jobs.
    settled: Notify,
    closed: watch::Sender<bool>,
}

struct Held {
    leased: Leased,
    /// Until somebody has said what became of it.
    room: Option<OwnedSemaphorePermit>,
}

impl Intake {
    /// Begins to take jobs. Must be called within a Tokio runtime.
    pub fn start(queue: Arc<dyn Queue>, options: IntakeOptions) -> Self {
        let hold = options.hold.clamp(1, Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            queue,
            room: Arc::new(Semaphore::new(hold)),
            options,
            held: Mutex::default(),
            settled: Notify::new(),
            closed: watch::Sender::new(false),
        });
        let (send_jobs, jobs) = mpsc::channel(hold);
        let (outcomes, told) = mpsc::unbounded_channel();
        let settle = Settle { shared: shared.clone(), outcomes };
        let mut tasks = JoinSet::new();
        tasks.spawn(shared.clone().keep(send_jobs.clone()));
        tasks.spawn(shared.clone().pop(send_jobs));
        tasks.spawn(shared.settle(told));
        Self { jobs, settle, tasks }
    }

    /// The next job; `None` after [`Settle::close`]. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Leased> {
        self.jobs.recv().await
    }

    /// As [`Self::next`], for who polls.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Leased>> {
        self.jobs.poll_recv(context)
    }

    /// Who is told what becomes of jobs.
    pub fn settle(&self) -> Settle {
        self.settle.clone()
    }

    /// Takes no more jobs, hands over those that nobody has begun, and returns when the others are settled and the queue
    /// knows it.
    pub async fn stop(mut self) {
        self.settle.close();
        while let Some(leased) = self.jobs.recv().await {
            self.settle.back(leased, Back::HandedOver);
        }
        loop {
            let settled = self.settle.shared.settled.notified();
            let mut settled = std::pin::pin!(settled);
            settled.as_mut().enable();
            if self.settle.shared.held().is_empty() {
                break;
            }
            settled.await;
        }
        self.tasks.shutdown().await;
    }
}

impl Settle {
    /// The job is done.
    pub fn done(&self, leased: Leased) {
        self.tell(leased, Outcome::Done);
    }

    /// The job shall be tried again, by anyone.
    pub fn back(&self, leased: Leased, back: Back) {
        self.tell(leased, Outcome::Back(back));
    }

    /// The job cannot be done.
    pub fn dead(&self, leased: Leased, reason: impl Into<String>) {
        self.tell(leased, Outcome::Dead(reason.into()));
    }

    /// No more jobs are taken.
    pub fn close(&self) {
        self.shared.closed.send_replace(true);
    }

    fn tell(&self, leased: Leased, outcome: Outcome) {
        // There is room for another one, but its lease is kept until the queue knows.
        if let Some(held) = self.shared.held().get_mut(&leased.id) {
            drop(held.room.take());
        }
        if self.outcomes.send((leased, outcome)).is_err() {
            tracing::debug!("a job was settled after its intake had stopped; it comes again");
        }
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn closed(&self) {
        // The sender is in `self`: this cannot fail.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    async fn pop(self: Arc<Self>, jobs: mpsc::Sender<Leased>) {
        let mut outage = Outage::default();
        loop {
            let mut room = tokio::select! {
                biased;
                () = self.closed() => return,
                room = self.room.clone().acquire_owned() => room.expect("nobody closes the semaphore"),
            };
            let more = self.room.available_permits().min(BATCH - 1);
            if let Ok(more) = self.room.clone().try_acquire_many_owned(u32::try_from(more).unwrap_or(0)) {
                room.merge(more);
            }
            let IntakeOptions { group, consumer, .. } = &self.options;
            match self.queue.pop(*group, consumer, room.num_permits(), WAIT).await {
                Ok(popped) => {
                    outage.over();
                    self.take(popped, room, &jobs).await;
                }
                Err(error) => {
                    drop(room);
                    tokio::select! {
                        () = self.closed() => return,
                        () = outage.wait(&error) => {}
                    }
                }
            }
        }
    }

    /// Holds jobs and passes them on.
    async fn take(&self, leased: Vec<Leased>, mut room: OwnedSemaphorePermit, jobs: &mpsc::Sender<Leased>) {
        for leased in leased {
            let held = Held { leased: leased.clone(), room: room.split(1) };
            // One that is held already was claimed from this very intake: it had stood still. It is being worked on.
            let known = self.held().contains_key(&leased.id);
            if !known {
                self.held().insert(leased.id.clone(), held);
                if jobs.send(leased).await.is_err() {
                    // The intake was dropped.
                    return;
                }
            }
        }
    }

    /// Extends leases, and claims those that others let end.
    async fn keep(self: Arc<Self>, jobs: mpsc::Sender<Leased>) {
        let IntakeOptions { group, consumer, lease, .. } = &self.options;
        let mut jobs = Some(jobs);
        let mut outage = Outage::default();
        let mut tick = interval((*lease / 3).max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Without the sender, `next` knows that nothing more will come.
            if jobs.is_some() {
                tokio::select! {
                    biased;
                    () = self.closed() => jobs = None,
                    _ = tick.tick() => {}
                }
            } else {
                tick.tick().await;
            }
            let held: Vec<Leased> = self.held().values().map(|held| held.leased.clone()).collect();
            match self.queue.extend(*group, &held).await {
                Ok(kept) => {
                    outage.over();
                    let lost = kept.iter().filter(|kept| !**kept).count();
                    if lost > 0 {
                        tracing::warn!(%group, lost, "leases ended while their jobs were worked on; others may do them too");
                    }
                }
                Err(error) => outage.says(&error),
            }
            let Some(jobs) = &jobs else { continue };
            let room = self.room.available_permits().min(BATCH);
            let Ok(room) = self.room.clone().try_acquire_many_owned(u32::try_from(room).unwrap_or(0)) else { continue };
            match self.queue.claim(*group, consumer, room.num_permits()).await {
                Ok(claimed) => self.take(claimed, room, jobs).await,
                Err(error) => outage.says(&error),
            }
        }
    }

    /// Tells the queue what became of jobs, as many at once as there are.
    async fn settle(self: Arc<Self>, mut told: mpsc::UnboundedReceiver<(Leased, Outcome)>) {
        let group = self.options.group;
        let mut outcomes = Vec::new();
        while told.recv_many(&mut outcomes, BATCH).await > 0 {
            let (mut ids, mut done, mut results) = (Vec::new(), Vec::new(), Vec::new());
            for (leased, outcome) in outcomes.drain(..) {
                ids.push(leased.id.clone());
                match outcome {
                    Outcome::Done => done.push(leased),
                    Outcome::Back(back) => results.push(self.queue.release(group, &[leased], back).await),
                    Outcome::Dead(reason) => results.push(self.queue.dead(group, &[leased], &reason).await),
                }
            }
            results.push(self.queue.ack(group, &done).await);
            for error in results.into_iter().filter_map(Result::err) {
                // Nothing is lost: the leases end, and who gets the jobs then sees in the truth that they are done.
                tracing::warn!(code = %error.code(), %error, "a queue was not told what became of jobs; they come again");
            }
            {
                let mut held = self.held();
                for id in ids {
                    held.remove(&id);
                }
            }
            self.settled.notify_waiters();
        }
    }
}

/// A time in which the queue cannot be used: said once, waited for longer and longer.
#[derive(Default)]
struct Outage {
    said: bool,
    pause: Option<Duration>,
}

impl Outage {
    fn over(&mut self) {
        if std::mem::take(self).said {
            tracing::info!("the queue can be used again");
        }
    }

    fn says(&mut self, error: &QueueError) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!(code = %error.code(), %error, hint = error.hint(), "the queue cannot be used; trying again");
        }
    }

    async fn wait(&mut self, error: &QueueError) {
        self.says(error);
        let pause = self.pause.unwrap_or(FIRST_PAUSE);
        self.pause = Some((pause * 2).min(LONGEST_PAUSE));
        sleep(pause).await;
    }
}
