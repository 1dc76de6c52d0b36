//! Server-sent events, one after the other.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use liteagent_engine::codes;
use liteagent_providers::sse::{Event, Parser};

use crate::failure::Failure;

/// The events of an answer.
pub(super) struct Events {
    pieces: BoxStream<'static, Result<Bytes, Failure>>,
    parser: Parser,
    ready: VecDeque<Event>,
}

impl Events {
    pub(super) fn new(pieces: BoxStream<'static, Result<Bytes, Failure>>) -> Self {
        Self { pieces, parser: Parser::default(), ready: VecDeque::new() }
    }

    /// The next event; `None` when the connection has ended. What was cut short is no event. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(piece) = self.pieces.next().await else { return Ok(None) };
            self.parser.feed(&piece?, &mut self.ready).map_err(|_| {
                Failure::platform(codes::SERVER_NOT_OURS, "the server sent an event of more than 16 MiB")
                    .hint("`liteagent runs show RUN` shows the run without following it")
            })?;
        }
    }
}
