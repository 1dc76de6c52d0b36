//! The answer of a chat, as it comes.

use std::collections::{BTreeMap, VecDeque};

use liteagent_engine::capability::model::{ChatEvent, Finish, ToolCall, Usage};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{EXTRA, REASONING, keeps};
use crate::{
    failure::{Fault, Kind, Said},
    sse,
    wire::{Ask, Ended, Reader, Step, Used, count, opaque},
};

/// The most calls of one answer. More is a fault of the server.
const MOST_CALLS: usize = 1_000;

/// Reads the answer of a chat.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    provider: String,
    calls: Vec<Call>,
    finish: Option<Finish>,
    /// The provider said that there is no more.
    is_done: bool,
    refusal: String,
    reasoning: BTreeMap<&'static str, Json>,
    used: Option<Used>,
}

/// A call that is being put together.
#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    extra: Option<Json>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Json>,
    /// Where Groq puts the usage.
    #[serde(default)]
    x_groq: Option<Json>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<Json>,
    #[serde(default)]
    reasoning_content: Option<Json>,
    #[serde(default)]
    reasoning: Option<Json>,
    #[serde(default)]
    reasoning_details: Option<Json>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionDelta>,
    #[serde(default)]
    extra_content: Option<Json>,
}

#[derive(Default, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<Json>,
}

impl Answer {
    pub(crate) fn to(ask: &Ask<'_>) -> Self {
        Self { provider: ask.provider.to_owned(), ..Self::default() }
    }

    fn read(&mut self, json: &[u8], out: &mut VecDeque<ChatEvent>) -> Result<Step, Fault> {
        // An error object has no choices; whatever else it is, it is read again as what it may be.
        let chunk: Chunk = match serde_json::from_slice(json) {
            Ok(chunk) => chunk,
            Err(error) => return Err(misread(json, &error)),
        };
        let usage = chunk.usage.or_else(|| Some(chunk.x_groq?.get_mut("usage")?.take()));
        let counted = usage.as_ref().and_then(used);
        let has_usage = counted.is_some();
        self.used = counted.or(self.used);
        let is_empty = chunk.choices.is_empty();
        if is_empty && !has_usage {
            let json: Json = serde_json::from_slice(json).unwrap_or_default();
            if let Some(said) = Said::read(&json) {
                return Err(said.into_fault());
            }
        }
        for choice in chunk.choices.into_iter().take(1) {
            if let Some(delta) = choice.delta {
                self.take(delta, out)?;
            }
            if let Some(reason) = choice.finish_reason {
                self.finish = Some(finish(&reason)?);
            }
        }
        Ok(if is_empty && !has_usage { Step::Idle } else { Step::Moved })
    }

    fn take(&mut self, delta: Delta, out: &mut VecDeque<ChatEvent>) -> Result<(), Fault> {
        let fields = [delta.reasoning_content, delta.reasoning, delta.reasoning_details];
        let mut is_told = false;
        for (name, value) in REASONING.into_iter().zip(fields) {
            match value {
                Some(Json::String(text)) if !text.is_empty() => {
                    // Some servers send the same text under both names.
                    if !std::mem::replace(&mut is_told, true) {
                        out.push_back(ChatEvent::Reasoning(text.clone()));
                    }
                    match self.reasoning.entry(name).or_insert_with(|| Json::String(String::new())) {
                        Json::String(kept) => kept.push_str(&text),
                        other => *other = Json::String(text),
                    }
                }
                Some(Json::Array(items)) if !items.is_empty() => {
                    if let Json::Array(kept) = self.reasoning.entry(name).or_insert_with(|| Json::Array(Vec::new())) {
                        kept.extend(items);
                    }
                }
                _ => {}
            }
        }
        match delta.content {
            Some(Json::String(text)) if !text.is_empty() => out.push_back(ChatEvent::Text(text)),
            Some(Json::Array(parts)) => parts.into_iter().for_each(|part| out.extend(event_of_part(&part))),
            _ => {}
        }
        self.refusal.push_str(&delta.refusal.unwrap_or_default());
        for piece in delta.tool_calls.into_iter().flatten() {
            self.take_call(piece)?;
        }
        Ok(())
    }

    /// Adds a piece to the call that it belongs to: by index where there is one. Servers leave the index out, or give
    /// every call the same; a new id then begins a new call.
    fn take_call(&mut self, piece: CallDelta) -> Result<(), Fault> {
        let id = piece.id.unwrap_or_default();
        let is_other = |call: &Call| !id.is_empty() && !call.id.is_empty() && call.id != id;
        let place = match piece.index {
            Some(index) => self.calls.iter().rposition(|call| call.index == Some(index)),
            None if id.is_empty() => self.calls.len().checked_sub(1),
            None => self.calls.iter().rposition(|call| call.id == id),
        };
        let place = place.filter(|place| !is_other(&self.calls[*place])).unwrap_or_else(|| {
            self.calls.push(Call { index: piece.index, ..Call::default() });
            self.calls.len() - 1
        });
        if place >= MOST_CALLS {
            return Err(Fault::answer(format!("it has more than {MOST_CALLS} calls")));
        }
        let call = &mut self.calls[place];
        if call.id.is_empty() {
            call.id = id;
        }
        call.extra = piece.extra_content.or(call.extra.take());
        let function = piece.function.unwrap_or_default();
        // A name may come late, or with every piece again.
        if let Some(name) = function.name.filter(|name| call.name != *name) {
            call.name.push_str(&name);
        }
        match function.arguments {
            Some(Json::String(text)) => call.arguments.push_str(&text),
            Some(Json::Null) | None => {}
            Some(other) => call.arguments.push_str(&other.to_string()),
        }
        Ok(())
    }
}

