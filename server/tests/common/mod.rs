//! A server over stores that end with the test.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
};
use liteagent_engine::{
    capability::{Capabilities, HttpCall, Secrets},
    engine::{Engine, EngineConfig},
    store::{MemoryStore, StoredHistory, Stores},
    testing::{FakeHttp, FakeModels},
    time::{Clock, SystemClock},
    units::Duration,
    value::Value,
};
use liteagent_server::{Metrics, Parts, Server, Settings, store::SqliteStore};
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
}

/// A server of one test.
pub(crate) struct World {
    pub(crate) server: Server,
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
        Arc::new(Self { folder: Arc::new(tempfile::tempdir().unwrap()), store, clock, secrets, http: Arc::default() })
    }

    /// Nothing in it yet, where others on the network answer so.
    pub(crate) fn answering(clock: Arc<dyn Clock>, answers: Vec<Value>) -> Arc<Self> {
        let new = Arc::into_inner(Self::new(clock, SECRETS)).unwrap();
        Arc::new(Self { http: Arc::new(FakeHttp::answering(answers)), ..new })
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

    pub(crate) async fn server_with(self: &Arc<Self>, settings: Settings, answers: Vec<Value>) -> World {
        let models = Arc::new(FakeModels::answering(answers));
        let stores = self.stores();
        let secrets = Arc::new(Secrets::new(self.secrets.clone()));
        let caps = Capabilities {
            files: Some(self.store.clone()),
            kv: Some(self.store.clone()),
            http: Some(self.http.clone()),
            models: Some(models.clone()),
            history: Some(Arc::new(StoredHistory(stores.journal.clone()))),
            secrets: secrets.clone(),
            ..Capabilities::default()
        };
        let config = EngineConfig {
            registry: liteagent_nodes::registry(),
            stores: stores.clone(),
            caps: Arc::new(caps),
            clock: self.clock.clone(),
            observer: None,
            hold: Duration::from_millis(0),
            quarantine: None,
        };
        let parts = Parts {
            engine: Engine::open(config).await.unwrap(),
            stores,
            registry: liteagent_nodes::registry(),
            models: models.clone(),
            store: Arc::new(self.rows().await),
            secrets,
            files: self.store.clone(),
            clock: self.clock.clone(),
            metrics: Arc::new(Metrics::default()),
        };
        let server = Server::open(parts, settings).await.unwrap();
        World { router: server.router(), server, models, installation: self.clone() }
    }
}

impl World {
    /// A server with nothing in it, whose models answer so.
    pub(crate) async fn new(answers: Vec<Value>) -> Self {
        Installation::new(Arc::new(SystemClock), SECRETS).server_with(developing(), answers).await
    }

    /// A server over a folder that others may use too: each is a process of its own. Runs end with it.
    pub(crate) async fn with(
        folder: Arc<TempDir>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        answers: Vec<Value>,
    ) -> Self {
        let store = Arc::new(MemoryStore::new(std::time::Duration::from_secs(30), clock.clone()));
        let installation = Arc::new(Installation { folder, store, clock, secrets: Vec::new(), http: Arc::default() });
        installation.server_with(settings, answers).await
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

/// A server on a developer's machine.
pub(crate) fn developing() -> Settings {
    Settings { dev_key: Some(KEY.to_owned()), ..Settings::default() }
}
