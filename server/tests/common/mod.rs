//! A server over stores that end with the test.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
};
use liteagent_documents::testing::InProcess;
use liteagent_engine::{
    bundle::Bundle,
    capability::{Capabilities, Http, HttpCall, Secrets, WatchedModels, Watcher, Watchers},
    engine::{Engine, EngineConfig, Observer, Observers},
    load::load_text,
    store::{MemoryStore, StoredHistory, Stores},
    testing::{FakeHttp, FakeModels},
    time::{Clock, SystemClock},
    units::{Duration, Size},
    value::Value,
};
use liteagent_knowledge::{KnowledgeBases, Options};
use liteagent_server::{
    Dependency, Fleet, KnowledgeParts, Metrics, Parts, Server, Settings, TraceSettings, Traces, Uploads,
    store::SqliteStore,
};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// The development key.
pub(crate) const KEY: &str = "la_scenarios";
/// The secrets.
pub(crate) const SECRETS: &[(&str, &str)] = &[("HOOK", "It's a Secret to Everybody")];

/// What servers of one test share.
pub(crate) struct Installation {
    folder: Arc<TempDir>,
    store: Arc<MemoryStore>,
    clock: Arc<dyn Clock>,
    secrets: Vec<(String, String)>,
    http: Arc<FakeHttp>,
    /// Where traces are sent.
    collector: Option<(TraceSettings, Arc<dyn Http>)>,
    dependencies: Vec<Arc<dyn Dependency>>,
    /// Where work would wait for workers.
    fleet: Option<Fleet>,
}

/// A server of one test.
pub(crate) struct World {
    pub(crate) server: Server,
    /// What sends traces.
    pub(crate) traces: Option<Arc<Traces>>,
    /// The models.
    pub(crate) models: Arc<FakeModels>,
    router: Router,
    installation: Arc<Installation>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: String,
}

impl Installation {
    /// Nothing in it yet.
    pub(crate) fn new(clock: Arc<dyn Clock>, secrets: &[(&str, &str)]) -> Arc<Self> {
        let store = Arc::new(MemoryStore::new(std::time::Duration::from_secs(30), clock.clone()));
        let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Arc::new(Self::of(folder, store, clock, secrets))
    }

    fn of(
        folder: Arc<TempDir>,
        store: Arc<MemoryStore>,
        clock: Arc<dyn Clock>,
        secrets: Vec<(String, String)>,
    ) -> Self {
        Self {
            folder,
            store,
            clock,
            secrets,
            http: Arc::default(),
            collector: None,
            dependencies: Vec::new(),
            fleet: None,
        }
    }

    /// Nothing in it yet, where others on the network answer so.
    pub(crate) fn answering(clock: Arc<dyn Clock>, answers: Vec<Value>) -> Arc<Self> {
        let new = Arc::into_inner(Self::new(clock, SECRETS)).unwrap();
        Arc::new(Self { http: Arc::new(FakeHttp::answering(answers)), ..new })
    }

    /// Nothing in it yet, where work would wait for workers.
    pub(crate) fn among(clock: Arc<dyn Clock>, fleet: Fleet) -> Arc<Self> {
        let new = Arc::into_inner(Self::new(clock, &[])).unwrap();
        Arc::new(Self { fleet: Some(fleet), ..new })
    }