impl Reader for Answer {
    fn event(&mut self, event: &sse::Event, out: &mut VecDeque<ChatEvent>) -> Result<Step, Fault> {
        let data = event.data.trim();
        if data == "[DONE]" {
            self.is_done = true;
            return Ok(Step::Done);
        }
        if event.name == "error" {
            return Err(Said::of_body(data.as_bytes()).into_fault());
        }
        if data.is_empty() { Ok(Step::Idle) } else { self.read(data.as_bytes(), out) }
    }

    fn whole(&mut self, body: &[u8], out: &mut VecDeque<ChatEvent>) -> Result<(), Fault> {
        self.read(body, out)?;
        self.is_done = true;
        Ok(())
    }

    fn end(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<Ended, Fault> {
        if self.finish.is_none() && !self.is_done {
            return Err(Fault::answer("the connection ended before the answer did"));
        }
        if !self.refusal.is_empty() {
            return Err(Fault::new(Kind::Filtered, std::mem::take(&mut self.refusal)));
        }
        let mut extras = Map::new();
        let has_calls = !self.calls.is_empty();
        for (number, call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            let id = if call.id.is_empty() { format!("call_{number}") } else { call.id };
            extras.extend(call.extra.map(|extra| (id.clone(), extra)));
            let arguments = if call.arguments.is_empty() { "{}".to_owned() } else { call.arguments };
            out.push_back(ChatEvent::Call(ToolCall { id, name: call.name, arguments }));
        }
        debug_assert!(extras.is_empty() || has_calls, "{EXTRA} comes with calls");
        let keeps = if has_calls { keeps(std::mem::take(&mut self.reasoning), extras) } else { BTreeMap::new() };
        let finish = match self.finish {
            Some(Finish::Length) => Finish::Length,
            _ if has_calls => Finish::Tools,
            _ => Finish::Stop,
        };
        Ok(Ended { finish: Some(finish), used: self.used(), opaque: opaque(&self.provider, keeps) })
    }

    fn used(&self) -> Used {
        self.used.unwrap_or_default()
    }
}

/// Content that comes as parts: text, and what the model thinks.
fn event_of_part(part: &Json) -> Option<ChatEvent> {
    let text = |json: &Json| json.get("text").and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    if part.get("type").and_then(Json::as_str) != Some("thinking") {
        return text(part).map(ChatEvent::Text);
    }
    let pieces = part.get("thinking")?.as_array()?;
    Some(ChatEvent::Reasoning(pieces.iter().filter_map(text).collect()))
}

fn finish(reason: &str) -> Result<Finish, Fault> {
    Ok(match reason {
        "length" | "max_tokens" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::Tools,
        "content_filter" => return Err(Fault::new(Kind::Filtered, "its filter ended the answer")),
        "error" => return Err(Fault::new(Kind::Overloaded, "it gave up the answer")),
        "insufficient_system_resource" => {
            return Err(Fault::new(Kind::Overloaded, "it has no resources left for the answer"));
        }
        _ => Finish::Stop,
    })
}

fn used(usage: &Json) -> Option<Used> {
    let input = count(usage, &["/prompt_tokens"])?;
    let cached = count(usage, &["/prompt_tokens_details/cached_tokens", "/prompt_cache_hit_tokens"]).unwrap_or(0);
    Some(Used {
        usage: Usage {
            input_tokens: input,
            cached_tokens: cached.min(input),
            output_tokens: count(usage, &["/completion_tokens"]).unwrap_or(0),
            reasoning_tokens: count(usage, &["/completion_tokens_details/reasoning_tokens"]).unwrap_or(0),
            ..Usage::default()
        },
        written: count(usage, &["/prompt_tokens_details/cache_write_tokens"])
            .unwrap_or(0)
            .min(input - cached.min(input)),
    })
}

/// Data that is no chunk: an error of a form that chunks cannot have, or nonsense.
fn misread(json: &[u8], error: &serde_json::Error) -> Fault {
    match serde_json::from_slice::<Json>(json).ok().as_ref().and_then(Said::read) {
        Some(said) => said.into_fault(),
        None => Fault::answer(format!("expected a piece of an answer, found `{}`: {error}", excerpt(json))),
    }
}

fn excerpt(json: &[u8]) -> String {
    String::from_utf8_lossy(json).chars().take(60).collect()
}
