//! Wire formats: questions become requests, events become answers. Nothing here does input or output.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use liteagent_engine::{
    capability::model::{ChatEvent, ChatRequest, Finish, Part, Usage},
    value::Value,
};
use serde_json::{Map, Value as Json};

use crate::{
    failure::{Fault, Kind, Said},
    sse,
};

pub(crate) mod anthropic;
pub(crate) mod openai;
mod schema;

/// How a provider talks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Chat completions as OpenAI has them: Azure, vLLM, Ollama, DeepSeek, Qwen and many others.
    #[default]
    OpenAi,
    /// Messages as Anthropic has them.
    Anthropic,
}

/// How an answer is held to a JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Structured {
    /// The provider holds the answer to the schema.
    Schema,
    /// The answer is the call of a tool that must be called.
    Tool,
    /// The provider holds the answer to JSON; the schema stands in words.
    Object,
    /// Everything stands in words.
    Words,
}

impl Structured {
    /// Whether the provider holds the answer to the schema.
    pub(crate) const fn is_held(self) -> bool {
        matches!(self, Self::Schema | Self::Tool)
    }
}

/// How a model wants to be asked, where it differs from others. What is not known beforehand is learnt from refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Fields that it refuses.
    pub(crate) without: BTreeSet<&'static str>,
    /// Whether the limit of the answer is called `max_completion_tokens`.
    pub(crate) completion_tokens: bool,
    /// How answers are held to a schema.
    pub(crate) structured: Structured,
    /// Whether schemas may only have the keywords that every strict decoder knows.
    pub(crate) narrow: bool,
    /// Whether it calls tools only when it does not reason.
    pub(crate) tools_without_reasoning: bool,
    /// Whether a tool can be required.
    pub(crate) forced_tools: bool,
    /// Whether ids of calls have nine letters and digits.
    pub(crate) short_ids: bool,
    /// Whether its earlier reasoning is sent back.
    pub(crate) replays_reasoning: bool,
    /// The most tokens of an answer, where the format wants a number.
    pub(crate) max_tokens: u64,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            without: BTreeSet::new(),
            completion_tokens: false,
            structured: Structured::Schema,
            narrow: false,
            tools_without_reasoning: false,
            forced_tools: true,
            short_ids: false,
            replays_reasoning: true,
            max_tokens: 8_192,
        }
    }
}

impl Manner {
    /// What another manner does otherwise, for a log.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let mut changes: Vec<String> =
            other.without.difference(&self.without).map(|name| format!("without `{name}`")).collect();
        let mut note = |is_other: bool, what: &str| changes.extend(is_other.then(|| what.to_owned()));
        note(self.completion_tokens != other.completion_tokens, "with the other name of `max_tokens`");
        note(self.structured != other.structured, "with the schema given otherwise");
        note(self.tools_without_reasoning != other.tools_without_reasoning, "without reasoning where it has tools");
        note(self.forced_tools != other.forced_tools, "without a tool that it must call");
        note(self.replays_reasoning != other.replays_reasoning, "without its earlier reasoning");
        changes.join(", ")
    }
}

/// A question to one model.
pub(crate) struct Ask<'a> {
    /// The question.
    pub(crate) request: &'a ChatRequest,
    /// The provider's name here: what it wants to see again is shown to nobody else.
    pub(crate) provider: &'a str,
    /// The model as the provider calls it.
    pub(crate) model: &'a str,
    /// How it wants to be asked.
    pub(crate) manner: &'a Manner,
    /// Fields that are added to the request as they are.
    pub(crate) extra: &'a Map<String, Json>,
}

/// What reading an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: a sign of life at most.
    Idle,
    /// The answer went on.
    Moved,
    /// The provider says that there is no more.
    Done,
}

/// How an answer ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Why the model stopped.
    pub(crate) finish: Option<Finish>,
    /// What it used, as far as the provider said so.
    pub(crate) used: Used,
    /// What the provider wants to see again.
    pub(crate) opaque: Option<Value>,
}

/// What was used, as the provider counts it. Costs are not known here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Used {
    /// Tokens.
    pub(crate) usage: Usage,
    /// Those of the question that were written to the provider's cache.
    pub(crate) written: u64,
}

