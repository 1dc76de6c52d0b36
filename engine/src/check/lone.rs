//! A lone `{{ path }}` keeps its type: one that can never fit the field is a finding.

use std::collections::BTreeSet;

use schemars::Schema;
use serde_json::{Map, Value as Json};

use super::{
    Cx,
    members::{Found, follow},
};
use crate::{
    codes,
    diagnostic::Diagnostic,
    graph::{BodyGraph, NodeInfo, Target, TemplateSite},
    template::{Reads, Reference, Segment},
    types::Type,
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    for body in cx.unit.graph.bodies() {
        check_body(cx, &mut vec![body], findings);
    }
}

fn check_body<'a>(cx: &Cx<'a>, around: &mut Vec<&'a BodyGraph>, findings: &mut Vec<Diagnostic>) {
    let Some(body) = around.last().copied() else { return };
    for node in &body.nodes {
        for site in node.sites.iter().filter(|site| !site.inner) {
            findings.extend(check_site(cx, around, site));
        }
        if let Some(inner) = &node.body {
            around.push(inner);
            check_body(cx, around, findings);
            for site in node.sites.iter().filter(|site| site.inner) {
                findings.extend(check_site(cx, around, site));
            }
            around.pop();
        }
    }
}

fn check_site(cx: &Cx<'_>, around: &[&BodyGraph], site: &TemplateSite) -> Option<Diagnostic> {
    let expected = wanted(site.expects.as_ref()?)?;
    let (reference, target) = lone_path(site)?;
    let found = types_of(cx, around, reference, target)?;
    if found.iter().any(|found| fits(found, &expected)) {
        return None;
    }
    let shown = |types: &BTreeSet<&'static str>| types.iter().copied().collect::<Vec<_>>().join(" or ");
    let span = cx.unit.text(&site.pointer, reference.span.clone());
    let message = format!("expected {}, found {}", shown(&expected), shown(&found));
    let finding = Diagnostic::error(codes::WRONG_LONE_TYPE, span, message).label(format!("is {}", shown(&found)));
    Some(finding.hint(match expected.first() {
        Some(&"a string") => "write it as text with `| tojson`, or read one of its members",
        Some(&"a boolean") => "compare it, as in `{{ value != '' }}` or `{{ list | length > 0 }}`",
        Some(&"a list") => "name a list, or write `{{ [...] }}`",
        _ => "name something of the expected type, or convert it with a filter such as `int` or `length`",
    }))
}

/// The reference of a template that is `{{ path }}` and nothing else.
fn lone_path(site: &TemplateSite) -> Option<(&Reference, Target)> {
    let inside = site.text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inside = inside.trim_start_matches('-').trim_end_matches('-').trim();
    let mut references = site.references();
    let only = references.next()?;
    let is_whole = site.text.get(only.0.span.clone()) == Some(inside);
    (references.next().is_none() && is_whole).then_some(only)
}

/// The types that a field takes; `None` when it takes any.
fn wanted(schema: &Schema) -> Option<BTreeSet<&'static str>> {
    let mut types = BTreeSet::new();
    collect(schema.as_value(), &mut types).then_some(types)
}

fn collect(schema: &Json, types: &mut BTreeSet<&'static str>) -> bool {
    let Some(fields) = schema.as_object() else { return false };
    if let Some(branches) = fields.get("anyOf").or_else(|| fields.get("oneOf")).and_then(Json::as_array) {
        // The branch for the template itself says nothing about the value.
        let branches: Vec<_> = branches.iter().filter(|branch| !is_template_branch(branch)).collect();
        return !branches.is_empty() && branches.into_iter().all(|branch| collect(branch, types));
    }
    let before = types.len();
    types.extend(names(fields));
    types.len() > before
}

fn is_template_branch(branch: &Json) -> bool {
    branch.get("pattern").and_then(Json::as_str).is_some_and(|pattern| pattern.contains(r"\{\{"))
}

fn names(fields: &Map<String, Json>) -> Vec<&'static str> {
    let listed = match fields.get("type") {
        Some(Json::String(only)) => vec![only.as_str()],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let name = |name| match name {
        "string" => Some("a string"),
        "integer" => Some("an integer"),
        "number" => Some("a number"),
        "boolean" => Some("a boolean"),
        "array" => Some("a list"),
        "object" => Some("an object"),
        _ => None,
    };
    listed.into_iter().filter_map(name).collect()
}

/// The types of what a reference reads; `None` when that is not known.
fn types_of(
    cx: &Cx<'_>,
    around: &[&BodyGraph],
    reference: &Reference,
    target: Target,
) -> Option<BTreeSet<&'static str>> {
    let found = match target {
        Target::Node { up } if reference.reads == Reads::Output => {
            let body = around.len().checked_sub(1 + up as usize).and_then(|level| around.get(level))?;
            let node: &NodeInfo = body.get(&reference.root)?;
            follow(cx.facts(&node.pointer).output.as_ref()?, &reference.path)
        }
        Target::Root if &*reference.root == "inputs" => {
            let Some(Segment::Member(name)) = reference.path.first() else { return None };
            let declared = serde_json::from_value::<Type>(cx.unit.get("/inputs")?.get(&**name)?.clone()).ok()?;
            follow(&declared.schema(), &reference.path[1..])
        }
        _ => return None,
    };
    let Found::Schemas(schemas) = found else { return None };
    let mut types = BTreeSet::new();
    for schema in schemas {
        let names = names(schema.as_object()?);
        if names.is_empty() {
            return None;
        }
        types.extend(names);
    }
    (!types.is_empty()).then_some(types)
}

fn fits(found: &str, expected: &BTreeSet<&'static str>) -> bool {
    expected.contains(found)
        || match found {
            // A number in a text field becomes its text; a number may turn out to be whole.
            "an integer" | "a number" => {
                ["a number", "an integer", "a string"].iter().any(|wanted| expected.contains(wanted))
            }
            "a boolean" => expected.contains("a string"),
            _ => false,
        }
}
