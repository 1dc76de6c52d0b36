//! An engine with a store and a clock of its own, moved until everything rests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use liteagent_engine::{
    capability::{Capabilities, Code, Http, Secrets, mcp::Mcp},
    engine::{Engine, EngineConfig, EngineError, Start},
    event::{SignalTo, Wait},
    id::RunId,
    node::Registry,
    store::{Journal, MemoryStore, RunFilter, RunPhase, RunRow, StoredHistory, Stores},
    time::{Clock, VirtualClock},
    units::{self, Millis},
    value::Value,
    view::{RunView, ViewStatus},
};
use tokio::{runtime::Runtime, sync::Notify};

use super::{
    computing::Computing,
    deck::{Deck, Load},
    fakes::Fakes,
    models::ScriptedModels,
    seen::Seen,
};

/// How long a test may take on the clock of the machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same while real models are asked.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_mins(10);
/// Sessions live longer than any test pretends to take.
const LEASE: Duration = Duration::from_hours(1000 * 365 * 24);

/// The world of one test.
pub(super) struct World {
    pub(super) clock: Arc<VirtualClock>,
    pub(super) seen: Arc<Seen>,
    pub(super) fakes: Arc<Fakes>,
    pub(super) deck: Option<Arc<Deck>>,
    code: Arc<Computing>,
    registry: Registry,
    store: Arc<MemoryStore>,
    caps: Arc<Capabilities>,
    life: Option<Life>,
}

/// One life of the process.
struct Life {
    runtime: Runtime,
    engine: Engine,
    idle: Arc<Idle>,
}

/// What a test cannot go on after.
pub(super) type Trouble = String;

/// More runs than a test has.
const ALL: u32 = 100_000;

/// What came of letting a life go on.
enum Rest {
    Rests,
    Died,
}

/// What could happen next, by time alone.
#[derive(Default)]
struct Due {
    /// Retries, waits for a time, attempts that take theirs: they come by themselves.
    alone: Option<Millis>,
    /// Also the ends of waits for a person, and of runs.
    any: Option<Millis>,
    /// The end of a wait for a person: time does not pass it by itself.
    patience: Option<Millis>,
}

impl World {
    pub(super) fn new(
        registry: Registry,
        code: Arc<dyn Code>,
        secrets: Arc<Secrets>,
        at: Millis,
        deck: Option<Load<'_>>,
    ) -> Result<Self, Trouble> {
        let clock = Arc::new(VirtualClock::at(at));
        let store = Arc::new(MemoryStore::new(LEASE, clock.clone()));
        let seen = Arc::<Seen>::default();
        let deck = deck.map(|load| Arc::new(Deck::new(load, seen.clone())));
        let fakes = Arc::new(Fakes::new(clock.clone(), seen.clone(), deck.clone()));
        let code = Arc::new(Computing::new(code));
        let caps = Capabilities {
            files: Some(store.clone()),
            kv: Some(store.clone()),
            history: Some(Arc::new(StoredHistory(store.clone()))),
            code: Some(code.clone()),
            models: Some(Arc::new(ScriptedModels::new(fakes.clone(), deck.clone(), clock.clone()))),
            http: deck.clone().map(|deck| deck as Arc<dyn Http>),
            mcp: deck.clone().map(|deck| deck as Arc<dyn Mcp>),
            secrets,
            ..Capabilities::default()
        };
        let mut world = Self { clock, seen, fakes, deck, code, registry, store, caps: Arc::new(caps), life: None };
        world.be_born()?;
        Ok(world)
    }

