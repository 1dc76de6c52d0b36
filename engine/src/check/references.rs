//! What templates name: roots and nodes that are in sight, and members that they have.

use serde_json::Value as Json;

use super::{
    Cx,
    members::{Found, follow},
};
use crate::{
    codes,
    diagnostic::{Diagnostic, Span},
    graph::{BodyGraph, NodeInfo, Target, TemplateSite},
    node::{Container, schema_of},
    suggest,
    template::{Reads, Reference, Segment},
    types::Type,
    usage::UsageReport,
};

/// The members of `sys`, `trigger` and `NODE.error`.
const SYS: &[&str] = &["run", "workflow", "digest", "attempt", "now", "user", "conversation", "usage"];
const TRIGGER: &[&str] =
    &["type", "name", "scheduled_at", "previous_at", "json", "body", "headers", "query", "messages", "run"];
const ERROR: &[&str] = &["code", "class", "message", "hint", "node", "attempts"];
/// The roots that stand everywhere.
const ROOTS: &[&str] = &["inputs", "env", "secrets", "sys", "conversation", "trigger"];

/// The bodies around a template, innermost last; each with the container that it belongs to.
type Around<'a> = Vec<(&'a BodyGraph, Option<&'a NodeInfo>)>;

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    let graph = &cx.unit.graph;
    let mut around: Around<'_> = vec![(&graph.body, None)];
    for site in &graph.sites {
        let is_output = site.pointer.starts_with("/outputs/");
        check_site(cx, if is_output { &around } else { &[] }, site, findings);
    }
    around.clear();
    check_body(cx, &graph.body, None, &mut around, findings);
    around.push((&graph.body, None));
    for handler in graph.bodies().skip(1) {
        check_body(cx, handler, None, &mut around, findings);
    }
}

fn check_body<'a>(
    cx: &Cx<'a>,
    body: &'a BodyGraph,
    of: Option<&'a NodeInfo>,
    around: &mut Around<'a>,
    findings: &mut Vec<Diagnostic>,
) {
    around.push((body, of));
    for node in &body.nodes {
        for site in node.sites.iter().filter(|site| !(site.inner && node.body.is_some())) {
            check_site(cx, around, site, findings);
        }
        if let Some(inner) = &node.body {
            check_body(cx, inner, Some(node), around, findings);
            around.push((inner, Some(node)));
            for site in node.sites.iter().filter(|site| site.inner) {
                check_site(cx, around, site, findings);
            }
            around.pop();
        }
    }
    around.pop();
}

fn check_site(
    cx: &Cx<'_>,
    around: &[(&BodyGraph, Option<&NodeInfo>)],
    site: &TemplateSite,
    findings: &mut Vec<Diagnostic>,
) {
    for (reference, target) in site.references() {
        let span = || cx.unit.text(&site.pointer, reference.span.clone());
        findings.extend(match target {
            Target::Unknown => Some(unknown(cx, around, site, reference, span())),
            Target::Root => check_root(cx, Before::of(around, site), reference, span),
            Target::Local => check_local(cx, around, reference, span),
            Target::Node { up } => {
                let level = around.len().checked_sub(1 + up as usize).and_then(|level| around.get(level));
                level
                    .and_then(|(body, _)| body.get(&reference.root))
                    .and_then(|node| check_node(cx, node, reference, span))
            }
        });
    }
    for assigned in site.compiled.iter().flat_map(crate::template::Compiled::assigned) {
        if around.iter().any(|(body, _)| body.get(&assigned.name).is_some()) {
            let span = cx.unit.text(&site.pointer, assigned.span.clone());
            let message = format!("`{}` is the id of a node and cannot be assigned to", assigned.name);
            let finding = Diagnostic::error(codes::TEMPLATE_RESERVED, span, message).label("hides the node");
            findings.push(finding.hint(format!("use another name, such as `{}_`", assigned.name)));
        }
    }
}

