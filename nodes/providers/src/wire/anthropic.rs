//! Messages as Anthropic has them.

use liteagent_engine::capability::model::{ChatRequest, Message, Part, ToolCall, ToolChoice};
use serde_json::{Map, Value as Json, json};

pub(crate) use self::stream::Answer;
use super::{
    Ask, Manner, Structured, arguments, base64_of, in_words, kept,
    schema::{self, Strict},
    text_of_file,
};
use crate::failure::{Fault, Kind, Said};

mod stream;

/// What a message keeps: all of its blocks, in their order, when it reasoned. Signatures hold them together.
const CONTENT: &str = "content";

/// The request of a chat.
pub(super) fn chat(ask: &Ask<'_>) -> Result<Map<String, Json>, Fault> {
    let Ask { request, manner, .. } = ask;
    let mut body = Map::new();
    let mut put = |name: &'static str, value: Json| {
        if !value.is_null() && !manner.without.contains(name) {
            body.insert(name.to_owned(), value);
        }
    };
    let (mut system, messages) = conversation(ask)?;
    let form = Form::of(ask);
    system.extend(form.words);
    put("model", json!(ask.model));
    put("max_tokens", json!(request.sampling.max_tokens.unwrap_or(manner.max_tokens)));
    put("stream", json!(true));
    if !system.is_empty() {
        put("system", json!(system.join("\n\n")));
    }
    put("messages", Json::Array(messages));
    put("temperature", json!(request.sampling.temperature));
    put("top_p", json!(request.sampling.top_p));
    if !request.sampling.stop.is_empty() {
        put("stop_sequences", json!(request.sampling.stop));
    }
    put("output_config", form.output);
    let mut tools: Vec<Json> = request
        .tools
        .iter()
        .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters }))
        .collect();
    tools.extend(form.tool);
    if !tools.is_empty() {
        put("tools", Json::Array(tools));
        put("tool_choice", form.choice);
    }
    Ok(body)
}

/// The name of the tool whose call is the answer, if the answer is one.
fn answer_tool(ask: &Ask<'_>) -> Option<String> {
    let schema = ask.request.schema.as_ref()?.to_json();
    if ask.manner.structured != Structured::Tool || !ask.manner.forced_tools || !schema::is_object(&schema) {
        return None;
    }
    let is_taken = |name: &str| ask.request.tools.iter().any(|tool| tool.name == name);
    (0..=ask.request.tools.len()).map(|number| format!("answer{}", "_".repeat(number))).find(|name| !is_taken(name))
}

/// What holds the answer to a form.
#[derive(Debug, Default)]
struct Form {
    output: Json,
    tool: Option<Json>,
    choice: Json,
    words: Option<String>,
}

impl Form {
    fn of(ask: &Ask<'_>) -> Self {
        let Ask { request, manner, .. } = ask;
        let mut form = Self::default();
        match request.tool_choice {
            ToolChoice::Required if manner.forced_tools => form.choice = json!({ "type": "any" }),
            ToolChoice::Required => form.words = Some("Call at least one of the tools.".to_owned()),
            ToolChoice::None => form.choice = json!({ "type": "none" }),
            ToolChoice::Auto => {}
        }
        let Some(wanted) = &request.schema else { return form };
        let schema = wanted.to_json();
        if let Some(name) = answer_tool(ask) {
            form.choice = if request.tools.is_empty() || request.tool_choice == ToolChoice::None {
                json!({ "type": "tool", "name": name })
            } else {
                json!({ "type": "any" })
            };
            form.tool = Some(json!({ "name": name, "description": "Gives the answer.", "input_schema": schema }));
            return form;
        }
        let strict = Strict { all_required: false, narrow: true }.of(&schema);
        if let Some(schema) = strict.filter(|_| manner.structured == Structured::Schema) {
            form.output = json!({ "format": { "type": "json_schema", "schema": schema } });
        } else {
            let more = form.words.take().map_or_else(String::new, |words| format!("{words}\n\n"));
            form.words = Some(more + &in_words(wanted));
        }
        form
    }
}

