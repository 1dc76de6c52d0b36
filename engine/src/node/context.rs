//! What a node is given for one attempt. It has no other way to the outside.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::{
    capability::{
        Capabilities, Code, Destination, History, HttpCall, HttpReply, documents::Documents, knowledge::Knowledge,
        mcp::Mcp, model::Models,
    },
    codes,
    definition::Limits,
    error::{ErrorClass, NodeError},
    id::RunId,
    scope::Scope,
    store::{Files, Kv},
    template::{FromValue, SecretTemplate, Template, TemplateTree},
    types::Type,
    units::Millis,
    usage::{Meter, Usage},
    value::Value,
};

/// One attempt of a node: its scope, its identity and its capabilities.
#[derive(Clone)]
pub struct NodeCtx {
    /// What its templates see.
    pub scope: Arc<Scope>,
    /// The variables that the conversation declares, by name: their types and defaults. Empty without a conversation.
    pub variables: Arc<IndexMap<String, Type>>,
    /// The run.
    pub run: RunId,
    /// The name of the workflow.
    pub workflow: Arc<str>,
    /// The path of the node, `each[3].fetch`.
    pub path: Arc<str>,
    /// 1 for the first try.
    pub attempt: u32,
    /// When the attempt started, by the journal. Also what time-dependent nodes count from.
    pub now: Millis,
    /// When the attempt is stopped.
    pub deadline: Option<Millis>,
    /// The ways to the outside.
    pub caps: Arc<Capabilities>,
    /// Where live pieces of text go.
    pub deltas: Arc<dyn DeltaSink>,
    /// What the attempt has used of models, and printed.
    pub meter: Arc<Meter>,
    /// What it may use of models, by the budgets around it, as of its start.
    pub left: Limits,
}

/// Takes the live pieces of text that a node gives out while it runs. They are not journaled.
pub trait DeltaSink: Send + Sync {
    /// Takes a piece.
    fn delta(&self, run: RunId, path: &str, attempt: u32, text: &str);
}

/// Drops every piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDeltas;

impl DeltaSink for NoDeltas {
    fn delta(&self, _: RunId, _: &str, _: u32, _: &str) {}
}

impl NodeCtx {
    /// Renders a field.
    ///
    /// # Errors
    /// When the template cannot be rendered, or gives a value of another type.
    pub fn render<T: FromValue>(&self, template: &Template<T>) -> Result<T, NodeError> {
        template.render(&self.scope)
    }

    /// Renders every template in a JSON value.
    ///
    /// # Errors
    /// When a template cannot be rendered.
    pub fn render_tree(&self, tree: &TemplateTree) -> Result<Value, NodeError> {
        tree.render(&self.scope)
    }

    /// Renders a field that may hold a secret. The result must be sent there only.
    ///
    /// # Errors
    /// When the secret may not be sent there, or is missing, or the template cannot be rendered.
    pub fn render_secret(&self, template: &SecretTemplate, to: &Destination) -> Result<String, NodeError> {
        let released = |name: &str| self.caps.secrets.release(name, &self.workflow, to);
        template.render(&self.scope, released)
    }

    /// The same for every attempt of this node in this run: what another system may use to see a repetition.
    pub fn idempotency_key(&self) -> String {
        uuid::Uuid::new_v5(&self.run.0, self.path.as_bytes()).simple().to_string()
    }

    /// Gives out a piece of text that people see at once.
    pub fn emit(&self, text: &str) {
        self.deltas.delta(self.run, &self.path, self.attempt, text);
    }

    /// Says what a call of a model used, as soon as that is known: it counts whether the attempt then succeeds, fails or
    /// is stopped. `model` is `provider/model`, never an alias. A usage without a number of calls is that of one; one
    /// that is nothing, such as that of an answer from a cache, does not count.
    pub fn spend(&self, model: &str, usage: Usage) {
        self.meter.add(model, usage);
    }

    /// Leaves lines for people, which the journal keeps beside the result of the attempt, cut in the middle where they are
    /// long. What is left before a node waits or opens frames is not kept.
    pub fn log(&self, lines: &str) {
        self.meter.print(lines);
    }

    /// Asks whether the attempt may call a model once more. The engine asks before the first call; a node that makes
    /// several asks before each further one.
    ///
    /// # Errors
    /// LA2470 when what was left of a budget at the start is used up, LA2471 when what was spent of it is not known.
    pub fn may_call(&self) -> Result<(), NodeError> {
        match crate::run::spent(self.left, &self.meter.total()) {
            Some(limit) => Err(crate::executor::refused(limit)),
            None => Ok(()),
        }
    }

    /// Sends an HTTP request, and returns as soon as the head of the answer is there.
    ///
    /// # Errors
    /// When the run was given no HTTP, the address is refused, or nobody answers.
    pub async fn send(&self, call: HttpCall) -> Result<HttpReply, NodeError> {
        let http = self.caps.http.as_deref().ok_or_else(|| absent("HTTP"))?;
        http.send_for(self.run, &self.path, call).await
    }

    /// Files.
    ///
    /// # Errors
    /// When the run was given none.
    pub fn files(&self) -> Result<&dyn Files, NodeError> {
        self.caps.files.as_deref().ok_or_else(|| absent("files"))
    }

    /// State between runs.
    ///
    /// # Errors
    /// When the run was given none.
    pub fn kv(&self) -> Result<&dyn Kv, NodeError> {
        self.caps.kv.as_deref().ok_or_else(|| absent("key-value store"))
    }

    /// Code of authors.
    ///
    /// # Errors
    /// When the run was given none.
    pub fn code(&self) -> Result<&dyn Code, NodeError> {
        self.caps.code.as_deref().ok_or_else(|| absent("sandbox"))
    }

    /// What was said before in the conversation.
    ///
    /// # Errors
    /// When the run was given none.
    pub fn history(&self) -> Result<&dyn History, NodeError> {
        self.caps.history.as_deref().ok_or_else(|| absent("conversations"))
    }

    /// Language models.
    ///
    /// # Errors
    /// When the run was given none.
    pub fn models(&self) -> Result<&dyn Models, NodeError> {
        self.caps.models.as_deref().ok_or_else(|| absent("models"))
    }

    /// Readers of documents.
    ///
    /// # Errors
    /// When the run was given none.
    pub fn documents(&self) -> Result<&dyn Documents, NodeError> {
        self.caps.documents.as_deref().ok_or_else(|| absent("reader of documents"))
    }

    /// Knowledge bases.
    ///
    /// # Errors
    /// When the run was given none.
    pub fn knowledge(&self) -> Result<&dyn Knowledge, NodeError> {
        self.caps.knowledge.as_deref().ok_or_else(|| absent("knowledge bases"))
    }

    /// MCP servers.
    ///
    /// # Errors
    /// When the run was given none.
    pub fn mcp(&self) -> Result<&dyn Mcp, NodeError> {
        self.caps.mcp.as_deref().ok_or_else(|| absent("MCP servers"))
    }
}

fn absent(what: &str) -> NodeError {
    NodeError::new(codes::CAPABILITY_ABSENT, ErrorClass::Unavailable, format!("this process has no {what}"))
}