fn unknown(
    cx: &Cx<'_>,
    around: &[(&BodyGraph, Option<&NodeInfo>)],
    site: &TemplateSite,
    reference: &Reference,
    span: Span,
) -> Diagnostic {
    let name = &*reference.root;
    // The caret marks the name alone, and not the path below it.
    let span = Span { range: span.range.start..span.range.end.min(span.range.start + name.len()), ..span };
    if let Some(home) = home(name) {
        let finding = Diagnostic::error(codes::ROOT_NOT_HERE, span, format!("`{name}` has no meaning here"));
        return finding.label("not in sight").hint(format!("use `{name}` only {home}"));
    }
    if let Some(before) = Before::of(around, site).filter(|_| cx.unit.graph.body.get(name).is_some()) {
        let message = format!("{} computed before the run, so `{name}` has no value yet", before.what());
        let finding = Diagnostic::error(codes::OUT_OF_REACH, span, message).label("not in sight");
        return finding.hint(before.hint());
    }
    if let Some(container) = containing(&cx.unit.graph.body, name) {
        let message = format!("`{name}` stands inside `{}` and cannot be seen from here", container.id);
        let finding = Diagnostic::error(codes::OUT_OF_REACH, span, message).label("inside a container");
        let field = if container.container == Some(Container::Items) { "output" } else { "output` or `state" };
        return finding.hint(format!("read `{}.output`, and put what you need into its `{field}`", container.id));
    }
    let mut known: Vec<&str> = Vec::new();
    known.extend(around.iter().rev().flat_map(|(body, _)| &body.nodes).map(|node| &*node.id));
    for container in around.iter().filter_map(|(_, of)| of.and_then(|of| of.container)) {
        known.extend_from_slice(container.roots());
    }
    known.extend(site.locals.iter().map(String::as_str));
    known.extend_from_slice(ROOTS);
    let hint = super::did_you_mean(name, known.into_iter(), || "name a node, or a root such as `inputs`".to_owned());
    let finding = Diagnostic::error(codes::UNKNOWN_NODE, span, format!("unknown node `{name}`"));
    finding.label("no node has this id").hint(hint)
}

/// Where a name has a meaning that has one in few places.
fn home(name: &str) -> Option<&'static str> {
    Some(match name {
        "item" | "index" => "in the nodes and the `output` of an `iteration`",
        "state" | "round" => "in the nodes, `next`, `until` and `output` of a `loop`",
        "error" | "status" => "in `on_failure` and `finally`; a node's failure is `NODE.error`",
        "call" => "in approvals of tools",
        "page" => "in `paginate` of an `http-request`",
        _ => return None,
    })
}

/// The container whose body, at any depth, holds a node.
fn containing<'a>(body: &'a BodyGraph, id: &str) -> Option<&'a NodeInfo> {
    body.nodes.iter().find(|node| {
        node.body.as_deref().is_some_and(|inner| inner.get(id).is_some() || containing(inner, id).is_some())
    })
}

/// A template that is rendered before the run.
#[derive(Clone, Copy)]
enum Before {
    /// The inputs of a trigger.
    Trigger,
    /// `concurrency.key`.
    Key,
}

impl Before {
    fn of(around: &[(&BodyGraph, Option<&NodeInfo>)], site: &TemplateSite) -> Option<Self> {
        let is_key = site.pointer == "/concurrency/key";
        around.is_empty().then_some(if is_key { Self::Key } else { Self::Trigger })
    }

    fn lacks(self, root: &str) -> bool {
        matches!(root, "conversation" | "secrets") || matches!(self, Self::Trigger) && root == "inputs"
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Trigger => "the inputs of a trigger are",
            Self::Key => "`concurrency.key` is",
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Trigger => "read only `trigger`, `env` and `sys` here",
            Self::Key => "read only `inputs`, `trigger`, `env` and `sys` here",
        }
    }
}

