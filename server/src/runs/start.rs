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

use super::{
    RunReply, Standing,
    events::{self, StreamedEvent},
    follow::Talked,
};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    conversations::{Talk, not_a_chat},
    extract::Json,
    problem::Problem,
    routes::Routes,
    traces,
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
pub(crate) struct StartBody {
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
    /// Of a chat workflow: the conversation that goes on; a new one by default, whose id the reply has.
    conversation: Option<String>,
    /// The run whose message is edited, or answered again: the new one stands beside it, after what was said before. The newest
    /// by default.
    #[schema(example = "run_01kgd0a9qse7xv3m2bn4t5w6y8")]
    beside: Option<String>,
    /// Whom it is for, as templates see it in `sys.user`: a text, or an object with `id` or `name`. The caller by default; with
    /// an API key and a chat workflow a fresh user, whose id the reply has.
    #[schema(value_type = Option<Object>)]
    user: Option<Value>,
    /// Whom it is about: `liteagent forget --subject` deletes it by that.
    subject: Option<String>,
}

/// How the answer comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
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
        (status = 200, description = "It has ended", content((RunReply = "application/json"), (StreamedEvent = "text/event-stream"))),
        (status = 202, description = "It goes on", body = RunReply),
    ))]
async fn start(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<StartBody>,
) -> Result<Response, Problem> {
    let idempotency = idempotency(&headers, &caller, &body)?;
    let mode = body.mode;
    let started = Started::begin(&app, &caller, body, idempotency).await?;
    match mode {
        Mode::Wait => wait(&app, started).await,
        Mode::Async => {
            let reply = RunReply::begun(started.run, Standing::Queued);
            Ok((StatusCode::ACCEPTED, Json(started.talked().tell(reply))).into_response())
        }
        Mode::Stream => events::stream(&app, started.run, started.talked(), None).await,
    }
}

/// A run that was started.
pub(crate) struct Started {
    pub(crate) run: RunId,
    /// The conversation that it belongs to.
    pub(crate) talk: Option<Talk>,
}

impl Started {
    /// Starts a run for a caller.
    ///
    /// # Errors
    /// When the caller may not, there is no such workflow or conversation, or the run cannot begin.
    pub(crate) async fn begin(
        app: &App,
        caller: &Caller,
        body: StartBody,
        idempotency: Option<Idempotency>,
    ) -> Result<Self, Problem> {
        caller.check_workflow(&body.workflow)?;
        let published = app.workflows.at(&body.workflow, body.version).await?;
        if body.version.is_some() {
            let checked = app.workflows.check_uses(&published.bundle, caller.is_owner());
            checked.map_err(|needs| needs.problem(&body.workflow))?;
        }
        let (id, user) = (body.conversation.as_deref(), body.user.as_ref());
        let talk = Talk::of(app, caller, &published.bundle, id, user).await?;
        let beside = match (&body.beside, &talk) {
            (None, _) => None,
            (Some(run), Some(talk)) => Some(talk.turn(app, run).await?),
            (Some(_), None) => return Err(not_a_chat(&published.bundle.entry)),
        };
        let by_default = || talk.as_ref().map_or_else(|| value!({ "name": caller.name() }), |talk| talk.user(caller));
        let repeats = idempotency.is_some();
        let id = traces::run_of_request().unwrap_or_else(RunId::random);
        let (inputs, given) = app.give_uploads(caller, id, body.inputs).await?;
        let start = Start {
            id: Some(id),
            user: body.user.unwrap_or_else(by_default),
            conversation: talk.as_ref().map(|talk| talk.id.clone()),
            beside,
            speaker: talk.as_ref().and_then(|talk| talk.speaker.clone()),
            subject: body.subject,
            idempotency,
            ..Start::new(published.bundle.clone(), inputs, value!({ "type": "api" }))
        };
        let begun = app.begin(Some(caller), start).await;
        app.settle_uploads(&given, begun.as_ref().ok().copied()).await?;
        let run = begun?;
        let mut started = Self { run, talk };
        if repeats && let Some(talk) = &mut started.talk {
            talk.go_back(app, run).await?;
        }
        Ok(started)
    }

    /// Its conversation, as replies tell of it.
    pub(crate) fn talked(&self) -> Talked {
        let talk = self.talk.as_ref();
        Talked {
            conversation: talk.map(|talk| talk.id.clone()),
            user: talk.and_then(Talk::named_user).map(str::to_owned),
        }
    }
}

/// How a run came to rest, or how it stands when that takes too long.
async fn wait(app: &App, started: Started) -> Result<Response, Problem> {
    let run = started.run;
    let reply = match tokio::time::timeout(app.settings.wait, app.engine.settled(run)).await {
        Ok(settled) => RunReply::of(run, settled?),
        Err(_) => RunReply::begun(run, Standing::Running),
    };
    let status = if reply.usage.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(started.talked().tell(reply))).into_response())
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
        "beside": body.beside.clone(),
        "user": body.user.clone(),
        "subject": body.subject.clone(),
    });
    let json = serde_json::to_vec(&meant).expect("a value has a JSON form");
    Ok(Some(Idempotency { caller: caller.space(), key: key.to_owned(), body: Digest::of(&json) }))
}
