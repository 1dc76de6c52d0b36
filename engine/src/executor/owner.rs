//! The loop of one run: decide, act, append; wait; until the run ends or is released.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    task::AbortHandle,
    time::Instant,
};

use super::{
    attempt::Done,
    jobs::{Jobs, Look},
    journal::Pending,
    scope::{Names, roots},
    stream::{self, Outlet},
};
use crate::{
    capability::Redactor,
    engine::{Inner, LossCause, Prepared, RunEnd, RunTaken, holds},
    error::NodeError,
    event::{Event, Place, Record, Seq},
    id::RunId,
    node::DeltaSink,
    plan::Plan,
    run::{Addr, RunState, Status, decide},
    scope::Roots,
    store::{AppendError, NewRun, Parent, Release, StoreError},
    units::Millis,
    usage::Meter,
};

/// An append is at most this late, and carries at most [`LAZY_RECORDS`].
const LAZY_TIME: Duration = Duration::from_millis(20);
pub(super) const LAZY_RECORDS: usize = 256;

/// Executes one run, as its owner.
pub(crate) struct Owner {
    pub(super) engine: Arc<Inner>,
    pub(super) plan: Arc<Plan>,
    pub(super) run: RunId,
    pub(super) state: RunState,
    pub(super) roots: Arc<Roots>,
    pub(super) names: Names,
    pub(super) redactor: Redactor,
    /// The newest record that is durable.
    pub(super) durable: Seq,
    pub(super) pending: Pending,
    /// What is known of the nodes that run elsewhere, besides what the journal says.
    pub(super) jobs: Jobs,
    /// Nodes with effects whose `NodeStarted` waits to be durable.
    pub(super) to_start: Vec<(Addr, u32)>,
    pub(super) running: HashMap<Addr, Running>,
    pub(super) done: (mpsc::UnboundedSender<Done>, mpsc::UnboundedReceiver<Done>),
    pub(super) attempts: u64,
    /// Rows of the inbox that were folded but not consumed yet.
    pub(super) seen: HashSet<i64>,
    pub(super) wake: Arc<Notify>,
    /// Where the end of the run is reported.
    pub(super) parent: Option<Parent>,
    /// The run, while no store knows of it: `durability: end`.
    pub(super) detached: Option<NewRun>,
    pub(super) deltas: Arc<dyn DeltaSink>,
    /// Where it shows what happens; `None` when it shows nothing.
    pub(super) outlet: Option<Outlet>,
    /// Of attempts that run where the loop is: emptied after each.
    pub(super) meter: Arc<Meter>,
    idle_since: Option<Millis>,
    /// Since when records wait that may wait a little.
    lazy_since: Option<Instant>,
    /// How long nodes ran where the loop is, or it waited for them and for others.
    pub(super) elsewhere: Duration,
}

/// A spawned attempt.
pub(super) struct Running {
    pub token: u64,
    pub abort: AbortHandle,
    pub meter: Arc<Meter>,
    pub path: Arc<str>,
    pub begun: Option<Instant>,
}

/// Why the loop ended.
#[derive(Debug)]
pub(crate) enum Exit {
    /// The run ended; so, when that happened here.
    Ended(Option<Box<RunEnd>>),
    /// It waits for a time or a message, and anyone may take it.
    Released,
    /// Another owner has it.
    Lost,
    /// The engine closes; the run was given back.
    Closed,
    /// The process that executed it alone died, and it must be taken again.
    Died,
}

/// What taking a run gave.
pub(crate) enum Taking {
    /// It is owned.
    Taken(Box<Owner>),
    /// It has ended.
    Ended,
    /// It was given back at this epoch, to be executed alone.
    Suspect(u64),
}