fn check_root(
    cx: &Cx<'_>,
    before: Option<Before>,
    reference: &Reference,
    span: impl FnOnce() -> Span,
) -> Option<Diagnostic> {
    let root = &*reference.root;
    if let Some(before) = before.filter(|before| before.lacks(root)) {
        let message = format!("{} computed before the run, where `{root}` has no meaning", before.what());
        let finding = Diagnostic::error(codes::ROOT_NOT_HERE, span(), message);
        return Some(finding.label("not in sight").hint(before.hint()));
    }
    if cx.unit.composite.is_some() && !matches!(root, "inputs" | "sys") {
        let message = format!("a composite sees only its fields, and not `{root}` of the workflow around it");
        let finding = Diagnostic::error(codes::COMPOSITE_ROOT, span(), message).label("not in sight");
        return Some(finding.hint("declare a field for it, and let the author of the node give it"));
    }
    let Some(Segment::Member(name)) = reference.path.first() else { return None };
    match root {
        "inputs" => check_input(cx, name, reference, span),
        "env" => declared(cx, "/env", "constant", name, span),
        "conversation" => check_variable(cx, name, reference, span),
        "sys" if &**name == "usage" => {
            let below = &reference.path[1..];
            let Found::Missing { at, known } = follow(&schema_of::<UsageReport>(), below) else { return None };
            Some(no_member("sys.usage", below, at, &known, span()))
        }
        "sys" => listed(root, SYS, name, span),
        "trigger" => listed(root, TRIGGER, name, span),
        _ => None,
    }
}

fn check_input(cx: &Cx<'_>, name: &str, reference: &Reference, span: impl FnOnce() -> Span) -> Option<Diagnostic> {
    let chat = cx.unit.get("/conversation").is_some();
    match cx.unit.get("/inputs").and_then(|inputs| inputs.get(name)) {
        Some(declared) => below(declared, reference, span, name),
        None if chat && matches!(name, "message" | "files") => None,
        None => declared(cx, "/inputs", "input", name, span),
    }
}

fn check_variable(cx: &Cx<'_>, name: &str, reference: &Reference, span: impl FnOnce() -> Span) -> Option<Diagnostic> {
    match cx.unit.get("/conversation/variables").and_then(|variables| variables.get(name)) {
        Some(declared) => below(declared, reference, span, name),
        None => declared(cx, "/conversation/variables", "conversation variable", name, span),
    }
}

/// Follows the rest of a path below something that has a declared type.
fn below(declared: &Json, reference: &Reference, span: impl FnOnce() -> Span, name: &str) -> Option<Diagnostic> {
    let declared = serde_json::from_value::<Type>(declared.clone()).ok()?;
    let Found::Missing { at, known } = follow(&declared.schema(), &reference.path[1..]) else { return None };
    Some(no_member(&format!("{}.{name}", reference.root), &reference.path[1..], at, &known, span()))
}

fn declared(cx: &Cx<'_>, pointer: &str, what: &str, name: &str, span: impl FnOnce() -> Span) -> Option<Diagnostic> {
    let known = cx.unit.members(pointer).map(|(known, _)| known.as_str());
    if known.clone().any(|known| known == name) {
        return None;
    }
    let place = cx.unit.in_file(pointer).trim_start_matches('/').replace('/', ".");
    let hint = super::did_you_mean(name, known, || format!("declare it under `{place}`"));
    let finding = Diagnostic::error(codes::UNKNOWN_MEMBER, span(), format!("unknown {what} `{name}`"));
    Some(finding.label("not declared").hint(hint))
}

fn listed(root: &str, known: &[&str], name: &str, span: impl FnOnce() -> Span) -> Option<Diagnostic> {
    if known.contains(&name) {
        return None;
    }
    let hint = suggest::hint(name, known.iter().copied())
        .unwrap_or_else(|| format!("use {}", suggest::list(known.iter().copied())));
    let finding = Diagnostic::error(codes::UNKNOWN_MEMBER, span(), format!("`{root}` has no member `{name}`"));
    Some(finding.label("no such member").hint(hint))
}

