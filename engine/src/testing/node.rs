//! Runs one node without an engine.

use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use serde_json::Value as Json;
use tempfile::TempDir;
use uuid::Uuid;

use super::outside;
use crate::{
    capability::Capabilities,
    definition::{Limits, NodeDef},
    error::NodeError,
    id::RunId,
    node::{ConfigError, DeltaSink, ErasedNode, FrameClose, FrameInfo, NodeCtx, Outcome, Registry, Resume},
    scope::{NodeView, Roots, Scope},
    source,
    types::Type,
    units::Millis,
    value::{NoJson, Value},
};

/// Builds a node from its YAML, and what it sees from YAML as well.
///
/// ```ignore
/// let node = NodeTest::new(&registry, "type: answer\ntext: Hi {{ inputs.name }}")
///     .scope("inputs: { name: Ada }")
///     .build()?;
/// let outcome = node.run().await?;
/// ```
pub struct NodeTest {
    registry: Registry,
    yaml: String,
    scope: String,
    caps: Capabilities,
    now: Millis,
}

/// A node that can be run.
pub struct TestNode {
    /// The node.
    pub node: Arc<dyn ErasedNode>,
    /// What it is given; tests may change it between calls.
    pub ctx: NodeCtx,
    deltas: Arc<Deltas>,
    _folder: Option<TempDir>,
}

impl NodeTest {
    /// A node of the YAML from `type:` on; fields that every node has may stand in it.
    pub fn new(registry: &Registry, yaml: &str) -> Self {
        Self {
            registry: registry.clone(),
            yaml: yaml.to_owned(),
            scope: String::new(),
            caps: Capabilities::default(),
            now: 1_772_355_600_000,
        }
    }

    /// What its templates see: YAML of an object with
    /// - the roots `inputs`, `env`, `trigger`, `sys` and `conversation`,
    /// - the locals `item`, `index`, `state`, `round`, `error`, `status`, `call`, `page`,
    /// - `variables`: the declared types of the conversation's variables,
    /// - `fakes`: `http`, a list of answers (see [`super::FakeHttp::answering`]); `models`, a list of answers (see
    ///   [`super::FakeModels::answering`]); `history`, a list of turns `{ message, files, answer }`; `files`, a folder that
    ///   can be read and written, as contents by path; `kv`, values by key,
    /// - nodes by id with their outputs; `null` is a node that was skipped.
    pub fn scope(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.scope);
        self
    }

    /// What it may use.
    pub fn caps(mut self, caps: Capabilities) -> Self {
        self.caps = caps;
        self
    }

    /// When it starts; by default 2026-03-01T09:00:00Z.
    pub fn now(mut self, now: Millis) -> Self {
        self.now = now;
        self
    }

    /// Builds the node.
    ///
    /// # Errors
    /// What the node type says of its fields.
    ///
    /// # Panics
    /// When the test itself is wrong: no YAML, no such type.
    pub fn build(self) -> Result<TestNode, ConfigError> {
        let json = read_yaml(&self.yaml);
        let def: NodeDef = serde_json::from_value(json).expect("the node has a type and well-formed common fields");
        let spec = self.registry.get(&def.kind).unwrap_or_else(|| panic!("no node type is called `{}`", def.kind));
        let node = (spec.build)(Json::Object(def.config))?;

        let deltas = Arc::new(Deltas::default());
        let (scope, variables, fakes) = read_scope(&self.scope, self.now);
        let mut caps = self.caps;
        let folder = outside::install(&fakes, &mut caps);
        let ctx = NodeCtx {
            scope: Arc::new(scope),
            variables: Arc::new(variables),
            run: RunId(Uuid::nil()),
            workflow: "test".into(),
            path: "node".into(),
            attempt: 1,
            now: self.now,
            deadline: None,
            caps: Arc::new(caps),
            deltas: deltas.clone(),
            meter: Arc::default(),
            left: Limits::default(),
        };
        Ok(TestNode { node, ctx, deltas, _folder: folder })
    }

    /// Builds and runs it; see [`outcome_value`]. A configuration that cannot run is an error too.
    ///
    /// # Panics
    /// When the test itself is wrong: no YAML, no such type.
    pub async fn run(self) -> Value {
        match self.build() {
            Ok(node) => node.outcome().await,
            Err(error) => failure(error.code.0, &error.message),
        }
    }
}

impl TestNode {
    /// Runs one attempt.
    ///
    /// # Errors
    /// What the node says.
    pub async fn run(&self) -> Result<Outcome<Value>, NodeError> {
        self.node.run(&self.ctx).await
    }

    /// Runs one attempt; see [`outcome_value`].
    pub async fn outcome(&self) -> Value {
        outcome_value(&self.run().await)
    }

