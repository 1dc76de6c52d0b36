//! `GET /v1/models`.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::Refusal;
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Path},
    routes::Routes,
    workflows::Published,
};

pub(super) fn routes(routes: Routes) -> Routes {
    let access = Access::UserOrKey(Role::Viewer);
    routes.add(access, routes!(list)).add(access, routes!(show))
}

/// A workflow as a model.
#[derive(Serialize, ToSchema)]
struct WorkflowModel {
    /// The name of the workflow.
    id: String,
    /// `model`.
    object: &'static str,
    /// When its published version was made, in seconds since 1970.
    created: i64,
    /// `liteagent`.
    owned_by: &'static str,
}

impl WorkflowModel {
    fn of(published: &Published) -> Self {
        Self {
            id: published.row.workflow.clone(),
            object: "model",
            created: published.row.created_at / 1_000,
            owned_by: "liteagent",
        }
    }
}

/// A list of models.
#[derive(Serialize, ToSchema)]
struct WorkflowModels {
    /// `list`.
    object: &'static str,
    /// The workflows that can be asked: chats, and those with one text as their only required input.
    data: Vec<WorkflowModel>,
}

/// Lists the workflows that can be asked as models
#[utoipa::path(get, path = "/v1/models", tag = "openai", responses((status = 200, body = WorkflowModels)))]
async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<WorkflowModels>, Refusal> {
    let own = caller.only_workflow()?;
    let all = app.workflows.all_published();
    let fits = |published: &&Arc<Published>| {
        own.is_none_or(|own| published.row.workflow == own)
            && published.bundle.entry().is_some_and(|definition| super::answer::asked_by(definition).is_some())
    };
    Ok(Json(WorkflowModels {
        object: "list",
        data: all.iter().filter(fits).map(|published| WorkflowModel::of(published)).collect(),
    }))
}

/// Which model.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ModelPath {
    /// The name of the workflow, with `/` written as `%2F`.
    model: String,
}

/// Shows a workflow as a model
#[utoipa::path(get, path = "/v1/models/{model}", tag = "openai", params(ModelPath), responses((status = 200, body = WorkflowModel)))]
async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(ModelPath { model }): Path<ModelPath>,
) -> Result<Json<WorkflowModel>, Refusal> {
    caller.check_workflow(&model)?;
    Ok(Json(WorkflowModel::of(&*app.workflows.published(&model)?)))
}