/// The instructions, and the messages: roles take turns, so neighbours of one role are joined.
fn conversation(ask: &Ask<'_>) -> Result<(Vec<String>, Vec<Json>), Fault> {
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Json>)> = Vec::new();
    for message in &ask.request.messages {
        let (role, blocks) = match message {
            Message::System { text } => {
                system.extend((!text.trim().is_empty()).then(|| text.clone()));
                continue;
            }
            Message::User { parts } => ("user", parts.iter().filter_map(block).collect::<Result<Vec<_>, _>>()?),
            Message::Tool { call, text, failed, .. } => {
                let mut result = json!({ "type": "tool_result", "tool_use_id": plain_id(call), "content": text });
                if *failed {
                    result["is_error"] = json!(true);
                }
                ("user", vec![result])
            }
            Message::Assistant { text, calls, opaque } => {
                let kept = kept(opaque.as_ref(), ask.provider, CONTENT).filter(|_| ask.manner.replays_reasoning);
                ("assistant", kept.and_then(|kept| same(kept, text, calls)).unwrap_or_else(|| said(text, calls)))
            }
        };
        match turns.last_mut() {
            Some((last, all)) if *last == role => all.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => turns.push((role, blocks)),
        }
    }
    // Results stand before anything else that is said in their turn.
    for (_, blocks) in &mut turns {
        blocks.sort_by_key(|block| block["type"] != "tool_result");
    }
    Ok((system, turns.into_iter().map(|(role, blocks)| json!({ "role": role, "content": blocks })).collect()))
}

/// A part of what a person says. Empty texts are refused, so there are none.
fn block(part: &Part) -> Option<Result<Json, Fault>> {
    Some(Ok(match part {
        Part::Text { text } if text.trim().is_empty() => return None,
        Part::Text { text } => json!({ "type": "text", "text": text }),
        Part::Image { mime, content } => json!({ "type": "image",
            "source": { "type": "base64", "media_type": mime, "data": base64_of(content) } }),
        Part::File { name, mime, content } => match text_of_file(mime, content) {
            Some(text) => json!({ "type": "document", "title": name,
                "source": { "type": "text", "media_type": "text/plain", "data": text } }),
            None if mime == "application/pdf" => json!({ "type": "document", "title": name,
                "source": { "type": "base64", "media_type": mime, "data": base64_of(content) } }),
            None => {
                return Some(Err(Fault::new(Kind::Unable, format!("it does not read files of the type `{mime}`"))));
            }
        },
    }))
}

fn said(text: &str, calls: &[ToolCall]) -> Vec<Json> {
    let text = (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }));
    let call = |call: &ToolCall| json!({ "type": "tool_use", "id": plain_id(&call.id), "name": call.name, "input": arguments(&call.arguments) });
    text.into_iter().chain(calls.iter().map(call)).collect()
}

/// The blocks as they were, if the message still says what they say.
fn same(kept: Json, text: &str, calls: &[ToolCall]) -> Option<Vec<Json>> {
    let Json::Array(blocks) = kept else { return None };
    let of = |kind: &'static str, key: &'static str| {
        blocks
            .iter()
            .filter(move |block| block["type"] == kind)
            .map(move |block| block[key].as_str().unwrap_or_default())
    };
    let is_same = of("text", "text").collect::<String>() == text
        && of("tool_use", "id").eq(calls.iter().map(|call| call.id.as_str()));
    is_same.then_some(blocks)
}

/// Ids of calls have letters, digits, `_` and `-`; those of other providers may have more.
fn plain_id(id: &str) -> String {
    id.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' }).collect()
}

/// Learns from a refusal how the model wants to be asked.
pub(super) fn learn(manner: &Manner, ask: &Ask<'_>, said: &Said) -> Option<Manner> {
    let ChatRequest { schema, tool_choice, sampling, .. } = ask.request;
    let message = said.message.as_str();
    let mut learnt = manner.clone();
    if message.contains("tool_choice") && (schema.is_some() || *tool_choice == ToolChoice::Required) {
        learnt.forced_tools = false;
        learnt.structured = Structured::Schema;
    } else if schema.is_some()
        && ["output_config", "output_format", "json_schema"].iter().any(|name| message.contains(name))
    {
        learnt.structured = if manner.structured == Structured::Schema && manner.forced_tools {
            Structured::Tool
        } else {
            Structured::Words
        };
    } else if message.contains("thinking") && (message.contains("signature") || message.contains("block")) {
        learnt.replays_reasoning = false;
    } else if message.contains("temperature") && sampling.temperature.is_some() && is_refused(message) {
        learnt.without.insert("temperature");
    } else if message.contains("top_p") && sampling.top_p.is_some() && is_refused(message) {
        learnt.without.insert("top_p");
    } else {
        return None;
    }
    Some(learnt)
}

/// Whether a field is refused as such, and not for its value.
fn is_refused(message: &str) -> bool {
    ["not supported", "deprecated", "cannot both", "may only be set", "not permitted", "unsupported"]
        .iter()
        .any(|words| message.contains(words))
}
