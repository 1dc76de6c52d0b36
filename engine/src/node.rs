//! Node types: the trait that each implements, and what the rest of the program sees of it.

use std::{future::Future, sync::Arc};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) use self::registry::{intern, pointer};
pub use self::{
    config::{ConfigError, ConfigFinding, Known, Spot},
    context::{DeltaSink, NoDeltas, NodeCtx},
    erased::{ErasedNode, NodeFuture},
    registry::{Build, ConfigIn, NodeSpec, Registry},
};
use crate::{
    definition::NodeMap,
    error::NodeError,
    event::{OnItemError, Wait, Write},
    queue::Group,
    scope::Scope,
    template::{Compiled, Template},
    units::Millis,
    value::Value,
};

mod config;
mod context;
mod erased;
pub mod prelude;
mod registry;

/// A node type: one struct, one file. The doc comment of its `Config` is its documentation.
pub trait Node: Sized + Send + Sync + 'static {
    /// Name in YAML, kebab-case, never reused.
    const TYPE: &'static str;
    /// What the engine, the documentation and the checks need to know.
    const META: NodeMeta;
    /// Where its nodes wait for a worker when the process that executes their run does not serve this queue, unless they
    /// say `queue` themselves. `None`: they stay with their run.
    const QUEUE: Option<Group> = None;
    /// The fields of the node in YAML, with `deny_unknown_fields`.
    type Config: DeserializeOwned + JsonSchema;
    /// What `<id>` holds in templates: always an object.
    type Output: Serialize + JsonSchema;

    /// Checks what types cannot. The error names a field, so it becomes a diagnostic.
    ///
    /// # Errors
    /// A configuration that can never run.
    fn new(config: Self::Config) -> Result<Self, ConfigError>;

    /// The ordinary exits of this node as configured, `timeout` among them where time may end it; empty means one
    /// exit without a name. `error` is never listed.
    fn ports(&self) -> Vec<String> {
        Vec::new()
    }

    /// The schema of the output as configured; `None` means that of `Self::Output`.
    fn output_schema(&self) -> Option<Schema> {
        None
    }

    /// What another attempt may repeat, as configured.
    fn effect(&self) -> Effect {
        Self::META.effect
    }

    /// Whether it changes something outside, as configured, so that a model must not do it without being allowed to.
    fn acts(&self) -> bool {
        Self::META.family != Family::Model && self.effect() == Effect::AtLeastOnce
    }

    /// Of [`Container::Calls`]: the nodes that run for a call, by the name of the tool. They are tied by `needs` alone:
    /// what their templates see is what this node sees, and `call`.
    fn branches(&self) -> IndexMap<String, NodeMap> {
        IndexMap::new()
    }

    /// Findings that are no errors, and errors that need no run to be seen.
    fn check(&self, known: &Known) -> Vec<ConfigFinding> {
        let _ = known;
        Vec::new()
    }

    /// The text that it shows to the caller of the run. The engine shows it as it comes: literal text and the texts of
    /// nodes, in the order of the template. Its output is `{ text }`.
    fn answer(&self) -> Option<&Template<String>> {
        None
    }

    /// The workflow whose run it starts, by its name in the bundle, where that is known before.
    fn starts(&self) -> Option<&str> {
        None
    }

    /// Whether it waits for a time, a signal or a person: what is ordered after it is not shown before.
    fn waits(&self) -> bool {
        false
    }

    /// Of a container: the member of its output that is a text of its body, and the template that gives it there. It is
    /// shown as it comes; the text of a round is taken back when another round follows.
    fn inner_text(&self) -> Option<(&str, &Compiled)> {
        None
    }

    /// Runs one attempt. Safe to drop at any await; at most 500 µs of computing between awaits.
    fn run(&self, ctx: &NodeCtx) -> impl Future<Output = Result<Outcome<Self::Output>, NodeError>> + Send;

    /// Goes on after [`Outcome::Wait`] or [`Outcome::Child`].
    fn resume(
        &self,
        ctx: &NodeCtx,
        event: Resume,
    ) -> impl Future<Output = Result<Outcome<Self::Output>, NodeError>> + Send {
        let _ = (ctx, event);
        async { Err(NodeError::internal("this node type does not wait")) }
    }

    /// Evaluates what a pass of a container gives, once all its nodes are settled. `scope` is that of the body.
    ///
    /// # Errors
    /// When a template cannot be rendered; the frame then fails.
    fn close_frame(&self, scope: &Arc<Scope>, frame: FrameInfo) -> Result<FrameClose, NodeError> {
        let _ = (scope, frame);
        Err(NodeError::internal("this node type is no container"))
    }
}

/// What the engine, the documentation and the checks need to know of a node type.
#[derive(Clone, Copy, Debug)]
pub struct NodeMeta {
    /// Where it stands in the documentation.
    pub family: Family,
    /// What another attempt may repeat, unless the configured node says otherwise.
    pub effect: Effect,
    /// Whether `run` only computes for microseconds and never waits: it is then polled where it is.
    pub inline: bool,
    /// Whether it has a body of nodes, in the field `nodes`.
    pub container: Option<Container>,
    /// Whether the pieces of text that it gives out while it runs ([`NodeCtx::emit`]) are, one after the other, the member
    /// `text` of its output. Answers show them as they come.
    pub streams: bool,
    /// What a run needs to be given for it.
    pub requires: &'static [Capability],
    /// What `on_lost` is when the author says nothing.
    pub fails_when_lost: bool,
    /// Old names; still accepted, with a warning.
    pub aliases: &'static [&'static str],
    /// Examples: the YAML of one node each, shown in the documentation and run by the contract test.
    pub examples: &'static [Example],
}

