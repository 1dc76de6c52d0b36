//! Plays a cassette to the nodes of a test, or records one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use indexmap::IndexMap;
use liteagent_engine::{
    capability::{
        Http, HttpCall, HttpReply, Redactor, Secrets,
        mcp::{Mcp, McpReply, McpTool},
        model::{ChatRequest, EmbedRequest, Embeddings, ModelInfo},
    },
    codes,
    error::{Code, ErrorClass, NodeError},
    id::RunId,
    node::{Capability, Registry},
    value::Value,
};
use serde_json::Value as Json;
use similar::TextDiff;

use super::{
    cassette::{Described, Entry, Kind, Recording, yaml},
    exchange::{self, Answer, ChatAnswer, EmbedAnswer, HttpAnswer},
    live::Live,
    matching::Mismatch,
    seen::Seen,
};

/// The type of the nodes that call a tool: which one it is says its configuration.
const TOOL: &str = "tool";

/// What a test plays or records.
pub(super) struct Deck {
    /// Who is really asked; nobody while a recording is played.
    live: Option<Arc<Live>>,
    redactor: Redactor,
    /// How the cassette is called in messages, and how it is recorded again.
    file: String,
    again: String,
    seen: Arc<Seen>,
    /// The node types whose calls are played.
    kinds: Vec<&'static str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    recording: Recording,
    /// How many calls were begun, by the path of the node.
    begun: IndexMap<String, u32>,
    faults: Vec<Mismatch>,
}

/// What a deck is made of.
pub(super) struct Load<'a> {
    pub(super) live: Option<&'a Arc<Live>>,
    pub(super) recording: Option<&'a Recording>,
    pub(super) secrets: &'a Arc<Secrets>,
    pub(super) registry: &'a Registry,
    pub(super) file: String,
    pub(super) again: String,
}

impl Deck {
    pub(super) fn new(load: Load<'_>, seen: Arc<Seen>) -> Self {
        let names: Vec<_> = load.secrets.names().into_iter().collect();
        let calls =
            |requires: &[Capability]| requires.iter().any(|one| matches!(one, Capability::Models | Capability::Http));
        let kinds = load.registry.iter().filter(|spec| calls(spec.meta.requires) || spec.type_name == TOOL);
        let recording = if load.live.is_some() { None } else { load.recording.cloned() };
        Self {
            live: load.live.map(|live| Arc::new(live.for_a_test())),
            redactor: Redactor::new(load.secrets, &names),
            file: load.file,
            again: load.again,
            seen,
            kinds: kinds.map(|spec| spec.type_name).collect(),
            state: Mutex::new(State { recording: recording.unwrap_or_default(), ..State::default() }),
        }
    }

