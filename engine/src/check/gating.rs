//! When each node of a body runs, as a condition over the exits of the nodes before it: ENGINE section 1 in symbols.

use petgraph::{algo::toposort, graph::DiGraph};

use super::decision::{Cond, Diagrams, TooMany};
use crate::{
    definition::Exit,
    graph::{BodyGraph, NodeInfo, Read},
    template::Reads,
};

/// More nodes that can leave by several exits are not analysed, so that a hostile file cannot exhaust the stack.
const MOST_NODES: usize = 4_000;

/// The name of the exit that a handled failure takes.
pub(super) const ERROR: &str = "error";
/// The name of the exit that the end of a wait takes.
pub(super) const TIMEOUT: &str = "timeout";

/// By what a node can leave, and what else decides whether it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Exits {
    /// Its exits; an unnamed one is empty. At least one.
    pub(super) names: Vec<String>,
    /// Whether it has a condition of its own, `when`.
    pub(super) when: bool,
    /// Whether nothing is known about it (an unknown type, a broken configuration).
    pub(super) unknown: bool,
}

/// The conditions of one body.
pub(super) struct Gating<'a> {
    body: &'a BodyGraph,
    exits: &'a [Exits],
    /// The place of each node in a topological order.
    rank: Vec<usize>,
    diagrams: Diagrams,
    nodes: Vec<Conditions<'a>>,
}

/// The conditions of one node.
#[derive(Clone, Default)]
struct Conditions<'a> {
    /// It would run, its `when` aside.
    gate: Option<Cond>,
    /// It runs.
    runs: Option<Cond>,
    /// Each thing that it requires.
    requires: Vec<(Reason<'a>, Cond)>,
    /// Whether nothing but guarded references leads to it.
    only_guarded: bool,
}

/// Why a node requires another one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason<'a> {
    /// The entry of `needs` at this position.
    Need(usize),
    /// An unguarded reference.
    Read(&'a Read),
}

