//! Who watches over the borders of a process: what happens there and that no journal tells.

use std::{sync::Arc, time::Duration};

use super::model::{ChatRequest, Finish};
use crate::{
    error::{Code, ErrorClass},
    id::RunId,
    usage::Usage,
};

/// Is told what happens at the borders of a process. It is called where that happens: it must not wait for anything.
pub trait Watcher: Send + Sync {
    /// An outgoing request was not sent: its address may not be reached. `purpose` is what it was for: `http`, `models`.
    fn address_refused(&self, purpose: &'static str) {
        let _ = purpose;
    }
    /// A call waited until the limits of a provider let it pass.
    fn model_waited(&self, provider: &str, waited: Duration) {
        let _ = (provider, waited);
    }
    /// A provider refused a call, because there were too many; it may be sent again.
    fn model_refused(&self, provider: &str) {
        let _ = provider;
    }
    /// A provider is left alone from now on, tried, or called again.
    fn breaker(&self, provider: &str, state: BreakerState) {
        let _ = (provider, state);
    }
    /// A call of a model is over.
    fn model_called(&self, call: &ModelCall<'_>) {
        let _ = call;
    }
    /// Whether [`Self::model_called`] wants to know what was asked and answered.
    fn wants_content(&self) -> bool {
        false
    }
    /// A call of the sandbox is over.
    fn code_ran(&self, call: &CodeRan) {
        let _ = call;
    }
}

/// Whether a provider is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// It is.
    Closed,
    /// One call tries whether it is back.
    Trial,
    /// It is left alone.
    Open,
}

/// What a model was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer.
    Chat,
    /// Vectors.
    Embed,
}

/// A call of a model that is over.
#[derive(Clone, Copy, Debug)]
pub struct ModelCall<'a> {
    /// What for.
    pub operation: Operation,
    /// The name that was asked for.
    pub asked: &'a str,
    /// The model that answered, `provider/model`; `None` when none did.
    pub model: Option<&'a str>,
    /// Whose call it was.
    pub run: Option<RunId>,
    /// The path of the node that asked; empty where no node did.
    pub node: &'a str,
    /// How long it took, waiting for limits and other models included.
    pub took: Duration,
    /// How long the first piece of the answer took; `None` when none came.
    pub first: Option<Duration>,
    /// What it used.
    pub usage: Usage,
    /// Why the model stopped.
    pub finish: Option<Finish>,
    /// Whether the caller gave the answer up before it ended.
    pub given_up: bool,
    /// Why it failed.
    pub failed: Option<(Code, ErrorClass)>,
    /// What was asked and answered, where the watcher wants that.
    pub content: Option<Content<'a>>,
}

/// What was asked and answered.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The question.
    pub question: &'a ChatRequest,
    /// The text of the answer.
    pub answer: &'a str,
}

/// A call of the sandbox that is over.
#[derive(Clone, Copy, Debug)]
pub struct CodeRan {
    /// `python` or `javascript`.
    pub language: &'static str,
    /// How long it waited for a place.
    pub waited: Duration,
    /// How long it ran.
    pub took: Duration,
    /// The limit that stopped it.
    pub exceeded: Option<&'static str>,
    /// Whether it came to its end.
    pub is_done: bool,
}

/// Tells several watchers.
pub struct Watchers(pub Vec<Arc<dyn Watcher>>);

impl Watcher for Watchers {
    fn address_refused(&self, purpose: &'static str) {
        self.0.iter().for_each(|watcher| watcher.address_refused(purpose));
    }

    fn model_waited(&self, provider: &str, waited: Duration) {
        self.0.iter().for_each(|watcher| watcher.model_waited(provider, waited));
    }

    fn model_refused(&self, provider: &str) {
        self.0.iter().for_each(|watcher| watcher.model_refused(provider));
    }

    fn breaker(&self, provider: &str, state: BreakerState) {
        self.0.iter().for_each(|watcher| watcher.breaker(provider, state));
    }

    fn model_called(&self, call: &ModelCall<'_>) {
        self.0.iter().for_each(|watcher| watcher.model_called(call));
    }

    fn wants_content(&self) -> bool {
        self.0.iter().any(|watcher| watcher.wants_content())
    }

    fn code_ran(&self, call: &CodeRan) {
        self.0.iter().for_each(|watcher| watcher.code_ran(call));
    }
}
