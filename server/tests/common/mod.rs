//! A server over stores that end with the test.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use liteagent_engine::{
    capability::Capabilities,
    engine::{Engine, EngineConfig},
    store::{MemoryStore, StoredHistory, Stores},
    testing::FakeModels,
    time::{Clock, SystemClock},
    units::Duration,
    value::Value,
};
use liteagent_server::{Metrics, Parts, Server, Settings, store::SqliteStore};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// The development key.
pub(crate) const KEY: &str = "la_scenarios";

/// A server of one test.
pub(crate) struct World {
    /// The server.
    pub(crate) server: Server,
    /// The models.
    pub(crate) models: Arc<FakeModels>,
    _folder: Arc<TempDir>,
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

impl World {
    /// A server with nothing in it, whose models answer so.
    pub(crate) async fn new(answers: Vec<Value>) -> Self {
        let settings = Settings { dev_key: Some(KEY.to_owned()), ..Settings::default() };
        Self::with(Arc::new(tempfile::tempdir().unwrap()), Arc::new(SystemClock), settings, answers).await
    }

    /// The same over a folder that others may use too: each is a process of its own. Runs end with it.
    pub(crate) async fn with(
        folder: Arc<TempDir>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        answers: Vec<Value>,
    ) -> Self {
        let models = Arc::new(FakeModels::answering(answers));
        let store = Arc::new(MemoryStore::new(std::time::Duration::from_secs(30), clock.clone()));
        let stores = Stores::of_memory(&store);
        let caps = Capabilities {
            files: Some(store.clone()),
            kv: Some(store.clone()),
            models: Some(models.clone()),
            history: Some(Arc::new(StoredHistory(stores.journal.clone()))),
            ..Capabilities::default()
        };
        let config = EngineConfig {
            registry: liteagent_nodes::registry(),
            stores: stores.clone(),
            caps: Arc::new(caps),
            clock: clock.clone(),
            observer: None,
            hold: Duration::from_millis(0),
            quarantine: None,
        };
        let parts = Parts {
            engine: Engine::open(config).await.unwrap(),
            stores,
            registry: liteagent_nodes::registry(),
            models: models.clone(),
            store: Arc::new(SqliteStore::open(folder.path()).await.unwrap()),
            clock,
            metrics: Arc::new(Metrics::default()),
        };
        let server = Server::open(parts, settings).await.unwrap();
        Self { server, models, _folder: folder }
    }

    /// What a request is answered.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Reply {
        let response = self.server.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}
