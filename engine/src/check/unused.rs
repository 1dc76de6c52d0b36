//! What is declared or computed and never looked at.

use std::collections::HashSet;

use super::{Cx, secrets::sites};
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity},
    graph::{BodyGraph, NodeInfo, Read},
    node::{Effect, Family},
    template::Segment,
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    // What an unknown node or a broken template reads is not known.
    if cx.has_unknown_types() || sites(cx).any(|site| site.compiled.is_err()) {
        return;
    }
    inputs(cx, findings);
    let graph = &cx.unit.graph;
    let from_handlers: Vec<&Read> =
        graph.bodies().skip(1).flat_map(|body| &body.nodes).flat_map(|node| &node.reads).collect();
    results(cx, &graph.body, graph.outputs.iter().chain(from_handlers), findings);
}

fn inputs(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    let what = if cx.unit.composite.is_some() { "field" } else { "input" };
    let mut used = HashSet::new();
    for (reference, _) in
        sites(cx).flat_map(crate::graph::TemplateSite::references).filter(|(reference, _)| &*reference.root == "inputs")
    {
        match reference.path.first() {
            Some(Segment::Member(name)) => used.insert(&**name),
            _ => return,
        };
    }
    // What a composite places in its nodes is used as well.
    let placed: Vec<_> = cx.unit.composite.iter().flat_map(|composite| composite.places()).collect();
    used.extend(placed.iter().map(|(_, field)| field.as_str()));
    for (name, _) in cx.unit.members("/inputs").filter(|(name, _)| !used.contains(name.as_str())) {
        let pointer = format!("/inputs/{}", crate::graph::escape(name));
        let finding = cx.unit.at_key(
            Severity::Warning,
            codes::UNUSED_INPUT,
            &pointer,
            format!("the {what} `{name}` is never used"),
        );
        findings.push(finding.label("unused").hint(format!("read it as `{{{{ inputs.{name} }}}}`, or remove it")));
    }
}

fn results<'a>(
    cx: &Cx<'a>,
    body: &'a BodyGraph,
    reads: impl Iterator<Item = &'a Read>,
    findings: &mut Vec<Diagnostic>,
) {
    let mut used: HashSet<&str> = reads.map(|read| &*read.node).collect();
    for node in &body.nodes {
        used.extend(node.waits_for());
        if let Some(inner) = &node.body {
            results(cx, inner, node.inner.iter(), findings);
        }
    }
    for node in body.nodes.iter().filter(|node| !used.contains(&*node.id) && is_for_its_result(cx, node)) {
        let message = format!("nothing uses the result of `{}`, and it does nothing else", node.id);
        let finding = cx.unit.at_key(Severity::Warning, codes::UNUSED_RESULT, &node.pointer, message);
        findings.push(
            finding.label("unused").hint(format!("read `{}` in `outputs` or another node, or remove it", node.id)),
        );
    }
}

/// Whether a node is there for its result alone.
fn is_for_its_result(cx: &Cx<'_>, node: &NodeInfo) -> bool {
    let facts = cx.facts(&node.pointer);
    let computes = facts.spec.is_some_and(|spec| spec.meta.family == Family::Data && spec.type_name != "assigner");
    computes && facts.effect == Effect::Pure && facts.spec.is_some_and(|spec| spec.composite.is_none())
}
