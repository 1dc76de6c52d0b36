//! From a bundle to a plan.

use std::{collections::HashMap, sync::Arc};

use petgraph::graph::{DiGraph, NodeIndex};

use super::{
    Body, BodyIx, Border, CachePolicy, Gate, GateNeed, GateRead, NodeIx, Passes, Plan, PlanNode, ScopeRead,
    answer::{Flows, connect},
};
use crate::{
    bundle::Bundle,
    composite::{Expansion, Placed},
    definition::{Exit, Need, NodeCommon, NodeDef, NodeMap, OnLost},
    event::Handler,
    graph::{BodyGraph, NodeInfo, Read, TemplateSite, WorkflowGraph},
    id::Digest,
    node::{Capability, ConfigError, Container, ErasedNode, Registry},
    template::Compiled,
    value::Value,
};

mod inside;

/// Why a bundle cannot be compiled. The checks find all of this earlier, and say where.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The bundle does not hold the workflow.
    #[error("the bundle holds no workflow `{0}`")]
    NoWorkflow(String),
    /// No node type has this name.
    #[error("`{node}`: this program knows no node type `{kind}`")]
    UnknownType {
        /// The node.
        node: String,
        /// The type.
        kind: String,
    },
    /// A node's configuration can never run.
    #[error("`{node}`: {error}")]
    Config {
        /// The node.
        node: String,
        /// Why.
        error: Box<ConfigError>,
    },
    /// A reference leads nowhere.
    #[error("`{node}`: there is no node `{name}`")]
    UnknownNode {
        /// The node that refers to it.
        node: String,
        /// The name.
        name: String,
    },
    /// Nodes wait for each other.
    #[error("the nodes {0} wait for each other")]
    Cycle(String),
    /// A composite of the bundle cannot be made here.
    #[error("the composite `{name}` cannot be made: {why}")]
    Composite {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
}

impl Plan {
    /// Compiles the entry of a bundle.
    ///
    /// # Errors
    /// What the checks would have found, or a node type that this program does not have.
    pub fn compile(bundle: &Arc<Bundle>, registry: &Registry) -> Result<Self, CompileError> {
        Self::compile_entry(bundle, bundle.digest().clone(), &bundle.entry, registry)
    }

    /// Compiles one workflow of a bundle whose digest is known. Children run from their parent's bundle.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn compile_entry(
        bundle: &Arc<Bundle>,
        digest: Digest,
        workflow: &str,
        registry: &Registry,
    ) -> Result<Self, CompileError> {
        let definition = bundle.workflows.get(workflow).ok_or_else(|| CompileError::NoWorkflow(workflow.to_owned()))?;
        let registry = &bundle.node_types(registry)?;
        let json = serde_json::to_value(definition).expect("a definition has only string keys and finite numbers");
        let graph = WorkflowGraph::new(&json, registry);
        let mut compiler = Compiler { registry, bodies: Vec::new(), outer: Vec::new(), placed: &[] };

        let root = compiler.body(&definition.nodes, &graph.body, None, Border::Open)?;
        debug_assert_eq!(root, 0, "the workflow itself is the first body");
        compiler.outer.push(&graph.body);
        let on_failure =
            compiler.handler(definition.on_failure.as_ref(), graph.on_failure.as_ref(), Handler::OnFailure)?;
        let finally = compiler.handler(definition.finally.as_ref(), graph.finally.as_ref(), Handler::Finally)?;
        let output_reads = compiler.scope_reads("outputs", graph.outputs.iter(), &graph.body)?;

        let mut nodes = compiler.bodies.iter().flat_map(|body| body.graph.node_weights());
        let has_node_budgets = nodes.any(|node| node.budget.is_some());

        let shown = connect(&mut compiler.bodies, definition, &Flows { bundle, registry });

        Ok(Self {
            digest,
            workflow: workflow.into(),
            bodies: compiler.bodies,
            on_failure,
            finally,
            inputs: definition.run_inputs(),
            outputs: definition.outputs.iter().map(|(name, tree)| (name.as_str().into(), tree.clone())).collect(),
            output_reads,
            env: Value::from_pairs(definition.env.iter().map(|(name, value)| (name.as_str(), value.clone()))),
            secrets: definition.secrets.clone(),
            chat: definition.conversation.is_some(),
            when_busy: definition.conversation.as_ref().map(|chat| chat.when_busy).unwrap_or_default(),
            concurrency: definition.concurrency.clone(),
            variables: Arc::new(definition.conversation.clone().unwrap_or_default().variables),
            timeout: definition.timeout,
            parallel: definition.parallel,
            budget: definition.budget.clone().unwrap_or_default(),
            has_node_budgets,
            has_answers: shown.has_answers,
            answer: shown.answer,
            links: shown.links,
            durability: definition.durability,
            bundle: bundle.clone(),
        })
    }
}

