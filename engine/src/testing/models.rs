//! Models that say what a test tells them to.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::{StreamExt, stream};

use crate::{
    capability::model::{
        ChatEnd, ChatEvent, ChatRequest, ChatStream, EmbedRequest, Embeddings, Finish, ModelInfo, Models, ToolCall,
        ToolUse, Usage,
    },
    error::{Code, ErrorClass, NodeError},
    value::{Object, Value},
};

/// Models whose answers a test writes down, one after the other. Each call uses one token of input a word of the question,
/// and one of output a word of the answer.
///
/// The model `embedder` and every other whose name holds `embed` makes vectors of the letters of a text, so that texts
/// with the same words are near to each other; all others chat. One whose name holds `plain` calls no tools, one whose name holds `words` does so in words.
#[derive(Default)]
pub struct FakeModels {
    answers: Mutex<VecDeque<Value>>,
    asked: Mutex<Vec<ChatRequest>>,
}

impl FakeModels {
    /// Answers each call with the next of a list: `{ text }`, `{ json }`, `{ call: { tool: arguments } }` (several keys are
    /// several calls; a list of such maps also, where one tool is called twice), or `{ error: CODE }`; with `reasoning`
    /// and `finish` where a test wants them.
    pub fn answering(answers: impl IntoIterator<Item = Value>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() }
    }

    /// The questions that came, in order.
    pub fn asked(&self) -> Vec<ChatRequest> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next(&self) -> Option<Value> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

#[async_trait]
impl Models for FakeModels {
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        let known = if name.contains('/') { name.to_owned() } else { format!("test/{name}") };
        let chats = !name.contains("embed");
        Ok(ModelInfo {
            name: known,
            chats,
            tools: match name {
                _ if !chats || name.contains("plain") => ToolUse::No,
                _ if name.contains("words") => ToolUse::InWords,
                _ => ToolUse::Native,
            },
            structured: chats,
            images: chats,
            context: None,
        })
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, NodeError> {
        let model = self.describe(request.models.first().map_or("default", String::as_str))?.name;
        let words = format!("{:?}", request.messages).split_whitespace().count() as u64;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let Some(answer) = self.next() else {
            return Err(NodeError::internal("the test has no further answer of the model"));
        };
        if let Some(code) = answer.get("error").and_then(Value::as_str) {
            return Err(NodeError::new(Code::interned(code), ErrorClass::Unavailable, "the model failed"));
        }
        let mut events = Vec::new();
        if let Some(reasoning) = answer.get("reasoning").and_then(Value::as_str) {
            events.push(ChatEvent::Reasoning(reasoning.to_owned()));
        }
        let text = match (answer.get("text"), answer.get("json")) {
            (Some(text), _) => text.as_str().unwrap_or_default().to_owned(),
            (None, Some(json)) => json.to_string(),
            (None, None) => String::new(),
        };
        events.extend(text.split_inclusive(' ').map(|piece| ChatEvent::Text(piece.to_owned())));
        let calls = calls(answer.get("call"));
        let finish = match answer.get("finish").and_then(Value::as_str) {
            Some("length") => Finish::Length,
            _ if calls.is_empty() => Finish::Stop,
            _ => Finish::Tools,
        };
        events.extend(calls.into_iter().map(ChatEvent::Call));
        let output_tokens = text.split_whitespace().count() as u64;
        let usage = Usage { input_tokens: words, output_tokens, ..Usage::default() };
        events.push(ChatEvent::End(ChatEnd { model, finish, usage, opaque: None }));
        Ok(stream::iter(events.into_iter().map(Ok)).boxed())
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, NodeError> {
        let vectors = request.texts.iter().map(|text| letters(text)).collect();
        let input_tokens = request.texts.iter().map(|text| text.split_whitespace().count() as u64).sum();
        let usage = Usage { input_tokens, ..Usage::default() };
        Ok(Embeddings { model: self.describe(&request.model)?.name, vectors, usage })
    }
}

fn calls(call: Option<&Value>) -> Vec<ToolCall> {
    let of = |members: &Object| {
        let pairs = members.iter().map(|(name, arguments)| (name.to_string(), arguments.clone()));
        pairs.collect::<Vec<_>>()
    };
    let pairs = match call {
        Some(Value::Object(members)) => of(members),
        Some(Value::List(maps)) => maps.iter().filter_map(Value::as_object).flat_map(of).collect(),
        _ => Vec::new(),
    };
    let call = |(index, (name, arguments)): (usize, (String, Value))| ToolCall {
        id: format!("call_{}", index + 1),
        name,
        // A text stands for what a model wrote that is no JSON.
        arguments: arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned),
    };
    pairs.into_iter().enumerate().map(call).collect()
}

/// How often each pair of letters stands in a text, as a vector of length 1.
pub(super) fn letters(text: &str) -> Vec<f32> {
    let mut vector = vec![0f32; 26 * 26];
    for word in text.split(|letter: char| !letter.is_ascii_alphabetic()) {
        for pair in word.to_ascii_lowercase().as_bytes().windows(2) {
            vector[usize::from(pair[0] - b'a') * 26 + usize::from(pair[1] - b'a')] += 1.0;
        }
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    for x in &mut vector {
        *x /= length;
    }
    vector
}
