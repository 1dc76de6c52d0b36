//! The engine: starts runs, executes them in the background, and passes signals and cancels on.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use futures::FutureExt as _;
use indexmap::IndexMap;
use tokio::sync::{Notify, watch};

use self::{audience::Audience, push::Pusher, reconcile::Reconciler};
pub(crate) use self::{
    audience::{Ears, LOOK},
    hold::holds,
    start::{Origin, Prepared},
};
pub use self::{
    capacity::Capacity,
    error::{EngineError, PlanError},
    fleet::Fleet,
    fork::{Cut, Terms},
    intercept::{Attempt, Intercept, StandIn},
    observer::{AppendOutcome, AttemptEnd, LossCause, Observer, Observers, RunTaken},
    quarantine::Quarantine,
    settle::{OpenWait, RunEnd, Settled},
    start::Start,
    steps::StepDone,
};
use crate::{
    bundle::Bundle,
    capability::Capabilities,
    event::SignalTo,
    executor::{Exit, Owner, OwnerError, Taking},
    id::{Digest, RunId, SessionId},
    node::Registry,
    plan::Plan,
    store::{Message, MessageBody, RunPhase, Stores},
    stream::Hub,
    time::Clock,
    units::{Duration, Millis},
    value::Value,
    view::parse_bundle,
};

mod audience;
mod capacity;
mod error;
mod fleet;
mod fork;
mod hold;
mod intercept;
mod leave;
mod mail;
mod observer;
mod push;
mod quarantine;
mod reconcile;
mod settle;
mod start;
mod steps;

/// How many plans are kept compiled.
const KEPT_PLANS: usize = 256;
/// How often a run is taken again after an append of unknown outcome.
const MOST_TRIES: u32 = 5;

/// What an engine is made of.
pub struct EngineConfig {
    /// The node types.
    pub registry: Registry,
    /// Where runs live.
    pub stores: Stores,
    /// What nodes may use.
    pub caps: Arc<Capabilities>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who watches runs; nobody if `None`.
    pub observer: Option<Arc<dyn Observer>>,
    /// A wait that is longer than this releases the run; 10 s is usual.
    pub hold: Duration,
    /// How a run is executed alone that seems to end the processes which execute it. Without one, a run fails when
    /// five processes in a row have died of it.
    pub quarantine: Option<Arc<dyn Quarantine>>,
    /// This process among others; `None` where it does everything itself.
    pub fleet: Option<Fleet>,
}

/// Executes runs in this process. Clones share everything.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) registry: Registry,
    pub(crate) stores: Stores,
    pub(crate) caps: Arc<Capabilities>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) intercept: Option<Arc<dyn Intercept>>,
    pub(crate) hold: Duration,
    pub(crate) quarantine: Option<Arc<dyn Quarantine>>,
    pub(crate) fleet: Option<Fleet>,
    /// Pushes pointers for others; `None` where there are none.
    pusher: Option<Pusher>,
    reconciler: tokio::sync::Mutex<Reconciler>,
    /// When another process last looked for runs whose pointers are lost.
    reconciled: AtomicI64,
    /// Who watches runs from elsewhere.
    audience: Audience,
    /// The only run that this process executes: it is the quarantine.
    pub(crate) alone: Option<RunId>,
    /// What goes out of runs while they go on.
    pub(crate) hub: Arc<Hub>,
    pub(crate) session: SessionId,
    /// Told when the engine closes.
    pub(crate) closing: watch::Sender<bool>,
    plans: Mutex<IndexMap<(Digest, String), Arc<Plan>>>,
    /// Bundles that are known to be stored.
    kept_bundles: Mutex<HashSet<Digest>>,
    active: Mutex<HashMap<RunId, Arc<Handle>>>,
    /// Runs that were to be executed here and wait for room.
    queued: Mutex<HashSet<RunId>>,
    /// Runs that are owned here, perhaps, and that nobody executes: the store failed.
    stranded: Mutex<HashSet<RunId>>,
    /// Runs that this process cannot execute, and why.
    left: Mutex<HashMap<RunId, Arc<OwnerError>>>,
    capacity: OnceLock<Capacity>,
    margin: capacity::Margin,
    /// The steps that run here, of runs that are owned elsewhere.
    pub(crate) steps: steps::Steps,
    /// Whether runs wait in the queue for room here.
    short: AtomicBool,
}

/// A run that this process executes.
struct Handle {
    wake: Arc<Notify>,
    /// Whether someone woke it since it was last looked at; guarded by the lock of `active`.
    woken: AtomicBool,
    end: watch::Sender<Option<Outcome>>,
}

/// Why this process no longer executes a run.
#[derive(Clone, Debug)]
enum Outcome {
    /// It ended; so, when that happened here.
    Ended(Option<Arc<RunEnd>>),
    Released,
    /// It waits for room.
    Queued,
    Elsewhere,
    Failed(Arc<OwnerError>),
}

