//! Answers whose text could be shown as it comes, and what holds it back.

use std::collections::HashSet;

use super::Cx;
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity, Span},
    graph::{BodyGraph, NodeInfo, Target, TemplateSite},
    node::{Effect, NodeSpec},
    plan::{STREAMED, changes},
    template::{Compiled, Part, Reads, Reference, Segment},
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    for body in cx.bodies() {
        for (position, node) in body.nodes.iter().enumerate() {
            if let Some(answer) = Answer::of(cx, body, position, node) {
                answer.check(findings);
            }
        }
    }
}

/// An answer and its template.
struct Answer<'a> {
    cx: &'a Cx<'a>,
    body: &'a BodyGraph,
    position: usize,
    node: &'a NodeInfo,
    site: &'a TemplateSite,
    template: &'a Compiled,
    parts: Vec<Part<'a>>,
}

/// Why a node that an answer waits for holds it back.
#[derive(Clone, Copy)]
enum Why {
    /// Its exit decides.
    Exit,
    /// It may be skipped by its `when`.
    When,
    /// It waits.
    Waits,
}

impl<'a> Answer<'a> {
    fn of(cx: &'a Cx<'a>, body: &'a BodyGraph, position: usize, node: &'a NodeInfo) -> Option<Self> {
        let built = cx.facts(&node.pointer).node.as_ref()?.as_ref().ok()?;
        let source = built.answer()?.compiled()?.source();
        let mut sites = node.sites.iter().filter_map(|site| Some((site, site.compiled.as_ref().ok()?)));
        let (site, template) = sites.find(|(_, template)| template.source() == source)?;
        Some(Self { cx, body, position, node, site, template, parts: template.parts() })
    }

    fn check(&self, findings: &mut Vec<Diagnostic>) {
        let shown = self.parts.iter().enumerate().find_map(|(at, part)| Some((at, self.streamed(part)?)));
        for part in self.parts.iter().filter(|part| self.streamed(part).is_none()) {
            findings.extend(self.in_expression(part).or_else(|| self.copied(part)));
        }
        let Some((at, source)) = shown else { return };
        if self.cx.facts(&self.node.pointer).exits.when {
            findings.push(self.by_condition(source));
            return;
        }
        let mut before = ancestors(self.body, source);
        before.extend(self.at_once());
        findings.extend(self.by_order(at, source, &before));
        let mut seen = HashSet::new();
        if let Some((holding, why)) = self.behind(self.position, &before, &mut seen) {
            findings.push(self.by_node(source, holding, why));
        }
    }

    /// The node whose text a part shows as it comes.
    fn streamed(&self, part: &Part<'_>) -> Option<usize> {
        let Part::Path { root, path: [Segment::Member(member)], .. } = part else { return None };
        let position = self.body.position(root)?;
        (self.gives_pieces(position)? == &**member).then_some(position)
    }

