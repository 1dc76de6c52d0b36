//! Whether each node can run, what may skip it, and results that may be missing where they are read.

use super::{
    Cx,
    gating::{Exits, Gating, Never, Reason},
    listed,
};
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity, Span},
    graph::{BodyGraph, NodeInfo, Read},
    template::Reads,
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    let graph = &cx.unit.graph;
    check_body(cx, &graph.body, &graph.outputs, findings);
    for handler in graph.bodies().skip(1) {
        check_body(cx, handler, &[], findings);
    }
}

/// Checks a body; `reads` are the references to its nodes that are evaluated when all of them are settled.
fn check_body(cx: &Cx<'_>, body: &BodyGraph, reads: &[Read], findings: &mut Vec<Diagnostic>) {
    let exits: Vec<Exits> = body.nodes.iter().map(|node| cx.facts(&node.pointer).exits.clone()).collect();
    if let Some(mut gating) = Gating::new(body, &exits) {
        for (position, node) in body.nodes.iter().enumerate() {
            match gating.never(position) {
                Some(never) => findings.push(never_runs(cx, body, node, never)),
                None => findings.extend(can_skip(cx, &mut gating, node, position)),
            }
        }
        findings.extend(reads.iter().filter_map(|read| may_lack(cx, body, &mut gating, read)));
    }
    for node in &body.nodes {
        if let Some(inner) = &node.body {
            check_body(cx, inner, &node.inner, findings);
        }
    }
}

fn never_runs(cx: &Cx<'_>, body: &BodyGraph, node: &NodeInfo, never: Never<'_>) -> Diagnostic {
    let (branch, reasons) = match never {
        Never::Conflict { branch, reasons } => (branch.map(|branch| &body.nodes[branch]), reasons),
        Never::Behind(dead) => return behind(cx, body, node, &dead),
    };
    let described: Vec<_> =
        reasons.iter().map(|(reason, trail)| (place(cx, node, *reason), path(node, *reason, trail))).collect();
    let paths: Vec<_> = described.iter().map(|(_, path)| path.as_str()).collect();
    let why = match branch {
        Some(branch) => {
            format!("`{}` leaves by one port only, and {} exclude each other", branch.id, paths.join(" and "))
        }
        None => format!("{} exclude each other", paths.join(", ")),
    };
    let mut places = described.into_iter().rev();
    let (span, label) = places.next().unwrap_or_else(|| (cx.unit.key(&node.pointer), String::new()));
    let finding =
        Diagnostic::error(codes::NEVER_RUNS, span, format!("`{}` can never run: {why}", node.id)).label(label);
    let finding = places.fold(finding, |finding, (span, path)| finding.related(span, path));
    finding.hint(hint(node, &reasons))
}

fn behind(cx: &Cx<'_>, body: &BodyGraph, node: &NodeInfo, dead: &[usize]) -> Diagnostic {
    let names = listed(dead.iter().map(|position| &*body.nodes[*position].id));
    let message = format!("`{}` can never run: it waits for {names}, which can never run", node.id);
    let finding = cx.unit.at_key(Severity::Error, codes::UNREACHABLE, &node.pointer, message).label("never reached");
    finding.hint(format!("mend {names} first"))
}

/// `` `route.bug` -> `bug` ``: from the branch to what the node asks for.
fn path(node: &NodeInfo, reason: Reason<'_>, trail: &[String]) -> String {
    if trail.is_empty() {
        return match reason {
            Reason::Need(index) => listed(node.needs[index].exits().iter().map(|exit| &*exit.node)),
            Reason::Read(read) => format!("`{}`", read.node),
        };
    }
    trail.iter().rev().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(" -> ")
}

fn hint(node: &NodeInfo, reasons: &[(Reason<'_>, Vec<String>)]) -> String {
    let read = reasons.iter().find_map(|(reason, _)| match reason {
        Reason::Read(read) => Some(*read),
        Reason::Need(_) => None,
    });
    match read {
        Some(read) => format!("guard the reference: `{}`", guard(read)),
        None => format!("write `needs: [{{ any: [...] }}]` on `{}` to join branches", node.id),
    }
}

/// A reference with its guard.
fn guard(read: &Read) -> String {
    let path = read.path.iter().map(|segment| match segment {
        crate::template::Segment::Member(name) => format!(".{name}"),
        crate::template::Segment::Item(Some(index)) => format!("[{index}]"),
        crate::template::Segment::Item(None) => String::new(),
    });
    format!("{{{{ {id}{path} if {id} else '' }}}}", id = read.node, path = path.collect::<String>())
}

fn place(cx: &Cx<'_>, node: &NodeInfo, reason: Reason<'_>) -> Span {
    match reason {
        Reason::Need(index) => cx.unit.at(&format!("{}/needs/{index}", node.pointer)),
        Reason::Read(read) => cx.unit.text(&read.pointer, read.span.clone()),
    }
}

fn can_skip(cx: &Cx<'_>, gating: &mut Gating<'_>, node: &NodeInfo, position: usize) -> Option<Diagnostic> {
    let reads = gating.skipping(position);
    let first = reads.first()?;
    let names = listed(reads.iter().map(|read| &*read.node));
    let span = cx.unit.text(&first.pointer, first.span.clone());
    let finding = Diagnostic::note(
        codes::SKIPPED_BY_REFERENCE,
        span,
        format!("`{}` is skipped when {names} gave no value", node.id),
    );
    Some(finding.label("an unguarded reference decides").hint(format!("to run anyway, guard it: `{}`", guard(first))))
}

fn may_lack(cx: &Cx<'_>, body: &BodyGraph, gating: &mut Gating<'_>, read: &Read) -> Option<Diagnostic> {
    let position =
        body.position(&read.node).filter(|_| read.up == 0 && !read.guarded && read.reads == Reads::Output)?;
    if !gating.may_lack_value(position) {
        return None;
    }
    let span = cx.unit.text(&read.pointer, read.span.clone());
    let why = if gating.may_be_skipped(position) { "may be skipped" } else { "may fail and go on" };
    let message = format!("`{}` {why}, and is read here without a guard", read.node);
    let finding = Diagnostic::error(codes::MAY_BE_MISSING, span, message).label("has no value then");
    Some(finding.related(cx.unit.key(&body.nodes[position].pointer), why).hint(format!("write `{}`", guard(read))))
}
