//! Requests and answers of models and HTTP services as cassettes hold them: readable, without secrets and without what
//! differs from run to run.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use liteagent_engine::{
    capability::{
        FormPart, HttpBody, HttpCall, HttpReply,
        model::{
            ChatEnd, ChatEvent, ChatRequest, ChatStream, EmbedRequest, Embeddings, Finish, Message, Part, Sampling,
            ToolCall, ToolChoice, Usage,
        },
    },
    error::NodeError,
    id::Digest,
    units::Millis,
    value::Value,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::cassette::Kind;

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Chat(ChatAnswer),
    Embed(EmbedAnswer),
    Http(HttpAnswer),
}

/// What a chat model said.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChatAnswer {
    model: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reasoning: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<ToolCall>,
    finish: Finish,
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    usage: Usage,
    /// What the provider wants to see again with the next question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opaque: Option<Value>,
}

/// Vectors of texts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmbedAnswer {
    model: String,
    /// Each vector as its 32-bit floats, little-endian, in base64: nobody reads them.
    vectors: Vec<String>,
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    usage: Usage,
}

/// What an HTTP service answered.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpAnswer {
    status: u16,
    /// The URL that answered: another one after a redirect.
    url: String,
    /// `name: value`, in order, without those that hold credentials or are about the connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<String>,
    /// In milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<Millis>,
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    body: Body,
}

/// A body in the form that reads best: at most one of them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Answer {
    /// Reads what a cassette holds.
    pub(super) fn read(kind: Kind, json: &Json) -> Result<Self, String> {
        let read = match kind {
            Kind::Chat => serde_json::from_value(json.clone()).map(Self::Chat),
            Kind::Embed => serde_json::from_value(json.clone()).map(Self::Embed),
            Kind::Http => serde_json::from_value(json.clone()).map(Self::Http),
        };
        let read = read.map_err(|error| error.to_string())?;
        match &read {
            Self::Embed(answer) => drop(answer.clone().vectors()?),
            Self::Http(answer) => drop(answer.body.bytes()?),
            Self::Chat(_) => {}
        }
        Ok(read)
    }

    /// As a cassette holds it.
    pub(super) fn json(&self) -> Result<Json, serde_json::Error> {
        match self {
            Self::Chat(answer) => serde_json::to_value(answer),
            Self::Embed(answer) => serde_json::to_value(answer),
            Self::Http(answer) => serde_json::to_value(answer),
        }
    }
}

impl ChatAnswer {
    /// Gathers an answer. What came in pieces is put together: a journal sees no difference.
    ///
    /// # Errors
    /// When it breaks off.
    pub(super) async fn gather(mut stream: ChatStream) -> Result<Self, NodeError> {
        let (mut reasoning, mut text, mut calls) = (String::new(), String::new(), Vec::new());
        while let Some(event) = stream.next().await {
            match event? {
                ChatEvent::Text(piece) => text.push_str(&piece),
                ChatEvent::Reasoning(piece) => reasoning.push_str(&piece),
                ChatEvent::Call(call) => calls.push(call),
                ChatEvent::Spent { .. } => {}
                ChatEvent::End(ChatEnd { model, finish, usage, opaque }) => {
                    return Ok(Self { model, reasoning, text, calls, finish, usage, opaque });
                }
            }
        }
        Err(NodeError::internal("the answer of the model has no end"))
    }

    /// The tools that it calls, with their arguments.
    pub(super) fn tools(&self) -> impl Iterator<Item = (String, Json)> {
        self.calls.iter().map(|call| (call.name.clone(), arguments(call)))
    }

    /// The answer as it comes: a piece is a word.
    pub(super) fn stream(self) -> ChatStream {
        let words = |text: &str| text.split_inclusive(' ').map(str::to_owned).collect::<Vec<_>>();
        let reasoning = words(&self.reasoning).into_iter().map(ChatEvent::Reasoning);
        let mut events: Vec<_> = reasoning.chain(words(&self.text).into_iter().map(ChatEvent::Text)).collect();
        events.extend(self.calls.into_iter().map(ChatEvent::Call));
        let Self { model, finish, usage, opaque, .. } = self;
        events.push(ChatEvent::End(ChatEnd { model, finish, usage, opaque }));
        stream::iter(events.into_iter().map(Ok)).boxed()
    }
}

impl EmbedAnswer {
    pub(super) fn of(embeddings: Embeddings) -> Self {
        let bytes = |vector: &Vec<f32>| vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
        let vectors = embeddings.vectors.iter().map(|vector| BASE64.encode(bytes(vector))).collect();
        Self { model: embeddings.model, vectors, usage: embeddings.usage }
    }

