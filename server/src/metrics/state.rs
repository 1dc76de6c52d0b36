//! How it stands: what is looked up when somebody asks, in the database, on the disk and in the process.

use std::path::Path;

use liteagent_backends::Room;
use liteagent_engine::{
    engine::Engine,
    queue::QueueError,
    store::{Backlog, RunFilter, RunPhase, StoreError, Stores},
    time::Clock,
    units::Millis,
};
use tokio::{sync::Mutex, time::Instant};

use super::table::{Gauge, Table};
use crate::{
    app::App,
    queues::{Fleet, depths},
    triggers,
};

/// How long what was looked up is good: several may ask.
const GOOD: std::time::Duration = std::time::Duration::from_secs(5);

/// The most held runs that are counted.
const MOST_HELD: u32 = 10_000;

/// Where it is looked up.
pub(crate) struct Sources<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) stores: &'a Stores,
    pub(crate) clock: &'a dyn Clock,
    /// The folder whose disk is watched.
    pub(crate) data: Option<&'a Path>,
    pub(crate) fleet: Option<&'a Fleet>,
    /// Who fires schedules and begins runs; a worker does not.
    pub(crate) app: Option<&'a App>,
}

/// How it stands.
pub(super) struct State {
    runs: Gauge<1>,
    executed: Gauge<0>,
    runnable: Gauge<0>,
    oldest: Gauge<0>,
    overdue: Gauge<0>,
    schedule_lag: Gauge<0>,
    held: Gauge<0>,
    budget_used: Gauge<1>,
    backup_at: Gauge<0>,
    reconciled_at: Gauge<0>,
    disk_free: Gauge<0>,
    disk_total: Gauge<0>,
    memory: Gauge<0>,
    files: Gauge<0>,
    jobs: Gauge<2>,
    job_oldest: Gauge<1>,
    workers: Gauge<1>,
    /// When it was looked up last.
    looked: Mutex<Option<Instant>>,
}

impl State {
    pub(super) fn new(table: &mut Table) -> Self {
        let state = Self {
            runs: table.gauge("runs", ["phase"], "Runs that have not ended, in the whole installation"),
            executed: table.gauge("runs_executed", [], "Runs that this process executes"),
            runnable: table.gauge("runs_runnable", [], "Runs that someone should take: the depth of the queue"),
            oldest: table.gauge(
                "run_oldest_seconds",
                [],
                "How long the oldest run waits that someone should take: the age of the queue",
            ),
            overdue: table.gauge("wake_overdue_seconds", [], "How late the wait is that is overdue the longest"),
            schedule_lag: table.gauge("schedule_lag_seconds", [], "How late the firing is that is overdue the longest"),
            held: table.gauge(
                "runs_held",
                [],
                "Runs that a restore holds back until a person releases them; counted up to 10,000",
            ),
            budget_used: table.gauge(
                "budget_used_ratio",
                ["of"],
                "Which part of the installation's budget of this month is used: `tokens` and `cost`, where they have a limit",
            ),
            backup_at: table.gauge(
                "backup_last_success_timestamp",
                [],
                "When a backup was last finished, in seconds since 1970; 0 when none was",
            ),
            reconciled_at: table.gauge(
                "reconciler_last_success_timestamp",
                [],
                "When this process last looked for runs to take, in seconds since 1970",
            ),
            disk_free: table.gauge("disk_free_bytes", [], "What is free on the disk of the data folder"),
            disk_total: table.gauge("disk_total_bytes", [], "The size of the disk of the data folder"),
            memory: table.gauge("process_resident_memory_bytes", [], "Memory of this process"),
            files: table.gauge("process_open_fds", [], "Open files and connections of this process"),
            jobs: table.gauge(
                "queue_jobs",
                ["queue", "state"],
                "Jobs in the queues between processes: `ready`, `delayed`, `leased` and `dead`",
            ),
            job_oldest: table.gauge(
                "queue_oldest_seconds",
                ["queue"],
                "How long the oldest job of a queue between processes has waited",
            ),
            workers: table.gauge("queue_workers", ["queue"], "Workers that take from a queue between processes"),
            looked: Mutex::default(),
        };
        let build = table.gauge("build_info", ["version"], "The release; always 1");
        build.with([env!("CARGO_PKG_VERSION")]).set(1.0);
        state
    }