impl Engine {
    /// Opens a session.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(config: EngineConfig) -> Result<Self, EngineError> {
        Self::with(config, None, None).await
    }

    /// Opens a session whose nodes are stood in for: what tests of workflows fake.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_intercepted(config: EngineConfig, intercept: Arc<dyn Intercept>) -> Result<Self, EngineError> {
        Self::with(config, Some(intercept), None).await
    }

    async fn with(
        config: EngineConfig,
        intercept: Option<Arc<dyn Intercept>>,
        alone: Option<RunId>,
    ) -> Result<Self, EngineError> {
        let EngineConfig { registry, stores, caps, clock, observer, hold, quarantine, fleet } = config;
        let session = SessionId::random();
        stores.journal.open_session(session, clock.now()).await?;
        let pusher = fleet.as_ref().map(|fleet| Pusher::new(fleet.queue.clone()));
        let inner = Arc::new(Inner {
            registry,
            stores,
            caps,
            clock,
            observer,
            intercept,
            hold,
            quarantine,
            fleet,
            pusher,
            reconciler: tokio::sync::Mutex::default(),
            reconciled: AtomicI64::new(Millis::MIN / 2),
            audience: Audience::default(),
            alone,
            hub: Arc::default(),
            session,
            closing: watch::Sender::new(false),
            plans: Mutex::default(),
            kept_bundles: Mutex::default(),
            active: Mutex::default(),
            queued: Mutex::default(),
            stranded: Mutex::default(),
            left: Mutex::default(),
            capacity: OnceLock::new(),
            margin: capacity::Margin::default(),
            steps: steps::Steps::default(),
            short: AtomicBool::new(false),
        });
        inner.clone().beat().await;
        Ok(Self { inner })
    }

    /// Gives back every run that is executed here, so that it can be taken elsewhere, and closes the session.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn close(&self) -> Result<(), EngineError> {
        self.inner.closing.send_replace(true);
        let ends: Vec<_> = self.inner.active().values().map(|handle| handle.end.subscribe()).collect();
        for mut end in ends {
            // An error means that the run's task is gone, which is what is waited for.
            let _ = end.wait_for(Option::is_some).await;
        }
        self.inner.steps.idle().await;
        if let Some(pusher) = &self.inner.pusher {
            pusher.finished().await;
        }
        Ok(self.inner.stores.journal.close_session(self.inner.session).await?)
    }

    /// Executes a run in the background: one that is queued, waits, or whose process died.
    ///
    /// # Errors
    /// When there is no such run, it has ended, or this process has found that it cannot execute it.
    pub async fn resume(&self, run: RunId) -> Result<(), EngineError> {
        let row = self.inner.stores.journal.run(run).await?.ok_or(EngineError::UnknownRun(run))?;
        if row.status.is_some() {
            return Err(EngineError::HasEnded(run));
        }
        if row.phase == RunPhase::Held {
            return Err(EngineError::Held(run));
        }
        if let Some(why) = self.inner.why_left(run) {
            return Err((&*why).into());
        }
        self.inner.wake(run);
        Ok(())
    }

    /// Sends a signal to a waiting node, or to whichever waits for its name.
    ///
    /// # Errors
    /// When there is no such run, or it has ended.
    pub async fn signal(
        &self,
        run: RunId,
        to: SignalTo,
        payload: Value,
        by: Option<String>,
    ) -> Result<(), EngineError> {
        self.send(run, MessageBody::Signal { to, payload, by }).await
    }

    /// Asks a run to stop; a second time, its handlers too.
    ///
    /// # Errors
    /// When there is no such run, or it has ended.
    pub async fn cancel(&self, run: RunId, by: Option<String>) -> Result<(), EngineError> {
        self.send(run, MessageBody::Cancel { by }).await
    }

    async fn send(&self, run: RunId, body: MessageBody) -> Result<(), EngineError> {
        let message = Message { id: RunId::random().to_string(), at: self.inner.clock.now(), body };
        if !self.inner.stores.journal.send(run, message).await? {
            let known = self.inner.stores.journal.run(run).await?.is_some();
            return Err(if known { EngineError::HasEnded(run) } else { EngineError::UnknownRun(run) });
        }
        self.inner.wake(run);
        Ok(())
    }

    /// Says that this process is alive. The engine does so itself every few seconds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn heartbeat(&self) -> Result<(), EngineError> {
        Ok(self.inner.stores.journal.heartbeat(self.inner.session, self.inner.clock.now()).await?)
    }

    /// The session of this process.
    pub fn session(&self) -> SessionId {
        self.inner.session
    }
}

