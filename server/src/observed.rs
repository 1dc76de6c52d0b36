//! What a process tells of itself that has no API: whether it lives, whether it is ready, and its metrics.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use liteagent_engine::{codes, engine::Engine, id::RunId, store::Stores, time::SystemClock};
use tokio::{net::TcpListener, time::timeout};
use uuid::Uuid;

use crate::{
    health::Health,
    metrics::{Metrics, Sources},
    problem::Problem,
    queues::Fleet,
};

/// How long the store and the queue may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that executes runs and has no API.
#[derive(Clone)]
pub struct Observed {
    /// Executes runs.
    pub engine: Engine,
    /// Where runs are kept.
    pub stores: Stores,
    /// What is counted; the engine's observer.
    pub metrics: Arc<Metrics>,
    /// Where work comes from.
    pub fleet: Fleet,
    /// The data folder, whose disk is watched.
    pub data: PathBuf,
}

impl Observed {
    /// Answers `/health/live`, `/health/ready` and `/metrics` for as long as it is polled.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        axum::serve(listener, self.router()).await
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/health/live", get(async || Json(Health::OK)))
            .route("/health/ready", get(ready))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self))
    }
}

/// Whether it can execute runs: the store and the queue answer.
async fn ready(State(of): State<Arc<Observed>>) -> Result<Json<Health>, Problem> {
    let away = |code, detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
    let late = |what: &str| format!("the {what} did not answer within {} s", PATIENCE.as_secs());
    let row = timeout(PATIENCE, of.stores.journal.run(RunId(Uuid::nil()))).await;
    row.map_err(|_| away(codes::STORE, late("store")))??;
    for group in of.engine.serves() {
        let depth = timeout(PATIENCE, of.fleet.queue.depth(group)).await;
        depth.map_err(|_| away(codes::QUEUE_UNREACHABLE, late("queue")))??;
    }
    Ok(Json(Health::OK))
}

async fn metrics(State(of): State<Arc<Observed>>, headers: HeaderMap) -> Result<Response, Problem> {
    let sources = Sources {
        engine: &of.engine,
        stores: &of.stores,
        clock: &SystemClock,
        data: Some(&of.data),
        fleet: Some(&of.fleet),
        app: None,
    };
    of.metrics.told(&sources, &headers).await
}
