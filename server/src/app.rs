//! What requests share, and the server as others see it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use liteagent_engine::{
    capability::{Secrets, model::Models},
    codes,
    engine::{Engine, EngineError},
    node::Registry,
    store::{Files, StoreError, Stores},
    time::Clock,
    units::Size,
    value::Value,
};
use tokio::sync::watch;
use tower_http::{compression::CompressionLayer, timeout::RequestBodyTimeoutLayer};

use crate::{
    accounts::{Accounts, Admin, JwtSecret},
    files::{Links, Uploads, is_upload},
    folder::{Folder, Synced, Watched},
    front::{Front, cross_origin, pass},
    health::{Dependencies, Dependency},
    knowledge::KnowledgeParts,
    limits::{Limiters, Limits},
    log,
    metrics::{self, Metrics},
    operation::{Budgets, Retention, Spent},
    problem::Problem,
    queues::Fleet,
    routes::Routes,
    secrets::{SecretKeys, Vault},
    sockets::{self, Tickets},
    store::Store,
    traces::{self, Traces},
    triggers,
    workflows::Workflows,
};

/// How often runs are looked for that someone should take.
const RECONCILE: Duration = Duration::from_secs(1);
/// How long after its start a server first deletes what has expired.
const FIRST_SWEEP: Duration = Duration::from_mins(1);
/// How often it does.
const SWEEP: Duration = Duration::from_hours(1);

/// How long the next piece of a body may take to arrive.
const BODY: Duration = Duration::from_secs(30);

/// What a server is made of.
pub struct Parts {
    /// Executes runs.
    pub engine: Engine,
    /// Where runs are kept.
    pub stores: Stores,
    /// The node types.
    pub registry: Registry,
    /// Language models.
    pub models: Arc<dyn Models>,
    /// The server's own rows.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted; the engine's observer.
    pub metrics: Arc<Metrics>,
    /// Knowledge bases.
    pub knowledge: KnowledgeParts,
    /// What sends traces; one of the engine's observers. Nobody if `None`.
    pub traces: Option<Arc<Traces>>,
    /// What it uses besides its database: shown by `/health/ready`.
    pub dependencies: Vec<Arc<dyn Dependency>>,
    /// The secrets that the engine has; the vault adds its own.
    pub secrets: Arc<Secrets>,
    /// Files of runs.
    pub files: Arc<dyn Files>,
    /// Where work waits for workers; `None` where everything is done in this process.
    pub fleet: Option<Fleet>,
}

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A key that may do everything; for development on loopback.
    pub dev_key: Option<String>,
    /// The largest body that is no upload. Default: 4 MiB.
    pub body: Size,
    /// How long a request waits for the end of its run. Default: 60 s.
    pub wait: Duration,
    /// What access tokens are signed with. Default: a random text, so that sessions end with the process.
    pub jwt_secret: JwtSecret,
    /// What the vault is sealed with. Default: a random key, so that nothing in it outlives the process.
    pub secret_keys: SecretKeys,
    /// Who becomes the first owner while there is no user. By default whoever has the link does.
    pub admin: Option<Admin>,
    /// Whether only this machine reaches the server. It is then called `localhost`, or by its address there. Default: yes.
    pub is_loopback: bool,
    /// Other names that the server is called by. Default: none.
    pub names: Vec<String>,
    /// The origins of other sites whose pages may call the server, such as `https://app.example.org`. Default: none.
    pub origins: Vec<String>,
    /// Proxies that are believed when they say where a request comes from. Default: none.
    pub proxies: Vec<IpNet>,
    /// Whether browsers reach the server over TLS alone. Default: no.
    pub tls: bool,
    /// How many requests are allowed.
    pub limits: Limits,
    /// How long what is over is kept.
    pub retention: Retention,
    /// What runs may use of models.
    pub budgets: Budgets,
    /// The data folder, whose disk is watched. Default: none is.
    pub data: Option<PathBuf>,
    /// What may be uploaded.
    pub uploads: Uploads,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dev_key: None,
            body: Size(4 << 20),
            wait: Duration::from_mins(1),
            jwt_secret: JwtSecret::random(),
            secret_keys: SecretKeys::random(),
            admin: None,
            is_loopback: true,
            names: Vec::new(),
            origins: Vec::new(),
            proxies: Vec::new(),
            tls: false,
            limits: Limits::default(),
            retention: Retention::default(),
            budgets: Budgets::default(),
            data: None,
            uploads: Uploads::default(),
        }
    }
}

/// What requests share.
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) stores: Stores,
    pub(crate) models: Arc<dyn Models>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) dependencies: Dependencies,
    pub(crate) accounts: Accounts,
    pub(crate) limits: Limiters,
    pub(crate) workflows: Workflows,
    pub(crate) knowledge: KnowledgeParts,
    pub(crate) tickets: Tickets,
    pub(crate) sockets: sockets::Open,
    pub(crate) watched: Watched,
    pub(crate) spent: Spent,
    pub(crate) vault: Vault,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) links: Links,
    pub(crate) fleet: Option<Fleet>,
    stopping: watch::Sender<bool>,
}