    /// # Errors
    /// When a vector is no base64 of floats.
    pub(super) fn vectors(self) -> Result<Embeddings, String> {
        let vector = |text: &String| {
            let bytes = BASE64.decode(text).map_err(|error| format!("expected a vector in base64: {error}"))?;
            let (numbers, []) = bytes.as_chunks::<4>() else {
                return Err(format!("expected 4 bytes for each number of a vector, found {} in all", bytes.len()));
            };
            Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
        };
        let vectors = self.vectors.iter().map(vector).collect::<Result<_, String>>()?;
        Ok(Embeddings { model: self.model, vectors, usage: self.usage })
    }
}

impl HttpAnswer {
    /// Reads a whole answer.
    ///
    /// # Errors
    /// When it breaks off, or is larger than `most` bytes.
    pub(super) async fn gather(mut reply: HttpReply, most: usize) -> Result<Self, NodeError> {
        let mut content = Vec::new();
        while let Some(piece) = reply.body.next().await {
            content.extend_from_slice(&piece?);
            if content.len() > most {
                return Err(NodeError::internal(format!(
                    "the answer is larger than the {most} bytes that are recorded"
                )));
            }
        }
        let headers = reply.headers.iter().filter(|(name, _)| !is_secret(name) && !is_of_connection(name));
        Ok(Self {
            status: reply.status,
            url: reply.url,
            headers: headers.map(|(name, value)| format!("{name}: {value}")).collect(),
            retry_after: reply.retry_after,
            body: Body::of(&content),
        })
    }

    /// # Errors
    /// When the body cannot be read.
    pub(super) fn reply(self) -> Result<HttpReply, String> {
        let content = Bytes::from(self.body.bytes()?);
        let header = |line: &String| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.trim().to_ascii_lowercase(), value.trim().to_owned())
        };
        Ok(HttpReply {
            status: self.status,
            headers: self.headers.iter().map(header).collect(),
            url: self.url,
            body: stream::iter([Ok(content)]).boxed(),
            retry_after: self.retry_after,
        })
    }
}

/// Headers that hold credentials, or may.
fn is_secret(name: &str) -> bool {
    ["auth", "cookie", "key", "secret", "session", "token", "signature", "credential"]
        .iter()
        .any(|part| name.to_ascii_lowercase().contains(part))
}

/// Headers about one way of sending a body, which is put together here.
fn is_of_connection(name: &str) -> bool {
    ["connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"].contains(&name)
}

impl Body {
    fn of(content: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(content) else {
            return Self { base64: Some(BASE64.encode(content)), ..Self::default() };
        };
        let json = serde_json::from_str(text).ok().filter(|json: &Json| json.is_object() || json.is_array());
        let compact = |json: &Json| json.to_string();
        // Only when nothing but spaces between values is lost.
        match json.filter(|json| compact(json) == without_spaces(text)) {
            Some(json) => Self { json: Some(json), ..Self::default() },
            None if text.is_empty() => Self::default(),
            None => Self { text: Some(text.to_owned()), ..Self::default() },
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        match (&self.json, &self.text, &self.base64) {
            (None, None, None) => Ok(Vec::new()),
            (Some(json), None, None) => Ok(json.to_string().into_bytes()),
            (None, Some(text), None) => Ok(text.clone().into_bytes()),
            (None, None, Some(text)) => {
                BASE64.decode(text).map_err(|error| format!("expected `base64` to be base64: {error}"))
            }
            _ => Err("expected one of `json`, `text` and `base64`, found several".to_owned()),
        }
    }
}

/// JSON without the spaces between its values.
fn without_spaces(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let keep = |letter: &char| {
        if inside {
            inside = escaped || *letter != '"';
            escaped = !escaped && *letter == '\\';
            return true;
        }
        inside = *letter == '"';
        !letter.is_ascii_whitespace()
    };
    text.chars().filter(keep).collect()
}

/// What a chat model is asked.
pub(super) fn chat(request: &ChatRequest) -> Json {
    let mut asked = json!({
        "models": request.models,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
    });
    if !request.tools.is_empty() {
        let tool = |tool: &liteagent_engine::capability::model::ToolSpec| json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
        asked["tools"] = request.tools.iter().map(tool).collect();
    }
    if request.tool_choice != ToolChoice::Auto {
        asked["tool_choice"] = json!(request.tool_choice);
    }
    if let Some(schema) = &request.schema {
        asked["schema"] = schema.to_json();
    }
    let Sampling { temperature, top_p, max_tokens, stop, seed, frequency_penalty, presence_penalty } =
        &request.sampling;
    let sampling = [
        ("temperature", json!(temperature)),
        ("top_p", json!(top_p)),
        ("max_tokens", json!(max_tokens)),
        ("stop", if stop.is_empty() { Json::Null } else { json!(stop) }),
        ("seed", json!(seed)),
        ("frequency_penalty", json!(frequency_penalty)),
        ("presence_penalty", json!(presence_penalty)),
    ];
    for (name, value) in sampling.into_iter().filter(|(_, value)| !value.is_null()) {
        asked[name] = value;
    }
    asked
}

fn message(message: &Message) -> Json {
    match message {
        Message::System { text } => json!({ "system": text }),
        Message::User { parts } => match parts.as_slice() {
            [Part::Text { text }] => json!({ "user": text }),
            parts => json!({ "user": parts.iter().map(part).collect::<Vec<_>>() }),
        },
        // What its provider wants to see again was an answer before, and stands there.
        Message::Assistant { text, calls, .. } => {
            let mut said = json!({ "assistant": text });
            if !calls.is_empty() {
                said["calls"] = calls.iter().map(|call| json!({ &*call.name: arguments(call) })).collect();
            }
            said
        }
        Message::Tool { name, text, failed, .. } => {
            let mut said = json!({ "tool": name, "text": text });
            if *failed {
                said["failed"] = true.into();
            }
            said
        }
    }
}

fn part(part: &Part) -> Json {
    match part {
        Part::Text { text } => json!({ "text": text }),
        Part::Image { mime, content } => json!({ "image": mime, "sha256": Digest::of(content) }),
        Part::File { name, mime, content } => json!({ "file": name, "mime": mime, "sha256": Digest::of(content) }),
    }
}

fn arguments(call: &ToolCall) -> Json {
    serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments))
}

