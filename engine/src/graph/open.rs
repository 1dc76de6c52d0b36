//! Opening: the nodes inside of composites and of calls put into the picture.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{BodyGraph, NodeInfo, WorkflowGraph};
use crate::node::{Container, NodeSpec, Registry};

impl WorkflowGraph {
    /// The same graph with the bodies of composites, and with the nodes that run for each tool that can be called.
    #[must_use]
    pub fn opened(mut self, workflow: &Json, registry: &Registry) -> Self {
        open(&mut self.body, workflow, registry);
        for handler in [&mut self.on_failure, &mut self.finally].into_iter().flatten() {
            open(handler, workflow, registry);
        }
        self
    }
}

fn open(body: &mut BodyGraph, workflow: &Json, registry: &Registry) {
    for node in &mut body.nodes {
        let Some(spec) = registry.get(&node.kind) else { continue };
        if let Some(inner) = node.body.as_mut() {
            open(inner, workflow, registry);
        } else if let Some(fields) = workflow.pointer(&node.pointer).and_then(Json::as_object) {
            node.body = inside(node, spec, fields, registry).map(Box::new);
        }
    }
}

fn inside(node: &NodeInfo, spec: &NodeSpec, fields: &Map<String, Json>, registry: &Registry) -> Option<BodyGraph> {
    if let Some(composite) = &spec.composite {
        let expansion = composite.expand(fields, &[]);
        let mut graph = WorkflowGraph::placed(&expansion.view, registry, &expansion.placed);
        let mut body = match graph.body.nodes.first_mut().filter(|_| expansion.is_loop) {
            Some(rounds) => *rounds.body.take()?,
            None => graph.body,
        };
        open(&mut body, &expansion.view, registry);
        return Some(body);
    }
    if node.container != Some(Container::Calls) {
        return None;
    }
    let known = spec.config_schema.get("properties").and_then(Json::as_object)?;
    let config = fields.iter().filter(|(key, _)| known.contains_key(*key));
    let built = (spec.build)(config.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into());
    let mut body = BodyGraph::default();
    // Where it cannot be built, the checks say why; the picture leaves it closed.
    for (tool, nodes) in built.ok()?.branches() {
        let mut branch = WorkflowGraph::new(&json!({ "nodes": nodes }), registry).body;
        for node in &mut branch.nodes {
            node.reads.clear();
        }
        body.push(NodeInfo {
            id: Arc::from(tool.as_str()),
            pointer: format!("{}/{tool}", node.pointer),
            kind: "tool".to_owned(),
            needs: Vec::new(),
            reads: Vec::new(),
            inner: Vec::new(),
            sites: Vec::new(),
            findings: Vec::new(),
            tools: Vec::new(),
            container: None,
            body: Some(Box::new(branch)),
        });
    }
    (!body.nodes.is_empty()).then_some(body)
}