    fn be_born(&mut self) -> Result<(), Trouble> {
        let idle = Arc::<Idle>::default();
        let hook = idle.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .on_thread_park(move || hook.tell())
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        let config = EngineConfig {
            registry: self.registry.clone(),
            stores: Stores::of_memory(&self.store),
            caps: self.caps.clone(),
            clock: self.clock.clone(),
            observer: Some(self.seen.clone()),
            // Whatever waits is given back to the store at once, where its times can be read.
            hold: units::Duration::from_millis(0),
            quarantine: None,
            fleet: None,
        };
        let engine = runtime.block_on(Engine::open_intercepted(config, self.fakes.clone())).map_err(text)?;
        self.life = Some(Life { runtime, engine, idle });
        Ok(())
    }

    /// The process dies, and another one takes what it left.
    fn die(&mut self) -> Result<(), Trouble> {
        if let Some(Life { runtime, engine, .. }) = self.life.take() {
            let session = engine.session();
            runtime.shutdown_background();
            self.store.kill_session(session);
        }
        self.be_born()?;
        self.seen.revive();
        let life = self.life()?;
        life.runtime.block_on(life.engine.poll()).map_err(text)?;
        Ok(())
    }

    /// Whether real models and services are asked.
    fn records(&self) -> bool {
        self.deck.as_ref().is_some_and(|deck| deck.records())
    }

    fn life(&self) -> Result<&Life, Trouble> {
        self.life.as_ref().ok_or_else(|| "the process is dead".to_owned())
    }

    /// Starts a run.
    pub(super) fn start(&self, start: Start) -> Result<RunId, EngineError> {
        let life = self.life().map_err(EngineError::Stuck)?;
        life.runtime.block_on(async {
            let run = life.engine.start(start).await?;
            // Nothing of it has happened yet: the runtime is not polled beside this future.
            self.seen.begin(run);
            Ok(run)
        })
    }

    /// Sends a signal.
    pub(super) fn signal(&self, run: RunId, to: SignalTo, payload: Value) -> Result<(), Trouble> {
        let life = self.life()?;
        life.runtime.block_on(life.engine.signal(run, to, payload, Some("test".to_owned()))).map_err(text)
    }

    /// What is known of a run.
    pub(super) fn view(&self, run: RunId) -> Result<RunView, Trouble> {
        let life = self.life()?;
        life.runtime.block_on(life.engine.view(run)).map_err(text)?.ok_or_else(|| format!("there is no run `{run}`"))
    }

    /// Lets everything happen that happens by itself. With `until`, time then passes as far as that, whatever ends.
    pub(super) fn rest(&mut self, run: RunId, until: Option<Millis>) -> Result<(), Trouble> {
        let mut until = until;
        loop {
            let life = self.life()?;
            let patience = if self.records() { PATIENCE_WITH_OTHERS } else { PATIENCE };
            let rest = life.runtime.block_on(async {
                tokio::time::timeout(patience, self.let_go(life, run, &mut until))
                    .await
                    .unwrap_or_else(|_| Err(format!("the run did not come to rest within {} s", patience.as_secs())))
            })?;
            match rest {
                Rest::Rests => return Ok(()),
                Rest::Died => self.die()?,
            }
        }
    }

    async fn let_go(&self, life: &Life, run: RunId, until: &mut Option<Millis>) -> Result<Rest, Trouble> {
        let mut busy_for = 0;
        loop {
            life.idle.wait().await;
            if self.seen.is_dead() {
                return Ok(Rest::Died);
            }
            let due = self.due(life).await?;
            // While code computes and others are asked, no time passes: nothing can be late because they are slow.
            let others = self.deck.as_ref().is_some_and(|deck| deck.goes_on());
            if self.code.goes_on() || others || self.is_busy(run).await? && due.alone.is_none() {
                busy_for += 1;
                self.wait_for_others(life, run, busy_for).await?;
                continue;
            }
            busy_for = 0;
            let next = match *until {
                Some(limit) => {
                    let next = due.any.filter(|next| *next <= limit);
                    if next.is_none() {
                        *until = None;
                    }
                    next.unwrap_or(limit)
                }
                None => match due.alone {
                    Some(next) if due.patience.is_none_or(|patience| next < patience) => next,
                    _ => return Ok(Rest::Rests),
                },
            };
            self.clock.advance_to(next);
            life.engine.poll().await.map_err(text)?;
        }
    }

