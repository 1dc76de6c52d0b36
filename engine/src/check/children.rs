//! Nodes that run another workflow: the inputs that they pass fit those that it declares.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::{Cx, fit, unit::field};
use crate::diagnostic::Diagnostic;

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    for node in cx.bodies().into_iter().flat_map(|body| &body.nodes).filter(|node| node.kind == "workflow") {
        let named = cx.unit.get(&field(node, "workflow")).and_then(Json::as_str);
        if let Some(child) = named.and_then(|named| cx.children.get(named)) {
            let inputs: &IndexMap<String, Json> = &child.inputs;
            fit::inputs(cx, &field(node, "inputs"), &node.pointer, &format!("`{}`", child.name), inputs, findings);
        }
    }
}
