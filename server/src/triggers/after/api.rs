//! `/api/after`.

use std::sync::Arc;

use axum::extract::State;
use liteagent_engine::{event::RunStatus, time::iso};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Follower, all};
use crate::{
    access::{Access, Role},
    app::App,
    extract::{Json, Query},
    problem::Problem,
    routes::Routes,
    store::AfterFiring,
};

/// So many of the newest ends are shown.
const SHOWN: u32 = 20;

pub(in crate::triggers) fn routes(routes: Routes) -> Routes {
    routes.add(Access::User(Role::Viewer), routes!(list))
}

/// Triggers that start runs after others.
#[derive(Serialize, ToSchema)]
struct Followers {
    /// The triggers, by workflow and name.
    triggers: Vec<FollowerReply>,
}

/// A trigger that starts runs after others.
#[derive(Serialize, ToSchema)]
struct FollowerReply {
    /// The workflow whose runs it starts.
    workflow: String,
    /// Its name there.
    name: String,
    /// The workflow after whose runs it starts them.
    after: String,
    /// How those runs ended.
    status: Vec<String>,
    /// The newest ends that it saw, at most 20. They are kept for 90 days.
    firings: Vec<EndReply>,
}

/// The end of a run that a trigger waited for.
#[derive(Serialize, ToSchema)]
struct EndReply {
    /// The run that ended.
    ended: String,
    /// When that was handled.
    #[schema(format = DateTime)]
    at: String,
    /// The run that was started.
    run: Option<String>,
    /// Why none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<AfterFiring> for EndReply {
    fn from(firing: AfterFiring) -> Self {
        let AfterFiring { ended, at, run, message, .. } = firing;
        Self { ended: ended.to_string(), at: iso(at), run: run.map(|run| run.to_string()), message }
    }
}

/// Which triggers.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only those of this workflow.
    workflow: Option<String>,
}

/// Lists the triggers that start runs after others, with what became of the newest ends
#[utoipa::path(get, path = "/api/after", tag = "schedules", params(ListQuery),
    responses((status = 200, body = Followers)))]
async fn list(State(app): State<Arc<App>>, Query(query): Query<ListQuery>) -> Result<Json<Followers>, Problem> {
    let mut triggers = Vec::new();
    for Follower { id, trigger, .. } in all(&app) {
        if query.workflow.as_ref().is_some_and(|workflow| *workflow != id.workflow) {
            continue;
        }
        let every = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled].into_iter();
        let firings = app.store.after_firings(&id, SHOWN).await?;
        triggers.push(FollowerReply {
            workflow: id.workflow,
            name: id.name,
            status: every
                .filter(|status| trigger.after.status.has(*status))
                .map(|status| status.as_str().to_owned())
                .collect(),
            after: trigger.after.workflow,
            firings: firings.into_iter().map(EndReply::from).collect(),
        });
    }
    Ok(Json(Followers { triggers }))
}
