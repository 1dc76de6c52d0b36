//! Chat completions and embeddings as OpenAI has them, with the dialects of the many services that speak them.

use std::collections::BTreeMap;

use liteagent_engine::capability::model::{Message, Part, ToolCall, ToolChoice, ToolSpec};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

pub(crate) use self::{
    embed::{Batch, request as embed},
    stream::Answer,
};
use super::{Ask, Manner, Structured, data_url, in_words, kept, only_text, schema, schema::Strict, text_of_file};
use crate::failure::{Fault, Kind, Said};

mod embed;
mod stream;

/// The fields of a message that reasoning comes in, and goes back in.
const REASONING: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_details"];

/// What a call came with besides name and arguments; Gemini wants it back.
const EXTRA: &str = "extra_content";

/// Fields that can be left out when a model refuses them.
const OPTIONAL: [&str; 9] = [
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "stream_options",
    "tool_choice",
    "reasoning_effort",
];

/// The request of a chat.
pub(super) fn chat(ask: &Ask<'_>) -> Result<Map<String, Json>, Fault> {
    let Ask { request, manner, .. } = ask;
    let mut body = Map::new();
    let mut put = |name: &'static str, value: Json| {
        if !value.is_null() && !manner.without.contains(name) {
            body.insert(name.to_owned(), value);
        }
    };
    let (format, words) = response_format(ask);
    put("model", json!(ask.model));
    put("messages", messages(ask, words)?);
    put("stream", json!(true));
    put("stream_options", json!({ "include_usage": true }));
    let sampling = &request.sampling;
    put("temperature", json!(sampling.temperature));
    put("top_p", json!(sampling.top_p));
    put("frequency_penalty", json!(sampling.frequency_penalty));
    put("presence_penalty", json!(sampling.presence_penalty));
    put("seed", json!(sampling.seed));
    if !sampling.stop.is_empty() {
        put("stop", json!(sampling.stop));
    }
    put(if manner.completion_tokens { "max_completion_tokens" } else { "max_tokens" }, json!(sampling.max_tokens));
    put("response_format", format);
    if !request.tools.is_empty() {
        let function = |tool: &ToolSpec| {
            json!({ "type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            } })
        };
        put("tools", request.tools.iter().map(function).collect());
        match request.tool_choice {
            ToolChoice::Auto => {}
            ToolChoice::Required => put("tool_choice", json!("required")),
            ToolChoice::None => put("tool_choice", json!("none")),
        }
        if manner.tools_without_reasoning {
            put("reasoning_effort", json!("none"));
        }
    }
    Ok(body)
}

/// What asks for JSON: a field of the request, words, or both.
fn response_format(ask: &Ask<'_>) -> (Json, Option<String>) {
    let Some(wanted) = &ask.request.schema else { return (Json::Null, None) };
    let schema = wanted.to_json();
    let words = || Some(in_words(wanted));
    match ask.manner.structured {
        Structured::Schema if schema::is_object(&schema) => {
            let strict = Strict { all_required: true, narrow: ask.manner.narrow }.of(&schema);
            let (is_strict, schema) = strict.map_or((false, schema), |schema| (true, schema));
            let format = json!({ "name": "answer", "strict": is_strict, "schema": schema });
            (json!({ "type": "json_schema", "json_schema": format }), None)
        }
        Structured::Object => (json!({ "type": "json_object" }), words()),
        Structured::Schema | Structured::Tool | Structured::Words => (Json::Null, words()),
    }
}

fn messages(ask: &Ask<'_>, words: Option<String>) -> Result<Json, Fault> {
    let mut list = Vec::new();
    let mut words = words;
    for message in &ask.request.messages {
        if !matches!(message, Message::System { .. })
            && let Some(words) = words.take()
        {
            list.push(json!({ "role": "system", "content": words }));
        }
        list.push(encode(ask, message)?);
    }
    list.extend(words.map(|words| json!({ "role": "system", "content": words })));
    Ok(Json::Array(list))
}

fn encode(ask: &Ask<'_>, message: &Message) -> Result<Json, Fault> {
    let id = |id: &str| if ask.manner.short_ids { short(id) } else { id.to_owned() };
    Ok(match message {
        Message::System { text } => json!({ "role": "system", "content": text }),
        Message::User { parts } => json!({ "role": "user", "content": content(parts)? }),
        Message::Tool { call, text, .. } => json!({ "role": "tool", "tool_call_id": id(call), "content": text }),
        Message::Assistant { text, calls, opaque } => {
            let mut said = Map::from_iter([("role".to_owned(), json!("assistant"))]);
            let text = if text.is_empty() && !calls.is_empty() { Json::Null } else { json!(text) };
            said.insert("content".to_owned(), text);
            if calls.is_empty() {
                return Ok(Json::Object(said));
            }
            let keeps = |name: &str| kept(opaque.as_ref(), ask.provider, name).filter(|_| ask.manner.replays_reasoning);
            let extras = keeps(EXTRA).unwrap_or_default();
            let function = |call: &ToolCall| {
                let mut json = json!({ "id": id(&call.id), "type": "function",
                    "function": { "name": call.name, "arguments": call.arguments } });
                if let Some(extra) = extras.get(&call.id) {
                    json[EXTRA] = extra.clone();
                }
                json
            };
            said.insert("tool_calls".to_owned(), calls.iter().map(function).collect());
            // Models that reason between calls want their reasoning back until they have answered.
            for name in REASONING {
                said.extend(keeps(name).map(|value| (name.to_owned(), value)));
            }
            Json::Object(said)
        }
    })
}

fn content(parts: &[Part]) -> Result<Json, Fault> {
    if let Some(text) = only_text(parts) {
        return Ok(Json::String(text));
    }
    let encode = |part: &Part| {
        Ok(match part {
            Part::Text { text } => json!({ "type": "text", "text": text }),
            Part::Image { mime, content } => {
                json!({ "type": "image_url", "image_url": { "url": data_url(mime, content) } })
            }
            Part::File { name, mime, content } => match text_of_file(mime, content) {
                Some(text) => json!({ "type": "text", "text": format!("File {name}:\n\n{text}") }),
                None if mime == "application/pdf" => {
                    json!({ "type": "file", "file": { "filename": name, "file_data": data_url(mime, content) } })
                }
                None => return Err(Fault::new(Kind::Unable, format!("it does not read files of the type `{mime}`"))),
            },
        })
    };
    parts.iter().map(encode).collect()
}

/// An id of nine letters and digits; one that has this form stays.
fn short(id: &str) -> String {
    const LONG: usize = 9;
    if id.len() == LONG && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    Sha256::digest(id)
        .iter()
        .map(|byte| char::from(b"0123456789abcdefghijklmnopqrstuv"[usize::from(byte % 32)]))
        .take(LONG)
        .collect()
}

/// Learns from a refusal: a field that is not known is left out from now on, or called by its other name.
pub(super) fn learn(manner: &Manner, ask: &Ask<'_>, said: &Said) -> Option<Manner> {
    const REFUSALS: &[&str] =
        &["unsupported", "not support", "unrecognized", "unknown", "not permitted", "extra_forbidden", "unavailable"];
    if !said.mentions(REFUSALS) {
        return None;
    }
    let names = |field: &str| {
        said.param.as_deref() == Some(field)
            || ["'", "\"", "`"].iter().any(|quote| said.message.contains(&format!("{quote}{field}{quote}")))
            // A word of ordinary prose names nothing.
            || field.contains('_') && said.message.contains(field)
    };
    let mut learnt = manner.clone();
    if names("max_tokens") && said.message.contains("max_completion_tokens") {
        learnt.completion_tokens = true;
    } else if names("max_completion_tokens") {
        learnt.completion_tokens = false;
    } else if names("reasoning_effort") && !ask.request.tools.is_empty() && said.message.contains("none") {
        learnt.tools_without_reasoning = true;
    } else if ask.request.schema.is_some() && (names("response_format") || names("json_schema")) {
        learnt.structured = match manner.structured {
            Structured::Schema => Structured::Object,
            Structured::Tool | Structured::Object | Structured::Words => Structured::Words,
        };
    } else {
        let field = OPTIONAL.into_iter().find(|field| names(field))?;
        learnt.without.insert(field);
    }
    Some(learnt)
}

/// What a message of the model keeps: reasoning and what came with calls, wanted back in the same fields.
fn keeps(reasoning: BTreeMap<&'static str, Json>, extras: Map<String, Json>) -> BTreeMap<&'static str, Json> {
    let mut keeps = reasoning;
    if !extras.is_empty() {
        keeps.insert(EXTRA, Json::Object(extras));
    }
    keeps
}