    /// Goes on after a wait; see [`outcome_value`].
    pub async fn resume(&self, event: Resume) -> Value {
        outcome_value(&self.node.resume(&self.ctx, event).await)
    }

    /// Closes the pass of a container, in this scope.
    ///
    /// # Errors
    /// When a template cannot be rendered.
    pub fn close_frame(&self, scope: &str, index: u32) -> Result<FrameClose, NodeError> {
        let (scope, ..) = read_scope(scope, self.ctx.now);
        self.node.close_frame(&Arc::new(scope), FrameInfo { index })
    }

    /// The pieces of text that it gave out.
    pub fn emitted(&self) -> Vec<String> {
        self.deltas.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An outcome as a value that a test can compare with YAML: an object with `output`, and `port` and `writes` where
/// they apply; or `wait`; or `items`, `parallel` and `on_item_error`; or `state`; or `fields` and perhaps `state`; or
/// `calls` and `parallel`; or `child`; or `error` and `message`.
pub fn outcome_value(outcome: &Result<Outcome<Value>, NodeError>) -> Value {
    let value = |value: &dyn Fn() -> Result<Value, NoJson>| value().expect("an event has a JSON form");
    match outcome {
        Ok(Outcome::Done(output)) => Value::from_pairs([("output", output.clone())]),
        Ok(Outcome::Port(port, output)) => {
            Value::from_pairs([("port", Value::from(port.as_str())), ("output", output.clone())])
        }
        Ok(Outcome::Wrote(output, writes)) => {
            let writes = value(&|| Value::from_serialize(writes));
            Value::from_pairs([("output", output.clone()), ("writes", writes)])
        }
        Ok(Outcome::Wait(wait)) => Value::from_pairs([("wait", value(&|| Value::from_serialize(wait)))]),
        Ok(Outcome::Items { items, parallel, on_item_error }) => Value::from_pairs([
            ("items", Value::List(items.clone())),
            ("parallel", Value::from(u64::from(*parallel))),
            ("on_item_error", value(&|| Value::from_serialize(on_item_error))),
        ]),
        Ok(Outcome::Rounds { state }) => Value::from_pairs([("state", state.clone())]),
        Ok(Outcome::Composite { fields, state }) => {
            let state = state.clone().map(|state| ("state", state));
            Value::from_pairs([("fields", fields.clone())].into_iter().chain(state))
        }
        Ok(Outcome::Calls { calls, parallel }) => {
            Value::from_pairs([("calls", Value::List(calls.clone())), ("parallel", Value::from(u64::from(*parallel)))])
        }
        Ok(Outcome::Child { workflow, inputs }) => {
            let child = [("workflow", Value::from(workflow.as_str())), ("inputs", inputs.clone())];
            Value::from_pairs([("child", Value::from_pairs(child))])
        }
        Err(error) => failure(error.code.0, &error.message),
    }
}

/// Reads YAML as workflow files are read.
fn read_yaml(yaml: &str) -> Json {
    let (document, findings) = source::parse("test", yaml.to_owned());
    document.unwrap_or_else(|| panic!("expected YAML, found {findings:?} in\n{yaml}")).value
}

fn failure(code: &str, message: &str) -> Value {
    Value::from_pairs([("error", Value::from(code)), ("message", Value::from(message))])
}

fn read_scope(yaml: &str, now: Millis) -> (Scope, IndexMap<String, Type>, Value) {
    let value: Value = if yaml.trim().is_empty() { Value::object() } else { read_yaml(yaml).into() };
    let mut roots = Roots::default();
    let mut scope = Scope { conversation: Value::object(), now, attempt: 1, ..Scope::default() };
    let (mut variables, mut fakes) = (IndexMap::new(), Value::Null);
    for (name, value) in value.as_object().expect("the scope is an object") {
        match &**name {
            "inputs" => roots.inputs = value.clone(),
            "env" => roots.env = value.clone(),
            "trigger" => roots.trigger = value.clone(),
            "sys" => roots.sys = value.as_object().cloned().unwrap_or_default(),
            "conversation" => scope.conversation = value.clone(),
            "item" | "index" | "state" | "round" | "error" | "status" | "call" | "page" => {
                scope.locals.push((name.clone(), value.clone()));
            }
            "variables" => variables = value.to_typed().expect("the variables are types"),
            "fakes" => fakes = value.clone(),
            _ if value.is_null() => scope.nodes.push((name.clone(), NodeView::Skipped)),
            _ => {
                let view = NodeView::Ended { output: value.clone(), port: None, error: None };
                scope.nodes.push((name.clone(), view));
            }
        }
    }
    scope.roots = Arc::new(roots);
    (scope, variables, fakes)
}

#[derive(Default)]
struct Deltas(Mutex<Vec<String>>);

impl DeltaSink for Deltas {
    fn delta(&self, _: RunId, _: &str, _: u32, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }
}
