//! What stays open: WebSockets, and the tickets that open them.
//!
//! # Layout
//! - `tickets`: what stands for a token where headers cannot be sent;
//! - `frames`: what is said over a WebSocket; `connection`: one WebSocket; `writer`: its sending half.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        Extension, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::Extensions,
    response::Response,
};
use liteagent_engine::codes;
use tokio::sync::watch;
use utoipa_axum::routes;

use self::connection::Connection;
pub(crate) use self::tickets::Tickets;
use crate::{
    access::{Access, Caller, Role},
    accounts::Shown,
    app::App,
    front::Address,
    problem::Problem,
    routes::Routes,
};

mod connection;
mod frames;
mod tickets;
mod writer;

/// The largest message that is read, in bytes. What is larger ends the connection.
const MOST_READ: usize = 2 << 20;

pub(crate) fn routes(routes: Routes) -> Routes {
    tickets::routes(routes).add(Access::Stream(Role::Viewer), routes!(socket))
}

/// The WebSockets that are open.
pub(crate) struct Open(watch::Sender<usize>);

impl Default for Open {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Open {
    /// Counts one more, until what is given is dropped.
    fn enter(app: &Arc<App>) -> Entered {
        app.sockets.0.send_modify(|open| *open += 1);
        Entered(app.clone())
    }

    /// Returns when none is open.
    pub(crate) async fn none(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|open| *open == 0).await;
    }
}

/// One WebSocket that is open.
struct Entered(Arc<App>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.sockets.0.send_modify(|open| *open -= 1);
    }
}

/// Opens a WebSocket
///
/// Several runs are followed, started and steered over it, chat on one connection. A browser opens it with a ticket:
/// `new WebSocket("wss://…/api/ws?ticket=" + ticket)`; programs may send the header `Authorization` instead.
///
/// Each frame is a text with one JSON object. The caller sends:
///
/// - `{"type": "subscribe", "id": ID, "run": RUN, "last_event_id": "12.3"}`: follows a run, after a place or from its beginning;
/// - `{"type": "unsubscribe", "id": ID}`: follows it no more;
/// - `{"type": "start", "id": ID, "workflow": NAME, "inputs": {}, "conversation": …, "user": …, "version": …, "subject": …}`:
///   starts a run, as `POST /api/runs` does, and follows it;
/// - `{"type": "cancel", "id": ID, "run": RUN}`, `{"type": "signal", "id": ID, "run": RUN, "name": …, "payload": …}` and
///   `{"type": "answer", "id": ID, "run": RUN, "node": …, "action": …, "form": {}}`: as the routes of a run.
///
/// `id` is any text of 1 to 128 characters; what is sent back names it:
///
/// - `{"type": "ok", "id": ID}`: done;
/// - `{"type": "started", "id": ID, "run": RUN, "conversation": …, "user": …}`: a run was started;
/// - `{"type": "event", "id": ID, "event": NAME, "event_id": "12.4", "data": {…}}`: what goes out of a run, the same as
///   `GET /api/runs/{id}/events` sends. `event_id` is what to subscribe with after a break: nothing is lost and nothing comes
///   twice;
/// - `{"type": "ended", "id": ID, "data": {…}}`: how the run ended; nothing follows, and the id is free;
/// - `{"type": "error", "id": ID, "problem": {…}}`: it was not done, or the run cannot be followed any more. Without an `id` where
///   a frame has none that can be read.
///
/// A frame has at most 1 MiB, and 64 runs are followed at once. Frames count as requests where there are rate limits. Who is
/// slow is caught up from the journal, and holds up no run. The server sends a ping every 20 seconds, and closes with 1001 when
/// it stops, with 1008 when the caller's access has ended or 64 replies wait
/// to be read, and with 1011 when nothing came for a minute.
#[utoipa::path(get, path = "/api/ws", tag = "streams",
    params(("ticket" = Option<String>, Query, description = "A ticket, in the place of the header `Authorization`")),
    responses((status = 101, description = "The WebSocket is open")))]
async fn socket(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(shown): Extension<Shown>,
    extensions: Extensions,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(rejection.status(), codes::HANDSHAKE, rejection.body_text())
            .hint("use a client of WebSockets, over HTTP/1.1")
    })?;
    let address = Address::of(&extensions);
    let entered = Open::enter(&app);
    Ok(upgrade.max_message_size(MOST_READ).max_frame_size(MOST_READ).on_upgrade(move |socket| async move {
        let _entered = entered;
        Connection::new(app, caller, shown, address).serve(socket).await;
    }))
}

/// How often access is looked at, also when nothing comes.
const LOOK: Duration = Duration::from_secs(5);
