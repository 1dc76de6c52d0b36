//! Every finding about a workflow that needs no run to be seen.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

pub use self::unit::{Child, Facts, Included, Unit};
use crate::{codes, diagnostic::Diagnostic, graph::BodyGraph};

mod budget;
mod children;
mod composite;
mod conversation;
mod cycles;
mod decision;
mod fit;
mod gating;
mod ids;
mod lone;
mod members;
mod needs;
mod policies;
mod references;
mod runs;
mod secrets;
mod shape;
mod streams;
mod tools;
mod triggers;
mod unit;
mod unused;
mod writers;

/// More findings than this are not shown.
pub const MOST_FINDINGS: usize = 200;

/// What a check looks at.
struct Cx<'a> {
    unit: &'a Unit<'a>,
    /// The workflows that this one names, as it names them.
    children: &'a BTreeMap<String, Arc<Child>>,
}

type Rule = fn(&Cx<'_>, &mut Vec<Diagnostic>);

const RULES: &[Rule] = &[
    shape::check,
    ids::check,
    references::check,
    lone::check,
    needs::check,
    cycles::check,
    runs::check,
    unused::check,
    secrets::check,
    writers::check,
    triggers::check,
    policies::check,
    budget::check,
    children::check,
    tools::check,
    conversation::check,
    composite::check,
    streams::check,
];

/// Every finding about one workflow; `children` are those that it names, by how it names them.
pub fn check(unit: &Unit<'_>, children: &BTreeMap<String, Arc<Child>>) -> Vec<Diagnostic> {
    let cx = Cx { unit, children };
    let mut findings = Vec::new();
    for rule in RULES {
        rule(&cx, &mut findings);
    }
    findings
}

/// Puts findings in order, drops repetitions, and cuts off what nobody reads.
pub fn arrange(findings: &mut Vec<Diagnostic>, files: &[PathBuf]) {
    let order: HashMap<String, usize> =
        files.iter().enumerate().rev().map(|(place, path)| (path.to_string_lossy().into_owned(), place)).collect();
    let file = |finding: &Diagnostic| order.get(&finding.span.file.name).copied().unwrap_or(usize::MAX);
    findings.sort_by_key(|finding| (file(finding), finding.span.range.start, finding.span.range.end));
    let mut seen = HashSet::new();
    findings.retain(|finding| {
        seen.insert((finding.code, finding.span.file.name.clone(), finding.span.range.clone(), finding.message.clone()))
    });
    if findings.len() <= MOST_FINDINGS {
        return;
    }
    // Errors first: a flood of warnings must not hide what stops the workflow.
    let more = findings.len() - MOST_FINDINGS;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings.truncate(MOST_FINDINGS);
    findings.sort_by_key(|finding| (file(finding), finding.span.range.start, finding.span.range.end));
    let Some(last) = findings.last() else { return };
    let note = Diagnostic::note(codes::MORE_FINDINGS, last.span.clone(), format!("{more} more findings are not shown"));
    findings.push(note.hint("mend these and check again"));
}

impl<'a> Cx<'a> {
    /// Every body at any depth.
    fn bodies(&self) -> Vec<&'a BodyGraph> {
        let mut bodies = Vec::new();
        self.unit.graph.each_body(&mut |body| bodies.push(body));
        bodies
    }

    /// Whether some node has a type that is not known, so that what it reads is not known either.
    fn has_unknown_types(&self) -> bool {
        self.bodies().into_iter().flat_map(|body| &body.nodes).any(|node| self.facts(&node.pointer).spec.is_none())
    }

    /// The facts about a node, which every node of the graph has.
    fn facts(&self, pointer: &str) -> &'a Facts<'a> {
        self.unit.facts(pointer).expect("every node of the graph has facts")
    }
}

/// Names for a message: `a`, `b` and `c`.
fn listed<'s>(names: impl IntoIterator<Item = &'s str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The hint for a name that is not known.
fn did_you_mean<'s>(name: &str, known: impl Iterator<Item = &'s str>, otherwise: impl FnOnce() -> String) -> String {
    match crate::suggest::nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise(),
    }
}
