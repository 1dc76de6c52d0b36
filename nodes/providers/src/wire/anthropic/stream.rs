//! The answer of a chat, as it comes.

use std::collections::{BTreeMap, VecDeque};

use liteagent_engine::capability::model::{ChatEvent, Finish, ToolCall};
use serde_json::{Value as Json, json};

use super::{CONTENT, answer_tool};
use crate::{
    failure::{Fault, Kind, Said},
    sse,
    wire::{Ask, Ended, Reader, Step, Used, count, opaque},
};

/// The most blocks of one answer. More is a fault of the server.
const MOST_BLOCKS: u64 = 1_000;

/// Reads the answer of a chat.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    provider: String,
    /// The tool whose call is the text of the answer.
    text_tool: Option<String>,
    blocks: BTreeMap<u64, Block>,
    stop: Option<String>,
    is_done: bool,
    used: Used,
}

/// A block that is being put together.
#[derive(Debug)]
struct Block {
    json: Json,
    /// The input of a call, as it is written.
    input: String,
}

impl Answer {
    pub(crate) fn to(ask: &Ask<'_>) -> Self {
        Self { provider: ask.provider.to_owned(), text_tool: answer_tool(ask), ..Self::default() }
    }

    fn read(&mut self, json: &Json, out: &mut VecDeque<ChatEvent>) -> Result<Step, Fault> {
        match json["type"].as_str().unwrap_or_default() {
            "message_start" => self.count(&json["message"]["usage"]),
            "content_block_start" => self.begin(index(json)?, json["content_block"].clone(), out),
            "content_block_delta" => self.go_on(index(json)?, &json["delta"], out)?,
            "message_delta" => {
                self.count(&json["usage"]);
                if let Some(stop) = json["delta"]["stop_reason"].as_str() {
                    self.stop = Some(stop.to_owned());
                }
            }
            "message_stop" => {
                self.is_done = true;
                return Ok(Step::Done);
            }
            "error" => return Err(Said::read(json).unwrap_or_default().into_fault()),
            // `ping`, `content_block_stop`, and what comes in later versions.
            _ => return Ok(Step::Idle),
        }
        Ok(Step::Moved)
    }

    /// Counts are cumulative: the last one holds.
    fn count(&mut self, usage: &Json) {
        let Used { usage: sum, written } = &mut self.used;
        let cached = count(usage, &["/cache_read_input_tokens"]).unwrap_or(sum.cached_tokens);
        *written = count(usage, &["/cache_creation_input_tokens"]).unwrap_or(*written);
        if let Some(input) = count(usage, &["/input_tokens"]) {
            sum.input_tokens = input + cached + *written;
            sum.cached_tokens = cached;
        }
        sum.output_tokens = count(usage, &["/output_tokens"]).unwrap_or(sum.output_tokens);
        sum.reasoning_tokens =
            count(usage, &["/output_tokens_details/thinking_tokens"]).unwrap_or(sum.reasoning_tokens);
    }

    fn begin(&mut self, index: u64, block: Json, out: &mut VecDeque<ChatEvent>) {
        let block = if block.is_object() { block } else { json!({}) };
        if let Some(text) = block["text"].as_str().filter(|text| !text.is_empty()) {
            out.push_back(ChatEvent::Text(text.to_owned()));
        }
        // Servers that do not stream calls send the whole input here.
        let input = block["input"].as_object().filter(|input| !input.is_empty());
        let input = input.map_or_else(String::new, |_| block["input"].to_string());
        if !input.is_empty() && self.is_answer(&block) {
            out.push_back(ChatEvent::Text(input.clone()));
        }
        self.blocks.insert(index, Block { json: block, input });
    }

    fn is_answer(&self, block: &Json) -> bool {
        self.text_tool.is_some() && block["type"] == "tool_use" && block["name"].as_str() == self.text_tool.as_deref()
    }

