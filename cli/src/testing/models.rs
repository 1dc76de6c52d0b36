//! Stands in for models: the nodes that ask them run as they are.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use liteagent_engine::{
    capability::model::{
        ChatEnd, ChatEvent, ChatRequest, ChatStream, EmbedRequest, Embeddings, Finish, Message, ModelInfo, Models,
        Part, ToolCall, ToolUse, Usage,
    },
    codes,
    error::{ErrorClass, NodeError},
    time::{Clock, VirtualClock},
};
use serde_json::{Map, Value as Json};

use super::{
    deck::Deck,
    fakes::{Asked, Fakes, failure},
    file::{Calls, Fake},
};

/// Models that say what the fakes of a test hold, or its cassette. A token of a fake is a word.
pub(super) struct ScriptedModels {
    fakes: Arc<Fakes>,
    deck: Option<Arc<Deck>>,
    clock: Arc<VirtualClock>,
}

impl ScriptedModels {
    pub(super) fn new(fakes: Arc<Fakes>, deck: Option<Arc<Deck>>, clock: Arc<VirtualClock>) -> Self {
        Self { fakes, deck, clock }
    }
}

#[async_trait]
impl Models for ScriptedModels {
    /// Unless a cassette knows the model, it chats and can do everything: what a workflow does must not depend on the machine
    /// of the test.
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        if let Some(known) = self.deck.as_ref().and_then(|deck| deck.describe(name)) {
            return Ok(known);
        }
        let name = if name.contains('/') { name.to_owned() } else { format!("test/{name}") };
        Ok(ModelInfo { name, chats: true, tools: ToolUse::Native, structured: true, images: true, context: None })
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, NodeError> {
        let prompt = shown(&request.messages);
        let input_tokens = words(&prompt);
        let run = request.run.ok_or_else(|| NodeError::internal("a model was asked outside of a run"))?;
        let (fake, call, at) = match (self.fakes.asked(run, &request.node, prompt)?, &self.deck) {
            (Asked::Fake(fake, call, at), _) => (*fake, call, at),
            (Asked::Nobody(path), Some(deck)) => {
                let answer = deck.chat(&path, request).await?;
                self.fakes.called(answer.tools());
                return Ok(answer.stream());
            }
            (Asked::Nobody(path), None) => {
                return Err(NodeError::internal(format!("nothing stands in for the model of `{path}`")));
            }
        };
        self.clock.sleep_until(at).await;
        if let Some(fail) = fake.fail.as_ref().filter(|_| fake.fails(call)) {
            return Err(failure(fail));
        }
        let model = self.describe(request.models.first().map_or("default", String::as_str))?.name;
        Ok(stream::iter(said(&fake, model, input_tokens).into_iter().map(Ok)).boxed())
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, NodeError> {
        if let (Some(deck), Some(run)) = (&self.deck, request.run) {
            return deck.embed(&self.fakes.path(run, &request.node), request).await;
        }
        let message = format!("the model `{}` was to embed texts, which tests cannot fake", request.model);
        Err(NodeError::new(codes::NOT_FAKED, ErrorClass::Invalid, message)
            .hint("fake the outputs of the node, or record it: `cassette: true`"))
    }
}

fn said(fake: &Fake, model: String, input_tokens: u64) -> Vec<ChatEvent> {
    let text = fake.text.clone().or_else(|| fake.json.as_ref().map(Json::to_string)).unwrap_or_default();
    let output_tokens = words(&text);
    let mut events: Vec<_> = text.split_inclusive(' ').map(|piece| ChatEvent::Text(piece.to_owned())).collect();
    let calls = fake.call.as_ref().map(Calls::pairs).unwrap_or_default();
    let finish = if calls.is_empty() { Finish::Stop } else { Finish::Tools };
    for (index, (name, arguments)) in calls.into_iter().enumerate() {
        let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        events.push(ChatEvent::Call(ToolCall { id: format!("call_{}", index + 1), name, arguments }));
    }
    let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
    events.push(ChatEvent::End(ChatEnd { model, finish, usage, opaque: None }));
    events
}

impl Calls {
    /// Name and arguments of each, in order.
    pub(super) fn pairs(&self) -> Vec<(String, Json)> {
        let pairs = |calls: &Map<String, Json>| calls.clone().into_iter().collect::<Vec<_>>();
        match self {
            Self::Once(calls) => pairs(calls),
            Self::Several(all) => all.iter().flat_map(pairs).collect(),
        }
    }
}

/// A conversation as tests compare it.
fn shown(messages: &[Message]) -> String {
    let part = |part: &Part| match part {
        Part::Text { text } => text.clone(),
        Part::Image { mime, .. } => format!("[image {mime}]"),
        Part::File { name, .. } => format!("[file {name}]"),
    };
    let line = |message: &Message| match message {
        Message::System { text } => format!("system: {text}"),
        Message::User { parts } => format!("user: {}", parts.iter().map(part).collect::<String>()),
        Message::Assistant { text, calls, .. } => {
            let calls = calls.iter().map(|call| format!(" {}({})", call.name, call.arguments));
            format!("assistant: {text}{}", calls.collect::<String>())
        }
        Message::Tool { name, text, .. } => format!("tool {name}: {text}"),
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n\n")
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}