/// Why a node can never run.
pub(super) enum Never<'a> {
    /// These exclude each other. Each comes with its path to the branch that they disagree on, nearest node first.
    Conflict { branch: Option<usize>, reasons: Vec<(Reason<'a>, Vec<String>)> },
    /// Nodes before it never run.
    Behind(Vec<usize>),
}

impl<'a> Gating<'a> {
    /// Works the conditions out; `None` when the body has a cycle or is too large.
    pub(super) fn new(body: &'a BodyGraph, exits: &'a [Exits]) -> Option<Self> {
        if exits.iter().filter(|exits| exits.names.len() > 1 || exits.when).count() > MOST_NODES {
            return None;
        }
        let mut graph = DiGraph::<(), ()>::with_capacity(body.nodes.len(), 0);
        let indices: Vec<_> = body.nodes.iter().map(|_| graph.add_node(())).collect();
        graph.extend_with_edges(body.edges().into_iter().map(|(from, to)| (indices[from], indices[to])));
        let order = toposort(&graph, None).ok()?;
        let mut rank = vec![0; order.len()];
        for (place, node) in order.iter().enumerate() {
            rank[node.index()] = place;
        }
        let nodes = vec![Conditions::default(); order.len()];
        let mut gating = Self { body, exits, rank, diagrams: Diagrams::new(), nodes };
        for node in order {
            gating.settle(node.index()).ok()?;
        }
        Some(gating)
    }

    /// Whether a node can be skipped.
    pub(super) fn may_be_skipped(&self, node: usize) -> bool {
        self.nodes[node].runs != Some(Cond::TRUE)
    }

    /// Whether a node may end without a value: skipped, or by a handled failure.
    pub(super) fn may_lack_value(&mut self, node: usize) -> bool {
        self.value(node).is_ok_and(|cond| cond != Cond::TRUE)
    }

    /// Whether two nodes never run both.
    pub(super) fn exclude(&mut self, a: usize, b: usize) -> bool {
        let runs = |node: usize| self.nodes[node].runs.unwrap_or(Cond::TRUE);
        let (a, b) = (runs(a), runs(b));
        self.diagrams.and(a, b).is_ok_and(|both| both == Cond::FALSE)
    }

    /// The unguarded references that can skip a node although all else is there. A node with one requirement has none:
    /// the reference is what it runs for.
    pub(super) fn skipping(&mut self, node: usize) -> Vec<&'a Read> {
        let requires = self.nodes[node].requires.clone();
        if requires.iter().all(|(_, cond)| *cond == requires[0].1) {
            return Vec::new();
        }
        let mut reads = Vec::new();
        for (position, (reason, cond)) in requires.iter().enumerate() {
            let Reason::Read(read) = reason else { continue };
            let others =
                requires.iter().enumerate().filter(|(other, (_, cond_of))| *other != position && cond_of != cond);
            let others: Vec<_> = others.map(|(_, (_, cond))| *cond).collect();
            let can_skip = self.all(&others).and_then(|others| {
                let without = self.diagrams.not(*cond)?;
                Ok(self.diagrams.and(others, without)? != Cond::FALSE)
            });
            if can_skip.unwrap_or(false) {
                reads.push(*read);
            }
        }
        reads
    }

    /// Why a node can never run; `None` when it can.
    pub(super) fn never(&mut self, node: usize) -> Option<Never<'a>> {
        if self.nodes[node].gate != Some(Cond::FALSE) {
            return None;
        }
        let requires = self.nodes[node].requires.clone();
        let dead: Vec<_> = self.body.nodes[node]
            .waits_for()
            .filter_map(|id| self.body.position(id))
            .filter(|before| self.nodes[*before].runs == Some(Cond::FALSE))
            .collect();
        if self.nodes[node].only_guarded || requires.iter().any(|(_, cond)| *cond == Cond::FALSE) {
            return (!dead.is_empty()).then_some(Never::Behind(dead));
        }
        for (position, (first, a)) in requires.iter().enumerate() {
            for (second, b) in &requires[position + 1..] {
                if self.diagrams.and(*a, *b).is_ok_and(|both| both == Cond::FALSE) {
                    return Some(self.conflict(node, (*first, *a), (*second, *b)));
                }
            }
        }
        let reasons = requires.into_iter().map(|(reason, _)| (reason, Vec::new())).collect();
        Some(Never::Conflict { branch: None, reasons })
    }

    fn settle(&mut self, node: usize) -> Result<(), TooMany> {
        let body = self.body;
        let info = &body.nodes[node];
        let requires = self.requirements(info)?;
        let guarded = self.guarded(info)?;
        let only_guarded = requires.is_empty() && !guarded.is_empty();
        let conds: Vec<_> = requires.iter().map(|(_, cond)| *cond).collect();
        let gate = if only_guarded { self.any(&guarded)? } else { self.all(&conds)? };
        let runs = if self.exits[node].when {
            let when = self.diagrams.literal(self.variable(node), [true, false].into_iter())?;
            self.diagrams.and(gate, when)?
        } else {
            gate
        };
        self.nodes[node] = Conditions { gate: Some(gate), runs: Some(runs), requires, only_guarded };
        Ok(())
    }

    fn requirements(&mut self, info: &'a NodeInfo) -> Result<Vec<(Reason<'a>, Cond)>, TooMany> {
        let mut requires: Vec<(Reason<'a>, Cond)> = Vec::new();
        for (index, need) in info.needs.iter().enumerate() {
            let known = need.exits().iter().filter_map(|exit| self.known(exit)).collect::<Vec<_>>();
            if known.len() < need.exits().len() || known.is_empty() {
                continue;
            }
            let taken = known.into_iter().map(|(node, port)| self.leaves(node, port)).collect::<Result<Vec<_>, _>>()?;
            requires.push((Reason::Need(index), self.any(&taken)?));
        }
        for read in info.reads.iter().filter(|read| read.up == 0 && !read.guarded) {
            let Some(node) = self.body.position(&read.node) else { continue };
            let cond = match read.reads {
                Reads::Output => self.leaves(node, None)?,
                Reads::Error => self.leaves(node, Some(ERROR))?,
                Reads::Outcome => continue,
            };
            if !requires.iter().any(|(reason, _)| matches!(reason, Reason::Read(other) if other.node == read.node && other.reads == read.reads)) {
                requires.push((Reason::Read(read), cond));
            }
        }
        Ok(requires)
    }

    fn guarded(&mut self, info: &NodeInfo) -> Result<Vec<Cond>, TooMany> {
        let mut guarded = Vec::new();
        for read in info.reads.iter().filter(|read| read.up == 0 && (read.guarded || read.reads == Reads::Outcome)) {
            let Some(node) = self.body.position(&read.node) else { continue };
            guarded.push(match read.reads {
                Reads::Error => self.leaves(node, Some(ERROR))?,
                Reads::Output | Reads::Outcome => self.value(node)?,
            });
        }
        Ok(guarded)
    }

    fn known<'e>(&self, exit: &'e Exit) -> Option<(usize, Option<&'e str>)> {
        let node = self.body.position(&exit.node)?;
        let port = exit.port.as_deref();
        let exits = &self.exits[node];
        let exists = port.is_none_or(|port| exits.unknown || exits.names.iter().any(|name| name == port));
        exists.then_some((node, port))
    }

    /// The condition that a node ran and left by a port; `None` stands for any but `error` and `timeout`.
    fn leaves(&mut self, node: usize, port: Option<&str>) -> Result<Cond, TooMany> {
        match port {
            Some(port) => self.exit(node, |name| name == port),
            None => self.exit(node, |name| name != ERROR && name != TIMEOUT),
        }
    }

    /// The condition that a node ran and gave a value.
    fn value(&mut self, node: usize) -> Result<Cond, TooMany> {
        self.exit(node, |name| name != ERROR)
    }

    fn exit(&mut self, node: usize, holds: impl Fn(&str) -> bool) -> Result<Cond, TooMany> {
        let exits = self.exits;
        let runs = self.nodes[node].runs.unwrap_or(Cond::TRUE);
        // Nothing is known of its exits: it may take any, and so never excludes anything.
        if exits[node].unknown {
            return Ok(runs);
        }
        let left = self.diagrams.literal(self.variable(node) + 1, exits[node].names.iter().map(|name| holds(name)))?;
        self.diagrams.and(runs, left)
    }

    /// The variable of the node's `when`; that of its exit follows.
    fn variable(&self, node: usize) -> u32 {
        2 * self.rank[node] as u32
    }

    fn all(&mut self, conds: &[Cond]) -> Result<Cond, TooMany> {
        conds.iter().try_fold(Cond::TRUE, |all, cond| self.diagrams.and(all, *cond))
    }

    fn any(&mut self, conds: &[Cond]) -> Result<Cond, TooMany> {
        conds.iter().try_fold(Cond::FALSE, |any, cond| self.diagrams.or(any, *cond))
    }

    fn conflict(&self, node: usize, a: (Reason<'a>, Cond), b: (Reason<'a>, Cond)) -> Never<'a> {
        let disagree =
            |variable: &u32| match (self.diagrams.values(a.1, *variable), self.diagrams.values(b.1, *variable)) {
                (Some(a), Some(b)) => a.is_disjoint(&b),
                _ => false,
            };
        let variable = self.diagrams.variables(a.1).into_iter().find(disagree);
        let trail = |reason: Reason<'a>| variable.map_or_else(Vec::new, |variable| self.trail(node, reason, variable));
        let branch = variable.and_then(|variable| self.rank.iter().position(|rank| *rank as u32 == variable / 2));
        Never::Conflict { branch, reasons: vec![(a.0, trail(a.0)), (b.0, trail(b.0))] }
    }

    /// The nodes and exits from a requirement back to the branch that decides it.
    fn trail(&self, node: usize, reason: Reason<'a>, variable: u32) -> Vec<String> {
        let mut trail = Vec::new();
        let mut place = Some((node, reason));
        while let Some((node, reason)) = place.take() {
            let exits = match reason {
                Reason::Need(index) => self.body.nodes[node].needs[index].exits().to_vec(),
                Reason::Read(read) => vec![Exit { node: read.node.to_string(), port: None }],
            };
            let decisive = exits.into_iter().find_map(|exit| {
                let before = self.body.position(&exit.node)?;
                let is_branch = self.variable(before) == variable & !1;
                let next = self.nodes[before]
                    .requires
                    .iter()
                    .find(|(_, cond)| self.diagrams.values(*cond, variable).is_some());
                (is_branch || next.is_some()).then_some((exit, before, is_branch, next))
            });
            let Some((exit, before, is_branch, next)) = decisive else { break };
            trail.push(String::from(exit));
            if !is_branch {
                place = next.map(|(reason, _)| (before, *reason));
            }
        }
        trail
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;
    use crate::{graph::WorkflowGraph, node::Registry};

    const PORTS: [&str; 3] = ["a", "b", TIMEOUT];

    /// A node: its entries of `needs` (each a join of nodes before it and perhaps a port), `when`, and whether it branches.
    type Sketch = (Vec<Vec<(usize, Option<usize>)>>, bool, bool);

    fn sketch() -> impl Strategy<Value = Vec<Sketch>> {
        let exit = (any::<prop::sample::Index>(), prop::option::of(0..PORTS.len()));
        let node = (vec(vec(exit, 1..3), 0..3), prop::bool::weighted(0.2), any::<bool>());
        vec(node, 1..6).prop_map(|nodes| {
            let mut sketches: Vec<Sketch> = Vec::new();
            for (needs, when, branches) in nodes {
                let before = sketches.len();
                let exit = |(node, port): (prop::sample::Index, Option<usize>)| {
                    let node = node.index(before);
                    (node, port.filter(|_| sketches[node].2))
                };
                let needs = needs.into_iter().filter(|_| before > 0);
                let needs = needs.map(|any| any.into_iter().map(exit).collect()).collect();
                sketches.push((needs, when, branches));
            }
            sketches
        })
    }

    fn workflow(sketches: &[Sketch]) -> serde_json::Value {
        let exit = |(node, port): &(usize, Option<usize>)| match port {
            Some(port) => format!("n{node}.{}", PORTS[*port]),
            None => format!("n{node}"),
        };
        let node = |(needs, ..): &Sketch| {
            let needs: Vec<_> =
                needs.iter().map(|any| json!({ "any": any.iter().map(exit).collect::<Vec<_>>() })).collect();
            json!({ "type": "any", "needs": needs })
        };
        let nodes: serde_json::Map<_, _> =
            sketches.iter().enumerate().map(|(place, sketch)| (format!("n{place}"), node(sketch))).collect();
        json!({ "nodes": nodes })
    }

    fn exits(sketches: &[Sketch]) -> Vec<Exits> {
        let names = |branches: bool| if branches { PORTS.map(str::to_owned).to_vec() } else { vec![String::new()] };
        sketches
            .iter()
            .map(|(_, when, branches)| Exits { names: names(*branches), when: *when, unknown: false })
            .collect()
    }

    /// Which nodes run when each makes the choice that `choices` holds for it: by scanning.
    fn run(sketches: &[Sketch], choices: &[usize]) -> Vec<bool> {
        let mut ran: Vec<bool> = Vec::new();
        for (place, (needs, when, _)) in sketches.iter().enumerate() {
            let port = |node: usize| choices[node] % PORTS.len();
            let taken = |(node, wanted): &(usize, Option<usize>)| {
                let left =
                    !sketches[*node].2 || wanted.map_or(PORTS[port(*node)] != TIMEOUT, |wanted| port(*node) == wanted);
                ran[*node] && left
            };
            let runs = needs.iter().all(|any| any.iter().any(taken)) && (!when || choices[place] < PORTS.len());
            ran.push(runs);
        }
        ran
    }

    proptest! {
        #[test]
        fn a_node_never_runs_or_may_be_skipped_exactly_when_trying_every_choice_says_so(sketches in sketch()) {
            let graph = WorkflowGraph::new(&workflow(&sketches), &Registry::default());
            let exits = exits(&sketches);
            let mut gating = Gating::new(&graph.body, &exits).expect("no cycle");
            let options = 2 * PORTS.len();
            let outcomes: Vec<Vec<bool>> = (0..options.pow(sketches.len() as u32))
                .map(|all| (0..sketches.len()).map(|node| all / options.pow(node as u32) % options).collect::<Vec<_>>())
                .map(|choices| run(&sketches, &choices))
                .collect();
            for node in 0..sketches.len() {
                prop_assert_eq!(gating.never(node).is_some(), outcomes.iter().all(|ran| !ran[node]), "never {}", node);
                prop_assert_eq!(gating.may_be_skipped(node), outcomes.iter().any(|ran| !ran[node]), "skipped {}", node);
            }
        }
    }
}
