//! Which node reads which, and how: read off the templates of a workflow in its JSON form.
//!
//! Checks and the plan share it. It is lenient: what is malformed is left out, and the checks say so elsewhere.

use std::{collections::HashMap, ops::Range, sync::Arc};

use serde_json::Value as Json;

use self::build::Builder;
pub use self::site::{Target, TemplateSite};
use crate::{
    composite::Placed,
    definition::Need,
    node::{Container, Registry},
    shape::{FileSite, Finding},
    template::{Reads, Segment},
};

mod build;
pub mod draw;
mod open;
mod schemas;
mod site;

/// The bodies of a workflow, and the templates that stand outside its nodes.
#[derive(Debug)]
pub struct WorkflowGraph {
    /// The nodes of the workflow.
    pub body: BodyGraph,
    /// The nodes that run after a failure. Their references to the workflow's nodes have `up: 1`; all are guarded.
    pub on_failure: Option<BodyGraph>,
    /// The nodes that run at the end; references as in `on_failure`.
    pub finally: Option<BodyGraph>,
    /// What `outputs` reads; `up` is 0.
    pub outputs: Vec<Read>,
    /// The templates outside nodes: in `outputs`, in the inputs of triggers, and the key of
    /// `concurrency`.
    pub sites: Vec<TemplateSite>,
    /// What is wrong with the form of the workflow, its nodes aside.
    pub findings: Vec<Finding>,
}

/// The nodes of one body: of a workflow, a container or a handler.
#[derive(Debug, Default)]
pub struct BodyGraph {
    /// In the order of the file.
    pub nodes: Vec<NodeInfo>,
    index: HashMap<Arc<str>, usize>,
}

/// A node, what it needs and what it reads.
#[derive(Debug)]
pub struct NodeInfo {
    /// Its id.
    pub id: Arc<str>,
    /// Where it stands in the workflow, as a JSON pointer: `/nodes/each/nodes/fetch`.
    pub pointer: String,
    /// Its node type as written; empty when it has none.
    pub kind: String,
    /// The entries of `needs`, in order; a malformed one is a join of nothing.
    pub needs: Vec<Need>,
    /// The nodes that it reads in its own fields, and, of a container, those outside that its body reads.
    pub reads: Vec<Read>,
    /// Of a container: what its fields `output`, `next` and `until` read. `up: 0` is a node of its body.
    pub inner: Vec<Read>,
    /// Every template in its fields.
    pub sites: Vec<TemplateSite>,
    /// What is wrong with the form of its fields.
    pub findings: Vec<Finding>,
    /// Its maps of tools, as pointers from the workflow.
    pub tools: Vec<String>,
    /// Its kind, when it is a container.
    pub container: Option<Container>,
    /// The body of a container.
    pub body: Option<Box<BodyGraph>>,
}

/// A reference to a node.
#[derive(Clone, Debug)]
pub struct Read {
    /// The id of the node that is read.
    pub node: Arc<str>,
    /// How far out it stands: 0 in the same body, 1 beside the container around it, and so on.
    pub up: u32,
    /// Whether only some renderings evaluate it: then it orders and carries a value, but never decides.
    pub guarded: bool,
    /// What of the node is read.
    pub reads: Reads,
    /// The constant path below the node.
    pub path: Vec<Segment>,
    /// The template, as a JSON pointer from the workflow.
    pub pointer: String,
    /// Its bytes in the template.
    pub span: Range<usize>,
}

impl WorkflowGraph {
    /// Reads the graph off a workflow in its JSON form, resolved or as it stands in a file.
    pub fn new(workflow: &Json, registry: &Registry) -> Self {
        Builder::new(workflow, registry).workflow()
    }

    /// Reads the graph off the nodes of a composite. What an author placed there is left out: its templates belong to the
    /// author's node.
    pub(crate) fn placed(view: &Json, registry: &Registry, placed: &[Placed]) -> Self {
        Builder::new(view, registry).leaving_out(placed).workflow()
    }

    /// The texts of a workflow that stand in files of their own.
    pub fn files(workflow: &Json, registry: &Registry) -> Vec<FileSite> {
        Builder::new(workflow, registry).files()
    }

    /// The bodies that stand in the workflow itself: `nodes`, then `on_failure` and `finally` where they exist.
    pub fn bodies(&self) -> impl Iterator<Item = &BodyGraph> {
        std::iter::once(&self.body).chain(&self.on_failure).chain(&self.finally)
    }

    /// Calls `visit` for every body at any depth, outer ones first.
    pub fn each_body<'a>(&'a self, visit: &mut impl FnMut(&'a BodyGraph)) {
        for body in self.bodies() {
            body.each_body(visit);
        }
    }
}

impl BodyGraph {
    /// The position of a node in `nodes`.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The node with this id.
    pub fn get(&self, id: &str) -> Option<&NodeInfo> {
        self.position(id).map(|position| &self.nodes[position])
    }

    /// Every edge once, as positions (from, to), sorted. An edge leads from what is waited for to what waits.
    /// Names that are no node of this body make none.
    pub fn edges(&self) -> Vec<(usize, usize)> {
        let mut edges: Vec<_> = self
            .nodes
            .iter()
            .enumerate()
            .flat_map(|(to, node)| node.waits_for().filter_map(move |id| Some((self.position(id)?, to))))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    fn each_body<'a>(&'a self, visit: &mut impl FnMut(&'a BodyGraph)) {
        visit(self);
        for body in self.nodes.iter().filter_map(|node| node.body.as_deref()) {
            body.each_body(visit);
        }
    }

    fn push(&mut self, node: NodeInfo) {
        self.index.insert(node.id.clone(), self.nodes.len());
        self.nodes.push(node);
    }
}

impl NodeInfo {
    /// The ids of the nodes of its own body that it waits for; one may come more than once.
    pub fn waits_for(&self) -> impl Iterator<Item = &str> {
        let needed = self.needs.iter().flat_map(Need::exits).map(|exit| exit.node.as_str());
        needed.chain(self.reads.iter().filter(|read| read.up == 0).map(|read| &*read.node))
    }
}

/// A key as a step of a JSON pointer.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
