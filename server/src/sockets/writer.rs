//! The sending half of a WebSocket: whoever has something to say puts it in a queue of few places, and waits while it is full.

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

/// Puts frames into the queue.
#[derive(Clone)]
pub(super) struct Sender(mpsc::Sender<String>);

impl Sender {
    /// Sends a frame, as soon as there is room for it. Nobody reads it when the connection is over.
    pub(super) async fn send(&self, text: String) {
        let _ = self.0.send(text).await;
    }
}

/// Why a connection ends.
#[derive(Clone, Debug)]
pub(super) struct Close {
    /// The code of RFC 6455.
    pub(super) code: u16,
    /// The reason: at most 123 bytes.
    pub(super) reason: String,
}

/// What is sent, and the end of it.
pub(super) struct Writer {
    socket: SplitSink<WebSocket, Message>,
    frames: mpsc::Receiver<String>,
    close: oneshot::Receiver<Option<Close>>,
}

impl Writer {
    /// The writer of a connection, what puts frames into its queue, and what ends it.
    pub(super) fn new(socket: SplitSink<WebSocket, Message>) -> (Self, Sender, oneshot::Sender<Option<Close>>) {
        let (sender, frames) = mpsc::channel(QUEUED);
        let (end, close) = oneshot::channel();
        (Self { socket, frames, close }, Sender(sender), end)
    }

    /// Sends until it is told to close, or the other side is gone.
    pub(super) async fn run(self) {
        let Self { mut socket, mut frames, mut close } = self;
        let mut pings = tokio::time::interval(PING);
        // The first is due at once.
        pings.tick().await;
        loop {
            let message = tokio::select! {
                biased;
                end = &mut close => return farewell(socket, end.ok().flatten()).await,
                Some(text) = frames.recv() => Message::Text(text.into()),
                _ = pings.tick() => Message::Ping(axum::body::Bytes::new()),
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