struct Compiler<'a> {
    registry: &'a Registry,
    bodies: Vec<Body>,
    /// The bodies around the current one, outermost first; those around a composite are out of sight.
    outer: Vec<&'a BodyGraph>,
    /// Within a composite: where fields of its author stand.
    placed: &'a [Placed],
}

impl<'a> Compiler<'a> {
    fn handler(
        &mut self,
        nodes: Option<&NodeMap>,
        graph: Option<&'a BodyGraph>,
        handler: Handler,
    ) -> Result<Option<BodyIx>, CompileError> {
        let (Some(nodes), Some(graph)) = (nodes, graph) else { return Ok(None) };
        self.body(nodes, graph, Some(handler), Border::Open).map(Some)
    }

    fn body(
        &mut self,
        nodes: &NodeMap,
        graph: &'a BodyGraph,
        handler: Option<Handler>,
        border: Border,
    ) -> Result<BodyIx, CompileError> {
        let at = self.bodies.len();
        let early_answers = Vec::new();
        let (empty, pending, by_id) = (DiGraph::new(), Vec::new(), HashMap::new());
        self.bodies.push(Body { graph: empty, pending, by_id, handler, border, early_answers });

        let mut plan = DiGraph::with_capacity(graph.nodes.len(), graph.nodes.len());
        for info in &graph.nodes {
            let node = self.node(&nodes.0[&info.id], info, graph)?;
            plan.add_node(node);
        }
        for (from, to) in graph.edges() {
            plan.add_edge(NodeIndex::new(from), NodeIndex::new(to), ());
        }
        if petgraph::algo::is_cyclic_directed(&plan) {
            return Err(cycle(&plan));
        }
        let by_id = graph.nodes.iter().enumerate().map(|(at, node)| (node.id.clone(), at as NodeIx)).collect();
        let pending = plan
            .node_indices()
            .map(|node| plan.neighbors_directed(node, petgraph::Direction::Incoming).count() as u32)
            .collect();
        self.bodies[at] = Body { graph: plan, pending, by_id, handler, border, early_answers: Vec::new() };
        Ok(at)
    }

    fn node(&mut self, def: &NodeDef, info: &'a NodeInfo, body: &'a BodyGraph) -> Result<PlanNode, CompileError> {
        let spec = self
            .registry
            .get(&def.kind)
            .ok_or_else(|| CompileError::UnknownType { node: info.id.to_string(), kind: def.kind.clone() })?;
        let config = serde_json::Value::Object(def.config.clone());
        let node = (spec.build)(config.clone())
            .map_err(|error| CompileError::Config { node: info.id.to_string(), error: error.into() })?;
        let own = info.sites.iter().filter(|site| !site.inner).flat_map(TemplateSite::reads);
        let own: Vec<Read> = own.collect();
        let reads = self.scope_reads(&info.id, own.iter(), body)?;
        let gate = Self::gate(def, info, body)?;
        let mut passes = None;
        let mut inner_reads = Vec::new();
        let mut config = config;
        if let Some(composite) = &spec.composite {
            let expansion = composite.expand(&def.config, &self.placed_in(info));
            (passes, inner_reads) = self.composite(info, &expansion)?;
            // What it is made of decides how it runs, as its fields do.
            config["(nodes)"] = expansion.view;
        } else if info.container == Some(Container::Calls) {
            passes = Some(self.calls(info, &*node)?);
        } else if let (Some(kind), Some(graph), Some(nodes)) = (info.container, &info.body, def.config.get("nodes")) {
            self.outer.push(body);
            let nodes = node_map(&info.id, nodes)?;
            let inner = self.body(&nodes, graph, None, Border::Open)?;
            inner_reads = self.scope_reads(&info.id, info.inner.iter(), graph)?;
            self.outer.pop();
            passes = Some(Passes { kind, bodies: vec![(None, inner)] });
        }
        let times_out = node.ports().iter().any(|port| port == "timeout");
        let may_leave = spec.may_leave(&*node, &def.config);
        let references = info.sites.iter().filter_map(|site| site.compiled.as_ref().ok());
        Ok(PlanNode {
            id: info.id.clone(),
            kind: spec.type_name.into(),
            effect: node.effect(),
            gate,
            reads,
            inner_reads,
            when: def.common.when.clone(),
            retry: def.common.retry.clone(),
            timeout: def.common.timeout,
            times_out,
            on_error: def.common.on_error.clone(),
            on_lost: def.common.on_lost.unwrap_or(if spec.meta.fails_when_lost { OnLost::Fail } else { OnLost::Retry }),
            cache: def
                .common
                .cache
                .as_ref()
                .map(|cache| CachePolicy { key: cache.key.clone(), ttl: cache.ttl.millis() }),
            may_leave,
            queue: def.common.queue.or(spec.queue).filter(|_| may_leave),
            priority: def.common.priority,
            budget: def.common.budget,
            uses_models: spec.meta.requires.contains(&Capability::Models),
            waits: node.waits() || passes.as_ref().is_some_and(|passes| self.waits_inside(passes)),
            streams: spec.meta.streams,
            answer: None,
            link: None,
            inline: spec.meta.inline,
            passes,
            references: references.flat_map(Compiled::references).cloned().collect(),
            config,
            definition: how_it_runs(&def.common),
            node,
        })
    }

