//! What a path of a test leads to in the workflow.

use std::{borrow::Cow, sync::Arc};

use liteagent_engine::{
    bundle::Bundle,
    definition::{Definition, NodeCommon, NodeDef, NodeMap},
    node::{ErasedNode, NodeSpec, Registry},
};
use serde_json::Value as Json;

use super::path::Pattern;

/// A workflow with all that it calls, and the node types.
pub(super) struct Lookup<'a> {
    pub(super) bundle: &'a Bundle,
    registry: Registry,
}

/// Where the nodes of a call of a tool are kept on the way to them.
const BRANCH: &str = "(branch)";

/// A part of a path that leads nowhere.
pub(super) struct Nowhere {
    /// The part.
    pub(super) part: String,
    /// What there is instead.
    pub(super) known: Vec<String>,
}

impl<'a> Lookup<'a> {
    /// A bundle, and the node types of this program; its composites are its own.
    pub(super) fn new(bundle: &'a Bundle, registry: &Registry) -> Self {
        // What cannot be made here is found when it runs.
        let registry = bundle.node_types(registry).map_or_else(|_| registry.clone(), Cow::into_owned);
        Self { bundle, registry }
    }

    /// The node at a path. It goes into containers, handlers, and the workflows that nodes call.
    pub(super) fn node(&self, path: &str) -> Result<NodeDef, Nowhere> {
        let pattern = Pattern::new(path);
        let mut here = self.bundle.entry().map(top).unwrap_or_default();
        let mut found: Option<NodeDef> = None;
        for id in pattern.ids() {
            let handler = self.bundle.entry().filter(|_| found.is_none()).and_then(|entry| handler(entry, id));
            if let Some(nodes) = handler {
                here = nodes.clone();
                continue;
            }
            let nowhere = || Nowhere { part: id.to_owned(), known: here.0.keys().map(ToString::to_string).collect() };
            let node = here.0.get(id).cloned().ok_or_else(nowhere)?;
            here = self.below(&node);
            found = Some(node);
        }
        found.ok_or_else(|| Nowhere { part: path.to_owned(), known: Vec::new() })
    }

    /// The nodes inside of a node.
    fn below(&self, node: &NodeDef) -> NodeMap {
        let map = |nodes: &Json| -> NodeMap { serde_json::from_value(nodes.clone()).unwrap_or_default() };
        if let Some(nodes) = node.config.get("nodes") {
            return map(nodes);
        }
        if let Some(nodes) = self.registry.get(&node.kind).and_then(|spec| spec.composite.as_ref()?.nodes(&node.config))
        {
            return map(&nodes);
        }
        let branches = self.build(node).map(|node| node.branches()).unwrap_or_default();
        if !branches.is_empty() {
            return NodeMap(branches.into_iter().map(|(tool, nodes)| (tool.into(), call(nodes))).collect());
        }
        let called = node.config.get("workflow").and_then(Json::as_str);
        let called = called.filter(|_| matches!(node.kind.as_str(), "workflow" | "tool"));
        let mut nodes = called.and_then(|name| self.bundle.workflows.get(name)).map(top).unwrap_or_default();
        // What runs before the call stands beside the nodes of the workflow that is called.
        nodes.0.extend(node.config.get(BRANCH).map(map).unwrap_or_default().0);
        nodes
    }

    /// The node as configured; `None` where it cannot be built, which the checks of the workflow say.
    pub(super) fn build(&self, node: &NodeDef) -> Option<Arc<dyn ErasedNode>> {
        let spec = self.registry.get(&node.kind)?;
        let mut config = node.config.clone();
        config.remove(BRANCH);
        (spec.build)(Json::Object(config)).ok()
    }

    /// The node type with this name.
    pub(super) fn spec(&self, kind: &str) -> Option<&NodeSpec> {
        self.registry.get(kind)
    }

    /// The paths of the nodes of this type, in the order of the file.
    pub(super) fn paths_of(&self, kind: &str) -> Vec<String> {
        let mut paths = Vec::new();
        if let Some(entry) = self.bundle.entry() {
            gather(&entry.nodes, "", kind, &mut paths);
        }
        paths
    }
}

/// The tool of a call, by which the call is named, with the nodes that run for it.
fn call(nodes: NodeMap) -> NodeDef {
    let mut call = nodes.0.get("call").cloned().unwrap_or_else(|| NodeDef {
        kind: "tool".to_owned(),
        common: NodeCommon::default(),
        config: serde_json::Map::new(),
    });
    call.config.insert(BRANCH.to_owned(), serde_json::json!(nodes));
    call
}

fn top(definition: &Definition) -> NodeMap {
    definition.nodes.clone()
}

fn handler<'d>(definition: &'d Definition, id: &str) -> Option<&'d NodeMap> {
    match id {
        "on_failure" => definition.on_failure.as_ref(),
        "finally" => definition.finally.as_ref(),
        _ => None,
    }
}

fn gather(nodes: &NodeMap, before: &str, kind: &str, paths: &mut Vec<String>) {
    for (id, node) in &nodes.0 {
        if node.kind == kind {
            paths.push(format!("{before}{id}"));
        }
        if let Some(inner) = node.config.get("nodes").and_then(|nodes| serde_json::from_value(nodes.clone()).ok()) {
            gather(&inner, &format!("{before}{id}."), kind, paths);
        }
    }
}
