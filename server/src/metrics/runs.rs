//! Runs, nodes and journals: what the engine tells its observer.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use liteagent_engine::{
    engine::{AppendOutcome, AttemptEnd, LossCause, Observer, RunEnd, RunTaken},
    event::{Event, Record},
    id::RunId,
    units::Millis,
};

use super::{
    Metrics,
    table::{Counter, Seconds, Table, long, short},
};

/// What is counted of runs.
pub(super) struct Runs {
    started: Counter<1>,
    ended: Counter<3>,
    took: Seconds<1>,
    overhead: Seconds<0>,
    nodes: Seconds<2>,
    failures: Counter<2>,
    lost: Counter<1>,
    append: Seconds<0>,
    refused: Counter<0>,
    failed: Counter<0>,
    /// The runs that are executed here.
    here: Mutex<HashMap<RunId, Here>>,
}

/// A run that is executed here.
struct Here {
    workflow: String,
    started_at: Millis,
}

impl Runs {
    pub(super) fn new(table: &mut Table) -> Self {
        let runs = Self {
            started: table.counter("runs_started", ["workflow"], "Runs that began"),
            ended: table.counter(
                "runs_ended",
                ["workflow", "status", "class"],
                "Runs that ended here; the class is that of the failure",
            ),
            took: table.seconds(
                "run_seconds",
                ["workflow"],
                "From the start of a run to its end, waits included",
                long,
            ),
            overhead: table.seconds(
                "engine_overhead_seconds",
                [],
                "What the engine took of a run while no node ran and nothing was waited for, commits included",
                short,
            ),
            nodes: table.seconds("node_seconds", ["type", "status"], "Attempts of nodes", long),
            failures: table.counter("node_failures", ["type", "class"], "Attempts of nodes that failed"),
            lost: table.counter(
                "node_lost",
                ["cause"],
                "Nodes that were lost: by the death of their process, or because it gave the run back",
            ),
            append: table.seconds("append_seconds", [], "Commits to journals", short),
            refused: table.counter("append_refused", [], "Commits that were refused: another process owns the run"),
            failed: table.counter("append_failed", [], "Commits that failed: the store did"),
            here: Mutex::default(),
        };
        for cause in [LossCause::Death, LossCause::HandOver] {
            drop(runs.lost.with([cause.as_str()]));
        }
        runs
    }

    fn here(&self) -> MutexGuard<'_, HashMap<RunId, Here>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Metrics {
    fn reconciled(&self, at: Millis) {
        self.state.reconciled(at);
    }

    fn record(&self, run: RunId, record: &Record) {
        if let Event::RunEnded { .. } = &record.event
            && let Some(here) = self.runs.here().get(&run)
        {
            let took = (record.at - here.started_at).max(0) as f64 / 1_000.0;
            self.runs.took.with([&here.workflow]).observe(took);
        }
    }

    fn ended(&self, _: RunId, workflow: &str, end: &RunEnd) {
        let class = end.error.as_ref().map_or("", |error| error.class.as_str());
        self.runs.ended.with([workflow, end.status.as_str(), class]).inc();
    }

    fn taken(&self, run: RunId, taken: &RunTaken<'_>) {
        if taken.is_first {
            self.runs.started.with([taken.workflow]).inc();
        }
        let here = Here { workflow: taken.workflow.to_owned(), started_at: taken.started_at };
        self.runs.here().insert(run, here);
    }

    fn left(&self, run: RunId, own: Duration) {
        self.runs.here().remove(&run);
        self.runs.overhead.with([]).observe(own.as_secs_f64());
    }

    fn attempted(&self, _: RunId, attempt: &AttemptEnd<'_>) {
        let status = match (attempt.goes_on, attempt.failed) {
            (_, Some((_, class))) => {
                self.runs.failures.with([attempt.kind, class.as_str()]).inc();
                "failed"
            }
            (false, None) => "succeeded",
            (true, None) => return,
        };
        self.runs.nodes.with([attempt.kind, status]).observe(attempt.took.as_secs_f64());
    }

    fn lost(&self, _: RunId, cause: LossCause) {
        self.runs.lost.with([cause.as_str()]).inc();
    }

    fn appended(&self, took: Duration, outcome: AppendOutcome) {
        match outcome {
            AppendOutcome::Done => {}
            AppendOutcome::Refused => drop(self.runs.refused.with([]).inc()),
            AppendOutcome::Failed => drop(self.runs.failed.with([]).inc()),
        }
        self.runs.append.with([]).observe(took.as_secs_f64());
    }
}
