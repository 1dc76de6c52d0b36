//! Nodes that wait for each other in a circle.

use std::collections::{HashMap, VecDeque};

use petgraph::{algo::tarjan_scc, graph::DiGraph};

use super::Cx;
use crate::{
    codes,
    diagnostic::{Diagnostic, Span},
    graph::{BodyGraph, NodeInfo},
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    for body in cx.bodies() {
        let edges = body.edges();
        for circle in circles(body.nodes.len(), &edges) {
            findings.push(finding(cx, body, &circle));
        }
    }
}

/// One shortest circle of each tangle: positions, each waits for the next, the last for the first.
fn circles(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut graph = DiGraph::<(), ()>::with_capacity(nodes, edges.len());
    let indices: Vec<_> = (0..nodes).map(|_| graph.add_node(())).collect();
    graph.extend_with_edges(edges.iter().map(|(from, to)| (indices[*from], indices[*to])));
    let mut waits_for: HashMap<usize, Vec<usize>> = HashMap::new();
    for (from, to) in edges {
        waits_for.entry(*to).or_default().push(*from);
    }
    let mut circles = Vec::new();
    for tangle in tarjan_scc(&graph) {
        let mut tangle: Vec<_> = tangle.into_iter().map(petgraph::graph::NodeIndex::index).collect();
        tangle.sort_unstable();
        let first = tangle[0];
        let selfish = waits_for.get(&first).is_some_and(|waits_for| waits_for.contains(&first));
        if tangle.len() > 1 || selfish {
            circles.extend(shortest(first, &waits_for));
        }
    }
    circles.sort();
    circles
}

/// The shortest way from a node back to itself.
fn shortest(start: usize, waits_for: &HashMap<usize, Vec<usize>>) -> Option<Vec<usize>> {
    let mut came_from = HashMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(node) = open.pop_front() {
        for next in waits_for.get(&node).into_iter().flatten() {
            if *next == start {
                let mut circle = vec![node];
                while let Some(before) =
                    circle.last().filter(|last| **last != start).and_then(|last| came_from.get(last))
                {
                    circle.push(*before);
                }
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(next) {
                came_from.insert(*next, node);
                open.push_back(*next);
            }
        }
    }
    None
}

fn finding(cx: &Cx<'_>, body: &BodyGraph, circle: &[usize]) -> Diagnostic {
    let nodes: Vec<_> = circle.iter().map(|position| &body.nodes[*position]).collect();
    let next = |place: usize| nodes[(place + 1) % nodes.len()];
    let names: Vec<_> = nodes.iter().chain(&nodes[..1]).map(|node| format!("`{}`", node.id)).collect();
    let message = match nodes.as_slice() {
        [only] => format!("`{}` waits for itself", only.id),
        _ => format!("nodes wait for each other in a circle: {}", names.join(" -> ")),
    };
    let mut places = (0..nodes.len()).map(|place| {
        (edge(cx, nodes[place], next(place)), format!("`{}` waits for `{}`", nodes[place].id, next(place).id))
    });
    let (span, label) = places.next().unwrap_or_else(|| (cx.unit.key(&nodes[0].pointer), String::new()));
    let finding = Diagnostic::error(codes::CYCLE, span, message).label(label);
    let finding = places.fold(finding, |finding, (span, label)| finding.related(span, label));
    finding.hint("remove one of these references or entries of `needs`; use a `loop` node for what repeats")
}

/// Where a node says that it waits for another one.
fn edge(cx: &Cx<'_>, node: &NodeInfo, for_node: &NodeInfo) -> Span {
    if let Some(read) = node.reads.iter().find(|read| read.up == 0 && read.node == for_node.id) {
        return cx.unit.text(&read.pointer, read.span.clone());
    }
    let need = node.needs.iter().position(|need| need.exits().iter().any(|exit| *exit.node == *for_node.id));
    need.map_or_else(|| cx.unit.key(&node.pointer), |index| cx.unit.at(&format!("{}/needs/{index}", node.pointer)))
}
