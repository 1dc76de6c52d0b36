//! A server over stores that end with the test.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use liteagent_engine::{
    capability::Capabilities,
    engine::{Engine, EngineConfig},
    store::{MemoryStore, StoredHistory, Stores},
    time::{Clock, SystemClock},
    units::Duration,
};
use liteagent_server::{Parts, Server, Settings, store::SqliteStore};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// The development key.
pub const KEY: &str = "la_scenarios";

/// A server of one test.
pub struct World {
    router: Router,
    _folder: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl World {
    /// A server with nothing in it.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Arc::new(MemoryStore::new(std::time::Duration::from_secs(30), clock.clone()));
        let stores = Stores::of_memory(&store);
        let caps = Capabilities {
            files: Some(store.clone()),
            kv: Some(store.clone()),
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
            store: Arc::new(SqliteStore::open(folder.path()).await.unwrap()),
            clock,
        };
        let settings = Settings { dev_key: Some(KEY.to_owned()), ..Settings::default() };
        let server = Server::open(parts, settings).await.unwrap();
        Self { router: server.router(), _folder: folder }
    }

    /// What a request is answered.
    pub async fn ask(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}
