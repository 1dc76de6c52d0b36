//! `serve`: the whole platform in one process.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use clap::builder::FalseyValueParser;
use ipnet::IpNet;
use liteagent_engine::{
    capability::model::Models as _,
    codes,
    engine::EngineError,
    queue::{Group, QueueRules},
    time::SystemClock,
};
use liteagent_server::{
    Ended, Folder, KnowledgeParts, Listeners, Metrics, Parts, Server, Settings, Synced, Uploads, Vault, serve,
};
use liteagent_worker::{Worker, WorkerOptions};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    commands::worker::named,
    config::{self, Config, keys::Keys, setting},
    failure::{Exit, Failure},
    kept, library,
    listening::{Listening, told},
    platform::{Platform, Watch, runtime},
    progress::count,
    project::{Project, shown},
    queue::Between,
    remote::beside,
    rows, sandbox,
    shell::Shell,
};

mod access;
mod dependencies;
pub(super) mod traces;

/// The file in the data folder that keeps the development key.
const DEV_KEY: &str = "dev-key";
/// The workflow that indexes a document which is sent to the server.
const INDEXING: &str = "indexing/document";

/// Serves workflows, runs and chat through an API, with everything in this process.
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// The folder of the workflows that are served, and followed when they change [default: the folder of the project]
    #[arg(long, value_name = "DIR")]
    definitions: Option<PathBuf>,
    /// The address to listen on; other machines reach it only when it is none of loopback
    #[arg(long, env = "API_HOST", default_value = "127.0.0.1", value_name = "ADDRESS", hide_env_values = true)]
    host: IpAddr,
    /// The port to listen on
    #[arg(long, env = "API_PORT", default_value_t = 8000, hide_env_values = true)]
    port: u16,
    /// The address to serve metrics on
    #[arg(long, env = "API_METRICS_HOST", default_value = "127.0.0.1", value_name = "ADDRESS", hide_env_values = true)]
    metrics_host: IpAddr,
    /// The port to serve metrics on [default: 1000 more than that of the API]
    #[arg(long, env = "API_METRICS_PORT", value_name = "PORT", hide_env_values = true)]
    metrics_port: Option<u16>,
    /// How many seconds requests that go on may take after the server was told to stop
    #[arg(long, env = "API_DRAIN", default_value_t = 30, value_name = "SECONDS", hide_env_values = true)]
    drain: u64,
    /// A name that the server is reached by, besides `localhost` and its address; may be given several times
    #[arg(long = "name", env = "API_NAMES", value_delimiter = ',', value_parser = access::name, value_name = "NAME",
        hide_env_values = true)]
    names: Vec<String>,
    /// The origin of another site whose pages may call the server, such as `https://app.example.org`; may be given several times
    #[arg(long = "origin", env = "API_ORIGINS", value_delimiter = ',', value_parser = access::origin,
        value_name = "ORIGIN", hide_env_values = true)]
    origins: Vec<String>,
    /// A proxy, or a network of proxies, that is believed when it says where a request comes from; may be given several times
    #[arg(long = "proxy", env = "API_PROXIES", value_delimiter = ',', value_parser = access::network,
        value_name = "NETWORK", hide_env_values = true)]
    proxies: Vec<IpNet>,
    /// Browsers reach the server over TLS alone, through a proxy, and shall remember that
    #[arg(long, env = "API_TLS", value_parser = FalseyValueParser::new(), hide_env_values = true)]
    tls: bool,
}

/// Who executes runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// This process; with a queue between processes also others.
    Everything,
    /// Workers.
    Server,
}

