//! One exchange with an MCP server: a JSON-RPC message, and its answer as JSON or as a stream of events.

use futures::StreamExt;
use liteagent_engine::{
    capability::{Http, HttpBody, HttpCall, HttpReply},
    codes,
    error::{ErrorClass, NodeError},
    units::Duration,
};
use serde_json::Value as Json;
use url::Url;

use super::protocol;

/// The longest answer, in bytes.
pub(super) const MOST: usize = 8 << 20;

/// What a server answered.
pub(super) enum Exchange {
    /// The result of the request; `null` for a notification.
    Result(Json),
    /// It refuses the request.
    Refused { code: i64, message: String },
    /// It does not know the session.
    SessionLost,
}

/// An answer, with the session that the server named.
pub(super) struct Sent {
    pub(super) exchange: Exchange,
    pub(super) session: Option<String>,
}

/// Sends a message. With an id, the answer to that id is waited for.
pub(super) async fn exchange(
    http: &dyn Http,
    name: &str,
    url: &Url,
    timeout: Duration,
    headers: Vec<(String, String)>,
    message: &Json,
    id: Option<u64>,
) -> Result<Sent, NodeError> {
    let in_session = headers.iter().any(|(header, _)| header == "mcp-session-id");
    let call = HttpCall {
        method: "POST".to_owned(),
        url: url.to_string(),
        headers,
        body: HttpBody::Bytes(message.to_string().into()),
        redirects: 0,
        timeout: Some(timeout),
    };
    let reply = http.send(call).await?;
    let header = |name: &str| reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let session = header("mcp-session-id");
    if reply.status == 404 && in_session {
        return Ok(Sent { exchange: Exchange::SessionLost, session: None });
    }
    if reply.status >= 400 {
        return Err(failure(name, &reply));
    }
    let Some(id) = id else { return Ok(Sent { exchange: Exchange::Result(Json::Null), session }) };
    let is_stream = header("content-type").is_some_and(|media| media.starts_with("text/event-stream"));
    let answer = if is_stream { streamed(reply, name, id).await? } else { whole(reply, name).await? };
    Ok(Sent { exchange: answered(name, &answer)?, session })
}

/// What an answer says.
pub(super) fn answered(name: &str, answer: &Json) -> Result<Exchange, NodeError> {
    if let Some(error) = answer.get("error") {
        let code = error.get("code").and_then(Json::as_i64).unwrap_or_default();
        let message = error.get("message").and_then(Json::as_str).unwrap_or("it says nothing more").to_owned();
        return Ok(Exchange::Refused { code, message });
    }
    let result =
        answer.get("result").cloned().ok_or_else(|| protocol(name, "an answer has neither result nor error"))?;
    Ok(Exchange::Result(result))
}

fn failure(name: &str, reply: &HttpReply) -> NodeError {
    let (code, class) = match reply.status {
        401 => (codes::HTTP_REFUSED, ErrorClass::Unauthenticated),
        403 => (codes::HTTP_REFUSED, ErrorClass::Forbidden),
        404 | 405 => return protocol(name, &format!("it answers {}", reply.status)),
        429 => (codes::HTTP_REFUSED, ErrorClass::RateLimited),
        400..=499 => (codes::HTTP_REFUSED, ErrorClass::Invalid),
        _ => (codes::HTTP_DOWN, ErrorClass::Unavailable),
    };
    let error = NodeError::new(code, class, format!("the MCP server `{name}` answered {}", reply.status));
    match reply.retry_after.and_then(|wait| u64::try_from(wait).ok()) {
        Some(wait) => error.retry_after(std::time::Duration::from_millis(wait)),
        None => error,
    }
}

async fn whole(mut reply: HttpReply, name: &str) -> Result<Json, NodeError> {
    let mut bytes = Vec::new();
    while let Some(piece) = reply.body.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > MOST {
            return Err(protocol(name, "an answer is longer than 8 MiB"));
        }
    }
    serde_json::from_slice(&bytes).map_err(|error| protocol(name, &format!("an answer is no JSON: {error}")))
}

/// Reads events until the answer to `id` comes; what a server says besides is passed over.
async fn streamed(mut reply: HttpReply, name: &str, id: u64) -> Result<Json, NodeError> {
    let mut events = Events::default();
    let mut read = 0;
    while let Some(piece) = reply.body.next().await {
        let piece = piece?;
        read += piece.len();
        if read > MOST {
            return Err(protocol(name, "an answer is longer than 8 MiB"));
        }
        for data in events.feed(&piece) {
            let message: Json = serde_json::from_str(&data)
                .map_err(|error| protocol(name, &format!("an event is no JSON: {error}")))?;
            if message.get("id").and_then(Json::as_u64) == Some(id) && message.get("method").is_none() {
                return Ok(message);
            }
        }
    }
    Err(protocol(name, "its stream ended without an answer"))
}

/// The events of a stream, from bytes that may break anywhere.
#[derive(Default)]
struct Events {
    line: Vec<u8>,
    data: Vec<String>,
    after_return: bool,
}

impl Events {
    /// Takes a piece, and gives the data of the events that it completes.
    fn feed(&mut self, piece: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for byte in piece {
            let is_end = matches!(byte, b'\n' | b'\r');
            let is_second = *byte == b'\n' && std::mem::replace(&mut self.after_return, *byte == b'\r');
            if is_second {
                continue;
            }
            self.after_return = *byte == b'\r';
            if is_end {
                complete.extend(self.end_line());
            } else {
                self.line.push(*byte);
            }
        }
        complete
    }

    fn end_line(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then(|| data.join("\n"));
        }
        if let Some(data) = line.strip_prefix("data:") {
            self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_from_pieces_that_break_anywhere() {
        let text = ": hello\r\nevent: message\r\ndata: {\"a\":\ndata: \"\u{e4}\"}\n\nid: 1\r\rdata:x\r\n\r\n";
        for size in [1, 2, 3, 7, text.len()] {
            let mut events = Events::default();
            let all: Vec<_> = text.as_bytes().chunks(size).flat_map(|piece| events.feed(piece)).collect();
            assert_eq!(all, ["{\"a\":\n\"\u{e4}\"}", "x"], "in pieces of {size}");
        }
    }
}
