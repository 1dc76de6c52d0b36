//! Budgets that limit nothing.

use serde_json::Value as Json;

use super::{Cx, unit::field};
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity},
    graph::{BodyGraph, NodeInfo},
    node::Capability,
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    // What nodes of an unknown type use is not known.
    let known = !cx.has_unknown_types();
    let bodies: Vec<&BodyGraph> = cx.unit.graph.bodies().collect();
    let uses_models = bodies.iter().any(|body| body.nodes.iter().any(|node| may_use_models(cx, node)));
    check_one(cx, "/budget", "the workflow", uses_models || !known, findings);
    for node in cx.bodies().into_iter().flat_map(|body| &body.nodes) {
        let whose = format!("`{}`", node.id);
        check_one(cx, &field(node, "budget"), &whose, may_use_models(cx, node) || !known, findings);
    }
}

fn check_one(cx: &Cx<'_>, pointer: &str, whose: &str, uses_models: bool, findings: &mut Vec<Diagnostic>) {
    let Some(budget) = cx.unit.get(pointer).and_then(Json::as_object) else { return };
    let limits = ["tokens", "cost", "nodes"].into_iter().filter(|limit| budget.contains_key(*limit));
    let limits: Vec<&str> = limits.collect();
    let finding = |key: &str, message: String| {
        cx.unit.at_key(Severity::Warning, codes::BUDGET_WITHOUT_USE, key, message).label("limits nothing")
    };
    if limits.is_empty() {
        let message = format!("the budget of {whose} has no limit");
        findings.push(finding(pointer, message).hint("add `tokens` or `cost`, or remove it"));
    } else if !uses_models {
        for limit in limits.into_iter().filter(|limit| *limit != "nodes") {
            let message = format!("{whose} uses no model, so `{limit}` limits nothing");
            findings.push(finding(&format!("{pointer}/{limit}"), message).hint("remove it"));
        }
    }
}

/// Whether a node, something inside it, or a run that it starts may use a model.
fn may_use_models(cx: &Cx<'_>, node: &NodeInfo) -> bool {
    let spec = cx.facts(&node.pointer).spec;
    node.kind == "workflow"
        || spec.is_some_and(|spec| spec.meta.requires.contains(&Capability::Models))
        || node.body.as_ref().is_some_and(|body| body.nodes.iter().any(|node| may_use_models(cx, node)))
}