impl Serve {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        self.run_as(Role::Everything, shell)
    }

    pub(super) fn run_as(&self, role: Role, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        let runtime = runtime()?;
        let exit = runtime.block_on(self.serve(role, shell, &project));
        runtime.shutdown_background();
        exit
    }

    async fn serve(&self, role: Role, shell: &Shell, project: &Project) -> Result<Exit, Failure> {
        let listening = Listening::on(self.host, self.port, "--port", codes::SERVER_LISTEN).await?;
        let told = |times| told(times).map_err(|error| cannot("wait for signals", &error));
        let counted =
            Listening::on(self.metrics_host, self.port_of_metrics(), "--metrics-port", codes::SERVER_LISTEN).await?;
        let (stop, stop_now) = (told(1)?, told(2)?);

        let is_production = self.is_production()?;
        let data = project.data();
        let jwt_secret = access::jwt_secret(setting("JWT_SECRET").as_deref(), is_production, &data)?;
        let secret_keys = Keys::Needed { is_production }.of(&data)?;
        config::objects::check(project).await?;
        let metrics = Arc::new(Metrics::default());
        let traces = traces::open(&metrics)?;
        let watch = Watch::of_all(&metrics, traces.as_ref());
        let between = match role {
            Role::Everything => Between::connect().await?,
            Role::Server => Some(Between::needed("`liteagent server`").await?),
        };
        let fleet = between.as_ref().map(|between| match role {
            Role::Everything => between.others(Group::ALL),
            Role::Server => between.others([]),
        });
        let platform = Platform::watched(project, watch, fleet).await?;
        let store = rows::open(&data, platform.database.as_ref()).await?;
        let parts = Parts {
            engine: platform.engine.clone(),
            stores: platform.stores.clone(),
            registry: project.node_types(),
            models: platform.watched.clone(),
            store,
            clock: Arc::new(SystemClock),
            metrics,
            knowledge: KnowledgeParts {
                bases: platform.knowledge.clone(),
                indexing: Arc::new(library::workflow(project, INDEXING, shell)?),
            },
            traces: traces.clone(),
            dependencies: dependencies::of(project, between.as_ref())?,
            secrets: platform.secrets.clone(),
            files: platform.files.clone(),
            fleet: between.as_ref().map(Between::shown),
        };
        let dev_key = if is_production { None } else { Some(dev_key(&data)?) };
        let settings = Settings {
            dev_key: dev_key.clone(),
            jwt_secret,
            secret_keys,
            admin: access::admin()?,
            is_loopback: self.host.is_loopback(),
            names: self.names.clone(),
            origins: self.origins.clone(),
            proxies: self.proxies.clone(),
            tls: self.tls,
            retention: project.config.retention.retention(),
            budgets: project.config.budget.budgets(),
            data: Some(data.clone()),
            uploads: Uploads {
                room: Some((data.clone(), project.config.min_free()?)),
                ..project.config.uploads.uploads()?
            },
            ..Settings::default()
        };
        platform.engine.limit(project.config.limits.capacity());
        let server = Server::open(parts, settings).await?;
        for (name, why) in server.unreadable_secrets() {
            shell.note(format!("warning: the secret `{name}` of the vault cannot be read: {why}"));
        }
        let synced = server.follow(self.folder(project, !is_production)?, project.node_types()).await?;
        let url = self.url(listening.address);
        shell.note(format!("definitions: {}", told_of(&synced)));
        shell.note(format!("metrics: http://{}/metrics", counted.address));
        if let Some(said) = access::first_owner(&server, &url, is_production, &data)? {
            shell.note(said);
        }
        if !is_production {
            shell.note(welcome(&server, &url, &platform, project));
        }
        // In production nobody is known without signing in.
        let _announced = match &dev_key {
            Some(key) => beside::announce(&data, listening.address, key)?,
            None => None,
        };
        shell.note(format!("liteagent: {url}"));

        let serving = serve(
            &server,
            Listeners { api: listening.listener, metrics: counted.listener },
            stop,
            Duration::from_secs(self.drain),
        );
        let worker = between.filter(|_| role == Role::Everything);
        let worker = worker.map(|between| WorkerWithin::start(&platform, &between, project, self.drain));
        let mut stop_now = pin!(stop_now);
        let ended = tokio::select! {
            ended = serving => ended,
            () = &mut stop_now => return Ok(Exit::Interrupted),
        };
        if ended == Ended::CutOff {
            shell.note(format!("requests that still went on after {} s were cut off", self.drain));
        }
        match worker {
            // It closes the engine.
            Some(worker) => tokio::select! {
                ended = worker.stop() => ended?,
                () = &mut stop_now => return Ok(Exit::Interrupted),
            },
            None => platform.close().await?,
        }
        if let Some(traces) = traces {
            traces.close(Duration::from_secs(5)).await;
        }
        Ok(Exit::Done)
    }
}

impl Serve {
    /// The addresses that it listens on, each with the variable of its port.
    pub(super) fn addresses(&self) -> [(SocketAddr, &'static str); 2] {
        let api = SocketAddr::new(self.host, self.port);
        [(api, "API_PORT"), (SocketAddr::new(self.metrics_host, self.port_of_metrics()), "API_METRICS_PORT")]
    }

    /// By default 1000 more than that of the API.
    fn port_of_metrics(&self) -> u16 {
        self.metrics_port.unwrap_or(if self.port == 0 { 0 } else { self.port.saturating_add(1_000) })
    }

    /// Whether it is the platform at work, and not a developer's machine.
    fn is_production(&self) -> Result<bool, Failure> {
        Ok(!self.host.is_loopback() || sandbox::is_production(setting)?)
    }

    /// What would keep it from starting, besides ports: secrets that are missing or could be guessed, half an owner.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn prepared(&self, project: &Project) -> Result<(), Failure> {
        let secret = setting("JWT_SECRET");
        let (is_production, data) = (self.is_production()?, project.data());
        access::jwt_secret(secret.as_deref(), is_production, &data)?;
        Keys::Needed { is_production }.of(&data)?;
        access::admin()?;
        self.folder(project, !is_production).map(drop)
    }