    /// What others on the network were asked.
    pub(crate) fn called(&self) -> Vec<HttpCall> {
        self.http.calls()
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The stores of the engine.
    pub(crate) fn stores(&self) -> Stores {
        Stores::of_memory(&self.store)
    }

    /// The rows of the server, as another process has them.
    pub(crate) async fn rows(&self) -> SqliteStore {
        SqliteStore::open(self.folder.path()).await.unwrap()
    }

    /// A server in a process of its own.
    pub(crate) async fn server(self: &Arc<Self>) -> World {
        self.server_with(developing(), Vec::new()).await
    }

    /// The same with other settings, and models that answer so.
    pub(crate) async fn server_with(self: &Arc<Self>, settings: Settings, answers: Vec<Value>) -> World {
        let models = Arc::new(FakeModels::answering(answers));
        let metrics = Arc::new(Metrics::default());
        let mut observers: Vec<Arc<dyn Observer>> = vec![metrics.clone()];
        let mut watchers: Vec<Arc<dyn Watcher>> = vec![metrics.clone()];
        let traces = self
            .collector
            .as_ref()
            .map(|(settings, http)| Traces::open(settings, http.clone(), self.clock.clone(), metrics.clone()).unwrap());
        if let Some(traces) = &traces {
            observers.push(traces.clone());
            watchers.push(traces.clone());
        }
        let watched = Arc::new(WatchedModels::new(models.clone(), Arc::new(Watchers(watchers))));
        let stores = self.stores();
        let bases = KnowledgeBases::open(self.folder.path(), Options::default()).await.unwrap();
        let secrets = Arc::new(Secrets::new(self.secrets.clone()));
        let caps = Capabilities {
            documents: Some(Arc::new(InProcess::default())),
            knowledge: Some(Arc::new(bases.clone())),
            files: Some(self.store.clone()),
            kv: Some(self.store.clone()),
            models: Some(watched.clone()),
            http: Some(self.http.clone()),
            history: Some(Arc::new(StoredHistory(stores.journal.clone()))),
            secrets: secrets.clone(),
            ..Capabilities::default()
        };
        let config = EngineConfig {
            registry: liteagent_nodes::registry(),
            stores: stores.clone(),
            caps: Arc::new(caps),
            clock: self.clock.clone(),
            observer: Some(Arc::new(Observers(observers))),
            hold: Duration::from_millis(0),
            quarantine: None,
            fleet: None,
        };
        let parts = Parts {
            engine: Engine::open(config).await.unwrap(),
            stores,
            registry: liteagent_nodes::registry(),
            models: watched,
            store: Arc::new(self.rows().await),
            secrets,
            files: self.store.clone(),
            clock: self.clock.clone(),
            metrics,
            knowledge: KnowledgeParts { bases: Arc::new(bases), indexing: indexing() },
            traces: traces.clone(),
            dependencies: self.dependencies.clone(),
            fleet: self.fleet.clone(),
        };
        let server = Server::open(parts, settings).await.unwrap();
        World { router: server.router(), server, traces, models, installation: self.clone() }
    }
}

impl World {
    /// A server with nothing in it, whose models answer so.
    pub(crate) async fn new(answers: Vec<Value>) -> Self {
        Installation::new(Arc::new(SystemClock), SECRETS).server_with(developing(), answers).await
    }

    /// The same, which takes files of so many bytes.
    pub(crate) async fn with_upload_limit(most: u64) -> Self {
        let settings = Settings { uploads: Uploads { size: Size(most), ..Uploads::default() }, ..developing() };
        Installation::new(Arc::new(SystemClock), SECRETS).server_with(settings, Vec::new()).await
    }

    /// A server over a folder that others may use too: each is a process of its own. Runs end with it.
    pub(crate) async fn with(
        folder: Arc<TempDir>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        answers: Vec<Value>,
    ) -> Self {
        let store = Arc::new(MemoryStore::new(std::time::Duration::from_secs(30), clock.clone()));
        let installation = Arc::new(Installation::of(folder, store, clock, Vec::new()));
        installation.server_with(settings, answers).await
    }

    /// A server whose traces are sent, and whose dependencies are these.
    pub(crate) async fn watched(
        collector: Option<(TraceSettings, Arc<dyn Http>)>,
        dependencies: Vec<Arc<dyn Dependency>>,
        answers: Vec<Value>,
    ) -> Self {
        let clock = Arc::new(SystemClock);
        let store = Arc::new(MemoryStore::new(std::time::Duration::from_secs(30), clock.clone()));
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let installation = Installation::of(folder, store, clock, Vec::new());
        let installation = Arc::new(Installation { collector, dependencies, ..installation });
        installation.server_with(developing(), answers).await
    }

    /// What it shares with other servers.
    pub(crate) fn installation(&self) -> &Arc<Installation> {
        &self.installation
    }

    /// What a request is answered; it is sent to this machine unless it says otherwise.
    pub(crate) async fn ask(&self, mut request: Request<Body>) -> Reply {
        request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}

/// The workflow of the library that indexes a document.
fn indexing() -> Arc<Bundle> {
    let text = include_str!("../../../definitions/indexing/document.yaml");
    let loaded = load_text("indexing/document", text, &liteagent_nodes::registry());
    Arc::new(loaded.bundle.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)))
}

/// The settings of a developer.
pub(crate) fn developing() -> Settings {
    Settings { dev_key: Some(KEY.to_owned()), ..Settings::default() }
}
