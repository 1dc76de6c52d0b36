//! The worker of LiteAgent: takes pointers to runs and steps from queues, executes runs until they end or wait, and runs steps.
//!
//! # Layout
//! * [`Worker`]: takes from each of its queues, looks for runs whose pointers are lost, says that it is there, and stops with
//!   grace;
//! * [`WorkerOptions`]: which queues, how much at once, how long stopping may take.
//!
//! What it does with a pointer is the engine's: `Engine::work`, `Engine::run_step`. What a queue promises stands in `liteagent_engine::queue`.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use apalis_core::{error::BoxDynError, worker::builder::WorkerBuilder};
use liteagent_engine::{
    engine::{Engine, EngineError},
    queue::{Group, Job, Pointer, Queue, Roster, WorkerInfo},
    store::StoreError,
    time::Clock,
    units::Millis,
};
use liteagent_queue::{Intake, IntakeBackend, IntakeOptions, Settle, TryAgain};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// How often runs are looked for whose pointers are lost.
const RECONCILE: Duration = Duration::from_secs(1);
/// How often a worker says that it is there.
const TELL: Duration = Duration::from_secs(5);
/// How soon a run that this worker cannot execute comes to another one.
const ELSEWHERE: Duration = Duration::from_secs(1);
/// How long a worker waits for its queues after it has given back its runs.
const LAST: Duration = Duration::from_secs(5);

/// What a worker takes, and how.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// What it is called.
    pub name: String,
    /// Its machine.
    pub host: String,
    /// The queues that it takes from.
    pub queues: BTreeSet<Group>,
    /// How many jobs of each queue it works on at once. At least 1.
    pub concurrency: usize,
    /// How long a job is its own without a word: the lease of the queue's rules.
    pub lease: Duration,
    /// How long its runs may go on after it was told to stop; what still goes on then is given back, for others.
    pub drain: Duration,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every run that it had begun ended, or waits.
    Drained,
    /// So many runs still went on at the deadline: others go on with them.
    HandedOver(usize),
}

/// Takes from queues and executes runs. Its engine must be one of a [`Fleet`](liteagent_engine::engine::Fleet) with the same queue.
pub struct Worker {
    /// Executes runs.
    pub engine: Engine,
    /// Where pointers come from.
    pub queue: Arc<dyn Queue>,
    /// Where it says that it is there.
    pub roster: Arc<dyn Roster>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What it takes, and how.
    pub options: WorkerOptions,
}

impl Worker {
    /// Works until `stop` is done, then drains and closes the engine.
    ///
    /// # Errors
    /// When the store fails as the engine is closed.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<Ended, EngineError> {
        let stopping = watch::Sender::new(false);
        let mut settles = Vec::new();
        let mut intakes = JoinSet::new();
        for group in &self.options.queues {
            let (settle, intake) = self.take(*group, stopping.subscribe());
            settles.push(settle);
            intakes.spawn(intake);
        }
        let started_at = self.clock.now();
        let beside = async {
            tokio::join!(self.tell(started_at, &stopping), self.reconcile());
        };
        let working = async {
            stop.await;
            settles.iter().for_each(Settle::close);
            stopping.send_replace(true);
            let drained = tokio::time::timeout(self.options.drain, all(&mut intakes)).await;
            let left = if drained.is_ok() { 0 } else { self.engine.active_runs() };
            self.engine.close().await?;
            if tokio::time::timeout(LAST, all(&mut intakes)).await.is_err() {
                tracing::warn!("the queue was not told of every job; they come again");
            }
            Ok(if left == 0 { Ended::Drained } else { Ended::HandedOver(left) })
        };
        let ended = tokio::select! {
            ended = working => ended,
            () = beside => unreachable!("neither ends"),
        };
        if let Err(error) = self.roster.leave(self.engine.session()).await {
            tracing::debug!(%error, "it is not there any more in a while");
        }
        ended
    }

    /// How this worker stands.
    fn info(&self, started_at: Millis, draining: bool) -> WorkerInfo {
        let options = &self.options;
        WorkerInfo {
            id: self.engine.session(),
            name: options.name.clone(),
            host: options.host.clone(),
            queues: options.queues.iter().copied().collect(),
            concurrency: options.concurrency,
            active: self.engine.active_runs(),
            draining,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at,
            seen_at: self.clock.now(),
        }
    }

    /// Takes from one queue until the worker stops.
    fn take(
        &self,
        group: Group,
        mut stopping: watch::Receiver<bool>,
    ) -> (Settle, impl Future<Output = ()> + Send + use<>) {
        let options = IntakeOptions {
            group,
            consumer: self.engine.session().to_string(),
            hold: self.options.concurrency,
            lease: self.options.lease,
        };
        let intake = Intake::start(self.queue.clone(), options.clone());
        let settle = intake.settle();
        let engine = self.engine.clone();
        let worker = WorkerBuilder::new(format!("{} {group}", self.options.name))
            .backend(IntakeBackend::new(intake, options))
            .build(move |job: Job| work(engine.clone(), job));
        let take = async move {
            let stopped = async move {
                // An error means that the worker is gone.
                let _ = stopping.wait_for(|stopping| *stopping).await;
                Ok::<(), std::io::Error>(())
            };
            if let Err(error) = worker.run_until(stopped).await {
                tracing::error!(%group, %error, "a queue is taken from no longer");
            }
        };
        (settle, take)
    }

    /// Says now and then that the worker is there.
    async fn tell(&self, started_at: Millis, stopping: &watch::Sender<bool>) {
        let mut changed = stopping.subscribe();
        let mut tick = interval(TELL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                // The sender lives as long as this.
                _ = changed.changed() => {}
            }
            let draining = *stopping.borrow();
            if let Err(error) = self.roster.tell(&self.info(started_at, draining)).await {
                tracing::debug!(%error, "others are not told that this worker is there");
            }
        }
    }

    /// Looks for runs whose pointers are lost, unless others do.
    async fn reconcile(&self) {
        let mut tick = interval(RECONCILE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match self.engine.poll().await {
                // That the queue is away was said once.
                Ok(_) | Err(EngineError::Queue(_)) => {}
                Err(error) => tracing::error!(%error, "runs whose pointers are lost could not be looked for"),
            }
        }
    }
}

async fn all(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a queue was taken from no longer");
        }
    }
}

/// Does what a job points to.
async fn work(engine: Engine, job: Job) -> Result<(), BoxDynError> {
    match &job.pointer {
        Pointer::Run(run) => engine.work(*run).await.map_err(elsewhere),
        Pointer::Step { .. } => engine.run_step(&job.pointer).await.map(drop).map_err(elsewhere),
    }
}

/// When a job comes again, here or elsewhere.
fn elsewhere(error: EngineError) -> BoxDynError {
    match error {
        // The store may come back.
        EngineError::Store(StoreError::Failed(_)) => error.into(),
        error => TryAgain { after: ELSEWHERE, reason: error.to_string() }.into(),
    }
}