    /// Whether nodes of this type run, and what they call is played.
    pub(super) fn plays(&self, kind: &str) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether someone is really being asked.
    pub(super) fn goes_on(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.goes_on())
    }

    pub(super) fn records(&self) -> bool {
        self.live.is_some()
    }

    /// What is known of a model, if anything is.
    pub(super) fn describe(&self, name: &str) -> Option<ModelInfo> {
        let Some(live) = &self.live else { return self.state().recording.models.get(name).map(Described::info) };
        // Where nobody stands for the name, the call of it says why.
        let info = live.describe(name).ok()?;
        self.state().recording.models.insert(name.to_owned(), Described::of(&info));
        Some(info)
    }

    pub(super) async fn chat(&self, path: &str, request: ChatRequest) -> Result<ChatAnswer, NodeError> {
        let asked = exchange::chat(&request);
        match self
            .next(path, Kind::Chat, asked, |live| async move { live.chat(request).await.map(Answer::Chat) })
            .await?
        {
            Answer::Chat(answer) => Ok(answer),
            _ => Err(self.unreadable("it is no answer of a chat model")),
        }
    }

    pub(super) async fn embed(&self, path: &str, request: EmbedRequest) -> Result<Embeddings, NodeError> {
        let asked = exchange::embed(&request);
        let live = |live: Arc<Live>| async move { live.embed(request).await.map(Answer::Embed) };
        match self.next(path, Kind::Embed, asked, live).await? {
            Answer::Embed(answer) => EmbedAnswer::vectors(answer).map_err(|error| self.unreadable(&error)),
            _ => Err(self.unreadable("it holds no vectors")),
        }
    }

    async fn http(&self, path: &str, call: HttpCall) -> Result<HttpReply, NodeError> {
        let asked = exchange::http(&call);
        let live = |live: Arc<Live>| async move { live.send(call).await.map(Answer::Http) };
        match self.next(path, Kind::Http, asked, live).await? {
            Answer::Http(answer) => HttpAnswer::reply(answer).map_err(|error| self.unreadable(&error)),
            _ => Err(self.unreadable("it is no answer of an HTTP service")),
        }
    }

    /// The next call of a node: played, or really made and recorded. What is recorded is given to the node, so that a test
    /// goes as it will go when it is played.
    async fn next<F: Future<Output = Result<Answer, NodeError>>>(
        &self,
        path: &str,
        kind: Kind,
        asked: Json,
        ask: impl FnOnce(Arc<Live>) -> F,
    ) -> Result<Answer, NodeError> {
        let asked = self.without_secrets(asked);
        let Some(live) = &self.live else { return self.play(path, kind, &asked) };
        let answer = match ask(live.clone()).await {
            Ok(answer) => self.without_secrets(answer.json().map_err(|error| self.unreadable(&error.to_string()))?),
            Err(error) => {
                let hint = error.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
                let found = format!("{}: {error}{hint}", error.code);
                let expected =
                    format!("an answer to record ({}); a failure is faked, not recorded", codes::NOT_RECORDED);
                self.state().faults.push(Mismatch::new(path, expected, found));
                return Err(error);
            }
        };
        let read = Answer::read(kind, &answer).map_err(|error| self.unreadable(&error))?;
        let mut state = self.state();
        let number = state.begin(path);
        state.recording.calls.push(Entry::new(path.to_owned(), number, kind, asked, answer));
        Ok(read)
    }

    fn play(&self, path: &str, kind: Kind, asked: &Json) -> Result<Answer, NodeError> {
        let mut state = self.state();
        let number = state.begin(path);
        let recorded = state.recording.calls.iter().find(|call| call.node == path && call.call == number).cloned();
        let Some(recorded) = recorded else {
            let expected = format!("call {number} in `{}`", self.file);
            let message = format!("call {number} of `{path}` was not recorded in `{}`", self.file);
            return Err(state.fault(path, codes::CASSETTE_MISSING, message, expected, "none", &self.again));
        };
        if recorded.kind != kind || recorded.request != *asked {
            let found = difference(&recorded.request, asked);
            let expected = format!("call {number} as in `{}`", self.file);
            let message = format!("call {number} of `{path}` is not the one that was recorded in `{}`", self.file);
            return Err(state.fault(path, codes::CASSETTE_CHANGED, message, expected, &found, &self.again));
        }
        drop(state);
        Answer::read(kind, &recorded.answer).map_err(|error| self.unreadable(&error))
    }

    /// What must not have happened.
    pub(super) fn take_faults(&self) -> Vec<Mismatch> {
        std::mem::take(&mut self.state().faults)
    }

    /// Calls that were recorded and are not made any more.
    pub(super) fn unused(&self) -> Vec<Mismatch> {
        let state = self.state();
        let mut recorded = HashMap::<&str, u32>::new();
        for call in state.recording.calls.iter().filter(|_| !self.records()) {
            *recorded.entry(&call.node).or_default() += 1;
        }
        let mut unused: Vec<_> = recorded
            .into_iter()
            .map(|(path, recorded)| (path, recorded, state.begun.get(path).copied().unwrap_or_default()))
            .filter(|(_, recorded, begun)| begun < recorded)
            .map(|(path, recorded, begun)| {
                let expected =
                    format!("{} as in `{}` ({}); {}", times(recorded), self.file, codes::CASSETTE_UNUSED, self.again);
                Mismatch::new(path, expected, times(begun))
            })
            .collect();
        unused.sort_by(|a, b| a.field.cmp(&b.field));
        unused
    }

    /// What was recorded.
    pub(super) fn take_recording(&self) -> Recording {
        std::mem::take(&mut self.state().recording).sorted()
    }

    /// A call of an MCP server, which no cassette holds: it fails the test, whatever a model is told of it.
    fn refuse(&self, server: &str) -> NodeError {
        let hint = "fake the nodes that list and call its tools";
        let message = format!("the MCP server `{server}` was to be called, which is neither faked nor recorded");
        let expected = format!("a fake; calls of MCP servers are not recorded ({})", codes::NOT_FAKED);
        self.state().faults.push(Mismatch::new(format!("the MCP server `{server}`"), expected, "a call"));
        NodeError::new(codes::NOT_FAKED, ErrorClass::Invalid, message).hint(hint)
    }

    fn without_secrets(&self, json: Json) -> Json {
        self.redactor.value(Value::from(json)).to_json()
    }

    fn unreadable(&self, why: &str) -> NodeError {
        let message = format!("what `{}` holds cannot be read: {why}", self.file);
        NodeError::new(codes::CASSETTE_INVALID, ErrorClass::Invalid, message).hint(self.again.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of the next call of a node.
    fn begin(&mut self, path: &str) -> u32 {
        let begun = self.begun.entry(path.to_owned()).or_default();
        *begun += 1;
        *begun
    }

    /// It fails the test, whatever the workflow does about it.
    fn fault(
        &mut self,
        path: &str,
        code: Code,
        message: String,
        expected: String,
        found: &str,
        again: &str,
    ) -> NodeError {
        self.faults.push(Mismatch::new(path, format!("{expected} ({code}); {again}"), found));
        NodeError::new(code, ErrorClass::Invalid, message).hint(again)
    }
}

fn times(calls: u32) -> String {
    if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") }
}

/// What is otherwise in a request: lines with `-` were recorded, lines with `+` are asked now.
fn difference(recorded: &Json, asked: &Json) -> String {
    const MOST: usize = 40;
    let text = |json: &Json| yaml(json).unwrap_or_else(|_| format!("{json:#}\n"));
    let (recorded, asked) = (text(recorded), text(asked));
    let diff = TextDiff::from_lines(&*recorded, &*asked);
    let diff = diff.unified_diff().context_radius(1).missing_newline_hint(false).to_string();
    let apart = |line: &str| line.split_at_checked(1).map(|(sign, text)| format!("{sign} {text}"));
    let mut lines: Vec<_> = diff.lines().filter(|line| !line.starts_with("@@")).filter_map(apart).collect();
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    let rest = if more > 0 { format!("\nand {more} more lines") } else { String::new() };
    format!("another request (- recorded, + now)\n{}{rest}", lines.join("\n"))
}

#[async_trait]
impl Http for Deck {
    /// Only nodes ask here; they say who they are.
    async fn send(&self, call: HttpCall) -> Result<HttpReply, NodeError> {
        Err(NodeError::internal(format!("`{}` was asked by no node", call.url)))
    }

    async fn send_for(&self, run: RunId, node: &str, call: HttpCall) -> Result<HttpReply, NodeError> {
        let path = self.seen.path(run, node);
        self.http(&path, call).await
    }
}

#[async_trait]
impl Mcp for Deck {
    async fn tools(&self, server: &str) -> Result<Vec<McpTool>, NodeError> {
        Err(self.refuse(server))
    }

    async fn call(&self, server: &str, _: &str, _: Value, _: &str) -> Result<McpReply, NodeError> {
        Err(self.refuse(server))
    }
}
