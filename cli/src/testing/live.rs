//! The real models and services, asked while a cassette is recorded.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use liteagent_engine::{
    capability::{
        Http, HttpCall, Secrets,
        model::{ChatRequest, EmbedRequest, ModelInfo, Models},
    },
    error::NodeError,
};
use tokio::{
    runtime::{Handle, Runtime},
    task::JoinHandle,
};

use super::exchange::{ChatAnswer, EmbedAnswer, HttpAnswer};

/// The largest answer of an HTTP service that is recorded, in bytes. Cassettes are read by people.
const LARGEST: usize = 4 << 20;

/// Real models and services. Calls run apart from the world of a test, whose process may die.
#[derive(Clone)]
pub(crate) struct Live {
    runtime: Handle,
    models: Arc<dyn Models>,
    http: Arc<dyn Http>,
    /// The secrets of this machine.
    pub(super) secrets: Arc<Secrets>,
    running: Arc<AtomicUsize>,
}

/// A call that goes on; it ends with who waits for it.
struct Call<T>(JoinHandle<T>, Arc<AtomicUsize>);

impl Live {
    pub(crate) fn new(runtime: &Runtime, models: Arc<dyn Models>, http: Arc<dyn Http>, secrets: Arc<Secrets>) -> Self {
        Self { runtime: runtime.handle().clone(), models, http, secrets, running: Arc::default() }
    }

    /// The same for one test, which knows of its own calls alone.
    pub(super) fn for_a_test(&self) -> Self {
        Self { running: Arc::default(), ..self.clone() }
    }

    /// Whether someone is being asked: that takes time of the machine, not of the test.
    pub(super) fn goes_on(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }

    pub(super) fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        self.models.describe(name)
    }

    pub(super) async fn chat(&self, request: ChatRequest) -> Result<ChatAnswer, NodeError> {
        let models = self.models.clone();
        self.apart(async move { ChatAnswer::gather(models.chat(request).await?).await }).await
    }

    pub(super) async fn embed(&self, request: EmbedRequest) -> Result<EmbedAnswer, NodeError> {
        let models = self.models.clone();
        self.apart(async move { Ok(EmbedAnswer::of(models.embed(request).await?)) }).await
    }

    pub(super) async fn send(&self, call: HttpCall) -> Result<HttpAnswer, NodeError> {
        let http = self.http.clone();
        self.apart(async move { HttpAnswer::gather(http.send(call).await?, LARGEST).await }).await
    }

    async fn apart<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, NodeError>> + Send + 'static,
    ) -> Result<T, NodeError> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let mut call = Call(self.runtime.spawn(call), self.running.clone());
        (&mut call.0).await.map_err(|error| NodeError::internal(format!("the call ended early: {error}")))?
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        self.0.abort();
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}
