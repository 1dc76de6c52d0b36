//! Cancelling, resuming, answering, restarting and forking runs.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use liteagent_engine::{
    codes,
    engine::{Cut, EngineError},
    event::SignalTo,
    id::RunId,
    value::Value,
    view::ViewStatus,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{RunReply, Standing, list::RunPath, visible};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Path},
    problem::Problem,
    routes::Routes,
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::UserOrKey(Role::Editor), routes!(cancel))
        .add(Access::UserOrKey(Role::Editor), routes!(signal))
        .add(Access::User(Role::Editor), routes!(answer))
        .add(Access::User(Role::Editor), routes!(restart))
        .add(Access::User(Role::Editor), routes!(fork))
}

/// Stops a run
///
/// Its `finally` still runs; a second call ends that too.
#[utoipa::path(post, path = "/api/runs/{id}/cancel", tag = "runs", params(RunPath), responses((status = 202, body = RunReply)))]
async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
) -> Result<(StatusCode, Json<RunReply>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(cancel_run(&app, &caller, &id).await?)))
}

/// Stops a run for a caller.
pub(crate) async fn cancel_run(app: &App, caller: &Caller, id: &str) -> Result<RunReply, Problem> {
    let row = visible(app, caller, id).await?;
    app.engine.cancel(row.id, Some(caller.name())).await?;
    Ok(RunReply::begun(row.id, Standing::of(&row)))
}

/// A signal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalBody {
    /// Its name, as `wait` nodes say it.
    #[schema(example = "paid")]
    name: String,
    /// What it carries.
    #[serde(default)]
    #[schema(value_type = Object)]
    payload: Value,
}

/// Sends a signal
///
/// It is kept until a node waits for it, or the run ends. What a person is asked is answered by
/// `POST /api/runs/{id}/answer` alone.
#[utoipa::path(post, path = "/api/runs/{id}/signal", tag = "runs", params(RunPath), request_body = SignalBody,
    responses((status = 202, body = RunReply)))]
async fn signal(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
    Json(body): Json<SignalBody>,
) -> Result<(StatusCode, Json<RunReply>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(signal_run(&app, &caller, &id, body).await?)))
}

/// Sends a signal for a caller.
pub(crate) async fn signal_run(app: &App, caller: &Caller, id: &str, body: SignalBody) -> Result<RunReply, Problem> {
    let row = visible(app, caller, id).await?;
    app.engine.signal(row.id, SignalTo::Name(body.name), body.payload, Some(caller.name())).await?;
    Ok(RunReply::begun(row.id, Standing::of(&row)))
}

/// An answer to what a person is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerBody {
    /// The path of the node that waits.
    node: String,
    /// The action that was chosen.
    action: String,
    /// The fields of the form.
    #[serde(default = "Value::object")]
    #[schema(value_type = Object)]
    form: Value,
}

/// Answers what a person is asked
///
/// Only someone whom the node asks may: `to` holds the address, or nobody in particular. An answer that does not fit the form
/// is refused by the node, which goes on waiting and says why.
#[utoipa::path(post, path = "/api/runs/{id}/answer", tag = "runs", params(RunPath), request_body = AnswerBody,
    responses((status = 202, body = RunReply)))]
async fn answer(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
    Json(body): Json<AnswerBody>,
) -> Result<(StatusCode, Json<RunReply>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(answer_run(&app, &caller, &id, body).await?)))
}

/// Answers what a person is asked, for a caller.
pub(crate) async fn answer_run(app: &App, caller: &Caller, id: &str, body: AnswerBody) -> Result<RunReply, Problem> {
    let row = visible(app, caller, id).await?;
    let view = app.engine.view(row.id).await?.ok_or(EngineError::UnknownRun(row.id))?;
    let asked = view.nodes.get(&body.node).and_then(|node| match &node.status {
        ViewStatus::Waiting(wait) if !wait.ask.is_null() => Some(&wait.ask),
        _ => None,
    });
    let asked = asked.ok_or_else(|| {
        Problem::conflict(codes::RUN_STATE, format!("the node `{}` does not wait for a person", body.node))
            .hint("GET /api/runs/{id} shows which nodes wait")
            .about(row.id)
    })?;
    if !belongs(caller, asked.get("to").and_then(Value::as_str)) {
        let detail = format!("`{}` asks somebody else than {}", body.node, caller.name());
        return Err(Problem::new(StatusCode::FORBIDDEN, codes::NOT_ALLOWED, detail)
            .hint("let the one answer whom `to` names")
            .about(row.id));
    }
    let payload = Value::from_pairs([("action", Value::from(body.action)), ("form", body.form)]);
    app.engine.signal(row.id, SignalTo::Node(body.node), payload, Some(caller.name())).await?;
    Ok(RunReply::begun(row.id, Standing::of(&row)))
}

/// Whether a caller is among those who are asked.
fn belongs(caller: &Caller, to: Option<&str>) -> bool {
    match caller {
        Caller::User(user) => user.is_developer() || to.is_none_or(|to| to.eq_ignore_ascii_case(&user.name)),
        Caller::Key(_) => false,
    }
}

/// Where a run begins anew.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RestartBody {
    /// The first node that is done again, with all that depends on it.
    node: String,
}

/// Starts a new run that keeps what another one settled, but for a node and what depends on it
///
/// What nodes did outside is not undone.
#[utoipa::path(post, path = "/api/runs/{id}/restart", tag = "runs", params(RunPath), request_body = RestartBody,
    responses((status = 202, body = RunReply)))]
async fn restart(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
    Json(body): Json<RestartBody>,
) -> Result<(StatusCode, Json<RunReply>), Problem> {
    let row = visible(&app, &caller, &id).await?;
    let cut = Cut::Restart { node: body.node };
    let new = app.begin_again(Some(&caller), RunId::random(), row.id, cut).await?;
    Ok((StatusCode::ACCEPTED, Json(RunReply::begun(new, Standing::Queued))))
}

/// What is different in a fork.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ForkBody {
    /// Whether the new run is of the published version; of the old run's by default.
    #[serde(default)]
    published: bool,
    /// Other inputs.
    #[schema(value_type = Option<Object>)]
    inputs: Option<Value>,
}

/// Starts a new run that keeps every node which is the same and reads the same
#[utoipa::path(post, path = "/api/runs/{id}/fork", tag = "runs", params(RunPath), request_body = ForkBody,
    responses((status = 202, body = RunReply)))]
async fn fork(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
    Json(body): Json<ForkBody>,
) -> Result<(StatusCode, Json<RunReply>), Problem> {
    let row = visible(&app, &caller, &id).await?;
    let bundle = if body.published { Some(app.workflows.published(&row.workflow)?.bundle.clone()) } else { None };
    let cut = Cut::Fork { bundle, inputs: body.inputs };
    let new = app.begin_again(Some(&caller), RunId::random(), row.id, cut).await?;
    Ok((StatusCode::ACCEPTED, Json(RunReply::begun(new, Standing::Queued))))
}
