//! From the answer to the output: limits, media types, JSON, declared types.

use bytes::Bytes;
use futures::StreamExt;
use liteagent_engine::{capability::HttpReply, node::prelude::*, store::FileValue};
use serde_json::Value as Json;

use super::{
    HttpRequest, HttpRequestOutput, Method, header,
    media::{Media, file_name},
};
use crate::io::file_value;

/// A body of this size is read in less than a moment.
const SMALL: usize = 32 << 10;
/// How much of the body of a failure is read for its message.
const EXCERPT: usize = 4 << 10;
/// How long it is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// An answer that was read whole.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: IndexMap<String, String>,
    pub(super) json: Value,
    pub(super) body: String,
    /// How large the body was, unpacked.
    pub(super) size: u64,
    file: Option<FileValue>,
}

impl Answer {
    pub(super) fn into_output(self, items: Vec<Value>) -> HttpRequestOutput {
        let Self { status, headers, json, body, file, size: _ } = self;
        HttpRequestOutput { status, headers, json, body, file, items }
    }
}

/// Reads an answer that counts as success.
pub(super) async fn read(
    ctx: &NodeCtx,
    node: &HttpRequest,
    asked: &str,
    reply: HttpReply,
) -> Result<Answer, NodeError> {
    let packing = header(&reply, "content-encoding").filter(|packing| *packing != "identity");
    if let Some(packing) = packing.filter(|_| node.method != Method::Head) {
        return Err(misfit(format!("the answer to {asked} is packed with `{packing}`, which nobody asked for"))
            .hint("ask for `Accept-Encoding: identity` in `headers`"));
    }
    let media = Media::of(header(&reply, "content-type").unwrap_or_default());
    let name = file_name(header(&reply, "content-disposition"), &reply.url);
    let (status, headers) = (reply.status, joined(&reply.headers));
    let limit = node.config.max_size;
    let bytes = if node.method == Method::Head { Bytes::new() } else { collect(reply, limit, asked).await? };

    let size = bytes.len() as u64;
    let essence = media.essence.clone();
    let unread = Unread { media, status, asked: asked.to_owned(), returns: node.returns.clone(), bytes };
    let (content, json) = unread.read().await?;
    let (body, file) = match content {
        Content::Text(text) => (text, None),
        Content::Bytes(bytes) => (String::new(), Some(file_value::create(ctx, &name, &essence, bytes).await?)),
    };
    Ok(Answer { status, headers, json, body, size, file })
}

/// A body that has come whole.
struct Unread {
    media: Media,
    status: u16,
    asked: String,
    returns: Option<Arc<IndexMap<String, Type>>>,
    bytes: Bytes,
}

enum Content {
    Text(String),
    Bytes(Bytes),
}

impl Unread {
    /// Makes text and JSON of it; a large body beside the executor, which must not stand still.
    async fn read(self) -> Result<(Content, Value), NodeError> {
        if self.bytes.len() <= SMALL {
            return self.read_here();
        }
        tokio::task::spawn_blocking(move || self.read_here())
            .await
            .map_err(|error| NodeError::internal(format!("reading an answer broke off: {error}")))?
    }

    fn read_here(self) -> Result<(Content, Value), NodeError> {
        let Some(text) = self.media.text(&self.bytes) else { return Ok((Content::Bytes(self.bytes), Value::Null)) };
        let returns = self.returns.filter(|_| self.status < 400);
        let mut json = Value::Null;
        if self.media.is_json() || returns.is_some() {
            json = parse(&text, &self.asked, self.status)?;
        }
        if let Some(returns) = returns {
            json = fit(&returns, json, &self.asked)?;
        }
        Ok((Content::Text(text), json))
    }
}

/// An answer that counts as failure.
pub(crate) async fn failure(asked: &str, reply: HttpReply) -> NodeError {
    let (status, wait) = (reply.status, reply.retry_after);
    let said = excerpt(reply).await;
    let (code, class) = match status {
        401 => (codes::HTTP_REFUSED, ErrorClass::Unauthenticated),
        403 => (codes::HTTP_REFUSED, ErrorClass::Forbidden),
        404 => (codes::HTTP_REFUSED, ErrorClass::NotFound),
        408 => (codes::HTTP_REFUSED, ErrorClass::Timeout),
        409 => (codes::HTTP_REFUSED, ErrorClass::Conflict),
        429 => (codes::HTTP_REFUSED, ErrorClass::RateLimited),
        400..=499 => (codes::HTTP_REFUSED, ErrorClass::Invalid),
        504 => (codes::HTTP_DOWN, ErrorClass::Timeout),
        _ => (codes::HTTP_DOWN, ErrorClass::Unavailable),
    };
    let hint = match class {
        ErrorClass::Unauthenticated => "check the secret in `auth`".to_owned(),
        ErrorClass::RateLimited => "give the node `retry`, or ask less often".to_owned(),
        ErrorClass::Unavailable | ErrorClass::Timeout => "give the node `retry`, or look at the server".to_owned(),
        _ => format!("add `accept_status: [{status}]` if this answer is expected"),
    };
    let error = NodeError::new(code, class, format!("{asked} answered {status}{said}")).hint(hint);
    match wait.and_then(|wait| u64::try_from(wait).ok()) {
        Some(wait) => error.retry_after(std::time::Duration::from_millis(wait)),
        None => error,
    }
}

