//! Calls of models, as the semantic conventions for generative AI name what is known of them.

use liteagent_engine::{
    capability::{
        Content, ModelCall, Operation,
        model::{Finish, Message, Part},
    },
    value,
    value::Value,
};
use opentelemetry::{Array, KeyValue, StringValue, Value as Attribute};

/// The name of a span, and its attributes.
pub(super) fn described(call: &ModelCall<'_>) -> (String, Vec<KeyValue>) {
    let operation = match call.operation {
        Operation::Chat => "chat",
        Operation::Embed => "embeddings",
    };
    let answered = call.model.unwrap_or(call.asked);
    let (provider, model) = answered.split_once('/').unwrap_or(("", answered));
    let asked = call.asked.split_once('/').map_or(call.asked, |(_, model)| model);
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::new("gen_ai.operation.name", operation),
        KeyValue::new("gen_ai.provider.name", provider.to_owned()),
        KeyValue::new("gen_ai.request.model", asked.to_owned()),
        KeyValue::new("gen_ai.response.model", model.to_owned()),
        KeyValue::new("gen_ai.usage.input_tokens", count(call.usage.input_tokens)),
        KeyValue::new("gen_ai.usage.output_tokens", count(call.usage.output_tokens)),
        KeyValue::new("liteagent.node.path", call.node.to_owned()),
        KeyValue::new("liteagent.model.cost_dollars", call.usage.report().cost),
    ];
    if let Some(finish) = call.finish {
        let finish = match finish {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Tools => "tool_call",
        };
        let reasons = Attribute::Array(Array::String(vec![StringValue::from(finish)]));
        attributes.push(KeyValue::new("gen_ai.response.finish_reasons", reasons));
    }
    if let Some(first) = call.first {
        attributes.push(KeyValue::new("liteagent.model.first_token_seconds", first.as_secs_f64()));
    }
    if call.given_up {
        attributes.push(KeyValue::new("liteagent.model.given_up", true));
    }
    if let Some(Content { question, answer }) = call.content {
        let asked: Vec<Value> = question.messages.iter().map(message).collect();
        let said = value!([{ "role": "assistant", "parts": [{ "type": "text", "content": answer }] }]);
        attributes.push(KeyValue::new("gen_ai.input.messages", Value::from(asked).to_string()));
        attributes.push(KeyValue::new("gen_ai.output.messages", said.to_string()));
    }
    (format!("{operation} {asked}"), attributes)
}

/// A message, without the bytes of images and files.
fn message(message: &Message) -> Value {
    let text = |role: &str, text: &str| value!({ "role": role, "parts": [{ "type": "text", "content": text }] });
    match message {
        Message::System { text: said } => text("system", said),
        Message::User { parts } => {
            let parts: Vec<Value> = parts.iter().map(part).collect();
            value!({ "role": "user", "parts": parts })
        }
        Message::Assistant { text: said, calls, .. } => {
            let mut parts = vec![value!({ "type": "text", "content": said.clone() })];
            parts.extend(calls.iter().map(|call| {
                value!({
                    "type": "tool_call",
                    "id": call.id.clone(),
                    "name": call.name.clone(),
                    "arguments": call.arguments.clone(),
                })
            }));
            value!({ "role": "assistant", "parts": parts })
        }
        Message::Tool { call, text, .. } => {
            value!({ "role": "tool", "parts": [{ "type": "tool_call_response", "id": call.clone(), "response": text.clone() }] })
        }
    }
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text { text } => value!({ "type": "text", "content": text.clone() }),
        Part::Image { mime, .. } => value!({ "type": "blob", "modality": "image", "mime_type": mime.clone() }),
        Part::File { name, mime, .. } => value!({ "type": "file", "name": name.clone(), "mime_type": mime.clone() }),
    }
}