/// Why a run could not go on in this process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the run is owned by another process")]
    Owned,
    #[error("the run is held: it came out of a backup")]
    Held,
    #[error("there is no such run")]
    Unknown,
    #[error(transparent)]
    Plan(#[from] crate::engine::PlanError),
    #[error("the outcome of an append is not known")]
    Again,
    #[error("the run waits for others to end")]
    Full(Vec<RunId>),
    #[error("the engine has a fault that this run meets: the log says where")]
    Panicked,
    #[error("the run ends the processes that execute it, and could not be executed alone: {0}")]
    Quarantine(String),
    #[error("the run ended {0} processes that executed nothing else, before its failure could be recorded")]
    Deadly(u32),
}

impl OwnerError {
    /// Whether this process would find the same at every attempt.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Store(StoreError::NewerRun(_) | StoreError::Damaged(_))
            | Self::Plan(_)
            | Self::Panicked
            | Self::Deadly(_) => true,
            Self::Store(_)
            | Self::Owned
            | Self::Held
            | Self::Unknown
            | Self::Again
            | Self::Full(_)
            | Self::Quarantine(_) => false,
        }
    }
}

/// What ended a sleep.
enum Next {
    Close,
    Done(Done),
    Look(Look),
    Inbox,
    Due,
    Flush,
}

/// What an append came to; with `InboxNotEmpty` the run could not be released.
pub(super) enum Flushed {
    Yes,
    Fenced,
    InboxNotEmpty,
}

impl Owner {
    /// What a run does first, once it has room: others may have changed its conversation while it waited.
    /// A fork keeps what it was given.
    pub(super) async fn begin(&mut self, is_fresh: bool) -> Result<(), OwnerError> {
        if let Some(id) = self.state.start.conversation.clone().filter(|_| self.plan.chat && is_fresh) {
            let stored = self.engine.stores.journal.conversation(&id).await?.unwrap_or_default();
            let variables = RunState::variables(&self.plan, &stored);
            if variables != self.state.conversation {
                self.record(Event::VariablesRead { variables });
            }
        }
        // There may be room for more than one.
        let keys = self.keys();
        self.engine.wake_next(&keys).await;
        Ok(())
    }

    /// The lines that it stands in.
    pub(super) fn keys(&self) -> Vec<String> {
        let holds = holds(&self.plan, &self.state, self.run);
        holds.unwrap_or_default().into_iter().map(|hold| hold.key).collect()
    }

    /// Owns a run that was created a moment ago by this session: there is nothing to read back.
    pub(crate) async fn begun(
        engine: Arc<Inner>,
        plan: Arc<Plan>,
        run: RunId,
        parent: Option<Parent>,
        first: &Record<Addr>,
        epoch: u64,
    ) -> Result<Self, OwnerError> {
        let mut state = RunState::default();
        state.apply(&plan, first);
        let outlet = stream::outlet(&engine, &plan, run, parent.as_ref(), (epoch, first.seq), &[]);
        let owner = engine.session;
        let alone = engine.alone.is_some();
        let mut this = Self::new(engine, plan, run, state, Arc::default(), outlet);
        this.parent = parent;
        this.record(Event::RunTaken { epoch, owner, deaths: 0, alone });
        this.begin(true).await?;
        Ok(this)
    }

    /// Owns a run that exists only in memory until it ends.
    pub(crate) fn detached(engine: Arc<Inner>, plan: Arc<Plan>, prepared: Prepared) -> Self {
        let mut state = RunState::default();
        state.apply(&plan, &prepared.first);
        let run = prepared.run.id;
        let outlet = stream::outlet(&engine, &plan, run, None, (0, 0), &[]);
        let mut owner = Self::new(engine, plan, run, state, Arc::default(), outlet);
        owner.pending.records.extend(prepared.run.records.iter().cloned());
        owner.pending.blobs.extend(prepared.blobs);
        owner.detached = Some(prepared.run);
        owner.durable = 0;
        owner
    }

