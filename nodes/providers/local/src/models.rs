//! The local models as nodes see them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread::available_parallelism,
};

use async_trait::async_trait;
use futures::{StreamExt as _, channel::mpsc, stream};
use liteagent_engine::{
    capability::{
        Tokenizer,
        model::{
            ChatEvent, ChatRequest, ChatStream, EmbedRequest, Embeddings, ModelInfo, Models, ToolChoice, ToolUse, Usage,
        },
    },
    error::NodeError,
};
use tokio::{sync::OnceCell, task::spawn_blocking};

use crate::{
    chat::{Chat, Turns, threads_of},
    embed::Embedder,
    failure,
    stop::Stop,
    weights::{EMBEDDING, MODELS, Model},
};

/// The name of the provider: models are called `local/NAME`.
pub const PROVIDER: &str = "local";

/// Where the weights are, and how much of the machine the models may use.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The folder of the weights; see [`crate::weights::folder`].
    pub folder: PathBuf,
    /// How many threads compute. By default one for each core.
    pub threads: usize,
    /// How many answers are written at once, each by its share of the threads; others wait in order. By default one for
    /// each two cores.
    pub answers: usize,
    /// How many tokens of conversations are kept, so that a follow-up question is not read from its begin: 46 kB each. By
    /// default 4,096.
    pub kept: usize,
}

impl LocalConfig {
    /// The defaults, and the weights of this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let threads = available_parallelism().map_or(1, usize::from);
        Self { folder: folder.into(), threads, answers: (threads / 2).max(1), kept: 4096 }
    }
}

/// Models that run in the process. Each is loaded when it is first asked.
pub struct LocalModels {
    config: LocalConfig,
    embedder: Arc<Loaded>,
    chat: OnceCell<Arc<Chat>>,
    turns: Arc<Turns>,
}

/// The embedding model, once somebody needs it.
struct Loaded {
    folder: PathBuf,
    threads: usize,
    embedder: OnceCell<Arc<Embedder>>,
}

impl Loaded {
    async fn get(&self) -> Result<Arc<Embedder>, NodeError> {
        let (folder, threads) = (self.folder.clone(), self.threads.max(1));
        let load = || async move {
            blocking(move || Embedder::load(&folder, threads_of("local-embed", threads)?)).await.map(Arc::new)
        };
        self.embedder.get_or_try_init(load).await.cloned()
    }
}

#[async_trait]
impl Tokenizer for Loaded {
    async fn ends(&self, texts: Vec<String>) -> Result<Vec<Vec<usize>>, NodeError> {
        let embedder = self.get().await?;
        blocking(move || embedder.ends(&texts)).await
    }
}

impl LocalModels {
    /// Loads nothing yet.
    pub fn new(config: LocalConfig) -> Self {
        let answers = config.answers.max(1);
        let turns = Turns::new(answers, (config.threads / answers).max(1));
        let embedder = Loaded { folder: config.folder.clone(), threads: config.threads, embedder: OnceCell::new() };
        Self { config, embedder: Arc::new(embedder), chat: OnceCell::new(), turns }
    }

    async fn chat_model(&self) -> Result<Arc<Chat>, NodeError> {
        let load = || async {
            let LocalConfig { folder, kept, .. } = self.config.clone();
            blocking(move || Chat::load(&folder, kept)).await.map(Arc::new)
        };
        self.chat.get_or_try_init(load).await.cloned()
    }

    async fn answer(&self, name: &str, request: Arc<ChatRequest>) -> Result<ChatStream, NodeError> {
        let model = find(name)?;
        if !model.chats {
            return Err(failure::unable(model, "chat"));
        }
        if !request.tools.is_empty() && request.tool_choice != ToolChoice::None {
            return Err(failure::unable(model, "call tools"));
        }
        let chat = self.chat_model().await?;
        let asked = chat.clone();
        let question = blocking(move || asked.question(&request)).await?;

        let turn = self.turns.wait().await?;
        let stop = Stop::default();
        let guard = stop.when_dropped();
        let (events, mut answer) = mpsc::unbounded();
        spawn_blocking(move || {
            let work = AssertUnwindSafe(|| turn.compute(|| chat.answer(question, &events, &stop)));
            if catch_unwind(work).is_err() {
                // Nobody may listen any more, which is not worth a word.
                let _ = events.unbounded_send(Err(NodeError::internal("the local chat model has a fault")));
            }
        });
        // The answer begins with its first token, or fails.
        let first = answer.next().await.unwrap_or_else(|| Err(NodeError::internal("an answer has no begin")))?;
        let rest = stream::unfold((answer, guard), |(mut answer, guard)| async {
            answer.next().await.map(|event| (event, (answer, guard)))
        });
        Ok(stream::iter([Ok::<ChatEvent, NodeError>(first)]).chain(rest).boxed())
    }
}

#[async_trait]
impl Models for LocalModels {
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        find(name).map(info)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, NodeError> {
        let request = Arc::new(request);
        let mut failed = failure::unknown("");
        for name in &request.models {
            match self.answer(name, request.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, NodeError> {
        let model = find(&request.model)?;
        if model.chats {
            return Err(failure::unable(model, "make vectors of texts"));
        }
        let embedder = self.embedder.get().await?;
        let stop = Stop::default();
        let _guard = stop.when_dropped();
        let embedded = blocking(move || embedder.embed(&request.texts, &stop)).await?;
        let embedded =
            embedded.ok_or_else(|| NodeError::internal("embedding was stopped while someone waits for it"))?;
        Ok(Embeddings {
            model: EMBEDDING.full_name(),
            vectors: embedded.vectors,
            usage: Usage { input_tokens: embedded.tokens, ..Usage::default() },
        })
    }

    fn tokenizer(&self, name: &str) -> Result<Arc<dyn Tokenizer>, NodeError> {
        let model = find(name)?;
        if model.chats {
            return Err(failure::unable(model, "make vectors of texts"));
        }
        Ok(self.embedder.clone())
    }

    fn list(&self) -> Vec<ModelInfo> {
        MODELS.into_iter().map(info).collect()
    }
}

fn info(model: &Model) -> ModelInfo {
    ModelInfo {
        name: model.full_name(),
        chats: model.chats,
        // They are too small to be trusted with them.
        tools: ToolUse::No,
        structured: model.chats,
        images: false,
        context: Some(model.context as u64),
    }
}

fn find(name: &str) -> Result<&'static Model, NodeError> {
    let ours = name.strip_prefix(PROVIDER).and_then(|rest| rest.strip_prefix('/'));
    MODELS.into_iter().find(|model| Some(model.name) == ours).ok_or_else(|| failure::unknown(name))
}

/// Computes outside the threads that wait for the network.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(NodeError::internal(format!("a local model failed: {error}"))))
}