impl NodeMeta {
    /// A node that only computes.
    pub const fn pure(family: Family, examples: &'static [Example]) -> Self {
        Self {
            family,
            effect: Effect::Pure,
            inline: true,
            container: None,
            streams: false,
            requires: &[],
            fails_when_lost: false,
            aliases: &[],
            examples,
        }
    }
}

/// An example of a node type, run by the contract test.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// What it shows, in a few words.
    pub title: &'static str,
    /// The YAML of the node, from `type:` on.
    pub yaml: &'static str,
    /// The scope it runs in: YAML of an object with `inputs`, `item`, `state`, and nodes by id with their outputs;
    /// `testing::NodeTest::scope` has the whole list.
    pub scope: &'static str,
    /// What it gives, as `testing::outcome_value` shows it: YAML of an object with `output`, and `port`, `wait` or
    /// `error` (a code) where they apply. Members that it does not name are not compared.
    pub gives: &'static str,
}

/// The node type whose output `text` is said to the caller of a chat.
pub const ANSWER: &str = "answer";
/// The node type that answers the request of a webhook.
pub const WEBHOOK_REPLY: &str = "webhook-reply";
/// The node type that puts documents into a knowledge base: a workflow with one indexes.
pub const VECTOR_UPSERT: &str = "vector-upsert";

/// Where a node type stands in the documentation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Branches, containers, waits.
    #[default]
    Flow,
    /// Language models and tools.
    Model,
    /// Documents and vectors.
    Retrieval,
    /// Shaping values.
    Data,
    /// The outside world.
    Io,
    /// A person's own code.
    Code,
}

/// What another attempt of a node may repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: same inputs, same output, nothing outside changes. Journaled lazily.
    Pure,
    /// It reads or changes the outside, and doing so again changes nothing more.
    Idempotent,
    /// It changes the outside each time.
    AtLeastOnce,
}

/// The kinds of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// One frame per item, in parallel.
    Items,
    /// One frame after the other.
    Rounds,
    /// One frame: a composite that repeats nothing.
    Once,
    /// One frame per call of a tool, in parallel. Which nodes it has depends on the tool.
    Calls,
}

impl Container {
    /// The roots that its body sees besides those outside.
    pub const fn roots(self) -> &'static [&'static str] {
        match self {
            Self::Items => &["item", "index"],
            Self::Rounds => &["state", "round"],
            Self::Once => &[],
            Self::Calls => &["call"],
        }
    }

    /// Whether its body stands in its field `nodes`.
    pub const fn has_nodes(self) -> bool {
        !matches!(self, Self::Calls)
    }
}

/// Something outside the process that nodes use; a run is refused when it is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Outgoing HTTP.
    Http,
    /// The folders that files are read from and written to.
    Files,
    /// State between runs.
    Kv,
    /// Code of authors.
    Code,
    /// Language models.
    Models,
    /// Readers of documents.
    Documents,
    /// Knowledge bases.
    Knowledge,
}

/// Where control goes next, and with what.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It ended by its only ordinary exit.
    Done(T),
    /// It ended by this port.
    Port(String, T),
    /// It ended, and changed variables of the conversation.
    Wrote(T, Vec<Write>),
    /// It waits; `resume` is called when a signal comes or time ends it.
    Wait(Wait),
    /// It passes over a list: one frame per item. The engine makes `{ output, errors }` of them.
    Items {
        /// The items.
        items: Arc<Vec<Value>>,
        /// How many frames are open at once.
        parallel: u32,
        /// What a failed frame means.
        on_item_error: OnItemError,
    },
    /// It goes in rounds from this state. The engine makes `{ output, rounds, state }` of them.
    Rounds {
        /// The state of the first round: an object.
        state: Value,
    },
    /// A composite begins. What its last frame gives is its output.
    Composite {
        /// Its fields by name, which its body sees as `inputs`.
        fields: Value,
        /// The state of its first round; `None` when it passes once.
        state: Option<Value>,
    },
    /// It calls tools: one frame per call. The engine makes `{ messages, calls, results }` of them.
    Calls {
        /// The calls, each an object as [`crate::event::Over::Calls`] has it.
        calls: Arc<Vec<Value>>,
        /// How many frames are open at once.
        parallel: u32,
    },
    /// It starts a run of its own; `resume` is called when that ends.
    Child {
        /// The workflow's name, which the bundle holds.
        workflow: String,
        /// Its inputs: an object.
        inputs: Value,
    },
}

/// Why a waiting node goes on.
#[derive(Clone, Debug)]
pub enum Resume {
    /// A signal came.
    Signal {
        /// What it carries.
        payload: Value,
        /// Who sent it.
        by: Option<String>,
        /// When.
        at: Millis,
    },
    /// Time ended the wait.
    TimedOut {
        /// When.
        at: Millis,
    },
    /// The child run ended.
    ChildEnded {
        /// Its outputs, or why it failed.
        result: Result<Value, crate::error::ErrorReport>,
    },
}

/// The pass that is being closed.
#[derive(Clone, Copy, Debug)]
pub struct FrameInfo {
    /// Which pass, from 0.
    pub index: u32,
}

/// What a pass of a container gives.
#[derive(Debug)]
pub enum FrameClose {
    /// An item: the rendered `output`.
    Item(Value),
    /// A round, and another one follows with these values of `next`.
    Next(Vec<(String, Value)>),
    /// The last round: the values of `next`, and the rendered `output`.
    Last(Vec<(String, Value)>, Value),
}

/// The JSON Schema (draft 7) of a type, as everything derived from node types uses it.
pub fn schema_of<T: JsonSchema>() -> Schema {
    schema_generator().into_root_schema_for::<T>()
}

/// The one configuration of schemars.
pub fn schema_generator() -> SchemaGenerator {
    SchemaSettings::draft07().with(|settings| settings.meta_schema = None).into_generator()
}
