//! Entries of `needs`: nodes and ports that exist, and timeouts that somebody looks at.

use std::collections::HashSet;

use super::{
    Cx, Facts, did_you_mean,
    gating::{ERROR, TIMEOUT},
    unit::field,
};
use crate::{
    codes,
    definition::{Exit, Need},
    diagnostic::{Diagnostic, Severity},
    graph::{BodyGraph, NodeInfo},
    node::{Effect, Family},
    suggest,
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    for body in cx.unit.graph.bodies() {
        check_body(cx, body, None, findings);
    }
}

fn check_body(cx: &Cx<'_>, body: &BodyGraph, around: Option<(&BodyGraph, &NodeInfo)>, findings: &mut Vec<Diagnostic>) {
    let minded = minded(body);
    for node in &body.nodes {
        for (index, need) in node.needs.iter().enumerate() {
            for (position, exit) in need.exits().iter().enumerate() {
                let pointer = match need {
                    Need::One(_) => format!("{}/needs/{index}", node.pointer),
                    Need::Any { .. } => format!("{}/needs/{index}/any/{position}", node.pointer),
                };
                findings.extend(check_exit(cx, body, around, exit, &pointer));
            }
        }
        findings.extend(check_timeout(cx, &minded, node));
        if let Some(inner) = &node.body {
            check_body(cx, inner, Some((body, node)), findings);
        }
    }
}

fn check_exit(
    cx: &Cx<'_>,
    body: &BodyGraph,
    around: Option<(&BodyGraph, &NodeInfo)>,
    exit: &Exit,
    pointer: &str,
) -> Option<Diagnostic> {
    let id = &exit.node;
    if let Some(node) = body.get(id) {
        return check_port(cx, node, exit.port.as_deref()?, pointer);
    }
    if let Some((_, container)) = around.filter(|(outer, _)| outer.get(id).is_some()) {
        let message =
            format!("`needs` names only nodes of the same body, and `{id}` stands outside `{}`", container.id);
        let finding = cx.unit.error(codes::OUT_OF_REACH, pointer, message).label("outside this body");
        return Some(finding.hint(format!("move the entry to `needs` of `{}`", container.id)));
    }
    if let Some(container) =
        body.nodes.iter().find(|node| node.body.as_ref().is_some_and(|body| body.get(id).is_some()))
    {
        let message = format!("`{id}` stands inside `{}` and cannot be seen from here", container.id);
        let finding = cx.unit.error(codes::OUT_OF_REACH, pointer, message).label("inside a container");
        return Some(finding.hint(format!("write `{}`", container.id)));
    }
    if around.is_none() && cx.unit.graph.body.get(id).is_some() {
        let message =
            format!("`needs` names only nodes of the same body; all of the workflow, so also `{id}`, is over here");
        let finding = cx.unit.error(codes::OUT_OF_REACH, pointer, message).label("outside this body");
        return Some(finding.hint(format!("remove the entry, or write `when: \"{{{{ {id} is ran }}}}\"`")));
    }
    let known = body.nodes.iter().map(|node| &*node.id);
    let hint = did_you_mean(id, known, || "name a node of this body, or `node.port`".to_owned());
    let finding = cx.unit.error(codes::UNKNOWN_NODE, pointer, format!("unknown node `{id}`"));
    Some(finding.label("no node has this id").hint(hint))
}

fn check_port(cx: &Cx<'_>, node: &NodeInfo, port: &str, pointer: &str) -> Option<Diagnostic> {
    let facts = cx.facts(&node.pointer);
    let names = || facts.exits.names.iter().map(String::as_str).filter(|name| !name.is_empty());
    if facts.exits.unknown || names().any(|name| name == port) {
        return None;
    }
    let id = &node.id;
    if port == ERROR {
        let message = format!("the port `error` of `{id}` never opens: a failure of `{id}` fails the run");
        let finding = cx.unit.error(codes::CLOSED_PORT, pointer, message).label("never taken");
        return Some(
            finding
                .related(cx.unit.key(&node.pointer), "this node")
                .hint(format!("add `on_error: continue` to `{id}`")),
        );
    }
    if port == TIMEOUT && facts.waits {
        let message = format!("the port `timeout` of `{id}` never opens: it waits without a limit");
        let finding = cx.unit.error(codes::CLOSED_PORT, pointer, message).label("never taken");
        return Some(
            finding.related(cx.unit.key(&node.pointer), "this node").hint(format!("add `timeout: 1d` to `{id}`")),
        );
    }
    let hint = match names().count() {
        0 => format!("write `{id}`: its only exit has no name"),
        _ => suggest::hint(port, names()).unwrap_or_else(|| format!("use {}", suggest::list(names()))),
    };
    let finding = cx.unit.error(codes::UNKNOWN_PORT, pointer, format!("`{id}` has no port `{port}`"));
    Some(finding.label("no such port").hint(hint))
}

fn check_timeout(cx: &Cx<'_>, minded: &HashSet<&str>, node: &NodeInfo) -> Option<Diagnostic> {
    let pointer = field(node, "timeout");
    cx.unit.get(&pointer)?;
    let facts = cx.facts(&node.pointer);
    if facts.waits {
        return (!minded.contains(&*node.id)).then(|| unseen(cx, node, &pointer));
    }
    meaningless(facts).then(|| {
        let message = format!("`timeout` means nothing on `{}`: the type `{}` ends at once", node.id, node.kind);
        let finding = cx.unit.at_key(Severity::Warning, codes::TIMEOUT_WITHOUT_USE, &pointer, message);
        finding.label("never reached").hint("remove `timeout`")
    })
}

/// Whether the node ends at once, so that no timeout can reach it.
fn meaningless(facts: &Facts<'_>) -> bool {
    let Some(spec) = facts.spec.filter(|spec| spec.meta.inline && spec.composite.is_none()) else { return false };
    facts.effect == Effect::Pure
        && (spec.meta.family == Family::Data || matches!(spec.type_name, "if-else" | "switch" | "fail" | "answer"))
}

/// The nodes whose port `timeout` somebody needs, or that somebody reads in a way that minds their absence.
fn minded(body: &BodyGraph) -> HashSet<&str> {
    let needs = body.nodes.iter().flat_map(|node| &node.needs).flat_map(Need::exits);
    let needed = needs.filter(|exit| exit.port.as_deref() == Some(TIMEOUT)).map(|exit| exit.node.as_str());
    let reads = body.nodes.iter().flat_map(|node| &node.reads).filter(|read| read.up == 0 && read.guarded);
    needed.chain(reads.map(|read| &*read.node)).collect()
}

fn unseen(cx: &Cx<'_>, node: &NodeInfo, pointer: &str) -> Diagnostic {
    let message = format!("nothing happens when `{}` runs out of time: no node needs `{}.timeout`", node.id, node.id);
    let finding = cx.unit.at_key(Severity::Warning, codes::TIMEOUT_UNSEEN, pointer, message);
    finding
        .label("opens the port `timeout`")
        .hint(format!("add a node with `needs: [{}.timeout]`, or remove `timeout`", node.id))
}
