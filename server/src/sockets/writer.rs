//! The sending half of a WebSocket. What goes out of runs waits in a queue of few places, and whoever puts it there waits while it
//! is full; replies have places of their own, and nobody waits for them.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures::{SinkExt as _, stream::SplitSink};
use tokio::sync::{mpsc, oneshot};

/// How many frames wait to be sent.
const QUEUED: usize = 64;
/// How often a ping is sent.
const PING: Duration = Duration::from_secs(20);
/// How long the last frame may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Puts frames into the queues.
#[derive(Clone)]
pub(super) struct Sender {
    replies: mpsc::Sender<String>,
    events: mpsc::Sender<String>,
}

impl Sender {
    /// Sends what goes out of a run, as soon as there is room for it. Nobody reads it when the connection is over.
    pub(super) async fn event(&self, text: String) {
        let _ = self.events.send(text).await;
    }

    /// Sends a reply, before all events that come later.
    ///
    /// # Errors
    /// When the other side asks on and on, and reads no reply.
    pub(super) fn reply(&self, text: String) -> Result<(), Close> {
        match self.replies.try_send(text) {
            // When the connection is over nobody reads it.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Close::policy(format!("{QUEUED} replies wait to be read"))),
        }
    }
}

/// Why a connection ends.
#[derive(Clone, Debug)]
pub(super) struct Close {
    code: u16,
    /// At most 123 bytes.
    reason: String,
}

impl Close {
    /// The server stops.
    pub(super) fn going_away() -> Self {
        Self { code: 1001, reason: "the server stops".to_owned() }
    }

    /// The caller may not go on.
    pub(super) fn policy(reason: String) -> Self {
        Self { code: 1008, reason }
    }

    /// Nothing came for too long.
    pub(super) fn silent() -> Self {
        Self { code: 1011, reason: "nothing came for a minute".to_owned() }
    }
}

/// What is sent, and the end of it.
pub(super) struct Writer {
    socket: SplitSink<WebSocket, Message>,
    replies: mpsc::Receiver<String>,
    events: mpsc::Receiver<String>,
    close: oneshot::Receiver<Option<Close>>,
}

impl Writer {
    /// The writer of a connection, what puts frames into its queues, and what ends it.
    pub(super) fn new(socket: SplitSink<WebSocket, Message>) -> (Self, Sender, oneshot::Sender<Option<Close>>) {
        let (reply, replies) = mpsc::channel(QUEUED);
        let (event, events) = mpsc::channel(QUEUED);
        let (end, close) = oneshot::channel();
        (Self { socket, replies, events, close }, Sender { replies: reply, events: event }, end)
    }

    /// Sends until it is told to close, or the other side is gone.
    pub(super) async fn run(self) {
        let Self { mut socket, mut replies, mut events, mut close } = self;
        let mut pings = tokio::time::interval(PING);
        // The first is due at once.
        pings.tick().await;
        loop {
            let message = tokio::select! {
                biased;
                end = &mut close => return farewell(socket, end.ok().flatten()).await,
                _ = pings.tick() => Message::Ping(axum::body::Bytes::new()),
                Some(text) = replies.recv() => Message::Text(text.into()),
                Some(text) = events.recv() => Message::Text(text.into()),
            };
            // A reader that takes nothing must not keep the connection from ending.
            tokio::select! {
                end = &mut close => return farewell(socket, end.ok().flatten()).await,
                sent = socket.send(message) => if sent.is_err() { return },
            }
        }
    }
}

/// Says why the connection ends; the other side may be gone.
async fn farewell(mut socket: SplitSink<WebSocket, Message>, close: Option<Close>) {
    let frame = close.map(|Close { code, reason }| CloseFrame { code, reason: Utf8Bytes::from(reason) });
    let _ = tokio::time::timeout(FAREWELL, async {
        let _ = socket.send(Message::Close(frame)).await;
        let _ = socket.close().await;
    })
    .await;
}
