//! Who watches runs.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Inner, RunEnd};
use crate::{
    error::{Code, ErrorClass},
    event::Record,
    id::RunId,
    run::RunState,
    store::Parent,
    units::Millis,
    value::Value,
};

/// Watches runs. Of records it sees only those that are durable, and it cannot change anything. It is called where runs
/// are executed: it must not wait for anything.
pub trait Observer: Send + Sync {
    /// A record became durable.
    fn record(&self, run: RunId, record: &Record);
    /// A node gave out a piece of text. It is provisional until the node's record.
    fn delta(&self, run: RunId, node: &str, attempt: u32, text: &str) {
        let _ = (run, node, attempt, text);
    }
    /// A run ended here.
    fn ended(&self, run: RunId, workflow: &str, end: &RunEnd) {
        let _ = (run, workflow, end);
    }
    /// A run waits for others to end before it begins.
    fn queued(&self, run: RunId, ahead: &[RunId]) {
        let _ = (run, ahead);
    }
    /// This process begins to execute a run: a new one, or one that another process or a wait has left.
    fn taken(&self, run: RunId, taken: &RunTaken<'_>) {
        let _ = (run, taken);
    }
    /// This process executes a run no longer. `own` is the time since it was taken in which no node ran and nothing was
    /// waited for: what the engine itself took.
    fn left(&self, run: RunId, own: Duration) {
        let _ = (run, own);
    }
    /// An attempt of a node is over here. It is told at once, before its record is durable.
    fn attempted(&self, run: RunId, attempt: &AttemptEnd<'_>) {
        let _ = (run, attempt);
    }
    /// A node is lost to the process that ran it.
    fn lost(&self, run: RunId, cause: LossCause) {
        let _ = (run, cause);
    }
    /// Runs that someone should take were looked for, here or by another process.
    fn reconciled(&self, at: Millis) {
        let _ = at;
    }
    /// The store was asked to append to a journal.
    fn appended(&self, took: Duration, outcome: AppendOutcome) {
        let _ = (took, outcome);
    }
}

/// A run that is about to be executed.
#[derive(Clone, Copy, Debug)]
pub struct RunTaken<'a> {
    /// Its workflow.
    pub workflow: &'a str,
    /// When it was started.
    pub started_at: Millis,
    /// Whether nobody has executed it before.
    pub is_first: bool,
    /// What started it.
    pub trigger: &'a Value,
    /// Where its end is reported.
    pub parent: Option<&'a Parent>,
}

impl<'a> RunTaken<'a> {
    pub(crate) fn of(workflow: &'a str, state: &'a RunState, parent: Option<&'a Parent>) -> Self {
        let start = &state.start;
        Self { workflow, started_at: start.at, is_first: state.epoch <= 1, trigger: &start.trigger, parent }
    }
}

/// An attempt of a node that is over.
#[derive(Clone, Copy, Debug)]
pub struct AttemptEnd<'a> {
    /// The path of the node.
    pub path: &'a str,
    /// The type of the node.
    pub kind: &'a str,
    /// 1 for the first try.
    pub attempt: u32,
    /// How long it took.
    pub took: Duration,
    /// Whether the node goes on: it waits, or has opened passes or started a run.
    pub goes_on: bool,
    /// Why it failed. The message is left out: it may hold what the journal hides.
    pub failed: Option<(Code, ErrorClass)>,
}

/// Why a node was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossCause {
    /// Its process died, or stalled for so long that it was taken for dead.
    Death,
    /// Its process gave the run back.
    HandOver,
}

impl LossCause {
    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Death => "death",
            Self::HandOver => "hand_over",
        }
    }
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendOutcome {
    /// It is durable.
    Done,
    /// It was refused: another process owns the run.
    Refused,
    /// The store failed.
    Failed,
}

/// Tells several observers.
pub struct Observers(pub Vec<Arc<dyn Observer>>);

impl Observer for Observers {
    fn record(&self, run: RunId, record: &Record) {
        self.0.iter().for_each(|observer| observer.record(run, record));
    }

    fn delta(&self, run: RunId, node: &str, attempt: u32, text: &str) {
        self.0.iter().for_each(|observer| observer.delta(run, node, attempt, text));
    }

    fn ended(&self, run: RunId, workflow: &str, end: &RunEnd) {
        self.0.iter().for_each(|observer| observer.ended(run, workflow, end));
    }

    fn queued(&self, run: RunId, ahead: &[RunId]) {
        self.0.iter().for_each(|observer| observer.queued(run, ahead));
    }

    fn taken(&self, run: RunId, taken: &RunTaken<'_>) {
        self.0.iter().for_each(|observer| observer.taken(run, taken));
    }

    fn left(&self, run: RunId, own: Duration) {
        self.0.iter().for_each(|observer| observer.left(run, own));
    }

    fn attempted(&self, run: RunId, attempt: &AttemptEnd<'_>) {
        self.0.iter().for_each(|observer| observer.attempted(run, attempt));
    }

    fn lost(&self, run: RunId, cause: LossCause) {
        self.0.iter().for_each(|observer| observer.lost(run, cause));
    }

    fn reconciled(&self, at: Millis) {
        self.0.iter().for_each(|observer| observer.reconciled(at));
    }

    fn appended(&self, took: Duration, outcome: AppendOutcome) {
        self.0.iter().for_each(|observer| observer.appended(took, outcome));
    }
}

impl Inner {
    /// Begins to measure, when somebody watches.
    pub(crate) fn stopwatch(&self) -> Option<Instant> {
        self.observer.is_some().then(Instant::now)
    }

    /// Tells whoever watches what became of an append.
    pub(crate) fn appended(&self, begun: Option<Instant>, outcome: AppendOutcome) {
        if let (Some(observer), Some(begun)) = (&self.observer, begun) {
            observer.appended(begun.elapsed(), outcome);
        }
    }
}