/// The beginning of the body of a failure, on one line. What is wrong with it matters less than the status.
async fn excerpt(reply: HttpReply) -> String {
    let mut bytes = Vec::new();
    // What has come when the time is over is enough.
    let _ = tokio::time::timeout(PATIENCE, take(reply, &mut bytes)).await;
    let text = String::from_utf8_lossy(&bytes);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line: String = words.collect::<Vec<_>>().join(" ").chars().take(200).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

async fn take(mut reply: HttpReply, bytes: &mut Vec<u8>) {
    while let Some(Ok(piece)) = reply.body.next().await {
        bytes.extend_from_slice(&piece[..piece.len().min(EXCERPT - bytes.len())]);
        if bytes.len() == EXCERPT {
            return;
        }
    }
}

/// The whole body, unpacked, against a limit.
pub(crate) async fn collect(mut reply: HttpReply, limit: Size, asked: &str) -> Result<Bytes, NodeError> {
    let too_large = || {
        NodeError::new(
            codes::HTTP_TOO_LARGE,
            ErrorClass::LimitExceeded,
            format!("the answer to {asked} is larger than {limit}"),
        )
        .hint("raise `max_size`, or ask for less")
    };
    let announced = header(&reply, "content-length").and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit.0) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(piece) = reply.body.next().await {
        let piece = piece?;
        if (bytes.len() + piece.len()) as u64 > limit.0 {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

fn parse(body: &str, asked: &str, status: u16) -> Result<Value, NodeError> {
    if body.trim().is_empty() {
        return Ok(Value::Null);
    }
    match serde_json::from_str::<Json>(body) {
        Ok(json) => Ok(json.into()),
        // An accepted failure often comes from a proxy that answers for the API.
        Err(_) if status >= 400 => Ok(Value::Null),
        Err(error) => Err(misfit(format!("expected JSON from {asked}, found: {error}"))
            .hint("read `body` and ask for another format, or look at what the server sends")),
    }
}

/// Checks the declared members; others stay as they are.
fn fit(returns: &IndexMap<String, Type>, json: Value, asked: &str) -> Result<Value, NodeError> {
    let Value::Object(members) = json else {
        return Err(misfit(format!("expected an object from {asked}, found {}", json.kind()))
            .hint("remove `returns`, which declares the members of an object"));
    };
    let mut members = Arc::unwrap_or_clone(members);
    for (name, declared) in returns {
        let value = match members.get(name.as_str()) {
            Some(value) => value.clone(),
            None => match declared.default_value() {
                Some(value) => value,
                None if declared.is_optional() => Value::Null,
                None => {
                    return Err(
                        misfit(format!("the answer to {asked} has no member `/{name}`")).hint(expect_hint(name))
                    );
                }
            },
        };
        if value.is_null() && declared.is_optional() {
            members.insert(name.as_str().into(), value);
            continue;
        }
        let fitted = declared.fit(value).map_err(|misfits| {
            let first = misfits.into_iter().next();
            let (pointer, message) = first.map(|first| (first.pointer, first.message)).unwrap_or_default();
            misfit(format!("the answer to {asked} does not fit at `/{name}{pointer}`: {message}"))
                .hint(expect_hint(name))
        })?;
        members.insert(name.as_str().into(), fitted);
    }
    Ok(Value::Object(Arc::new(members)))
}

fn expect_hint(name: &str) -> String {
    format!("change the type of `{name}` in `returns`, or make it optional with a `?`")
}

fn misfit(message: String) -> NodeError {
    NodeError::new(codes::HTTP_ANSWER, ErrorClass::Invalid, message)
}

/// The schema of `json` as `returns` declares it.
pub(super) fn schema(returns: &IndexMap<String, Type>) -> Json {
    let properties: serde_json::Map<String, Json> =
        returns.iter().map(|(name, declared)| (name.clone(), declared.schema().to_value())).collect();
    let required: Vec<&String> = returns.keys().collect();
    serde_json::json!({ "type": "object", "properties": properties, "required": required })
}

fn joined(headers: &[(String, String)]) -> IndexMap<String, String> {
    let mut all: IndexMap<String, String> = IndexMap::new();
    for (name, value) in headers {
        all.entry(name.clone())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    all
}
