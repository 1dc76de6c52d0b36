//! The ways to the outside that nodes have. The implementations live in other crates.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub use self::{
    code::{Code, CodeCall, CodeFailure, CodeLimits, CodeReply},
    history::{History, Turn},
    modules::{Import, Modules},
    redact::Redactor,
    secrets::{Destination, HostRule, SecretRules, SecretSource, Secrets, VaultSecret, WorkflowRule, how_to_set},
    tokens::{EstimatedTokens, Tokenizer},
    watched::WatchedModels,
    watcher::{BreakerState, CodeRan, Content, ModelCall, Operation, Watcher, Watchers},
};
use self::{documents::Documents, knowledge::Knowledge, mcp::Mcp, model::Models};
use crate::{
    error::NodeError,
    id::RunId,
    store::{Files, Kv},
    units::{Duration, Millis},
};

mod code;
pub mod documents;
mod history;
pub mod knowledge;
pub mod mcp;
pub mod model;
mod modules;
mod redact;
mod secrets;
mod tokens;
mod watched;
mod watcher;

/// What nodes may use. What is absent is `None`, and a node that needs it fails with LA1004.
#[derive(Clone, Default)]
pub struct Capabilities {
    /// Outgoing HTTP.
    pub http: Option<Arc<dyn Http>>,
    /// Files of runs, in the blob store.
    pub files: Option<Arc<dyn Files>>,
    /// Named folders that file nodes may read and write: `docs` → path and rights.
    pub roots: Vec<Root>,
    /// State between runs.
    pub kv: Option<Arc<dyn Kv>>,
    /// Code of authors, isolated.
    pub code: Option<Arc<dyn Code>>,
    /// Language models.
    pub models: Option<Arc<dyn Models>>,
    /// What was said before in conversations.
    pub history: Option<Arc<dyn History>>,
    /// Readers of documents.
    pub documents: Option<Arc<dyn Documents>>,
    /// Knowledge bases.
    pub knowledge: Option<Arc<dyn Knowledge>>,
    /// MCP servers.
    pub mcp: Option<Arc<dyn Mcp>>,
    /// Secrets by name.
    pub secrets: Arc<Secrets>,
}

/// A folder that file nodes may use.
#[derive(Clone, Debug)]
pub struct Root {
    /// The first part of a path that leads here; empty for the default root.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// Whether files may be written.
    pub writable: bool,
}

/// Outgoing HTTP. Checks every address it connects to, also after a redirect.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends a request and returns as soon as the head of the answer is there.
    async fn send(&self, call: HttpCall) -> Result<HttpReply, NodeError>;

    /// The same for the node at a path of a run. Who keeps calls apart by who makes them overrides it.
    async fn send_for(&self, _run: RunId, _node: &str, call: HttpCall) -> Result<HttpReply, NodeError> {
        self.send(call).await
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The whole URL, query included.
    pub url: String,
    /// Headers, in order; a name may stand twice.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: HttpBody,
    /// How many redirects are followed; each is checked again, and another origin drops credentials.
    pub redirects: u32,
    /// How long the whole exchange may take.
    pub timeout: Option<Duration>,
}

/// The body of a request.
#[derive(Clone, Debug, Default)]
pub enum HttpBody {
    /// None.
    #[default]
    Empty,
    /// These bytes; the content type stands in the headers.
    Bytes(Bytes),
    /// A multipart form.
    Form(Vec<FormPart>),
}

/// A part of a multipart form.
#[derive(Clone, Debug)]
pub struct FormPart {
    /// Name of the field.
    pub name: String,
    /// File name and type, when the part is a file.
    pub file: Option<(String, String)>,
    /// The content.
    pub content: Bytes,
}

/// An answer whose body is still coming.
pub struct HttpReply {
    /// Status code.
    pub status: u16,
    /// Headers with lower-case names, in order.
    pub headers: Vec<(String, String)>,
    /// The URL that answered, after redirects.
    pub url: String,
    /// The body.
    pub body: BoxStream<'static, Result<Bytes, NodeError>>,
    /// When the other side asks to be called again (`Retry-After`), in milliseconds from now.
    pub retry_after: Option<Millis>,
}
