//! Answers that were given before, by the content of their questions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use liteagent_engine::capability::model::{ChatEnd, ChatEvent, ChatRequest, Part, Usage};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// The most bytes of all answers together.
const ROOM: usize = 64 << 20;

/// The digest of a question.
pub(crate) type Key = [u8; 32];

/// Answers of this process, the least recently used forgotten first.
#[derive(Debug)]
pub(crate) struct Cache {
    room: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    answers: HashMap<Key, Kept>,
    /// Which answer was used when; the oldest is first.
    used: BTreeMap<u64, Key>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    answer: Arc<Vec<ChatEvent>>,
    bytes: usize,
    used: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

impl Cache {
    fn with_room(room: usize) -> Self {
        Self { room, inner: Mutex::default() }
    }

    /// What was answered to this question. It costs nothing again.
    pub(crate) fn get(&self, key: &Key) -> Option<Vec<ChatEvent>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let Inner { answers, used, clock, .. } = &mut *inner;
        let kept = answers.get_mut(key)?;
        used.remove(&std::mem::replace(&mut kept.used, *clock));
        used.insert(*clock, *key);
        let answer = kept.answer.clone();
        drop(inner);
        let free = |event: &ChatEvent| match event {
            ChatEvent::End(end) => ChatEvent::End(ChatEnd { usage: Usage::default(), ..end.clone() }),
            other => other.clone(),
        };
        Some(answer.iter().map(free).collect())
    }

    /// Keeps a whole answer. One that alone takes more than a tenth of the room is not kept.
    pub(crate) fn put(&self, key: Key, answer: Vec<ChatEvent>) {
        let bytes = answer.iter().map(size).sum();
        if bytes > self.room / 10 {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let used = inner.clock;
        if let Some(old) = inner.answers.insert(key, Kept { answer: Arc::new(answer), bytes, used }) {
            inner.used.remove(&old.used);
            inner.bytes -= old.bytes;
        }
        inner.used.insert(used, key);
        inner.bytes += bytes;
        while inner.bytes > self.room
            && let Some((_, oldest)) = inner.used.pop_first()
            && let Some(old) = inner.answers.remove(&oldest)
        {
            inner.bytes -= old.bytes;
        }
    }
}

fn size(event: &ChatEvent) -> usize {
    const EVENT: usize = size_of::<ChatEvent>();
    EVENT
        + match event {
            ChatEvent::Text(text) | ChatEvent::Reasoning(text) => text.len(),
            ChatEvent::Call(call) => call.id.len() + call.name.len() + call.arguments.len(),
            ChatEvent::End(end) => end.opaque.as_ref().map_or(0, |opaque| opaque.to_string().len()),
            ChatEvent::Spent { .. } => 0,
        }
}

/// The digest of everything that decides about an answer: `models` are the names that were tried, without aliases.
pub(crate) fn key(models: &[String], request: &ChatRequest) -> Key {
    let sampling = &request.sampling;
    let tools: Vec<_> =
        request.tools.iter().map(|tool| json!([tool.name, tool.description, tool.parameters])).collect();
    let question = json!([
        models,
        request.messages,
        tools,
        request.tool_choice,
        request.schema,
        sampling.temperature,
        sampling.top_p,
        sampling.max_tokens,
        sampling.stop,
        sampling.seed,
        sampling.frequency_penalty,
        sampling.presence_penalty,
    ]);
    let mut digest = Sha256::new();
    digest.update(question.to_string());
    // The content of images and files is no part of the stored form of a message.
    for message in &request.messages {
        let liteagent_engine::capability::model::Message::User { parts } = message else { continue };
        for part in parts {
            if let Part::Image { content, .. } | Part::File { content, .. } = part {
                digest.update((content.len() as u64).to_le_bytes());
                digest.update(content);
            }
        }
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use liteagent_engine::capability::model::{Finish, Message};

    use super::*;

    fn answer(length: usize) -> Vec<ChatEvent> {
        let usage = Usage { input_tokens: 7, cost: 9, ..Usage::default() };
        let end = ChatEnd { model: "a/b".into(), finish: Finish::Stop, usage, opaque: None };
        vec![ChatEvent::Text("x".repeat(length)), ChatEvent::End(end)]
    }

    #[test]
    fn the_least_recently_used_answer_is_forgotten() {
        let cache = Cache::with_room(10_000);
        let has = |number: u8| cache.get(&[number; 32]).is_some();
        (0..10).for_each(|number| cache.put([number; 32], answer(500)));
        assert!(has(0), "it is used");
        (10..20).for_each(|number| cache.put([number; 32], answer(300)));
        assert!(has(19) && !has(1) && !has(2));
        cache.put([99; 32], answer(5_000));
        assert!(!has(99), "too large to be kept");
        let inner = cache.inner.lock().unwrap();
        assert!(inner.bytes <= 10_000 && inner.used.len() == inner.answers.len());
    }

    #[test]
    fn an_answer_from_the_cache_costs_nothing() {
        let cache = Cache::default();
        cache.put([1; 32], answer(5));
        let Some(ChatEvent::End(end)) = cache.get(&[1; 32]).unwrap().pop() else { panic!("it ends") };
        assert!(end.usage.is_nothing() && end.model == "a/b");
    }

    #[test]
    fn the_content_of_files_belongs_to_the_question() {
        let ask = |content: &'static [u8], text: &str| {
            let image = Part::Image { mime: "image/png".into(), content: content.into() };
            let message = Message::User { parts: vec![image, Part::Text { text: text.into() }] };
            key(&["a/b".to_owned()], &ChatRequest { messages: vec![message], ..ChatRequest::default() })
        };
        assert_eq!(ask(b"1", "x"), ask(b"1", "x"));
        assert_ne!(ask(b"1", "x"), ask(b"2", "x"));
        assert_ne!(ask(b"1", "x"), ask(b"1", "y"));
    }
}