    /// Runs were looked for.
    pub(super) fn reconciled(&self, at: Millis) {
        self.reconciled_at.with([]).set(at as f64 / 1_000.0);
    }

    /// Looks everything up, unless that was done a moment ago.
    pub(super) async fn look(&self, of: &Sources<'_>) -> Result<(), StoreError> {
        self.executed.with([]).set(of.engine.active_runs() as f64);
        self.process();
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|looked| looked.elapsed() < GOOD) {
            return Ok(());
        }
        let (now, journal) = (of.clock.now(), &of.stores.journal);
        self.backlog(journal.backlog(now).await?, now);
        if let Some(app) = of.app {
            self.schedule_lag.with([]).set(seconds(triggers::scheduler::overdue(app, now).await?, now));
            for (of, used) in app.month_used().await? {
                self.budget_used.with([of]).set(used);
            }
        }
        if let Some(fleet) = of.fleet
            && let Err(error) = self.queues(fleet, now).await
        {
            // Old levels would be believed.
            self.jobs.clear();
            self.job_oldest.clear();
            self.workers.clear();
            tracing::warn!(code = %error.code(), %error, "what waits in the queues cannot be told");
        }
        let held = RunFilter { phase: Some(RunPhase::Held), limit: MOST_HELD, ..RunFilter::default() };
        self.held.with([]).set(journal.runs(held).await?.len() as f64);
        let backup_at = journal.installation().await?.backup_at;
        self.backup_at.with([]).set(backup_at.unwrap_or(0) as f64 / 1_000.0);
        if let Some(data) = of.data {
            self.disk(data);
        }
        *looked = Some(Instant::now());
        Ok(())
    }

    async fn queues(&self, fleet: &Fleet, now: Millis) -> Result<(), QueueError> {
        for (group, depth) in depths(fleet).await? {
            let name = group.as_str();
            let states =
                [("ready", depth.ready), ("delayed", depth.delayed), ("leased", depth.leased), ("dead", depth.dead)];
            for (state, count) in states {
                self.jobs.with([name, state]).set(count as f64);
            }
            self.job_oldest.with([name]).set(depth.age(now) as f64 / 1_000.0);
            self.workers.with([name]).set(0.0);
        }
        for worker in fleet.roster.workers().await? {
            for group in &worker.queues {
                self.workers.with([group.as_str()]).inc();
            }
        }
        Ok(())
    }

    fn backlog(&self, backlog: Backlog, now: Millis) {
        let phases = [
            (RunPhase::Queued, backlog.queued),
            (RunPhase::Running, backlog.running),
            (RunPhase::Waiting, backlog.waiting),
        ];
        for (phase, count) in phases {
            self.runs.with([phase.as_str()]).set(count as f64);
        }
        self.runnable.with([]).set(backlog.runnable as f64);
        self.oldest.with([]).set(seconds(backlog.runnable_since, now));
        self.overdue.with([]).set(seconds(backlog.overdue_since, now));
    }

    fn disk(&self, data: &Path) {
        match Room::of(data) {
            Ok(room) => {
                self.disk_free.with([]).set(room.free as f64);
                self.disk_total.with([]).set(room.total as f64);
            }
            Err(error) => {
                // An old level would be believed.
                self.disk_free.clear();
                self.disk_total.clear();
                tracing::warn!(%error, "the room on the disk cannot be told");
            }
        }
    }

    /// What Linux tells of this process; nothing elsewhere.
    fn process(&self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"));
        match resident.and_then(|kib| kib.trim().parse::<u64>().ok()) {
            Some(kib) => drop(self.memory.with([]).set((kib * 1_024) as f64)),
            None => self.memory.clear(),
        }
        match std::fs::read_dir("/proc/self/fd") {
            Ok(files) => drop(self.files.with([]).set(files.count() as f64)),
            Err(_) => self.files.clear(),
        }
    }
}

fn seconds(since: Option<Millis>, now: Millis) -> f64 {
    since.map_or(0.0, |since| (now - since).max(0) as f64 / 1_000.0)
}
