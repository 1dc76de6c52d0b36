//! What a template sees: one lazy object of roots, never a conversion.

use std::sync::{Arc, LazyLock};

use crate::{
    units::Millis,
    usage::UsageReport,
    value::{Object, Value},
};

/// A node as templates of other nodes see it.
///
/// In a template a node is true when it has a value ([`NodeView::has_value`]); a skipped one is `null` and false, but
/// `x.ok` and `x.error` can always be read.
#[derive(Clone, Debug)]
pub enum NodeView {
    /// It ended. With `error` it failed; then `output` is `null`, or what `on_error: { outputs }` put in its place.
    Ended {
        /// Its output.
        output: Value,
        /// The port it left by, when it was not the only ordinary one.
        port: Option<Arc<str>>,
        /// `NODE.error`: an object with `code, class, message, hint, node, attempts`.
        error: Option<Value>,
    },
    /// It was skipped.
    Skipped,
    /// It has not ended. Only `on_failure` and `finally` ever see this.
    Unsettled,
}

impl NodeView {
    /// Whether the node has an output: it ended, and not by a failure without a stand-in.
    pub fn has_value(&self) -> bool {
        matches!(self, Self::Ended { output, .. } if !output.is_null())
    }

    /// `NODE.ok`: it ended, without a failure, and not by its port `timeout`.
    pub fn ok(&self) -> bool {
        matches!(self, Self::Ended { error: None, port, .. } if port.as_deref() != Some("timeout"))
    }

    /// `NODE.error`: the failure, else `null`.
    pub fn error(&self) -> Value {
        match self {
            Self::Ended { error: Some(error), .. } => error.clone(),
            _ => Value::Null,
        }
    }
}

/// The roots that are the same for every node of a run.
#[derive(Debug, Default)]
pub struct Roots {
    /// `inputs`.
    pub inputs: Value,
    /// `env`: constants of the file, with what a deployment overrides.
    pub env: Value,
    /// `trigger`.
    pub trigger: Value,
    /// `sys` without `now`, `attempt` and `usage`.
    pub sys: Object,
}

/// What one rendering sees.
#[derive(Debug, Default)]
pub struct Scope {
    /// What every node of the run sees.
    pub roots: Arc<Roots>,
    /// The nodes that the templates of this node read.
    pub nodes: Vec<(Arc<str>, NodeView)>,
    /// `item`, `index`, `state`, `round`, `error`, `status`, `call`, `page`; innermost last.
    pub locals: Vec<(Arc<str>, Value)>,
    /// `conversation`: its variables as they are now.
    pub conversation: Value,
    /// `sys.now`: the time of the newest record when the node started.
    pub now: Millis,
    /// `sys.attempt`: 1 for the first try.
    pub attempt: u32,
    /// `sys.usage`: what the run had used of models when the node started; `null` is nothing.
    pub usage: Value,
    /// `secrets`: resolved values by name; empty except while a field of type `Secret` is rendered.
    pub secrets: Value,
}

/// What a root name stands for.
#[derive(Debug)]
pub enum Root<'a> {
    /// A node.
    Node(&'a NodeView),
    /// Any other root.
    Value(Value),
}

impl Scope {
    /// Looks a root up; `None` when nothing has this name here.
    pub fn get(&self, name: &str) -> Option<Root<'_>> {
        if let Some((_, value)) = self.locals.iter().rev().find(|(local, _)| &**local == name) {
            return Some(Root::Value(value.clone()));
        }
        if let Some((_, node)) = self.nodes.iter().find(|(id, _)| &**id == name) {
            return Some(Root::Node(node));
        }
        Some(Root::Value(match name {
            "inputs" => self.roots.inputs.clone(),
            "env" => self.roots.env.clone(),
            "trigger" => self.roots.trigger.clone(),
            "conversation" => self.conversation.clone(),
            "secrets" => self.secrets.clone(),
            "sys" => self.sys(),
            _ => return None,
        }))
    }

    /// The same scope with further locals, which hide older ones of the same name.
    pub fn with_locals(&self, locals: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let mut all = self.locals.clone();
        all.extend(locals.into_iter().map(|(name, value)| (Arc::from(name), value)));
        Self {
            roots: self.roots.clone(),
            nodes: self.nodes.clone(),
            locals: all,
            conversation: self.conversation.clone(),
            now: self.now,
            attempt: self.attempt,
            usage: self.usage.clone(),
            secrets: self.secrets.clone(),
        }
    }

    fn sys(&self) -> Value {
        let mut sys = self.roots.sys.clone();
        sys.insert("now".into(), Value::from(crate::time::iso(self.now)));
        sys.insert("attempt".into(), Value::from(u64::from(self.attempt)));
        static NOTHING: LazyLock<Value> = LazyLock::new(|| UsageReport::default().to_value());
        let usage = if self.usage.is_null() { &*NOTHING } else { &self.usage };
        sys.entry("usage".into()).or_insert_with(|| usage.clone());
        Value::Object(Arc::new(sys))
    }
}
