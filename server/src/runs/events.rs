//! `GET /api/runs/{id}/events`: what goes out of a run, as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use liteagent_engine::{codes, id::RunId, stream::StreamId};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{
    follow::{Follow, Talked, Told},
    list::RunPath,
    visible,
};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::Path,
    problem::Problem,
    routes::Routes,
};

/// How often something is sent when there is nothing to say.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// An event of a stream, as a reader of server-sent events gets it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document describes what is written line by line")]
pub(crate) struct StreamedEvent {
    /// Where a reader stands that has it: sent as `Last-Event-ID`, it goes on from there.
    id: Option<String>,
    /// What it is.
    event: Option<String>,
    /// Its content: mostly JSON.
    data: String,
}

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::Stream(Role::Viewer), routes!(events))
}

/// Follows a run
///
/// `record`: something became durable. `text`: the next piece of an answer. `reset`: what was shown of an answer, or of all,
/// does not hold. `complete`: an answer is whole. `end`: how the run ended; nothing follows. Each has an `id`: sent as
/// `Last-Event-ID`, it goes on where the connection broke, without loss or repetition.
#[utoipa::path(get, path = "/api/runs/{id}/events", tag = "runs",
    params(RunPath, ("ticket" = Option<String>, Query, description = "A ticket, in the place of the header `Authorization`"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that arrived")),
    responses((status = 200, body = StreamedEvent, content_type = "text/event-stream")))]
async fn events(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = visible(&app, &caller, &id).await?;
    let after = headers.get("last-event-id").map(place).transpose()?;
    stream(&app, row.id, Talked { conversation: row.conversation, user: None }, after).await
}

pub(crate) fn place(id: &HeaderValue) -> Result<StreamId, Problem> {
    let text = id.to_str().unwrap_or_default();
    text.parse().map_err(|error| {
        Problem::invalid(codes::REQUEST_PARAMETER, format!("`Last-Event-ID`: {error}"))
            .hint("send the `id` of an event of this run, or leave the header out")
    })
}

/// What goes out of a run after a place, as a response.
pub(crate) async fn stream(
    app: &Arc<App>,
    run: RunId,
    talk: Talked,
    after: Option<StreamId>,
) -> Result<Response, Problem> {
    let follow = Follow::open(app, run, talk, after).await?;
    let mut headers = HeaderMap::new();
    let id = HeaderValue::from_str(&run.to_string()).expect("an id has only letters and digits");
    headers.insert("x-run-id", id);
    // Whoever began it outside of a server may have called it anything.
    if let Some(id) = follow.conversation().and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert("x-conversation-id", id);
    }
    // Nginx would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let events = stream::unfold(follow, async |mut follow| {
        let told = follow.next().await?;
        Some((Ok::<_, Infallible>(event(told)), follow))
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    Ok((headers, sse).into_response())
}

fn event(told: Told) -> Event {
    let event = Event::default().event(told.name).data(told.data);
    match told.id {
        Some(id) => event.id(id.to_string()),
        None => event,
    }
}