/// What an embedding model is asked.
pub(super) fn embed(request: &EmbedRequest) -> Json {
    let mut asked = json!({ "model": request.model, "texts": request.texts });
    if request.questions {
        asked["questions"] = true.into();
    }
    asked
}

/// What an HTTP service is asked. Of the headers only those that say in which form things are wanted and sent: others may
/// hold credentials, or differ from run to run.
pub(super) fn http(call: &HttpCall) -> Json {
    let mut asked = json!({ "method": call.method, "url": call.url });
    for name in ["accept", "content-type"] {
        // The boundary of a form is another one each time.
        let is_told =
            |(known, value): &&(String, String)| known.eq_ignore_ascii_case(name) && !value.starts_with("multipart/");
        if let Some((_, value)) = call.headers.iter().find(is_told) {
            asked[name.replace('-', "_")] = json!(value);
        }
    }
    let sent = match &call.body {
        HttpBody::Empty => Map::new(),
        HttpBody::Bytes(bytes) => sent(bytes),
        HttpBody::Form(parts) => Map::from_iter([("form".to_owned(), parts.iter().map(field).collect())]),
    };
    if let Some(asked) = asked.as_object_mut() {
        asked.extend(sent);
    }
    asked
}

/// What is sent: readable, or else its digest.
fn sent(bytes: &[u8]) -> Map<String, Json> {
    let Body { json, text, base64 } = Body::of(bytes);
    let digest = base64.map(|_| json!(Digest::of(bytes)));
    let forms = [("json", json), ("text", text.map(Json::from)), ("sha256", digest)];
    forms.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn field(part: &FormPart) -> Json {
    let mut field = sent(&part.content);
    field.insert("name".to_owned(), json!(part.name));
    if let Some((file, mime)) = &part.file {
        field.insert("file".to_owned(), json!(file));
        field.insert("mime".to_owned(), json!(mime));
    }
    field.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_only_where_nothing_is_lost() {
        let whole = r#"{ "b": [1, 2.5, "x \" y"],
            "a": { "n": null } }"#;
        let body = Body::of(whole.as_bytes());
        assert_eq!(body.bytes().unwrap(), br#"{"b":[1,2.5,"x \" y"],"a":{"n":null}}"#);
        for other in [r#"{"a":1.10}"#, r#"{"a":123456789012345678901234567890}"#, r#"{"a":1,"a":2}"#, "3", "x", ""] {
            let body = Body::of(other.as_bytes());
            assert_eq!((body.json.is_none(), body.bytes().unwrap()), (true, other.as_bytes().to_vec()), "{other}");
        }
        assert_eq!(Body::of(&[0xff, 0]).bytes().unwrap(), [0xff, 0]);
        assert!(Body { json: Some(json!({})), text: Some(String::new()), base64: None }.bytes().is_err());
    }

    #[test]
    fn a_vector_comes_back_to_the_bit() {
        let embeddings = Embeddings {
            model: "a/b".to_owned(),
            vectors: vec![vec![0.1, -1.0e-30, f32::MAX], vec![]],
            usage: Usage { input_tokens: 3, ..Usage::default() },
        };
        let json = Answer::Embed(EmbedAnswer::of(embeddings.clone())).json().unwrap();
        let Ok(Answer::Embed(read)) = Answer::read(Kind::Embed, &json) else { panic!("{json}") };
        assert_eq!(read.vectors().unwrap(), embeddings);
        let broken = json!({ "model": "a/b", "vectors": ["AAAAAA=="] });
        assert!(
            Answer::read(Kind::Embed, &broken).is_ok()
                && Answer::read(Kind::Embed, &json!({ "model": "a/b", "vectors": ["AAAA"] })).is_err()
        );
    }
}
