//! Variables of the conversation: nodes that touch one, one of them writing, stand in an order.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value as Json;

use super::{
    Cx, did_you_mean,
    gating::{Exits, Gating},
};
use crate::{
    codes,
    diagnostic::{Diagnostic, Span},
    graph::{BodyGraph, NodeInfo, escape},
    node::Container,
    template::Segment,
};

/// How a node touches a variable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Touch {
    Read,
    Append,
    Write,
}

/// A touch, and where it stands.
struct Place {
    touch: Touch,
    span: Span,
}

/// What a node touches, by variable; the strongest touch counts.
type Touches = BTreeMap<String, Place>;

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    for body in cx.unit.graph.bodies() {
        check_body(cx, body, findings);
    }
}

/// Checks a body, and gives what it touches.
fn check_body(cx: &Cx<'_>, body: &BodyGraph, findings: &mut Vec<Diagnostic>) -> Touches {
    let touches: Vec<Touches> = body.nodes.iter().map(|node| touched(cx, node, findings)).collect();
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, names) in touches.iter().enumerate() {
        for name in names.keys() {
            by_name.entry(name).or_default().push(position);
        }
    }
    let contested = |(name, nodes): &(&str, Vec<usize>)| {
        nodes.len() > 1 && nodes.iter().any(|node| touches[*node][*name].touch > Touch::Read)
    };
    let contested: Vec<_> = by_name.into_iter().filter(contested).collect();
    if !contested.is_empty() {
        let exits: Vec<_> = body.nodes.iter().map(|node| cx.facts(&node.pointer).exits.clone()).collect();
        let mut order = Order::new(body, &exits);
        for (name, nodes) in contested {
            compare(body, name, &nodes, &touches, &mut order, findings);
        }
    }
    let mut all = Touches::new();
    for (name, place) in touches.into_iter().flatten() {
        add(&mut all, name, place);
    }
    all
}

fn touched(cx: &Cx<'_>, node: &NodeInfo, findings: &mut Vec<Diagnostic>) -> Touches {
    let mut touches = Touches::new();
    for site in &node.sites {
        for (reference, _) in site.references().filter(|(reference, _)| &*reference.root == "conversation") {
            if let Some(Segment::Member(name)) = reference.path.first() {
                let span = cx.unit.text(&site.pointer, reference.span.clone());
                add(&mut touches, name.to_string(), Place { touch: Touch::Read, span });
            }
        }
    }
    if node.kind == "assigner" {
        for (touch, path, span) in assigned(cx, node) {
            let Some(name) = path.strip_prefix("conversation.") else { continue };
            let name = name.split('.').next().unwrap_or_default().to_owned();
            findings.extend(undeclared(cx, &name, &span));
            add(&mut touches, name, Place { touch, span });
        }
    }
    if let Some(body) = &node.body {
        let within = check_body(cx, body, findings);
        if is_parallel(cx, node) {
            findings.extend(within.iter().filter(|(_, place)| place.touch > Touch::Read).map(|(name, place)| {
                let message =
                    format!("the passes of `{}` run at once, so none of them may write `conversation.{name}`", node.id);
                let finding = Diagnostic::error(codes::PARALLEL_WRITE, place.span.clone(), message)
                    .label("written in every pass");
                finding.hint(format!(
                    "give the value out by `output` and assign it after `{}`, or write `parallel: 1`",
                    node.id
                ))
            }));
        }
        for (name, place) in within {
            add(&mut touches, name, place);
        }
    }
    touches
}

fn add(touches: &mut Touches, name: String, place: Place) {
    let weaker = touches.get(&name).is_none_or(|known| known.touch < place.touch);
    if weaker {
        touches.insert(name, place);
    }
}

