//! The engine with its stores and capabilities, as every command that runs something opens it.

use std::{future::Future, sync::Arc};

use liteagent_backends::{Backends, PostgresOptions, SqliteOptions, postgres::Pool};
use liteagent_engine::{
    capability::{Capabilities, Secrets, WatchedModels, Watcher, Watchers, how_to_set, model::Models},
    codes,
    engine::{Engine, EngineConfig, EngineError, Observer, Observers},
    error::Code,
    id::RunId,
    queue::QueueError,
    store::{DEFAULT_LEASE, Files, MemoryStore, StoreError, StoredHistory, Stores},
    time::SystemClock,
    units::Duration,
};

use liteagent_providers::{Company, Router};
use liteagent_server::{Metrics, Traces};
use tokio::runtime::Runtime;

use crate::{
    commands::quarantine::Ward,
    config::{
        self,
        database::{CONNECTIONS, Database, PATIENCE},
    },
    documents,
    failure::Failure,
    inputs::misfit,
    knowledge::Lazily,
    progress::{Detail, Progress},
    project::Project,
    queue::Others,
    sandbox,
};

/// A wait that is longer gives the run up, and the command says how to go on.
const HOLD: Duration = Duration::from_secs(10);

/// Who watches over a platform.
pub(crate) struct Watch {
    /// Its runs.
    pub(crate) observer: Arc<dyn Observer>,
    /// The borders of the process.
    pub(crate) watcher: Option<Arc<dyn Watcher>>,
}

impl Watch {
    /// Whoever counts, and whoever sends traces.
    pub(crate) fn of_all(metrics: &Arc<Metrics>, traces: Option<&Arc<Traces>>) -> Self {
        let mut observers: Vec<Arc<dyn Observer>> = vec![metrics.clone()];
        let mut watchers: Vec<Arc<dyn Watcher>> = vec![metrics.clone()];
        if let Some(traces) = traces {
            observers.push(traces.clone());
            watchers.push(traces.clone());
        }
        Self { observer: Arc::new(Observers(observers)), watcher: Some(Arc::new(Watchers(watchers))) }
    }

    /// Somebody who sees runs alone.
    fn of(observer: Arc<dyn Observer>) -> Self {
        Self { observer, watcher: None }
    }
}

/// Everything that a run needs.
pub(crate) struct Platform {
    /// Runs workflows.
    pub(crate) engine: Engine,
    /// Where runs are kept.
    pub(crate) stores: Stores,
    /// Files of runs.
    pub(crate) files: Arc<dyn Files>,
    /// The PostgreSQL database that all rows are in, if they are in one.
    pub(crate) database: Option<Pool>,
    /// Language models.
    pub(crate) models: Arc<Router>,
    /// Knowledge bases.
    pub(crate) knowledge: Arc<Lazily>,
    /// The same, as nodes get them: whoever watches is told of calls.
    pub(crate) watched: Arc<dyn Models>,
    /// The secrets that nodes are given.
    pub(crate) secrets: Arc<Secrets>,
    /// Shows the run on stderr.
    pub(crate) progress: Arc<Progress>,
}

impl Platform {
    /// Opens the stores of a project and starts an engine over them.
    pub(crate) async fn open(project: &Project, progress: Arc<Progress>) -> Result<Self, Failure> {
        let backends = open_stores(project).await?;
        Self::with(project, progress.clone(), Watch::of(progress), None, backends).await
    }

    /// The same, where `observer` shows runs, and nothing else does.
    pub(crate) async fn observed(project: &Project, observer: Arc<dyn Observer>) -> Result<Self, Failure> {
        Self::with(project, silent(), Watch::of(observer), None, open_stores(project).await?).await
    }

    /// The same, where others watch, nothing is shown, and the process may be one among others.
    pub(crate) async fn watched(project: &Project, watch: Watch, others: Option<Others>) -> Result<Self, Failure> {
        Self::among(project, silent(), watch, None, others, open_stores(project).await?).await
    }

