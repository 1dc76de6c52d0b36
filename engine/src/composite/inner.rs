//! The nodes inside of a node whose body does not stand in the file: of a composite, and of a container of calls.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{Composite, Placed};
use crate::{
    codes,
    definition::NodeDef,
    graph::escape,
    node::{ConfigError, ErasedNode, NodeSpec, Registry},
};

/// A node inside of another one.
pub struct Inner {
    /// Where it stands in the nodes around it, as a JSON pointer.
    pub pointer: String,
    /// Its type; `workflow` for everything that starts a run of its own.
    pub kind: String,
    /// The node, or why it cannot be built.
    pub node: Result<Arc<dyn ErasedNode>, ConfigError>,
}

impl Composite {
    /// Every node that it is made of with these fields, and where the fields stand in them. Those inside of composites
    /// and of calls are left out: their node tells of them.
    pub(crate) fn inner(&self, config: &Map<String, Json>, registry: &Registry) -> (Vec<Inner>, Vec<Placed>) {
        let expansion = self.expand(config, &[]);
        let mut inner = Vec::new();
        gather(&expansion.view["nodes"], "/nodes", registry, &mut inner);
        (inner, expansion.placed)
    }
}

/// The nodes that run for the calls of a container.
pub(crate) fn of_calls(node: &dyn ErasedNode, registry: &Registry) -> Vec<Inner> {
    let mut inner = Vec::new();
    for (_, nodes) in node.branches() {
        gather(&json!(nodes), "", registry, &mut inner);
    }
    inner
}

fn gather(nodes: &Json, pointer: &str, registry: &Registry, into: &mut Vec<Inner>) {
    for (id, node) in nodes.as_object().into_iter().flatten() {
        let pointer = format!("{pointer}/{}", escape(id));
        let def: NodeDef = match serde_json::from_value(node.clone()) {
            Ok(def) => def,
            Err(error) => {
                let error = ConfigError::new(codes::INVALID_CONFIG, "", error.to_string());
                into.push(Inner { pointer, kind: String::new(), node: Err(error) });
                continue;
            }
        };
        let spec = registry.get(&def.kind);
        if let Some(nodes) = def.config.get("nodes").filter(|_| spec.is_some_and(NodeSpec::has_nodes)) {
            gather(nodes, &format!("{pointer}/nodes"), registry, into);
        }
        let starts_run = def.config.contains_key("workflow");
        let node = match spec {
            Some(spec) => (spec.build)(Json::Object(def.config)),
            None => {
                let message = format!("this program knows no node type `{}`", def.kind);
                Err(ConfigError::new(codes::UNKNOWN_NODE_TYPE, "/type", message))
            }
        };
        into.push(Inner { pointer, kind: if starts_run { "workflow".to_owned() } else { def.kind }, node });
    }
}