    /// Whether something goes on that is not seen here: computing on another thread, or a run that no store knows yet.
    async fn is_busy(&self, run: RunId) -> Result<bool, Trouble> {
        let row = self.store.run(run).await.map_err(text)?;
        let Some(row) = row else { return Ok(true) };
        // A run that waits for others to end does nothing by itself.
        let queued = self.rows(RunPhase::Queued).await?;
        let runnable = self.store.runnable(self.clock.now(), ALL).await.map_err(text)?;
        Ok(row.phase == RunPhase::Running
            || !self.rows(RunPhase::Running).await?.is_empty()
            || queued.iter().any(|row| runnable.contains(&row.id)))
    }

    /// Gives other threads a moment, and finds out when a run cannot go on.
    async fn wait_for_others(&self, life: &Life, run: RunId, times: u32) -> Result<(), Trouble> {
        const OFTEN: u32 = 200;
        tokio::time::sleep(Duration::from_millis(1)).await;
        if times.is_multiple_of(OFTEN)
            && let Ok(Err(error)) = tokio::time::timeout(Duration::from_millis(1), life.engine.settled(run)).await
        {
            return Err(text(error));
        }
        Ok(())
    }

    async fn rows(&self, phase: RunPhase) -> Result<Vec<RunRow>, Trouble> {
        let filter = RunFilter { phase: Some(phase), limit: ALL, ..RunFilter::default() };
        self.store.runs(filter).await.map_err(text)
    }

    async fn due(&self, life: &Life) -> Result<Due, Trouble> {
        let mut due = Due::default();
        due.alone(self.fakes.next_end());
        let (waiting, running) = (self.rows(RunPhase::Waiting).await?, self.rows(RunPhase::Running).await?);
        let known = !waiting.is_empty() || !running.is_empty();
        for row in waiting.iter().chain(&running) {
            due.any(row.wake_at.filter(|_| row.phase == RunPhase::Waiting));
            let Some(view) = life.engine.view(row.id).await.map_err(text)? else { continue };
            for node in view.nodes.values() {
                match &node.status {
                    ViewStatus::Sleeping(until) => due.alone(Some(*until)),
                    ViewStatus::Waiting(wait) if is_for_others(wait) => due.patience(wait.until),
                    ViewStatus::Waiting(wait) => due.alone(wait.until),
                    _ => {}
                }
            }
        }
        if !known {
            // A run under `durability: end` is in no store; all that it can wait for is its clock.
            due.alone(self.clock.next_wake());
        }
        let now = self.clock.now();
        due.alone = due.alone.filter(|at| *at > now);
        due.any = due.any.filter(|at| *at > now);
        Ok(due)
    }
}

impl Due {
    fn alone(&mut self, at: Option<Millis>) {
        self.alone = [self.alone, at].into_iter().flatten().min();
        self.any(at);
    }

    fn patience(&mut self, at: Option<Millis>) {
        self.patience = [self.patience, at].into_iter().flatten().min();
        self.any(at);
    }

    fn any(&mut self, at: Option<Millis>) {
        self.any = [self.any, at].into_iter().flatten().min();
    }
}

/// Whether someone else ends a wait, and not only time.
pub(super) fn is_for_others(wait: &Wait) -> bool {
    wait.signal.is_some() || !wait.ask.is_null()
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(life) = self.life.take() {
            life.runtime.shutdown_background();
        }
    }
}

/// Tells when a runtime has nothing left to do but wait.
#[derive(Debug, Default)]
struct Idle {
    asked: AtomicBool,
    told: Notify,
}

impl Idle {
    async fn wait(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.told.notified().await;
    }

    fn tell(&self) {
        if self.asked.swap(false, Ordering::Relaxed) {
            self.told.notify_one();
        }
    }
}