/// Reads one answer.
pub(crate) trait Reader: Send {
    /// Reads an event of the stream.
    fn event(&mut self, event: &sse::Event, out: &mut VecDeque<ChatEvent>) -> Result<Step, Fault>;
    /// Reads a whole answer: some servers do not stream though they are asked to.
    fn whole(&mut self, body: &[u8], out: &mut VecDeque<ChatEvent>) -> Result<(), Fault>;
    /// The stream is over: what is still held back, and how the answer ended.
    fn end(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<Ended, Fault>;
    /// What was used so far.
    fn used(&self) -> Used;
}

impl Format {
    /// The path of chats, below the base URL.
    pub(crate) const fn chat_path(self) -> &'static str {
        match self {
            Self::OpenAi => "chat/completions",
            Self::Anthropic => "messages",
        }
    }

    /// The request of a chat.
    pub(crate) fn chat(self, ask: &Ask<'_>) -> Result<Map<String, Json>, Fault> {
        let mut body = match self {
            Self::OpenAi => openai::chat(ask)?,
            Self::Anthropic => anthropic::chat(ask)?,
        };
        body.extend(ask.extra.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(body)
    }

    /// A reader for the answer to a question.
    pub(crate) fn reader(self, ask: &Ask<'_>) -> Box<dyn Reader> {
        match self {
            Self::OpenAi => Box::new(openai::Answer::to(ask)),
            Self::Anthropic => Box::new(anthropic::Answer::to(ask)),
        }
    }

    /// Learns from a refusal how the model wants to be asked. `None` when the refusal teaches nothing new.
    pub(crate) fn learn(self, manner: &Manner, ask: &Ask<'_>, said: &Said) -> Option<Manner> {
        let learnt = match self {
            Self::OpenAi => openai::learn(manner, ask, said),
            Self::Anthropic => anthropic::learn(manner, ask, said),
        };
        learnt.filter(|learnt| learnt != manner)
    }

    /// The request for vectors of some texts.
    pub(crate) fn embed(self, model: &str, texts: &[String]) -> Result<Map<String, Json>, Fault> {
        match self {
            Self::OpenAi => Ok(openai::embed(model, texts)),
            Self::Anthropic => Err(Fault::new(Kind::Unable, "this wire format has no embeddings")),
        }
    }
}

/// A file of text is sent as text: every model reads it. `None` when it is none.
fn text_of_file(mime: &str, content: &[u8]) -> Option<String> {
    let kind = mime.split(';').next().unwrap_or(mime).trim();
    let is_text = kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(kind, "application/json" | "application/xml" | "application/yaml" | "application/x-yaml");
    if is_text { String::from_utf8(content.to_vec()).ok() } else { None }
}

/// The instruction that stands in for a schema that the provider does not hold.
fn in_words(schema: &Value) -> String {
    format!(
        "Answer with one JSON value and nothing else: no Markdown fences, no explanation. It must fit this JSON Schema:\n{schema}"
    )
}

/// The arguments of a call as a JSON object; what is broken is passed on as text under one name, for the model to see.
fn arguments(text: &str) -> Json {
    match serde_json::from_str(text) {
        Ok(Json::Object(members)) => Json::Object(members),
        _ if text.trim().is_empty() => Json::Object(Map::new()),
        _ => Json::Object(Map::from_iter([("unreadable".to_owned(), Json::String(text.to_owned()))])),
    }
}

/// A data URL.
fn data_url(mime: &str, content: &[u8]) -> String {
    format!("data:{mime};base64,{}", base64_of(content))
}

fn base64_of(content: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(content)
}

/// The text of parts that are all texts.
fn only_text(parts: &[Part]) -> Option<String> {
    let texts = parts.iter().map(|part| match part {
        Part::Text { text } => Some(text.as_str()),
        Part::Image { .. } | Part::File { .. } => None,
    });
    texts.collect::<Option<Vec<_>>>().map(|texts| texts.join("\n"))
}

/// What a message keeps for its own provider.
fn opaque(provider: &str, members: BTreeMap<&str, Json>) -> Option<Value> {
    if members.is_empty() {
        return None;
    }
    let own = members.into_iter().map(|(name, value)| (name, Value::from(value)));
    Some(Value::from_pairs([("provider", Value::from(provider)), ("keeps", Value::from_pairs(own))]))
}

/// What a message kept, if it was for this provider.
fn kept(opaque: Option<&Value>, provider: &str, name: &str) -> Option<Json> {
    let opaque = opaque.filter(|opaque| opaque.get("provider").and_then(Value::as_str) == Some(provider))?;
    opaque.get("keeps")?.get(name).map(Value::to_json)
}

/// The first number that is there.
fn count(json: &Json, paths: &[&str]) -> Option<u64> {
    paths.iter().find_map(|path| json.pointer(path)?.as_u64())
}
