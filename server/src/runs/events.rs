//! `GET /api/runs/{id}/events`: what goes out of a run, as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use liteagent_engine::{
    codes,
    id::RunId,
    stream::{RunStream, StreamEvent, StreamId, StreamItem},
};
use utoipa_axum::routes;

use super::{RunReply, list::RunPath, visible};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::Path,
    metrics::OpenStream,
    problem::Problem,
    routes::Routes,
};

/// How often something is sent when there is nothing to say.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::UserOrKey(Role::Viewer), routes!(events))
}

/// Follows a run
///
/// `record`: something became durable. `text`: the next piece of an answer. `reset`: what was shown of an answer, or of all,
/// does not hold. `complete`: an answer is whole. `end`: how the run ended; nothing follows. Each has an `id`: sent as
/// `Last-Event-ID`, it goes on where the connection broke, without loss or repetition.
#[utoipa::path(get, path = "/api/runs/{id}/events", tag = "runs",
    params(RunPath, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that arrived")),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
async fn events(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&app, &caller, &id).await?.id;
    let after = headers.get("last-event-id").map(place).transpose()?;
    stream(&app, run, after).await
}

fn place(id: &HeaderValue) -> Result<StreamId, Problem> {
    let text = id.to_str().unwrap_or_default();
    text.parse().map_err(|error| {
        Problem::invalid(codes::REQUEST_PARAMETER, format!("`Last-Event-ID`: {error}"))
            .hint("send the `id` of an event of this run, or leave the header out")
    })
}

/// What goes out of a run after a place, as a response.
pub(super) async fn stream(app: &Arc<App>, run: RunId, after: Option<StreamId>) -> Result<Response, Problem> {
    let stream = app.engine.stream(run, after).await?;
    let events = follow(Follow { app: app.clone(), run, stream: Some(stream), _open: OpenStream::begin(&app.metrics) });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    let id = HeaderValue::from_str(&run.to_string()).expect("an id has only letters and digits");
    let headers = [
        (HeaderName::from_static("x-run-id"), id),
        // Nginx would hold events back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, sse).into_response())
}

struct Follow {
    app: Arc<App>,
    run: RunId,
    /// `None` after the end.
    stream: Option<RunStream>,
    /// For whoever counts.
    _open: OpenStream,
}

/// The events of a run. A reader that is slow holds nobody up: what it has not read is read from the journal.
fn follow(follow: Follow) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(follow, async |mut follow| {
        let stream = follow.stream.as_mut()?;
        let next = tokio::select! {
            next = stream.next() => next,
            // The reader goes on elsewhere, from where it is.
            () = follow.app.stopping() => return None,
        };
        let event = match next {
            Ok(Some(item)) => event(&item),
            Ok(None) => {
                follow.stream = None;
                follow.end().await
            }
            Err(error) => {
                follow.stream = None;
                failure(error.into())
            }
        };
        Some((Ok(event), follow))
    })
}

impl Follow {
    async fn end(&self) -> Event {
        match self.app.engine.settled(self.run).await {
            Ok(settled) => named("end", &RunReply::of(self.run, settled)),
            Err(error) => failure(error.into()),
        }
    }
}

fn event(item: &StreamItem) -> Event {
    let name = match item.event {
        StreamEvent::Record { .. } => "record",
        StreamEvent::Text { .. } => "text",
        StreamEvent::Reset { .. } => "reset",
        StreamEvent::Complete { .. } => "complete",
    };
    let event = named(name, &item.event);
    match item.id {
        Some(id) => event.id(id.to_string()),
        None => event,
    }
}

fn failure(problem: Problem) -> Event {
    named("error", &problem)
}

fn named(name: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(name).json_data(data).expect("everything that goes out has a JSON form")
}