    /// The member of a node's output that comes in pieces, other answers left out.
    fn gives_pieces(&self, position: usize) -> Option<&'a str> {
        let facts = self.cx.facts(&self.body.nodes[position].pointer);
        let (spec, node) = (facts.spec?, facts.node.as_ref()?.as_ref().ok()?);
        if node.answer().is_some() {
            return None;
        }
        if spec.meta.streams {
            return Some(STREAMED);
        }
        node.inner_text().filter(|_| spec.may_use_models()).map(|(output, _)| output)
    }

    /// A reference of this body to a text that comes in pieces.
    fn text_read(&self, reference: &Reference) -> Option<usize> {
        let position = self.body.position(&reference.root).filter(|_| reference.reads == Reads::Output)?;
        let member = self.gives_pieces(position)?;
        matches!(reference.path.first(), Some(Segment::Member(read)) if &**read == member).then_some(position)
    }

    /// The references of a part to nodes of this body.
    fn reads<'s>(&'s self, part: &Part<'_>) -> impl Iterator<Item = &'s Reference> {
        let beside = self.site.references().filter(|(_, target)| *target == Target::Node { up: 0 });
        let beside: Vec<_> = beside.map(|(reference, _)| reference.span.clone()).collect();
        self.template.references_of(part).filter(move |reference| beside.contains(&reference.span))
    }

    fn in_expression(&self, part: &Part<'_>) -> Option<Diagnostic> {
        let reference = self.reads(part).find(|reference| self.text_read(reference).is_some())?;
        let (answer, id) = (&self.node.id, &reference.root);
        let message = format!("`{answer}` shows the text of `{id}` only when it is complete");
        let finding = Diagnostic::note(codes::STREAM_EXPRESSION, self.at(reference), message);
        let what = if matches!(part, Part::Blocks) { "the template has blocks" } else { "part of an expression" };
        Some(finding.label(what).hint(format!("to show it as it comes, write `{{{{ {id}.{STREAMED} }}}}` alone")))
    }

    fn copied(&self, part: &Part<'_>) -> Option<Diagnostic> {
        self.reads(part).find_map(|reference| {
            let copy = &self.body.nodes[self.body.position(&reference.root)?];
            if !self.is_light(copy) {
                return None;
            }
            let of = copy.sites.iter().flat_map(TemplateSite::references).find_map(|(reference, target)| {
                self.text_read(reference).filter(|_| target == Target::Node { up: 0 })
            })?;
            let (answer, through, id) = (&self.node.id, &copy.id, &self.body.nodes[of].id);
            let message = format!("`{answer}` shows the text of `{id}` only when `{through}` has ended");
            let finding =
                Diagnostic::note(codes::STREAM_COPIED, self.at(reference), message).label("made of that text");
            Some(finding.hint(format!("to show it as it comes, write `{{{{ {id}.{STREAMED} }}}}` here")))
        })
    }

    fn by_condition(&self, source: usize) -> Diagnostic {
        let (answer, id) = (&self.node.id, &self.body.nodes[source].id);
        let message =
            format!("`{answer}` shows the text of `{id}` only when it is complete: its `when` is looked at then");
        let finding =
            self.cx.unit.at_key(Severity::Note, codes::STREAM_WHEN, &super::unit::field(self.node, "when"), message);
        finding
            .label("evaluated when all else is there")
            .hint(format!("decide in an `if-else` before `{id}`, and write `needs: [that.port]` on `{answer}`"))
    }

    /// An expression before the text that is known only after it began, or later.
    fn by_order(&self, at: usize, source: usize, before: &HashSet<usize>) -> Option<Diagnostic> {
        let holds = |part: &&Part<'_>| {
            let outside = |reference: &&Reference| !self.is_beside(reference) && changes(reference);
            let later = |reference: &Reference| {
                let node = self.body.position(&reference.root);
                node.is_some_and(|node| node == source || !before.contains(&node))
            };
            self.template.references_of(part).any(|of| outside(&of)) || self.reads(part).any(later)
        };
        let part = self.parts[..at].iter().find(holds)?;
        let reference = self.template.references_of(part).next()?;
        let (answer, id) = (&self.node.id, &self.body.nodes[source].id);
        let message =
            format!("`{answer}` shows the text of `{id}` only after what stands before it, which is known later");
        let finding = Diagnostic::note(codes::STREAM_ORDER, self.at(reference), message).label("known later");
        Some(finding.hint("write it behind the text, or in an answer of its own"))
    }

    fn is_beside(&self, reference: &Reference) -> bool {
        let mut references = self.site.references();
        references.any(|(of, target)| of.span == reference.span && matches!(target, Target::Node { .. }))
    }

    /// The first node that an answer, or what it waits for, may fail to get by. What ends before the text begins does not
    /// count.
    fn behind(&self, position: usize, before: &HashSet<usize>, seen: &mut HashSet<usize>) -> Option<(usize, Why)> {
        // A hostile file must not exhaust the stack; so much is not worth telling.
        const DEEPEST: usize = 200;
        if !seen.insert(position) || seen.len() > DEEPEST {
            return None;
        }
        let node = &self.body.nodes[position];
        let mut next = Vec::new();
        for need in &node.needs {
            // One way that is open is enough, so a join holds nothing back that this can name.
            let [exit] = need.exits() else { continue };
            let Some(of) = self.body.position(&exit.node).filter(|of| !before.contains(of)) else { continue };
            if exit.port.is_some() {
                return Some((of, Why::Exit));
            }
            next.push(of);
        }
        for read in node.reads.iter().filter(|read| read.up == 0 && !read.guarded) {
            let Some(of) = self.body.position(&read.node).filter(|of| !before.contains(of)) else { continue };
            if read.reads == Reads::Error {
                return Some((of, Why::Exit));
            }
            next.push(of);
        }
        next.into_iter().find_map(|of| {
            let node = &self.body.nodes[of];
            if self.cx.facts(&node.pointer).exits.when {
                return Some((of, Why::When));
            }
            if self.waits(node) { Some((of, Why::Waits)) } else { self.behind(of, before, seen) }
        })
    }

    /// The nodes that need nothing but the inputs of the run and a moment: no text begins before they have ended.
    fn at_once(&self) -> Vec<usize> {
        let mut slow: Vec<bool> = self.body.nodes.iter().map(|node| !self.is_light(node)).collect();
        let mut after = vec![Vec::new(); slow.len()];
        for (from, to) in self.body.edges() {
            after[from].push(to);
        }
        let mut open: Vec<usize> = (0..slow.len()).filter(|node| slow[*node]).collect();
        while let Some(node) = open.pop() {
            for next in &after[node] {
                if !std::mem::replace(&mut slow[*next], true) {
                    open.push(*next);
                }
            }
        }
        (0..slow.len()).filter(|node| !slow[*node]).collect()
    }

    /// Whether a node only computes, in a moment.
    fn is_light(&self, node: &NodeInfo) -> bool {
        let spec = self.cx.facts(&node.pointer).spec;
        let only_computes = |spec: &NodeSpec| spec.meta.effect == Effect::Pure && spec.meta.inline && !spec.has_nodes();
        spec.is_some_and(only_computes) && !self.waits(node)
    }

    fn waits(&self, node: &NodeInfo) -> bool {
        let built = self.cx.facts(&node.pointer).node.as_ref().and_then(|node| node.as_ref().ok());
        built.is_some_and(|node| node.waits())
    }

    fn by_node(&self, source: usize, holding: usize, why: Why) -> Diagnostic {
        let (answer, id, node) = (&self.node.id, &self.body.nodes[source].id, &self.body.nodes[holding]);
        let message = format!("`{answer}` shows the text of `{id}` only when `{}` has ended", node.id);
        let finding = self
            .cx
            .unit
            .at_key(Severity::Note, codes::STREAM_BEHIND, &self.node.pointer, message)
            .label("waits for it");
        let (why, hint) = match why {
            Why::Exit => ("its exit decides whether the answer is given", format!("let `{id}` wait for `{}`", node.id)),
            Why::When => {
                ("its `when` decides whether the answer is given", format!("let `{id}` wait for `{}`", node.id))
            }
            Why::Waits => {
                ("it waits", format!("to show the text before, take `{}` out of the way of `{answer}`", node.id))
            }
        };
        finding.related(self.cx.unit.key(&node.pointer), why).hint(hint)
    }

    fn at(&self, reference: &Reference) -> Span {
        self.cx.unit.text(&self.site.pointer, reference.span.clone())
    }
}

/// A node and everything that it waits for.
fn ancestors(body: &BodyGraph, node: usize) -> HashSet<usize> {
    let mut found = HashSet::from([node]);
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        let before = body.nodes[node].waits_for().filter_map(|id| body.position(id));
        open.extend(before.filter(|before| found.insert(*before)).collect::<Vec<_>>());
    }
    found
}