    fn waits_inside(&self, passes: &Passes) -> bool {
        passes.bodies.iter().any(|(_, body)| self.bodies[*body].graph.node_weights().any(|node| node.waits))
    }

    fn gate(def: &NodeDef, info: &NodeInfo, body: &BodyGraph) -> Result<Gate, CompileError> {
        let position = |name: &str| {
            body.position(name)
                .map(|at| at as NodeIx)
                .ok_or_else(|| CompileError::UnknownNode { node: info.id.to_string(), name: name.to_owned() })
        };
        let mut gate = Gate::default();
        for need in &def.common.needs {
            let exits =
                need.exits().iter().map(|exit| Ok((position(&exit.node)?, exit.port.as_deref().map(Arc::from))));
            gate.needs.push(GateNeed { text: need_text(need), exits: exits.collect::<Result<_, CompileError>>()? });
        }
        for read in info.reads.iter().filter(|read| read.up == 0) {
            let edge = GateRead { node: position(&read.node)?, reads: read.reads };
            let list = if read.guarded { &mut gate.optional } else { &mut gate.required };
            if !list.contains(&edge) {
                list.push(edge);
            }
        }
        Ok(gate)
    }

    /// What templates see of other nodes.
    fn scope_reads<'r>(
        &self,
        node: &str,
        reads: impl Iterator<Item = &'r Read>,
        body: &BodyGraph,
    ) -> Result<Vec<ScopeRead>, CompileError> {
        let mut all: Vec<ScopeRead> = Vec::new();
        for read in reads {
            let within = match read.up as usize {
                0 => Some(body),
                up => self.outer.len().checked_sub(up).and_then(|at| self.outer.get(at)).copied(),
            };
            let position = within
                .and_then(|body| body.position(&read.node))
                .ok_or_else(|| CompileError::UnknownNode { node: node.to_owned(), name: read.node.to_string() })?;
            let seen = ScopeRead { id: read.node.clone(), up: read.up, node: position as NodeIx };
            if !all.contains(&seen) {
                all.push(seen);
            }
        }
        Ok(all)
    }
}

fn node_map(id: &str, nodes: &serde_json::Value) -> Result<NodeMap, CompileError> {
    serde_json::from_value(nodes.clone()).map_err(|error| CompileError::Config {
        node: id.to_owned(),
        error: ConfigError::new(crate::codes::INVALID_CONFIG, "/nodes", error.to_string()).into(),
    })
}

/// The common fields without those that are only for people, and those that say where and within what it runs.
fn how_it_runs(common: &NodeCommon) -> serde_json::Value {
    let common = NodeCommon { title: None, description: None, budget: None, queue: None, ..common.clone() };
    serde_json::to_value(common).expect("the fields have only string keys and finite numbers")
}

fn need_text(need: &Need) -> String {
    let exits: Vec<String> = need.exits().iter().cloned().map(|exit: Exit| String::from(exit)).collect();
    exits.join(" or ")
}

fn cycle(plan: &DiGraph<PlanNode, ()>) -> CompileError {
    let group = petgraph::algo::tarjan_scc(plan).into_iter().find(|group| group.len() > 1).unwrap_or_default();
    let names: Vec<String> = group.into_iter().map(|node| format!("`{}`", plan[node].id)).collect();
    CompileError::Cycle(names.join(", "))
}
