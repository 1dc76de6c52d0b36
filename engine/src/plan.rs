//! Plans: a checked workflow, compiled for execution. Pure data; `petgraph` holds the edges.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexMap;
use petgraph::graph::DiGraph;

pub(crate) use self::answer::{changes, lone_path};
pub use self::{
    answer::{AnswerPart, AnswerPlan, Link, STREAMED},
    compile::CompileError,
};
use crate::{
    bundle::Bundle,
    definition::{Budget, Concurrency, Durability, NodeBudget, OnError, OnLost, Retry, WhenFull},
    event::Handler,
    id::Digest,
    node::{Container, Effect, ErasedNode, VECTOR_UPSERT},
    queue::Group,
    template::{Reads, Reference, Template, TemplateTree},
    types::Type,
    units::{Duration, Millis},
    value::Value,
};

mod answer;
mod compile;

/// The position of a body in its plan; 0 is the workflow itself.
pub type BodyIx = usize;

/// The position of a node in its body.
pub type NodeIx = u32;

/// A workflow that can run.
pub struct Plan {
    /// The bundle that it was compiled from.
    pub bundle: Arc<Bundle>,
    /// Its digest.
    pub digest: Digest,
    /// The name of the workflow.
    pub workflow: Arc<str>,
    /// The workflow's nodes, those of its containers, and those of its handlers.
    pub bodies: Vec<Body>,
    /// The body of `on_failure`.
    pub on_failure: Option<BodyIx>,
    /// The body of `finally`.
    pub finally: Option<BodyIx>,
    /// What a run is given.
    pub inputs: IndexMap<String, Type>,
    /// What a run gives back.
    pub outputs: Vec<(Arc<str>, TemplateTree)>,
    /// The nodes that `outputs` reads.
    pub output_reads: Vec<ScopeRead>,
    /// `env`.
    pub env: Value,
    /// The names of the declared secrets.
    pub secrets: Vec<String>,
    /// Whether it is a chat workflow.
    pub chat: bool,
    /// The variables of its conversation.
    pub variables: Arc<IndexMap<String, Type>>,
    /// How long a run may take.
    pub timeout: Option<Duration>,
    /// How many nodes of a run may be running at once.
    pub parallel: u32,
    /// How many runs may go on at once.
    pub concurrency: Option<Concurrency>,
    /// What becomes of a run while another one of its conversation goes on.
    pub when_busy: WhenFull,
    /// What a run may use up.
    pub budget: Budget,
    /// Whether a node has a budget of its own.
    pub has_node_budgets: bool,
    /// Whether a node shows text to the caller.
    pub has_answers: bool,
    /// The output `text` of a chat workflow without answers: it is shown in their place.
    pub answer: Option<AnswerPlan>,
    /// The outputs that come in pieces, as the run that started this one sees them.
    pub links: Vec<Link>,
    /// When results are made durable.
    pub durability: Durability,
}

/// A graph of nodes: the workflow, the body of a container, or a handler.
pub struct Body {
    /// The nodes and their edges; each pair of nodes has at most one.
    pub graph: DiGraph<PlanNode, ()>,
    /// For each node, how many edges lead to it.
    pub pending: Vec<u32>,
    /// The position of each node.
    pub by_id: HashMap<Arc<str>, NodeIx>,
    /// Which handler it is.
    pub handler: Option<Handler>,
    /// What its templates see of what is around it.
    pub border: Border,
    /// Its nodes whose text may be shown before they run.
    pub early_answers: Vec<NodeIx>,
}

/// What the templates in a body see of what is around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Everything.
    Open,
    /// The fields of the composite that it belongs to, as `inputs`.
    Composite,
    /// What the author's node sees that the calls belong to, and `call`. That node stands so many composites further out
    /// than the container of the calls; 0 is the container itself.
    Call {
        /// How many composites.
        out: u32,
    },
}

/// How a container passes over its bodies.
#[derive(Clone, Debug)]
pub struct Passes {
    /// The kind of container.
    pub kind: Container,
    /// Its bodies: one without a name; of [`Container::Calls`] one for each tool.
    pub bodies: Vec<(Option<Arc<str>>, BodyIx)>,
}

impl Passes {
    /// The body of a pass over this item; `None` when the tool of a call is not known.
    pub fn body(&self, item: &Value) -> Option<BodyIx> {
        if self.kind != Container::Calls {
            return self.bodies.first().map(|(_, body)| *body);
        }
        let tool = item.get("tool").and_then(Value::as_str)?;
        self.bodies.iter().find(|(name, _)| name.as_deref() == Some(tool)).map(|(_, body)| *body)
    }

    /// The name of a body.
    pub fn name_of(&self, body: BodyIx) -> Option<&str> {
        self.bodies.iter().find(|(_, known)| *known == body).and_then(|(name, _)| name.as_deref())
    }