/// What an assigner changes: how, and where it says so.
fn assigned(cx: &Cx<'_>, node: &NodeInfo) -> Vec<(Touch, String, Span)> {
    let mut assigned = Vec::new();
    for (key, touch) in
        [("set", Touch::Write), ("append", Touch::Append), ("extend", Touch::Append), ("increment", Touch::Write)]
    {
        let pointer = format!("{}/{key}", node.pointer);
        for (path, _) in cx.unit.members(&pointer) {
            let at = format!("{pointer}/{}", escape(path));
            assigned.push((touch, path.clone(), cx.unit.key(&at)));
        }
    }
    let pointer = format!("{}/clear", node.pointer);
    for (index, path) in cx.unit.get(&pointer).and_then(Json::as_array).into_iter().flatten().enumerate() {
        let at = format!("{pointer}/{index}");
        if let Some(path) = path.as_str() {
            assigned.push((Touch::Write, path.to_owned(), cx.unit.at(&at)));
        }
    }
    assigned
}

fn undeclared(cx: &Cx<'_>, name: &str, span: &Span) -> Option<Diagnostic> {
    let known = cx.unit.members("/conversation/variables").map(|(known, _)| known.as_str());
    if known.clone().any(|known| known == name) {
        return None;
    }
    let hint =
        did_you_mean(name, known, || format!("declare `{name}` under `conversation.variables`, with a `default`"));
    let finding =
        Diagnostic::error(codes::UNKNOWN_MEMBER, span.clone(), format!("unknown conversation variable `{name}`"));
    Some(finding.label("not declared").hint(hint))
}

fn is_parallel(cx: &Cx<'_>, node: &NodeInfo) -> bool {
    let parallel = cx.unit.get(&format!("{}/parallel", node.pointer)).and_then(Json::as_u64);
    node.container == Some(Container::Items) && parallel.unwrap_or(1) > 1
}

fn compare(
    body: &BodyGraph,
    name: &str,
    nodes: &[usize],
    touches: &[Touches],
    order: &mut Order<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let touch = |node: usize| touches[node][name].touch;
    for writer in nodes.iter().copied().filter(|node| touch(*node) > Touch::Read) {
        for other in nodes.iter().copied() {
            let seen = other == writer || (other < writer && touch(other) > Touch::Read);
            let harmless = touch(writer) == Touch::Append && touch(other) == Touch::Append;
            if seen || harmless || order.is_settled(writer, other) {
                continue;
            }
            let (first, second) = (writer.min(other), writer.max(other));
            let (a, b) = (&touches[first][name], &touches[second][name]);
            let (earlier, later) = (&body.nodes[first].id, &body.nodes[second].id);
            let message = format!("`{earlier}` and `{later}` touch `conversation.{name}` in no fixed order");
            let finding = Diagnostic::error(codes::UNORDERED_WRITERS, b.span.clone(), message).label(verb(b.touch));
            let hint = format!("add `needs: [{earlier}]` to `{later}`, or the other way round");
            findings.push(finding.related(a.span.clone(), verb(a.touch)).hint(hint));
        }
    }
}

fn verb(touch: Touch) -> &'static str {
    match touch {
        Touch::Read => "read here",
        Touch::Append => "appended here",
        Touch::Write => "written here",
    }
}

/// Which nodes of a body run one after the other, or never both.
struct Order<'a> {
    waiting: HashMap<usize, Vec<usize>>,
    after: HashMap<usize, HashSet<usize>>,
    gating: Option<Gating<'a>>,
}

impl<'a> Order<'a> {
    fn new(body: &'a BodyGraph, exits: &'a [Exits]) -> Self {
        let mut waiting: HashMap<usize, Vec<usize>> = HashMap::new();
        for (from, to) in body.edges() {
            waiting.entry(from).or_default().push(to);
        }
        Self { waiting, after: HashMap::new(), gating: Gating::new(body, exits) }
    }

    fn is_settled(&mut self, a: usize, b: usize) -> bool {
        self.behind(a).contains(&b)
            || self.behind(b).contains(&a)
            || self.gating.as_mut().is_some_and(|gating| gating.exclude(a, b))
    }

    /// Every node that runs after one.
    fn behind(&mut self, node: usize) -> &HashSet<usize> {
        let waiting = &self.waiting;
        self.after.entry(node).or_insert_with(|| {
            let mut behind = HashSet::new();
            let mut open = vec![node];
            while let Some(node) = open.pop() {
                let next = waiting.get(&node).into_iter().flatten().copied().filter(|next| behind.insert(*next));
                open.extend(next.collect::<Vec<_>>());
            }
            behind
        })
    }
}
