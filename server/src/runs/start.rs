//! `POST /api/runs`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use liteagent_engine::{
    codes,
    engine::Start,
    id::{Digest, RunId},
    store::Idempotency,
    value,
    value::Value,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{RunReply, Standing, events};
use crate::{
    access::{Access, Caller, Role},
    accounts::Actor,
    app::App,
    extract::Json,
    problem::Problem,
    routes::Routes,
};

/// The header that gives the same run again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest key.
const LONGEST_KEY: usize = 255;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::UserOrKey(Role::Editor), routes!(start))
}

/// A run that shall begin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartBody {
    /// The workflow.
    #[schema(example = "support/answer")]
    workflow: String,
    /// Its version; the published one by default.
    version: Option<u32>,
    /// The inputs that it declares. One of the type `file` takes the `file` of an upload, of which `id` is enough.
    #[serde(default = "Value::object")]
    #[schema(value_type = Object)]
    inputs: Value,
    /// How the answer comes.
    #[serde(default)]
    mode: Mode,
    /// The conversation that it belongs to.
    conversation: Option<String>,
    /// Whom it is for, as templates see it in `sys.user`: a text, or an object with `name`. The caller by default.
    #[schema(value_type = Option<Object>)]
    user: Option<Value>,
    /// Whom it is about: `liteagent forget --subject` deletes it by that.
    subject: Option<String>,
}

/// How the answer comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// When the run has ended or waits for a person, at most a minute later; then with status 202 as it stands.
    #[default]
    Wait,
    /// As soon as the run is durable, with status 202.
    Async,
    /// As server-sent events, like `GET /api/runs/{id}/events`.
    Stream,
}

/// Starts a run
///
/// With the header `Idempotency-Key`, the same request within 24 hours gives the same run again.
#[utoipa::path(post, path = "/api/runs", tag = "runs",
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text of at most 255 characters")),
    request_body = StartBody,
    responses(
        (status = 200, description = "It has ended", content((RunReply = "application/json"), (String = "text/event-stream"))),
        (status = 202, description = "It goes on", body = RunReply),
    ))]
async fn start(
    State(app): State<Arc<App>>,
    caller: Caller,
    actor: Actor,
    headers: HeaderMap,
    Json(body): Json<StartBody>,
) -> Result<Response, Problem> {
    caller.check_workflow(&body.workflow)?;
    let published = app.workflows.at(&body.workflow, body.version).await?;
    if body.version.is_some() {
        app.workflows.check_uses(&published.bundle, &actor).map_err(|needs| needs.problem(&body.workflow))?;
    }
    let idempotency = idempotency(&headers, &caller, &body)?;
    let id = RunId::random();
    let (inputs, given) = app.give_uploads(&caller, id, body.inputs).await?;
    let user = body.user.unwrap_or_else(|| value!({ "name": caller.name() }));
    let start = Start {
        id: Some(id),
        user,
        conversation: body.conversation,
        subject: body.subject,
        idempotency,
        ..Start::new(published.bundle.clone(), inputs, value!({ "type": "api" }))
    };
    let begun = app.engine.start(start).await;
    app.settle_uploads(&given, begun.as_ref().ok().copied()).await?;
    let run = begun?;
    match body.mode {
        Mode::Wait => wait(&app, run).await,
        Mode::Async => Ok((StatusCode::ACCEPTED, Json(RunReply::begun(run, Standing::Queued))).into_response()),
        Mode::Stream => events::stream(&app, run, None).await,
    }
}

/// How a run came to rest, or how it stands when that takes too long.
async fn wait(app: &App, run: RunId) -> Result<Response, Problem> {
    match tokio::time::timeout(app.settings.wait, app.engine.settled(run)).await {
        Ok(settled) => {
            let reply = RunReply::of(run, settled?);
            let status = if reply.usage.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
            Ok((status, Json(reply)).into_response())
        }
        Err(_) => Ok((StatusCode::ACCEPTED, Json(RunReply::begun(run, Standing::Running))).into_response()),
    }
}

/// The key that a request may be sent again with.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len())).ok_or_else(|| {
        Problem::invalid(codes::REQUEST_PARAMETER, "`Idempotency-Key` is no text of 1 to 255 visible characters")
            .hint("use a fresh UUID for each request that is a new one")
    })?;
    Ok(Some(key))
}

/// What makes the same request the same run.
fn idempotency(headers: &HeaderMap, caller: &Caller, body: &StartBody) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = idempotency_key(headers)? else { return Ok(None) };
    let meant = value!({
        "version": body.version,
        "inputs": body.inputs.clone(),
        "conversation": body.conversation.clone(),
        "user": body.user.clone(),
        "subject": body.subject.clone(),
    });
    let json = serde_json::to_vec(&meant).expect("a value has a JSON form");
    Ok(Some(Idempotency { caller: caller.space(), key: key.to_owned(), body: Digest::of(&json) }))
}
