//! `worker`: executes runs that wait in the queues between processes.

use std::{collections::BTreeSet, net::IpAddr, num::NonZeroU16, sync::Arc, time::Duration};

use clap::Subcommand;
use liteagent_engine::{
    codes,
    engine::Capacity,
    queue::{Group, QueueRules, WorkerInfo},
    time::{SystemClock, iso},
};
use liteagent_server::{Metrics, Observed};
use liteagent_worker::{Ended, Worker, WorkerOptions};
use serde_json::json;

use crate::{
    commands::serve::{traces, vault},
    failure::{Exit, Failure},
    listening::{Listening, told},
    platform::{Platform, Watch, block_on, runtime},
    progress::count,
    project::Project,
    queue::Between,
    shell::{Shell, aligned},
};

/// Executes runs that wait in the queues between processes; or lists the workers.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct WorkerCommand {
    #[command(subcommand)]
    verb: Option<WorkerVerb>,
    #[command(flatten)]
    work: Work,
}

#[derive(Subcommand)]
enum WorkerVerb {
    /// Lists the workers that were heard of in the last half minute
    List {
        /// Machine-readable output
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
struct Work {
    /// The queues to take from: `workflow` has runs; `indexing` runs that put documents into knowledge bases, and their steps;
    /// `embedding` steps that compute embeddings; `default` everything else
    #[arg(long, env = "WORKER_QUEUES", value_delimiter = ',', default_values_t = Group::ALL, value_name = "QUEUE",
        hide_env_values = true)]
    queues: Vec<Group>,
    /// How many jobs of each queue are worked on at once
    #[arg(long, env = "WORKER_CONCURRENCY", default_value = "50", value_name = "NUMBER", hide_env_values = true)]
    concurrency: NonZeroU16,
    /// What the worker is called [default: the machine and the process]
    #[arg(long, env = "WORKER_NAME", value_name = "NAME", hide_env_values = true)]
    name: Option<String>,
    /// How many seconds runs may go on after the worker was told to stop; others go on with what is left
    #[arg(long, env = "WORKER_DRAIN", default_value_t = 30, value_name = "SECONDS", hide_env_values = true)]
    drain: u64,
    /// The address to answer `/health/live`, `/health/ready` and `/metrics` on
    #[arg(long, env = "WORKER_HOST", default_value = "127.0.0.1", value_name = "ADDRESS", hide_env_values = true)]
    host: IpAddr,
    /// The port for that; 0 lets the system choose one
    #[arg(long, env = "WORKER_PORT", default_value_t = 9001, value_name = "PORT", hide_env_values = true)]
    port: u16,
}

impl WorkerCommand {
    /// Whether it executes runs.
    pub(crate) fn works(&self) -> bool {
        self.verb.is_none()
    }

    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        match self.verb {
            Some(WorkerVerb::List { json }) => list(shell, json),
            None => {
                let project = Project::here()?;
                let runtime = runtime()?;
                let exit = runtime.block_on(self.work.run(shell, &project));
                runtime.shutdown_background();
                exit
            }
        }
    }
}

impl Work {
    async fn run(&self, shell: &Shell, project: &Project) -> Result<Exit, Failure> {
        let listening = Listening::on(self.host, self.port, "--port", codes::SERVER_LISTEN).await?;
        let signals =
            |error| Failure::platform(codes::SERVER_LISTEN, format!("the worker cannot wait for signals: {error}"));
        let (stop, stop_now) = (told(1).map_err(signals)?, told(2).map_err(signals)?);
        let between = Between::needed("`liteagent worker`").await?;
        let metrics = Arc::new(Metrics::default());
        let traces = traces::open(&metrics)?;
        let watch = Watch::of_all(&metrics, traces.as_ref());
        let queues = self.queues.iter().copied().collect::<BTreeSet<_>>();
        let platform = Platform::watched(project, watch, Some(between.others(queues.iter().copied()))).await?;
        let concurrency = usize::from(self.concurrency.get());
        let waiting = project.config.limits.capacity().waiting;
        let of_runs = queues.iter().filter(|group| matches!(group, Group::Workflow | Group::Indexing)).count();
        platform.engine.limit(Capacity { at_once: concurrency * of_runs, waiting });
        let refresh = vault(project, &platform).await?;
        let (name, host) = named(self.name.as_deref());
        let worker = Worker {
            engine: platform.engine.clone(),
            queue: between.queue.clone(),
            roster: between.roster.clone(),
            clock: Arc::new(SystemClock),
            options: WorkerOptions {
                name: name.clone(),
                host,
                queues: queues.clone(),
                concurrency,
                lease: QueueRules::default().lease,
                drain: Duration::from_secs(self.drain),
            },
        };
        let observed = Observed {
            engine: platform.engine.clone(),
            stores: platform.stores.clone(),
            metrics,
            fleet: between.shown(),
            data: project.data(),
        };
        let takes: Vec<String> = queues.iter().map(ToString::to_string).collect();
        shell.note(format!("health and metrics: http://{}", listening.address));
        shell.note(format!("worker `{name}`: {} at once of each of {}", concurrency, takes.join(", ")));
        let ended = tokio::select! {
            ended = worker.run(stop) => ended?,
            failed = observed.serve(listening.listener) => {
                let error = failed.err().map_or_else(String::new, |error| error.to_string());
                return Err(Failure::platform(codes::SERVER_LISTEN, format!("the worker cannot listen any more: {error}")));
            }
            () = refresh => unreachable!("it never ends"),
            () = stop_now => return Ok(Exit::Interrupted),
        };
        if let Ended::HandedOver(left) = ended {
            let what = count(left, "run");
            shell.note(format!("{what} still went on after {} s: other workers go on with them", self.drain));
        }
        if let Some(traces) = traces {
            traces.close(Duration::from_secs(5)).await;
        }
        Ok(Exit::Done)
    }
}

/// The name of a worker, and its machine.
pub(crate) fn named(name: Option<&str>) -> (String, String) {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let host = host.map_or_else(|_| "localhost".to_owned(), |host| host.trim().to_owned());
    let usual = || format!("{host}-{}", std::process::id());
    (name.map_or_else(usual, str::to_owned), host)
}

fn list(shell: &Shell, as_json: bool) -> Result<Exit, Failure> {
    let workers = block_on(async { Ok(Between::needed("`liteagent worker list`").await?.roster.workers().await?) })?;
    if as_json {
        shell.json(&workers.iter().map(row).collect::<Vec<_>>())?;
    } else if workers.is_empty() {
        shell.note("no workers; `liteagent worker` starts one");
    } else {
        let mut rows = vec![["NAME", "QUEUES", "ACTIVE", "AT ONCE", "VERSION", "SINCE", "STATE"].map(str::to_owned)];
        rows.extend(workers.iter().map(|worker| {
            let queues: Vec<_> = worker.queues.iter().map(ToString::to_string).collect();
            let state = if worker.draining { "draining" } else { "working" };
            [
                worker.name.clone(),
                queues.join(","),
                worker.active.to_string(),
                worker.concurrency.to_string(),
                worker.version.clone(),
                iso(worker.started_at),
                state.to_owned(),
            ]
        }));
        shell.out(aligned(&rows))?;
    }
    Ok(Exit::Done)
}

fn row(worker: &WorkerInfo) -> serde_json::Value {
    json!({
        "id": worker.id.to_string(),
        "name": worker.name,
        "host": worker.host,
        "queues": worker.queues,
        "concurrency": worker.concurrency,
        "active": worker.active,
        "draining": worker.draining,
        "version": worker.version,
        "started_at": iso(worker.started_at),
        "seen_at": iso(worker.seen_at),
    })
}