    /// Where people reach the server.
    fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        match self.names.first() {
            Some(name) if self.tls => format!("{scheme}://{name}"),
            Some(name) => format!("{scheme}://{name}:{}", address.port()),
            None => format!("{scheme}://{address}"),
        }
    }

    /// The folder of definitions.
    fn folder(&self, project: &Project, is_owner: bool) -> Result<Folder, Failure> {
        let root = self.definitions.as_deref().unwrap_or(&project.root);
        let root = root.canonicalize().map_err(|error| {
            Failure::usage(codes::FILE_UNREADABLE, format!("the folder `{}` cannot be read: {error}", root.display()))
                .hint("name a folder with workflows: `--definitions DIR`")
        })?;
        let of = Project { root: root.clone(), config: Config::default() };
        Ok(Folder { is_owner, list: Arc::new(move || of.workflows(&of.root)), root })
    }
}

/// The worker within a process that does everything itself, and takes what others leave in the queue.
struct WorkerWithin {
    /// It stops when this is dropped.
    stopped: oneshot::Sender<()>,
    task: JoinHandle<Result<liteagent_worker::Ended, EngineError>>,
}

impl WorkerWithin {
    fn start(platform: &Platform, between: &Between, project: &Project, drain: u64) -> Self {
        let (name, host) = named(None);
        let worker = Worker {
            engine: platform.engine.clone(),
            queue: between.queue.clone(),
            roster: between.roster.clone(),
            clock: Arc::new(SystemClock),
            options: WorkerOptions {
                name,
                host,
                queues: Group::ALL.into(),
                concurrency: project.config.limits.capacity().at_once,
                lease: QueueRules::default().lease,
                drain: Duration::from_secs(drain),
            },
        };
        let (stopped, stop) = oneshot::channel::<()>();
        let stop = async move {
            // It is never sent: the other side is dropped.
            let _ = stop.await;
        };
        Self { stopped, task: tokio::spawn(async move { worker.run(stop).await }) }
    }

    /// Returns when it has drained, and has closed the engine.
    async fn stop(self) -> Result<(), Failure> {
        drop(self.stopped);
        self.task.await.map_err(|error| cannot("stop its worker", &error))??;
        Ok(())
    }
}

/// Lets a process that is no server have the secrets of the vault. The future takes in what changes there, and never ends.
pub(super) async fn vault(project: &Project, platform: &Platform) -> Result<impl Future<Output = ()> + use<>, Failure> {
    const EVERY: Duration = Duration::from_secs(1);
    let data = project.data();
    let store = rows::open(&data, platform.database.as_ref()).await?;
    let keys = Keys::needed()?.of(&data)?;
    let vault = Vault::open(store, &keys, platform.secrets.clone(), Arc::new(SystemClock)).await?;
    Ok(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = vault.refresh().await {
                tracing::error!(%error, "the vault could not be looked at");
            }
        }
    })
}

/// The key of whoever develops on this machine.
fn dev_key(data: &Path) -> Result<String, Failure> {
    let path = data.join(DEV_KEY);
    kept::read_or_make(&path, liteagent_server::random_key).map_err(|error| {
        Failure::usage(codes::CONFIG, format!("the development key `{}` cannot be used: {error}", path.display()))
            .hint("delete the file: another key is made")
    })
}

/// What whoever develops can do now.
fn welcome(server: &Server, url: &str, platform: &Platform, project: &Project) -> String {
    let key = shown(&project.data().join(DEV_KEY)).display().to_string();
    let model = match platform.models.describe("default") {
        Ok(model) => format!("{} (`liteagent models list` shows others, and how to get a better one)", model.name),
        Err(error) => format!("none: {}", error.message),
    };
    let mut lines = vec![format!("model: {model}"), format!("API: {url}/docs, with the key in {key}")];
    if let Some((workflow, inputs)) = server.example() {
        let body = json!({ "workflow": workflow, "inputs": inputs, "mode": "stream" });
        lines.push(format!(
            "try: curl -sN -H \"Authorization: Bearer $(cat {key})\" -H 'Content-Type: application/json' {url}/api/runs -d '{body}'"
        ));
    }
    lines.push("a new workflow: liteagent new NAME; it is served as soon as it is saved. Ctrl-C stops".to_owned());
    lines.join("\n")
}

fn told_of(synced: &Synced) -> String {
    let mut published = count(synced.workflows, "workflow");
    if let [first, ..] = &*synced.waiting {
        let verb = if synced.waiting.len() == 1 { "waits" } else { "wait" };
        let what = count(synced.waiting.len(), "file");
        published = format!(
            "{published}; {what} {verb} for an owner who publishes them, such as `{first}`: `liteagent explain LA4305`"
        );
    }
    match &*synced.broken {
        [] => published,
        [one] => format!("{published}; `{one}` has errors: `liteagent check` tells which"),
        more => format!("{published}; {} have errors: `liteagent check` tells which", count(more.len(), "file")),
    }
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::platform(codes::SERVER_LISTEN, format!("the server cannot {what}: {error}"))
}