    fn go_on(&mut self, index: u64, delta: &Json, out: &mut VecDeque<ChatEvent>) -> Result<(), Fault> {
        let is_answer = self.blocks.get(&index).is_some_and(|block| self.is_answer(&block.json));
        let Some(block) = self.blocks.get_mut(&index) else {
            return Err(Fault::answer(format!("it goes on with the block {index}, which did not begin")));
        };
        let piece = |key: &str| delta[key].as_str().filter(|text| !text.is_empty());
        match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => {
                if let Some(text) = piece("text") {
                    append(&mut block.json, "text", text);
                    out.push_back(ChatEvent::Text(text.to_owned()));
                }
            }
            "thinking_delta" => {
                if let Some(text) = piece("thinking") {
                    append(&mut block.json, "thinking", text);
                    out.push_back(ChatEvent::Reasoning(text.to_owned()));
                }
            }
            "signature_delta" => append(&mut block.json, "signature", piece("signature").unwrap_or_default()),
            "input_json_delta" => {
                if let Some(text) = piece("partial_json") {
                    block.input.push_str(text);
                    if is_answer {
                        out.push_back(ChatEvent::Text(text.to_owned()));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn calls(&self) -> impl Iterator<Item = ToolCall> {
        self.blocks.values().filter(|block| block.json["type"] == "tool_use" && !self.is_answer(&block.json)).map(
            |block| {
                let text = |key: &str| block.json[key].as_str().unwrap_or_default().to_owned();
                let arguments = if block.input.is_empty() { "{}".to_owned() } else { block.input.clone() };
                ToolCall { id: text("id"), name: text("name"), arguments }
            },
        )
    }

    /// All blocks, when the model reasoned; they are wanted back as they were. Broken input cannot be sent back.
    fn keeps(&self) -> BTreeMap<&'static str, Json> {
        let reasons = |block: &&Block| matches!(block.json["type"].as_str(), Some("thinking" | "redacted_thinking"));
        if !self.blocks.values().any(|block| reasons(&block)) {
            return BTreeMap::new();
        }
        let whole = |block: &Block| {
            let mut json = block.json.clone();
            if json["type"] == "tool_use" {
                let input = if block.input.is_empty() { "{}" } else { &block.input };
                json["input"] = serde_json::from_str(input).ok().filter(Json::is_object)?;
            }
            Some(json)
        };
        let blocks: Option<Vec<Json>> = self.blocks.values().map(whole).collect();
        blocks.map(|blocks| (CONTENT, Json::Array(blocks))).into_iter().collect()
    }
}

impl Reader for Answer {
    fn event(&mut self, event: &sse::Event, out: &mut VecDeque<ChatEvent>) -> Result<Step, Fault> {
        if event.data.trim().is_empty() {
            return Ok(Step::Idle);
        }
        let json: Json = serde_json::from_str(&event.data).map_err(|error| {
            let found: String = event.data.chars().take(60).collect();
            Fault::answer(format!("expected a piece of an answer, found `{found}`: {error}"))
        })?;
        self.read(&json, out)
    }

    fn whole(&mut self, body: &[u8], out: &mut VecDeque<ChatEvent>) -> Result<(), Fault> {
        let json: Json = serde_json::from_slice(body)
            .map_err(|error| Fault::answer(format!("expected an answer in JSON: {error}")))?;
        if let Some(said) = Said::read(&json) {
            return Err(said.into_fault());
        }
        let blocks = json["content"].as_array().ok_or_else(|| Fault::answer("expected an answer with `content`"))?;
        for (number, block) in blocks.iter().enumerate() {
            if let Some(text) = block["thinking"].as_str().filter(|text| !text.is_empty()) {
                out.push_back(ChatEvent::Reasoning(text.to_owned()));
            }
            self.begin(number as u64, block.clone(), out);
        }
        self.count(&json["usage"]);
        self.stop = json["stop_reason"].as_str().map(str::to_owned);
        self.is_done = true;
        Ok(())
    }

    fn end(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<Ended, Fault> {
        let stop = match self.stop.as_deref() {
            None if !self.is_done => return Err(Fault::answer("the connection ended before the answer did")),
            Some("refusal") => return Err(Fault::new(Kind::Filtered, "the model does not answer this")),
            stop => stop.unwrap_or_default(),
        };
        let calls: Vec<ToolCall> = self.calls().collect();
        let finish = match stop {
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            _ if calls.is_empty() => Finish::Stop,
            _ => Finish::Tools,
        };
        out.extend(calls.into_iter().map(ChatEvent::Call));
        Ok(Ended { finish: Some(finish), used: self.used, opaque: opaque(&self.provider, self.keeps()) })
    }

    fn used(&self) -> Used {
        self.used
    }
}

fn index(json: &Json) -> Result<u64, Fault> {
    json["index"]
        .as_u64()
        .filter(|index| *index < MOST_BLOCKS)
        .ok_or_else(|| Fault::answer(format!("expected the index of a block, found `{}`", json["index"])))
}

fn append(block: &mut Json, key: &str, text: &str) {
    match &mut block[key] {
        Json::String(so_far) => so_far.push_str(text),
        other => *other = json!(text),
    }
}
