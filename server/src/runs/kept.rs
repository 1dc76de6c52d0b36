//! What is kept of runs: given out whole, and deleted before its time.

use std::sync::Arc;

use axum::extract::State;
use liteagent_backends::clean;
use liteagent_engine::{codes, engine::EngineError, export::Export, units::Duration};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{list::RunPath, visible};
use crate::{
    access::{Access, Caller, Role},
    accounts::Actor,
    app::App,
    extract::{Json, Path},
    problem::Problem,
    routes::Routes,
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::User(Role::Viewer), routes!(export)).add(Access::User(Role::Owner), routes!(prune))
}

/// Gives a run as one object: `run`, `bundle`, `records`, `blobs`
///
/// It is what `liteagent runs export` prints. Secrets are in none of it.
#[utoipa::path(get, path = "/api/runs/{id}/export", tag = "runs", params(RunPath),
    responses((status = 200, body = serde_json::Map<String, serde_json::Value>)))]
async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
) -> Result<Json<Export>, Problem> {
    let run = visible(&app, &caller, &id).await?.id;
    Ok(Json(Export::of(&app.stores, run).await?.ok_or(EngineError::UnknownRun(run))?))
}

/// Which runs are deleted.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PruneBody {
    /// Those that ended longer ago. Default: as long as the server keeps runs.
    #[schema(value_type = Option<String>, example = "30d")]
    older_than: Option<Duration>,
}

/// What was deleted.
#[derive(Serialize, ToSchema)]
struct Pruned {
    /// How many runs.
    runs: u64,
    /// How many large values and files that no run named any more.
    blobs: u64,
}

/// Deletes old runs that have ended
///
/// The server does so by itself, every hour, with those that ended longer ago than `[retention] runs` says.
#[utoipa::path(post, path = "/api/runs/prune", tag = "runs", request_body = PruneBody,
    responses((status = 200, body = Pruned)))]
async fn prune(
    State(app): State<Arc<App>>,
    actor: Actor,
    Json(body): Json<PruneBody>,
) -> Result<Json<Pruned>, Problem> {
    let keep = body.older_than.map(|time| time.0).or(app.settings.retention.runs).ok_or_else(|| {
        Problem::invalid(codes::REQUEST_BODY, "expected `older_than`: this server keeps runs for ever")
            .hint("say which runs to delete: `{\"older_than\": \"30d\"}`")
    })?;
    let target = format!("runs that ended more than {} ago", Duration(keep));
    app.store.record(actor.entry(app.clock.now(), "runs.prune", target)).await?;
    let cleaned = clean(&app.stores, app.clock.now(), keep).await?;
    Ok(Json(Pruned { runs: cleaned.runs, blobs: cleaned.blobs }))
}