/// Of the locals, only the names in `state` are known.
fn check_local(
    cx: &Cx<'_>,
    around: &[(&BodyGraph, Option<&NodeInfo>)],
    reference: &Reference,
    span: impl FnOnce() -> Span,
) -> Option<Diagnostic> {
    let Some(Segment::Member(name)) = reference.path.first() else { return None };
    match &*reference.root {
        "error" => listed("error", ERROR, name, span),
        "state" => {
            let of = |(_, of): &(&BodyGraph, Option<&NodeInfo>)| {
                of.filter(|of| of.container == Some(Container::Rounds)).map(|of| of.pointer.clone())
            };
            let pointer = format!("{}/state", around.iter().rev().find_map(of)?);
            cx.unit.get(&pointer).filter(|state| state.is_object())?;
            let known = cx.unit.members(&pointer).map(|(known, _)| known.as_str());
            if known.clone().any(|known| known == &**name) {
                return None;
            }
            let hint = super::did_you_mean(name, known, || "give it a start value under `state`".to_owned());
            let finding = Diagnostic::error(codes::UNKNOWN_MEMBER, span(), format!("`state` has no member `{name}`"));
            Some(finding.label("no such member").hint(hint))
        }
        _ => None,
    }
}

fn check_node(cx: &Cx<'_>, node: &NodeInfo, reference: &Reference, span: impl FnOnce() -> Span) -> Option<Diagnostic> {
    match (reference.reads, reference.path.as_slice()) {
        (Reads::Error, [_, Segment::Member(name), ..]) => {
            return listed(&format!("{}.error", node.id), ERROR, name, span);
        }
        (Reads::Error | Reads::Outcome, _) => return None,
        (Reads::Output, _) => {}
    }
    let facts = cx.facts(&node.pointer);
    let child = cx
        .unit
        .get(&super::unit::field(node, "workflow"))
        .and_then(Json::as_str)
        .and_then(|named| cx.children.get(named));
    if let (Some(child), Some(Segment::Member(name)), "workflow") = (child, reference.path.first(), node.kind.as_str())
    {
        let known = child.outputs.iter().map(String::as_str).collect::<Vec<_>>();
        if !known.contains(&&**name) {
            let known: Vec<_> = known.into_iter().map(str::to_owned).collect();
            return Some(no_member(&node.id, &reference.path, 0, &known, span()));
        }
        return None;
    }
    let Found::Missing { at, known } = follow(facts.output.as_ref()?, &reference.path) else { return None };
    Some(no_member(&node.id, &reference.path, at, &known, span()))
}

fn no_member(owner: &str, path: &[Segment], at: usize, known: &[String], span: Span) -> Diagnostic {
    let mut shown = owner.to_owned();
    for segment in &path[..at] {
        match segment {
            Segment::Member(name) => shown.push_str(&format!(".{name}")),
            Segment::Item(Some(index)) => shown.push_str(&format!("[{index}]")),
            Segment::Item(None) => shown.push_str("[]"),
        }
    }
    let known = || known.iter().map(String::as_str);
    let (message, hint) = match &path[at] {
        Segment::Member(name) if known().count() == 0 => {
            (format!("`{shown}` is no object and has no member `{name}`"), format!("read `{shown}` itself"))
        }
        Segment::Member(name) => (
            format!("`{shown}` has no member `{name}`"),
            suggest::hint(name, known()).unwrap_or_else(|| format!("use {}", suggest::list(known()))),
        ),
        Segment::Item(_) => (format!("`{shown}` is no list"), format!("read `{shown}` itself")),
    };
    Diagnostic::error(codes::NO_SUCH_MEMBER, span, message).label("no such member").hint(hint)
}