    /// The body with this name.
    pub fn named(&self, name: &str) -> Option<BodyIx> {
        self.bodies.iter().find(|(known, _)| known.as_deref() == Some(name)).map(|(_, body)| *body)
    }
}

/// A configured node, and how the engine treats it.
pub struct PlanNode {
    /// Its id.
    pub id: Arc<str>,
    /// The name of its type.
    pub kind: Arc<str>,
    /// The node itself.
    pub node: Arc<dyn ErasedNode>,
    /// When it runs.
    pub gate: Gate,
    /// What its templates see of other nodes.
    pub reads: Vec<ScopeRead>,
    /// Of a container: what its fields that are rendered inside a frame see.
    pub inner_reads: Vec<ScopeRead>,
    /// A condition on top of the gate.
    pub when: Option<Template<bool>>,
    /// Whether and how a failed attempt is tried again.
    pub retry: Option<Retry>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Whether `timeout` is a port: time then ends a wait and not an attempt.
    pub times_out: bool,
    /// What a failure means.
    pub on_error: OnError,
    /// What the death of its process means.
    pub on_lost: OnLost,
    /// Reuse of earlier outputs.
    pub cache: Option<CachePolicy>,
    /// Whether it can run in another process than its run.
    pub may_leave: bool,
    /// Where it waits for a worker when this process does not serve the queue; `None` when it stays with its run.
    pub queue: Option<Group>,
    /// From 0 to 9; higher ones start first.
    pub priority: u8,
    /// What it may use of models, with everything inside it.
    pub budget: Option<NodeBudget>,
    /// Whether it calls models: it does not start when a budget is used up.
    pub uses_models: bool,
    /// Whether it, or something inside it, waits for a time, a signal or a person.
    pub waits: bool,
    /// Whether the pieces of text that it gives out are the member `text` of its output.
    pub streams: bool,
    /// The text that it shows to the caller.
    pub answer: Option<AnswerPlan>,
    /// Of a container: which text of its body is that of its output, as long as no other round follows.
    pub link: Option<Link>,
    /// What another attempt may repeat.
    pub effect: Effect,
    /// Whether it is polled where it is.
    pub inline: bool,
    /// Of a container: how it passes over its bodies.
    pub passes: Option<Passes>,
    /// Everything that its templates read.
    pub references: Vec<Reference>,
    /// The fields of its type, as they stand in the bundle.
    pub config: serde_json::Value,
    /// What of the other fields decides how it runs: `needs`, `when`, `on_error` and so on.
    pub definition: serde_json::Value,
}

/// Reuse of earlier outputs.
pub struct CachePolicy {
    /// What the output depends on besides the configuration.
    pub key: Option<Template<Value>>,
    /// How long an output is reused, in milliseconds.
    pub ttl: Millis,
}

/// When a node runs: `ENGINE.md` section 1.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// Every entry must be taken.
    pub needs: Vec<GateNeed>,
    /// Each of these must have a value.
    pub required: Vec<GateRead>,
    /// These are waited for.
    pub optional: Vec<GateRead>,
}

impl Gate {
    /// Whether nothing but optional references leads to the node: then one of them must have a value.
    pub fn is_only_optional(&self) -> bool {
        self.needs.is_empty() && self.required.is_empty() && !self.optional.is_empty()
    }
}

/// An entry of `needs`: one of its exits must be taken.
#[derive(Clone, Debug)]
pub struct GateNeed {
    /// As the author wrote it.
    pub text: String,
    /// The exits; `None` is any ordinary port.
    pub exits: Vec<(NodeIx, Option<Arc<str>>)>,
}

/// A reference as the gate sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateRead {
    /// The node.
    pub node: NodeIx,
    /// What of it is read.
    pub reads: Reads,
}

/// A node that templates see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRead {
    /// Its id.
    pub id: Arc<str>,
    /// How many containers further out it stands.
    pub up: u32,
    /// Its position there.
    pub node: NodeIx,
}

impl Plan {
    /// The queue that runs of the workflow wait in: those that put documents into knowledge bases have one of their own.
    pub fn group(&self) -> Group {
        let mut nodes = self.bodies.iter().flat_map(|body| body.graph.node_weights());
        if nodes.any(|node| &*node.kind == VECTOR_UPSERT) { Group::Indexing } else { Group::Workflow }
    }
}

impl Body {
    /// The node at a position.
    pub fn node(&self, at: NodeIx) -> &PlanNode {
        &self.graph[petgraph::graph::NodeIndex::new(at as usize)]
    }

    /// The nodes that this one waits for.
    pub fn predecessors(&self, at: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        let at = petgraph::graph::NodeIndex::new(at as usize);
        self.graph.neighbors_directed(at, petgraph::Direction::Incoming).map(|node| node.index() as NodeIx)
    }

    /// The nodes that wait for this one.
    pub fn successors(&self, at: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        self.graph.neighbors(petgraph::graph::NodeIndex::new(at as usize)).map(|next| next.index() as NodeIx)
    }
}
