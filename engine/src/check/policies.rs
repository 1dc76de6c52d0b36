//! Policies of nodes: retries that can work, outputs that can stand in, and what `durability: end` forbids.

use schemars::Schema;
use serde_json::Value as Json;

use super::{Cx, Facts, unit::field};
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity},
    graph::{BodyGraph, NodeInfo, Read},
    node::{Effect, ErasedNode},
    shape, suggest,
    template::Segment,
    units::Duration,
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    check_retry(cx, "/defaults/retry", findings);
    let ends = cx.unit.get("/durability").and_then(Json::as_str) == Some("end");
    if ends {
        findings.extend(counted(cx));
    }
    let bodies = cx.bodies();
    for (body, node) in bodies.into_iter().flat_map(|body| body.nodes.iter().map(move |node| (body, node))) {
        let facts = cx.facts(&node.pointer);
        check_retry(cx, &field(node, "retry"), findings);
        stand_in(cx, body, node, facts, findings);
        findings.extend(queue(cx, node, facts, ends));
        if ends {
            findings.extend(durability(cx, node, facts));
        }
    }
}

fn check_retry(cx: &Cx<'_>, pointer: &str, findings: &mut Vec<Diagnostic>) {
    let Some(retry) = cx.unit.get(pointer).and_then(Json::as_object) else { return };
    let at = |key: &str| format!("{pointer}/{key}");
    if retry.get("attempts").and_then(Json::as_u64) == Some(1) {
        let message = "`attempts` counts the first try, so this policy never tries again";
        let finding = cx.unit.warning(codes::RETRY_WITHOUT_USE, &at("attempts"), message).label("the first try only");
        findings.push(finding.hint("write `attempts: 2` or more, or remove `retry`"));
    }
    let duration = |key: &str| retry.get(key).and_then(Json::as_str).and_then(|text| Duration::parse(text).ok());
    let (backoff, max) =
        (duration("backoff").unwrap_or(Duration::from_secs(1)), duration("max").unwrap_or(Duration::from_secs(60)));
    if max < backoff {
        let message = format!("the longest wait, {max}, is shorter than the first one, {backoff}");
        let key = if retry.contains_key("max") { "max" } else { "backoff" };
        let finding = cx.unit.error(codes::RETRY_LIMITS, &at(key), message).label("out of order");
        findings.push(finding.hint(format!("write `max: {backoff}` or more")));
    }
    let classes = retry.get("classes").and_then(Json::as_array);
    for (index, class) in classes.into_iter().flatten().enumerate() {
        let Some(class @ ("invalid" | "cancelled" | "forbidden")) = class.as_str() else { continue };
        let message = format!("trying again after `{class}` gives the same");
        let finding = cx.unit.warning(codes::RETRY_WITHOUT_USE, &at(&format!("classes/{index}")), message);
        findings.push(
            finding
                .label("no use")
                .hint("keep classes that pass by themselves: `rate_limited`, `timeout`, `unavailable`"),
        );
    }
}

fn stand_in(cx: &Cx<'_>, body: &BodyGraph, node: &NodeInfo, facts: &Facts<'_>, findings: &mut Vec<Diagnostic>) {
    let pointer = format!("{}/on_error/outputs", node.pointer);
    let (Some(outputs), Some(schema)) = (cx.unit.get(&pointer), &facts.output) else { return };
    let misfits = shape::walk_as(&node.kind, schema, outputs, &pointer).findings;
    for misfit in
        misfits.into_iter().filter(|misfit| !(misfit.code == codes::MISSING_FIELD && misfit.pointer == pointer))
    {
        let mut finding = super::shape::placed(cx, &misfit);
        finding.code = codes::STAND_IN_MISFIT;
        findings.push(finding.related(cx.unit.key(&node.pointer), "the outputs of this node are stood in for"));
    }
    missing(cx, body, node, schema, &pointer, findings);
    let open = schema.get("additionalProperties").is_some_and(|more| *more != Json::Bool(false));
    let Some(known) = schema.get("properties").and_then(Json::as_object).filter(|_| !open) else { return };
    if schema.get("additionalProperties").is_some() {
        return;
    }
    for (name, _) in cx.unit.members(&pointer).filter(|(name, _)| !known.contains_key(*name)) {
        let at = format!("{pointer}/{}", crate::graph::escape(name));
        let known = || known.keys().map(String::as_str);
        let hint = suggest::hint(name, known()).unwrap_or_else(|| format!("use {}", suggest::list(known())));
        let message = format!("`{}` gives no output `{name}`", node.kind);
        findings.push(
            cx.unit.at_key(Severity::Error, codes::STAND_IN_MISFIT, &at, message).label("no such output").hint(hint),
        );
    }
}

