//! Models whose calls somebody watches.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use futures::{Stream, StreamExt as _};
use tokio::time::Instant;

use super::{
    Tokenizer,
    model::{ChatEvent, ChatRequest, ChatStream, EmbedRequest, Embeddings, Finish, ModelInfo, Models},
    watcher::{Content, ModelCall, Operation, Watcher},
};
use crate::{
    error::{Code, ErrorClass, NodeError},
    usage::Usage,
};

/// Models whose calls somebody watches.
pub struct WatchedModels {
    models: Arc<dyn Models>,
    watcher: Arc<dyn Watcher>,
}

impl WatchedModels {
    /// The same models; `watcher` is told of every call.
    pub fn new(models: Arc<dyn Models>, watcher: Arc<dyn Watcher>) -> Self {
        Self { models, watcher }
    }
}

#[async_trait]
impl Models for WatchedModels {
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        self.models.describe(name)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, NodeError> {
        let mut call = Watched {
            watcher: self.watcher.clone(),
            begun: Instant::now(),
            answer: self.watcher.wants_content().then(String::new),
            request: self.kept(&request),
            model: None,
            first: None,
            usage: Usage::default(),
            finish: None,
            failed: None,
            is_over: false,
        };
        match self.models.chat(request).await {
            Ok(stream) => Ok(WatchedStream { stream, call }.boxed()),
            Err(error) => {
                call.failed = Some((error.code, error.class));
                call.is_over = true;
                Err(error)
            }
        }
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, NodeError> {
        let (asked, run, node, begun) = (request.model.clone(), request.run, request.node.clone(), Instant::now());
        let result = self.models.embed(request).await;
        let answer = result.as_ref().ok();
        self.watcher.model_called(&ModelCall {
            operation: Operation::Embed,
            asked: &asked,
            model: answer.map(|answer| &*answer.model),
            run,
            node: &node,
            took: begun.elapsed(),
            first: None,
            usage: answer.map(|answer| answer.usage).unwrap_or_default(),
            finish: None,
            given_up: false,
            failed: result.as_ref().err().map(|error| (error.code, error.class)),
            content: None,
        });
        result
    }

    fn tokenizer(&self, name: &str) -> Result<Arc<dyn Tokenizer>, NodeError> {
        self.models.tokenizer(name)
    }

    fn list(&self) -> Vec<ModelInfo> {
        self.models.list()
    }
}

impl WatchedModels {
    /// What is told of a question in the end: without its texts, unless they are wanted.
    fn kept(&self, request: &ChatRequest) -> ChatRequest {
        if self.watcher.wants_content() {
            return request.clone();
        }
        ChatRequest {
            models: request.models.clone(),
            run: request.run,
            node: request.node.clone(),
            ..ChatRequest::default()
        }
    }
}

/// A call on its way. It is told when it is dropped: also one that its caller gives up.
struct Watched {
    watcher: Arc<dyn Watcher>,
    begun: Instant,
    request: ChatRequest,
    /// The text so far, where that is wanted.
    answer: Option<String>,
    model: Option<String>,
    first: Option<Duration>,
    usage: Usage,
    finish: Option<Finish>,
    failed: Option<(Code, ErrorClass)>,
    is_over: bool,
}

impl Watched {
    fn saw(&mut self, event: &Result<ChatEvent, NodeError>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                self.failed = Some((error.code, error.class));
                self.is_over = true;
                return;
            }
        };
        match event {
            ChatEvent::Text(text) => {
                if let Some(answer) = &mut self.answer {
                    answer.push_str(text);
                }
                self.begins();
            }
            ChatEvent::Reasoning(_) | ChatEvent::Call(_) => self.begins(),
            ChatEvent::Spent { model, usage } => {
                self.model = Some(model.clone());
                self.usage += *usage;
            }
            ChatEvent::End(end) => {
                self.model = Some(end.model.clone());
                self.usage += end.usage;
                self.finish = Some(end.finish);
                self.is_over = true;
            }
        }
    }

    fn begins(&mut self) {
        self.first.get_or_insert(self.begun.elapsed());
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let content = self.answer.as_deref().map(|answer| Content { question: &self.request, answer });
        self.watcher.model_called(&ModelCall {
            operation: Operation::Chat,
            asked: self.request.models.first().map_or("", String::as_str),
            model: self.model.as_deref(),
            run: self.request.run,
            node: &self.request.node,
            took: self.begun.elapsed(),
            first: self.first,
            usage: self.usage,
            finish: self.finish,
            given_up: !self.is_over,
            failed: self.failed,
            content,
        });
    }
}

/// An answer that is watched while it comes.
struct WatchedStream {
    stream: ChatStream,
    call: Watched,
}

impl Stream for WatchedStream {
    type Item = Result<ChatEvent, NodeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.stream.poll_next_unpin(cx);
        if let Poll::Ready(Some(event)) = &next {
            self.call.saw(event);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{testing::FakeModels, value};

    /// Writes down what it is told.
    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);

    impl Watcher for Seen {
        fn model_called(&self, call: &ModelCall<'_>) {
            let line = format!(
                "{:?} {} -> {:?}, {} out, {}, {}, {:?}",
                call.operation,
                call.asked,
                call.model,
                call.usage.output_tokens,
                if call.first.is_some() { "began" } else { "nothing came" },
                if call.given_up { "given up" } else { "over" },
                call.content.map(|content| content.answer.to_owned()),
            );
            self.0.lock().unwrap().push(line);
        }

        fn wants_content(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_call_is_told_once_however_it_ends() {
        let seen = Arc::new(Seen::default());
        let answers = [value!({ "text": "Hello." }), value!({ "text": "Nobody hears this." })];
        let models = WatchedModels::new(Arc::new(FakeModels::answering(answers)), seen.clone());
        let request = || ChatRequest { models: vec!["default".to_owned()], ..ChatRequest::default() };
        let whole: Vec<_> = models.chat(request()).await.unwrap().collect().await;
        assert!(whole.iter().all(Result::is_ok));
        drop(models.chat(request()).await.unwrap());
        assert!(models.chat(request()).await.is_err(), "no answer is left");
        let seen = seen.0.lock().unwrap().clone();
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert!(seen[0].contains("began, over") && seen[0].ends_with("Some(\"Hello.\")"), "{seen:?}");
        assert!(seen[1].contains("nothing came, given up"), "{seen:?}");
        assert!(seen[2].contains("-> None") && seen[2].contains("nothing came, over"), "{seen:?}");
    }
}