    /// The same over stores that end with the process; nothing is shown.
    pub(crate) async fn open_in_memory(project: &Project) -> Result<Self, Failure> {
        const LEASE: std::time::Duration = std::time::Duration::from_secs(30);
        let store = Arc::new(MemoryStore::new(LEASE, Arc::new(SystemClock)));
        let backends = Backends {
            stores: Stores::of_memory(&store),
            files: store.clone() as Arc<dyn Files>,
            kv: store,
            database: None,
        };
        Self::with(project, silent(), Watch::of(silent()), None, backends).await
    }

    /// The same, for one run and nothing else.
    pub(crate) async fn open_alone(project: &Project, run: RunId) -> Result<Self, Failure> {
        Self::with(project, silent(), Watch::of(silent()), Some(run), open_stores(project).await?).await
    }

    async fn with(
        project: &Project,
        progress: Arc<Progress>,
        watch: Watch,
        alone: Option<RunId>,
        backends: Backends,
    ) -> Result<Self, Failure> {
        Self::among(project, progress, watch, alone, None, backends).await
    }

    async fn among(
        project: &Project,
        progress: Arc<Progress>,
        watch: Watch,
        alone: Option<RunId>,
        others: Option<Others>,
        backends: Backends,
    ) -> Result<Self, Failure> {
        let Backends { stores, files, kv, database } = backends;
        let secrets = project.secrets_in(database.as_ref()).await?;
        let Watch { observer, watcher } = watch;
        let (fleet, paces) = others.map(|Others { fleet, paces }| (fleet, paces)).unzip();
        let company = Company { watcher: watcher.clone(), paces };
        let models = project.config.router_among(&secrets, company).await?;
        let watched: Arc<dyn Models> = match &watcher {
            Some(watcher) => Arc::new(WatchedModels::new(models.clone(), watcher.clone())),
            None => models.clone(),
        };
        let http = project.config.egress()?;
        let http = match &watcher {
            Some(watcher) => http.watched(watcher.clone(), "http"),
            None => http,
        };
        let knowledge = Arc::new(Lazily::of(project, database.clone()));
        let caps = Capabilities {
            documents: Some(documents::readers(project)?),
            knowledge: Some(knowledge.clone()),
            mcp: Some(Arc::new(project.config.mcp_servers(&project.root, secrets.clone())?)),
            http: Some(Arc::new(http)),
            files: Some(files.clone()),
            roots: project.config.roots(&project.root),
            kv: Some(kv),
            history: Some(Arc::new(StoredHistory(stores.journal.clone()))),
            code: Some(sandbox::code(sandbox::runner(project)?, watcher)),
            models: Some(watched.clone()),
            secrets: secrets.clone(),
        };
        let config = EngineConfig {
            registry: liteagent_nodes::registry(),
            stores: stores.clone(),
            caps: Arc::new(caps),
            clock: Arc::new(SystemClock),
            observer: Some(observer),
            hold: HOLD,
            quarantine: Some(Arc::new(Ward)),
            fleet,
        };
        let engine = match alone {
            Some(run) => Engine::open_alone(config, run).await?,
            None => Engine::open(config).await?,
        };
        Ok(Self { engine, stores, files, database, models, knowledge, watched, secrets, progress })
    }

    /// Gives up what still runs, so that another process can take it.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        Ok(self.engine.close().await?)
    }
}

fn silent() -> Arc<Progress> {
    Arc::new(Progress::new(Detail::Nothing, false, false))
}

