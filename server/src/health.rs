//! Whether the server lives, and whether it is ready for requests.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use liteagent_engine::codes;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::{access::Access, app::App, extract::Json, problem::Problem, routes::Routes};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.add(Access::Open, routes!(live)).add(Access::Open, routes!(ready))
}

/// How it stands with the server.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
    /// The release.
    version: &'static str,
    /// What does not work as it should, while the server takes requests: `secrets`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<&'static str>,
}

impl Health {
    const OK: Self = Self { status: "ok", version: env!("CARGO_PKG_VERSION"), degraded: Vec::new() };
}

/// Whether the process lives
///
/// Asks nothing that it depends on: a restart would not mend that.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Health)))]
async fn live() -> Json<Health> {
    Json(Health::OK)
}

/// Whether the server takes requests
///
/// It does when its store answers within 10 seconds, and it is not about to stop.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses((status = 200, body = Health)))]
async fn ready(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    const MOST: std::time::Duration = std::time::Duration::from_secs(10);
    if app.is_stopping() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, codes::STOPPING, "the server is about to stop")
            .hint("send the request to another server"));
    }
    let late = |_| {
        let detail = format!("the store did not answer within {} s", MOST.as_secs());
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, codes::STORE, detail)
    };
    tokio::time::timeout(MOST, app.store.ping()).await.map_err(late)??;
    let degraded = if app.vault.unreadable().is_empty() { Vec::new() } else { vec!["secrets"] };
    Ok(Json(Health { degraded, ..Health::OK }))
}
