//! Answers: the texts that a run shows to its caller, in parts; and where the texts of nodes come from, piece by piece.

use std::sync::Arc;

use petgraph::graph::NodeIndex;

use super::{Body, NodeIx, PlanNode};
use crate::{
    bundle::Bundle,
    definition::{Definition, NodeMap},
    node::{ErasedNode, Registry},
    template::{Compiled, Part, Reference, Segment, Template},
    value::Value,
};

/// The member of the output of a node that streams whose text its pieces make.
pub const STREAMED: &str = "text";

/// The text of a node, or of the whole run, that the caller sees as it comes.
#[derive(Clone, Debug)]
pub struct AnswerPlan {
    /// Its parts, in order.
    pub parts: Vec<AnswerPart>,
    /// The template; `None` when the text is fixed.
    pub template: Option<Compiled>,
    /// Whether it may be shown before its node runs: some part comes in pieces, and the node has no `when`.
    pub early: bool,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerPart {
    /// Text as it is.
    Text(Arc<str>),
    /// The text of a node of the same body, as it comes.
    Stream {
        /// The node.
        node: NodeIx,
        /// The member of its output.
        member: Arc<str>,
    },
    /// What an expression gives.
    Expression {
        /// The nodes of the same body that it reads: it is known when they have ended.
        reads: Vec<NodeIx>,
        /// Whether it reads what may change until the node runs, such as `sys.now`.
        late: bool,
    },
}

/// Text that comes in pieces at one place, and is also that of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The node that it comes from.
    pub node: NodeIx,
    /// The member of its output.
    pub member: Arc<str>,
    /// The output that it is of: of the run, or of the container whose body holds the node.
    pub output: Arc<str>,
}

impl AnswerPlan {
    /// Cuts a text that is rendered beside the nodes of a body into its parts.
    fn new(text: &Template<String>, has_when: bool, body: &Body, flows: &Flows<'_>) -> Self {
        let Some(template) = text.compiled() else {
            let text = text.as_literal().and_then(Value::as_str).unwrap_or_default();
            return Self { parts: vec![AnswerPart::Text(text.into())], template: None, early: false };
        };
        Self::of(template, has_when, body, flows)
    }

    fn of(template: &Compiled, has_when: bool, body: &Body, flows: &Flows<'_>) -> Self {
        let part = |part: &Part<'_>| match part {
            Part::Text(text) => AnswerPart::Text((*text).into()),
            Part::Path { root, path, .. } => {
                streamed(root, path, body, flows).unwrap_or_else(|| expression(template, part, body))
            }
            Part::Expression { .. } | Part::Blocks => expression(template, part, body),
        };
        let parts: Vec<AnswerPart> = template.parts().iter().map(part).collect();
        let early = !has_when && parts.iter().any(|part| matches!(part, AnswerPart::Stream { .. }));
        Self { parts, template: Some(template.clone()), early }
    }

    /// The first part that a node decides.
    pub fn lead(&self) -> Option<&AnswerPart> {
        self.parts.iter().find(|part| match part {
            AnswerPart::Text(_) => false,
            AnswerPart::Stream { .. } => true,
            AnswerPart::Expression { reads, late } => *late || !reads.is_empty(),
        })
    }
}

fn streamed(root: &str, path: &[Segment], body: &Body, flows: &Flows<'_>) -> Option<AnswerPart> {
    let [Segment::Member(member)] = path else { return None };
    let node = *body.by_id.get(root)?;
    flows.of_node(body.node(node), member).then(|| AnswerPart::Stream { node, member: member.clone() })
}

fn expression(template: &Compiled, part: &Part<'_>, body: &Body) -> AnswerPart {
    let position = |reference: &Reference| body.by_id.get(&reference.root).copied();
    let mut reads: Vec<NodeIx> = template.references_of(part).filter_map(position).collect();
    reads.sort_unstable();
    reads.dedup();
    let late = template.references_of(part).any(|of| position(of).is_none() && changes(of));
    AnswerPart::Expression { reads, late }
}

/// Whether what a reference to something other than a node reads may change until its node runs.
pub(crate) fn changes(of: &Reference) -> bool {
    match (&*of.root, of.path.first()) {
        ("sys", Some(Segment::Member(member))) => matches!(&**member, "now" | "usage" | "attempt"),
        ("sys" | "conversation" | "state" | "secrets", _) => true,
        _ => false,
    }
}