/// What other nodes read of the result must stand in; the rest may be left out.
fn missing(
    cx: &Cx<'_>,
    body: &BodyGraph,
    node: &NodeInfo,
    schema: &Schema,
    pointer: &str,
    findings: &mut Vec<Diagnostic>,
) {
    let given = |name: &str| cx.unit.get(pointer).is_some_and(|outputs| outputs.get(name).is_some());
    let required = schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let reads = || body.nodes.iter().flat_map(|other| &other.reads).chain(&cx.unit.graph.outputs);
    for name in required.filter(|name| !given(name)) {
        let member = |read: &&Read| matches!(read.path.first(), Some(Segment::Member(member)) if **member == *name);
        let Some(read) = reads().filter(|read| read.up == 0 && read.node == node.id).find(member) else { continue };
        let message = format!("`{name}` of `{}` is read, and does not stand in when it fails", node.id);
        let finding = cx.unit.at_key(Severity::Error, codes::STAND_IN_MISFIT, pointer, message);
        let finding = finding
            .label(format!("needs `{name}`"))
            .related(cx.unit.text(&read.pointer, read.span.clone()), "read here");
        findings.push(finding.hint(format!("add `{name}: ...` to these outputs")));
    }
}

/// A queue is for nodes that can run in another process.
fn queue(cx: &Cx<'_>, node: &NodeInfo, facts: &Facts<'_>, ends: bool) -> Option<Diagnostic> {
    let pointer = field(node, "queue");
    cx.unit.get(&pointer)?;
    if ends {
        let message = format!(
            "`queue` of `{}` cannot be kept under `durability: end`: no other process knows of the run",
            node.id
        );
        let finding = cx.unit.at_key(Severity::Error, codes::DURABILITY_END, &pointer, message);
        let finding = finding.label("another process").related(cx.unit.at("/durability"), "chosen here");
        return Some(finding.hint("write `durability: step`, or remove `queue`"));
    }
    let (spec, built) = (facts.spec?, facts.node.as_ref()?.as_ref().ok()?);
    let fields = cx.unit.get(&node.pointer).and_then(Json::as_object)?;
    if spec.may_leave(&**built, fields) {
        return None;
    }
    let message = format!("`queue` means nothing on `{}`: a node of type `{}` stays with its run", node.id, node.kind);
    let finding = cx.unit.at_key(Severity::Warning, codes::QUEUE_WITHOUT_USE, &pointer, message).label("never read");
    let is_container = node.body.is_some();
    Some(finding.hint(if is_container { "write it on the nodes inside" } else { "remove `queue`" }))
}

/// A run that no store knows cannot be counted.
fn counted<'a>(cx: &'a Cx<'_>) -> impl Iterator<Item = Diagnostic> + 'a {
    let counted = [("/concurrency", "concurrency"), ("/conversation/when_busy", "conversation.when_busy")];
    counted.into_iter().filter(|(pointer, _)| cx.unit.get(pointer).is_some()).map(|(pointer, name)| {
        let message =
            format!("`{name}` cannot be kept under `durability: end`: no store knows of a run before its end");
        let finding = cx.unit.at_key(Severity::Error, codes::DURABILITY_END, pointer, message);
        let finding = finding.label("counts runs").related(cx.unit.at("/durability"), "chosen here");
        finding.hint(format!("write `durability: step`, or remove `{name}`"))
    })
}

fn durability(cx: &Cx<'_>, node: &NodeInfo, facts: &Facts<'_>) -> Option<Diagnostic> {
    let built = facts.node.as_ref().and_then(|node| node.as_ref().ok());
    let starts_run = cx.unit.get(&field(node, "workflow")).is_some();
    let kind = if starts_run { "workflow" } else { node.kind.as_str() };
    let why = if facts.waits { Some(WAITS) } else { needs_a_store(cx, kind, built.map(|node| &**node)) }?;
    let message = format!("`{}` cannot run under `durability: end`: {why}", node.id);
    let finding = cx.unit.at_key(Severity::Error, codes::DURABILITY_END, &node.pointer, message);
    let finding = finding.label(format!("type `{}`", node.kind)).related(cx.unit.at("/durability"), "chosen here");
    Some(finding.hint("write `durability: step`, or move the node to another workflow"))
}

const WAITS: &str = "it waits, and a wait must survive the process";

/// Why a node cannot run where only the end of a run is kept.
fn needs_a_store(cx: &Cx<'_>, kind: &str, node: Option<&dyn ErasedNode>) -> Option<&'static str> {
    match kind {
        "wait" | "human-input" => return Some(WAITS),
        "workflow" => return Some("a child run outlives its parent's process"),
        "llm" => return None,
        _ => {}
    }
    let node = node?;
    if node.effect() == Effect::AtLeastOnce {
        return Some("it changes the outside, and a crash would repeat it");
    }
    let inner = node.inner(cx.unit.registry);
    inner.iter().find_map(|inner| needs_a_store(cx, &inner.kind, inner.node.as_ref().ok().map(|node| &**node)))
}