impl Inner {
    fn active(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Arc<Handle>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queued(&self) -> std::sync::MutexGuard<'_, HashSet<RunId>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process executes a run.
    pub(crate) fn is_active(&self, run: RunId) -> bool {
        self.active().contains_key(&run)
    }

    /// The compiled workflow of a bundle.
    pub(crate) async fn plan(&self, digest: &Digest, workflow: &str) -> Result<Arc<Plan>, OwnerError> {
        if let Some(plan) = self.known_plan(digest, workflow) {
            return Ok(plan);
        }
        let text = self.stores.journal.bundle(digest).await?;
        let text = text.ok_or_else(|| PlanError::Missing(digest.clone()))?;
        let bundle = Arc::new(parse_bundle(&text)?);
        Ok(self.compile(digest, &bundle, workflow)?)
    }

    fn known_plan(&self, digest: &Digest, workflow: &str) -> Option<Arc<Plan>> {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.get(&(digest.clone(), workflow.to_owned())).cloned()
    }

    pub(crate) fn compile(
        &self,
        digest: &Digest,
        bundle: &Arc<Bundle>,
        workflow: &str,
    ) -> Result<Arc<Plan>, PlanError> {
        if let Some(plan) = self.known_plan(digest, workflow) {
            return Ok(plan);
        }
        let plan = Arc::new(Plan::compile_entry(bundle, digest.clone(), workflow, &self.registry)?);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= KEPT_PLANS {
            plans.shift_remove_index(0);
        }
        plans.insert((digest.clone(), workflow.to_owned()), plan.clone());
        Ok(plan)
    }

    /// Lets a run see its inbox, or executes it when nobody does here.
    pub(crate) fn wake(self: &Arc<Self>, run: RunId) {
        if let Some(handle) = self.active().get(&run) {
            handle.woken.store(true, Ordering::Relaxed);
            handle.wake.notify_one();
            return;
        }
        if self.fleet.is_some() {
            tokio::spawn(self.clone().pass_on(run));
        } else if self.may_execute(run) {
            self.drive(run, None);
        }
    }

    /// Executes a run in the background; `None` when it is executed here already.
    fn drive(self: &Arc<Self>, run: RunId, owner: Option<Box<Owner>>) -> Option<watch::Receiver<Option<Outcome>>> {
        let handle = Arc::new(Handle {
            wake: owner.as_ref().map_or_else(Arc::default, |owner| owner.waker()),
            woken: false.into(),
            end: watch::Sender::new(None),
        });
        self.queued().remove(&run);
        match self.active().entry(run) {
            Entry::Vacant(place) => drop(place.insert(handle.clone())),
            // Someone woke it at the same moment, and takes it again.
            Entry::Occupied(there) => {
                there.get().wake.notify_one();
                return None;
            }
        }
        self.tell_watchers(run, handle.end.subscribe());
        let end = handle.end.subscribe();
        let inner = self.clone();
        let span = tracing::info_span!("run", %run);
        let drive = async move {
            let outcome = inner.execute(run, owner, &handle).await;
            let again = {
                let mut active = inner.active();
                let woken = handle.woken.load(Ordering::Relaxed);
                active.remove(&run);
                woken && matches!(outcome, Outcome::Released | Outcome::Queued)
            };
            if again {
                // Someone woke it between its release and now.
                inner.wake(run);
            }
            inner.left_run(run);
            handle.end.send_replace(Some(outcome));
            inner.refill().await;
        };
        tokio::spawn(tracing::Instrument::instrument(drive, span));
        Some(end)
    }

    async fn execute(self: &Arc<Self>, run: RunId, mut owner: Option<Box<Owner>>, handle: &Handle) -> Outcome {
        let mut tries = 0;
        loop {
            handle.woken.store(false, Ordering::Relaxed);
            let attempt = async {
                match owner.take() {
                    Some(mut owner) => owner.execute().await,
                    None => match Owner::take(self.clone(), run, handle.wake.clone()).await? {
                        Taking::Taken(mut owner) => owner.execute().await,
                        Taking::Ended => Ok(Exit::Ended(None)),
                        Taking::Suspect(epoch) => self.execute_alone(run, epoch).await,
                    },
                }
            };
            // Nodes that panic have failed. Should the engine do it, the run is given back, and others go on.
            let attempt = AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or(Err(OwnerError::Panicked));
            match attempt {
                Ok(Exit::Ended(end)) => return Outcome::Ended(end.map(Arc::from)),
                Ok(Exit::Released) => return Outcome::Released,
                Ok(Exit::Closed) => {
                    self.hand_over(run).await;
                    return Outcome::Released;
                }
                Ok(Exit::Lost) | Err(OwnerError::Owned | OwnerError::Held) => return Outcome::Elsewhere,
                Err(OwnerError::Full(ahead)) => {
                    self.queued().insert(run);
                    if let Some(observer) = &self.observer {
                        observer.queued(run, &ahead);
                    }
                    self.press(&ahead).await;
                    return Outcome::Queued;
                }
                Ok(Exit::Died) => {}
                Err(OwnerError::Again) if tries < MOST_TRIES => {
                    tries += 1;
                    tracing::warn!(%run, tries, "an append failed; the run is taken again");
                    tokio::time::sleep(std::time::Duration::from_millis(50 << tries)).await;
                }
                Err(error) => {
                    tracing::error!(%run, %error, "the run cannot go on here");
                    let error = Arc::new(error);
                    if error.is_lasting() {
                        self.leave(run, error.clone()).await;
                    } else if matches!(*error, OwnerError::Store(_) | OwnerError::Again) {
                        self.stranded().insert(run);
                    }
                    return Outcome::Failed(error);
                }
            }
        }
    }
}