/// Opens the stores alone: enough to look at runs.
pub(crate) async fn open_stores(project: &Project) -> Result<Backends, Failure> {
    let data = project.data();
    std::fs::create_dir_all(&data).map_err(|error| {
        Failure::platform(codes::STORE_READ_ONLY, format!("cannot make the data folder `{}`: {error}", data.display()))
            .hint("set `LITEAGENT_DATA` to a folder that can be written")
    })?;
    let reserve = project.config.min_free()?;
    let lease = config::setting("LITEAGENT_LEASE").map(|lease| {
        Duration::parse(&lease)
            .map(|lease| lease.0)
            .map_err(|error| Failure::usage(codes::CONFIG, format!("`LITEAGENT_LEASE`: {error}")))
    });
    let lease = lease.transpose()?.unwrap_or(DEFAULT_LEASE);
    let objects = config::objects::open(project)?;
    Ok(match Database::of_environment()? {
        Database::Sqlite => liteagent_backends::open_with(&data, SqliteOptions { lease, reserve }, objects).await?,
        Database::Postgres(url) => {
            let options =
                PostgresOptions { lease, readers: CONNECTIONS, patience: PATIENCE, ..PostgresOptions::default() };
            liteagent_backends::open_postgres(&url, &data, options, objects).await?
        }
    })
}

/// Opens the stores alone to look at runs, also where nothing can be written.
pub(crate) async fn open_stores_to_read(project: &Project) -> Result<Backends, Failure> {
    match open_stores(project).await {
        Err(failure) if failure.code == Some(codes::STORE_READ_ONLY) && !Database::of_environment()?.is_shared() => {
            // What cannot be read either is told as what it is: a folder that cannot be written.
            let objects = config::objects::open(project)?;
            liteagent_backends::open_read_only(&project.data(), objects).await.map_err(|_| failure)
        }
        opened => opened,
    }
}

/// Runs a command that waits. Whatever is still going on when it returns is dropped.
pub(crate) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let result = runtime.block_on(command);
    // A thread may still wait for a line from the terminal.
    runtime.shutdown_background();
    result
}

/// Threads that wait for others.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::platform(codes::STORE, format!("cannot start threads: {error}")))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::platform(error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        Self::platform(error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let usage = |code: Code| Self::usage(code, error.to_string());
        match &error {
            EngineError::Inputs { misfits, .. } => misfit(misfits),
            EngineError::MissingSecret(name) => usage(codes::SECRET_MISSING).hint(how_to_set(name)),
            EngineError::SecretNotMeant { secret, workflow } => usage(codes::SECRET_WORKFLOW).hint(format!(
                "if that is right, add \"{workflow}\" to `workflows` under `[secrets.{secret}]` in `{}`",
                config::FILE
            )),
            EngineError::UnknownRun(_) => usage(codes::NO_RUN).hint("run `liteagent runs list`"),
            EngineError::HasEnded(run) => {
                usage(codes::RUN_STATE).hint(format!("`liteagent runs show {run}` tells how it ended"))
            }
            EngineError::Elsewhere(run) => usage(codes::RUN_STATE)
                .hint(format!("wait for it, or ask its process to stop: `liteagent runs cancel {run}`")),
            EngineError::Held(run) => {
                usage(codes::RUN_HELD).hint(format!("`liteagent runs release {run}` lets it go on"))
            }
            EngineError::Busy { .. } => {
                usage(codes::BUSY).hint("try again later, or raise `[limits]` in `liteagent.toml`")
            }
            EngineError::KeyConflict(_) => usage(codes::RUN_STATE),
            EngineError::Full(ahead) => {
                let first = ahead.first().map(|run| format!("; `liteagent runs cancel {run}` stops the first"));
                usage(codes::RUNS_FULL).hint(format!(
                    "try again when one has ended, or write `when_full: queue`{}",
                    first.unwrap_or_default()
                ))
            }
            EngineError::Key(error) | EngineError::Secret(error) => {
                let failure = usage(error.code);
                match &error.hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            EngineError::UnknownNode(_) => usage(codes::UNKNOWN_NAME).hint("give the id of a node of the workflow"),
            EngineError::Store(error) => error.clone().into(),
            EngineError::Queue(error) => error.clone().into(),
            EngineError::Plan(_) | EngineError::Stuck(_) => Self::platform(codes::RUN_STUCK, error.to_string()),
        }
    }
}