impl App {
    /// Whether the server is about to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Returns when the server is about to stop.
    pub(crate) async fn stopping(&self) {
        // The sender lives as long as this.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

/// Refuses a body that says itself that it is too large, before any of it is read.
async fn refuse_large(State(most): State<Size>, request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    match length {
        Some(length) if length > most.0 && !is_upload(&request) => {
            let detail = format!("expected a body of at most {most}, found {}", Size(length));
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, codes::REQUEST_BODY, detail).hint("send less").into_response()
        }
        _ => next.run(request).await,
    }
}

/// The server: the routes, and what goes on beside them. Clones share everything.
#[derive(Clone)]
pub struct Server {
    app: Arc<App>,
    router: Router,
    first_owner_link: Option<Arc<str>>,
}

impl Server {
    /// A server over these parts.
    ///
    /// # Errors
    /// When its rows cannot be read.
    pub async fn open(parts: Parts, settings: Settings) -> Result<Self, StoreError> {
        let Parts {
            engine,
            stores,
            registry,
            models,
            store,
            clock,
            metrics,
            knowledge,
            traces,
            dependencies,
            secrets,
            files,
            fleet,
        } = parts;
        let vault = Vault::open(store.clone(), &settings.secret_keys, secrets, clock.clone()).await?;
        let workflows = Workflows::open(store.clone(), stores.clone(), registry, clock.clone()).await?;
        let accounts = Accounts::new(store.clone(), clock.clone(), &settings);
        let first_owner_link = accounts.first_owner(settings.admin.as_ref()).await?.map(Arc::from);
        let limits = Limiters::new(settings.limits, clock.clone(), fleet.as_ref().map(|fleet| fleet.rates.clone()));
        let app = Arc::new(App {
            engine,
            stores,
            models,
            store,
            clock,
            metrics,
            dependencies: Dependencies::new(dependencies),
            accounts,
            limits,
            workflows,
            knowledge,
            tickets: Tickets::default(),
            sockets: sockets::Open::default(),
            watched: Watched::default(),
            spent: Spent::default(),
            vault,
            files,
            links: Links::new(&settings.secret_keys),
            fleet,
            stopping: watch::Sender::new(false),
            settings,
        });
        let limit = usize::try_from(app.settings.body.0).unwrap_or(usize::MAX);
        let router = Routes::all().router(app.clone());
        let router = router
            .layer(DefaultBodyLimit::max(limit))
            .layer(from_fn_with_state(app.settings.body, refuse_large))
            .layer(RequestBodyTimeoutLayer::new(BODY))
            .layer(CompressionLayer::new())
            .layer(cross_origin(&app.settings.origins))
            .layer(from_fn_with_state(Front::new(&app.settings), pass))
            .layer(from_fn_with_state(app.clone(), metrics::count));
        let router = match traces {
            Some(traces) => router.layer(from_fn_with_state(traces, traces::trace)),
            None => router,
        };
        let router = router.layer(from_fn(log::request));
        Ok(Self { app, router, first_owner_link })
    }

    /// The path of a link by which someone becomes the first owner; `None` when there are users. It works once, for a day.
    pub fn first_owner_link(&self) -> Option<&str> {
        self.first_owner_link.as_deref()
    }

    /// The secrets of the vault that cannot be read, and why: others can.
    pub fn unreadable_secrets(&self) -> Vec<(String, String)> {
        self.app.vault.unreadable()
    }

    /// What goes on beside requests, for as long as the server lives; what has expired is deleted now and then.
    pub(crate) fn background(&self) -> impl Future<Output = ()> + Send + 'static {
        let (server, swept) = (self.clone(), self.clone());
        let rounds = async move {
            loop {
                tokio::time::sleep(RECONCILE).await;
                server.round().await;
            }
        };
        let sweep = async move {
            let mut wait = FIRST_SWEEP;
            loop {
                tokio::time::sleep(wait).await;
                wait = SWEEP;
                swept.sweep().await;
            }
        };
        async move {
            tokio::join!(rounds, sweep);
        }
    }

    /// One round of what goes on beside requests: runs that someone should take are taken, schedules that are due fire. What
    /// fails is logged, and done in the next round.
    pub async fn round(&self) {
        match self.app.engine.poll().await {
            // The engine has said that the queue is away, once.
            Ok(_) | Err(EngineError::Queue(_)) => {}
            Err(error) => tracing::error!(%error, "runs that wait could not be looked for"),
        }
        if let Err(error) = self.app.vault.refresh().await {
            tracing::error!(%error, "the vault could not be looked at");
        }
        if let Err(error) = triggers::scheduler::look(&self.app).await {
            tracing::error!(%error, "schedules could not be looked at");
        }
    }

    /// Deletes what has expired, and what is kept no longer. What fails is logged, and done the next time.
    pub async fn sweep(&self) {
        if let Err(error) = self.app.sweep().await {
            tracing::error!(%error, "what has expired could not be deleted");
        }
        if let Err(problem) = self.app.sweep_uploads().await {
            tracing::error!(?problem, "uploads that have expired could not be deleted");
        }
    }

    /// Publishes what a folder has, and follows its changes until the server stops.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn follow(&self, folder: Folder, registry: Registry) -> Result<Synced, StoreError> {
        let told = |problem: Problem| StoreError::Failed(problem.said().to_owned());
        let (synced, watch) = self.app.sync(&folder, &registry).await.map_err(told)?;
        let app = self.app.clone();
        tokio::spawn(async move { app.follow(folder, registry, watch).await });
        Ok(synced)
    }

    /// A published workflow with inputs that it takes, to show somebody how a run is started.
    pub fn example(&self) -> Option<(String, Value)> {
        self.app.workflows.example()
    }

    /// Takes no more requests: what can end early does.
    pub(crate) fn stop(&self) {
        self.app.stopping.send_replace(true);
    }

    /// Returns when no WebSocket is open.
    pub(crate) async fn sockets_closed(&self) {
        self.app.sockets.none().await;
    }

    /// What serves the metrics, on a listener of its own.
    pub fn metrics(&self) -> Router {
        metrics::router(self.app.clone())
    }

    /// Everything that answers requests.
    pub fn router(&self) -> Router {
        self.router.clone()
    }
}