/// What a workflow shows, and where texts come from.
pub(super) struct Shown {
    pub(super) has_answers: bool,
    pub(super) answer: Option<AnswerPlan>,
    pub(super) links: Vec<Link>,
}

/// Finds what a workflow shows, and writes into its nodes what they show.
pub(super) fn connect(bodies: &mut [Body], definition: &Definition, flows: &Flows<'_>) -> Shown {
    let mut has_answers = false;
    for at in 0..bodies.len() {
        for node in 0..bodies[at].graph.node_count() {
            let index = NodeIndex::new(node);
            let of = &bodies[at].graph[index];
            let inner = of.passes.as_ref().and_then(|passes| passes.bodies.first()).map(|(_, body)| *body);
            let link = of.node.inner_text().zip(inner);
            let link = link.and_then(|((output, text), inner)| bodies[inner].link(text, output, flows));
            let answer = of.node.answer().map(|text| AnswerPlan::new(text, of.when.is_some(), &bodies[at], flows));
            has_answers |= answer.is_some();
            if answer.as_ref().is_some_and(|answer| answer.early) {
                bodies[at].early_answers.push(node as NodeIx);
            }
            let of = &mut bodies[at].graph[index];
            (of.link, of.answer) = (link, answer);
        }
    }
    let outputs = || definition.outputs.iter().filter_map(|(name, tree)| Some((name, tree.lone()?)));
    let links = outputs().filter_map(|(name, template)| bodies[0].link(template, name, flows)).collect();
    let text = outputs().find(|(name, _)| *name == STREAMED && definition.conversation.is_some() && !has_answers);
    let answer = text.map(|(_, template)| AnswerPlan::of(template, false, &bodies[0], flows));
    Shown { has_answers, answer: answer.filter(|answer| answer.early), links }
}

/// Which texts come in pieces: a fact about definitions, so that it is known before a run, through every workflow.
pub(crate) struct Flows<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) registry: &'a Registry,
}

/// So deep do runs start each other at most.
const DEEPEST: u32 = 16;

impl Flows<'_> {
    /// Whether a member of a node's output comes in pieces.
    pub(crate) fn of_node(&self, node: &PlanNode, member: &str) -> bool {
        self.of(node.streams, &*node.node, member, 0)
    }

    fn of(&self, streams: bool, node: &dyn ErasedNode, member: &str, depth: u32) -> bool {
        if streams && member == STREAMED {
            return true;
        }
        if node.inner_text().is_some_and(|(output, _)| output == member) {
            return true;
        }
        let child = node.starts().and_then(|name| self.bundle.workflows.get(name));
        child.filter(|_| depth < DEEPEST).is_some_and(|child| self.of_output(child, member, depth + 1))
    }

    /// Whether an output of a workflow comes in pieces: it is a lone reference to what does.
    fn of_output(&self, workflow: &Definition, output: &str, depth: u32) -> bool {
        let template = workflow.outputs.get(output).and_then(|tree| tree.lone());
        template.and_then(lone_path).is_some_and(|(id, member)| self.of_id(&workflow.nodes, &id, &member, depth))
    }

    fn of_id(&self, nodes: &NodeMap, id: &str, member: &str, depth: u32) -> bool {
        let Some(def) = nodes.0.get(id) else { return false };
        let Some(spec) = self.registry.get(&def.kind) else { return false };
        let Ok(node) = (spec.build)(serde_json::Value::Object(def.config.clone())) else { return false };
        self.of(spec.meta.streams, &*node, member, depth)
    }
}

/// `{{ node.member }}`.
pub(crate) fn lone_path(template: &Compiled) -> Option<(Arc<str>, Arc<str>)> {
    match template.parts()[..] {
        [Part::Path { root, path: [Segment::Member(member)], .. }] => Some((root.clone(), member.clone())),
        _ => None,
    }
}

impl Body {
    /// The link that a lone reference to a node of this body makes, when that comes in pieces.
    fn link(&self, template: &Compiled, output: &str, flows: &Flows<'_>) -> Option<Link> {
        let (id, member) = lone_path(template)?;
        let node = *self.by_id.get(&id)?;
        flows.of_node(self.node(node), &member).then(|| Link { node, member, output: output.into() })
    }
}