    /// What wakes the loop.
    pub(crate) fn waker(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    pub(super) fn new(
        engine: Arc<Inner>,
        plan: Arc<Plan>,
        run: RunId,
        state: RunState,
        wake: Arc<Notify>,
        outlet: Option<Outlet>,
    ) -> Self {
        let roots = roots(&plan, &state, &run.to_string());
        let redactor = Redactor::new(&engine.caps.secrets, &plan.secrets);
        Self {
            deltas: stream::deltas(&engine, &redactor, outlet.as_ref()),
            outlet,
            durable: state.seq,
            roots,
            redactor,
            engine,
            plan,
            run,
            state,
            names: Names::default(),
            pending: Pending::default(),
            jobs: Jobs::default(),
            to_start: Vec::new(),
            running: HashMap::new(),
            done: mpsc::unbounded_channel(),
            attempts: 0,
            seen: HashSet::new(),
            wake,
            parent: None,
            detached: None,
            meter: Arc::default(),
            idle_since: None,
            lazy_since: None,
            elsewhere: Duration::ZERO,
        }
    }

    /// Executes until the run ends, waits or is lost.
    pub(crate) async fn execute(&mut self) -> Result<Exit, OwnerError> {
        let begun = self.engine.stopwatch();
        if let Some(observer) = &self.engine.observer {
            observer.taken(self.run, &RunTaken::of(&self.plan.workflow, &self.state, self.parent.as_ref()));
        }
        let exit = self.until_exit().await;
        if let (Some(observer), Some(begun)) = (&self.engine.observer, begun) {
            observer.left(self.run, begun.elapsed().saturating_sub(self.elsewhere));
        }
        exit
    }

    async fn until_exit(&mut self) -> Result<Exit, OwnerError> {
        loop {
            if let Some(exit) = self.advance().await? {
                return Ok(exit);
            }
            if let Some(exit) = self.rest().await? {
                return Ok(exit);
            }
        }
    }

    /// Decides and acts until nothing is left to do at once.
    async fn advance(&mut self) -> Result<Option<Exit>, OwnerError> {
        loop {
            let commands = decide(&self.plan, &mut self.state, self.engine.clock.now());
            if commands.is_empty() && self.to_start.is_empty() && !self.pending.urgent {
                return Ok(None);
            }
            for command in commands {
                if let Some(exit) = self.act(command).await? {
                    return Ok(Some(exit));
                }
            }
            // R5: append before act. Everything that became ready in this turn shares the append.
            let full = self.pending.records.len() >= LAZY_RECORDS;
            let quiet = self.pending.urgent && !self.state.is_pressing(&self.plan);
            if !self.to_start.is_empty() || full || quiet {
                if let Flushed::Fenced = self.flush(None).await? {
                    return Ok(Some(Exit::Lost));
                }
                for (at, attempt) in std::mem::take(&mut self.to_start) {
                    self.spawn(at, attempt);
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits for the next thing to happen; gives the run up when that is far away.
    async fn rest(&mut self) -> Result<Option<Exit>, OwnerError> {
        let now = self.engine.clock.now();
        if self.tend_jobs(now) {
            return Ok(None);
        }
        // Who has jobs in queues looks after them.
        if self.running.is_empty() && !self.state.has_jobs() {
            if self.state.next_due().is_none() && !self.state.waits_for_others() {
                // Nothing runs, waits or is due, and yet the run has not ended: a fault that must not become silence.
                let error = NodeError::internal("the run has nothing left to do, but has not ended");
                self.record(Event::RunStopping { error: error.report("") });
                return Ok(None);
            }
            let since = *self.idle_since.get_or_insert(now);
            let hold = self.engine.hold.millis();
            let soon = self.state.next_due().is_some_and(|due| due - now <= hold);
            // Its children may wait for its place.
            let child = self.state.has_children() && now - since < hold && !self.engine.is_crowded();
            if !soon && !child && self.detached.is_none() {
                return self.release().await;
            }
        } else {
            self.idle_since = None;
        }
        self.sleep(now).await
    }

    async fn sleep(&mut self, now: Millis) -> Result<Option<Exit>, OwnerError> {
        let engine = self.engine.clone();
        // A run that is not in the store cannot be released, so it does not wait for that.
        let held = self.idle_since.filter(|_| self.detached.is_none());
        let hold = held.map(|since| since + engine.hold.millis());
        let until = [self.state.next_due(), hold, self.next_tending()].into_iter().flatten().min();
        let lazy = !self.pending.is_empty() && self.detached.is_none();
        // However often it is woken, what was buffered first does not wait longer.
        self.lazy_since = if lazy { self.lazy_since.or_else(|| Some(Instant::now())) } else { None };
        let flush_at = self.lazy_since.map(|since| since + LAZY_TIME);
        let wake = self.wake.clone();
        let mut closing = engine.closing.subscribe();
        let begun = engine.stopwatch();
        let next = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => Next::Close,
            Some(done) = self.done.1.recv() => Next::Done(done),
            Some(look) = self.jobs.looks.1.recv() => Next::Look(look),
            () = tokio::time::sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => Next::Flush,
            () = wake.notified() => Next::Inbox,
            () = engine.clock.sleep_until(until.unwrap_or(now)), if until.is_some() => Next::Due,
        };
        self.elsewhere += begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        match next {
            Next::Close => return self.close().await,
            Next::Due => {}
            Next::Look(look) => self.looked(look),
            Next::Done(done) => {
                self.finished(done);
                while let Ok(done) = self.done.1.try_recv() {
                    self.finished(done);
                }
            }
            Next::Inbox => {
                self.idle_since = None;
                self.read_inbox().await?;
            }
            Next::Flush => {
                if let Flushed::Fenced = self.flush(None).await? {
                    return Ok(Some(Exit::Lost));
                }
            }
        }
        Ok(None)
    }

    async fn release(&mut self) -> Result<Option<Exit>, OwnerError> {
        match self.flush(Some(Release::Waiting { wake_at: self.state.next_due() })).await? {
            Flushed::Yes => Ok(Some(Exit::Released)),
            Flushed::Fenced => Ok(Some(Exit::Lost)),
            Flushed::InboxNotEmpty => {
                self.read_inbox().await?;
                Ok(None)
            }
        }
    }

    /// Gives the run back, so that another process can take it at once: nodes that run are lost to it.
    async fn close(&mut self) -> Result<Option<Exit>, OwnerError> {
        if self.detached.is_some() {
            return Ok(Some(Exit::Closed));
        }
        for (at, running) in std::mem::take(&mut self.running) {
            running.abort.abort();
            let usage = running.meter.take();
            // What it used is known here and nowhere else. A pure node has no record of its start to be lost after.
            let has_started = self.state.node(at).is_some_and(|node| matches!(node.status, Status::Started(_)));
            if has_started && !usage.is_nothing() {
                self.lose(at, usage, LossCause::HandOver, false);
            }
        }
        loop {
            match self.flush(Some(Release::Queued)).await? {
                Flushed::Yes => return Ok(Some(Exit::Closed)),
                Flushed::Fenced => return Ok(Some(Exit::Lost)),
                Flushed::InboxNotEmpty => self.read_inbox().await?,
            }
        }
    }
}

impl RunState {
    fn waits_for_others(&self) -> bool {
        self.nodes().any(|(_, node)| matches!(node.status, Status::Waiting(_) | Status::Started(_)))
    }

    fn has_children(&self) -> bool {
        self.nodes().any(|(_, node)| matches!(node.status, Status::Started(Place::Child { .. })))
    }
}

impl From<AppendError> for OwnerError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Store(StoreError::Failed(_)) => Self::Again,
            AppendError::Store(error) => Self::Store(error),
            AppendError::Fenced | AppendError::InboxNotEmpty => Self::Owned,
        }
    }
}
