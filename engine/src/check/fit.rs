//! Values that are passed as inputs, against the inputs that are declared.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::Cx;
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity},
    suggest,
    template::is_template,
    types::Type,
    value::Value,
};

/// Checks the values at `pointer`: names that are not declared, inputs that are missing, and values that do not fit.
/// `owner` is the node or trigger that passes them; `to` names the workflow that gets them, as a message says it.
pub(super) fn inputs(
    cx: &Cx<'_>,
    pointer: &str,
    owner: &str,
    to: &str,
    declared: &IndexMap<String, Json>,
    findings: &mut Vec<Diagnostic>,
) {
    given(cx, pointer, to, declared, findings);
    let is_given = |name: &str| cx.unit.get(pointer).is_some_and(|given| given.get(name).is_some());
    for (name, of) in declared.iter().filter(|(name, _)| !is_given(name)) {
        let Ok(of) = serde_json::from_value::<Type>(of.clone()) else { continue };
        if of.is_optional() || of.default_value().is_some() {
            continue;
        }
        let place = if cx.unit.get(pointer).is_some() { pointer } else { owner };
        let finding =
            cx.unit.at_key(Severity::Error, codes::MISSING_INPUT, place, format!("{to} needs the input `{name}`"));
        findings.push(finding.label(format!("`{name}` is missing")).hint(format!("add `{name}: ...` under `inputs`")));
    }
}

/// The same of values that need not be all: what is missing is no finding.
pub(super) fn given(
    cx: &Cx<'_>,
    pointer: &str,
    to: &str,
    declared: &IndexMap<String, Json>,
    findings: &mut Vec<Diagnostic>,
) {
    for (name, value) in cx.unit.members(pointer) {
        let at = format!("{pointer}/{}", crate::graph::escape(name));
        match declared.get(name) {
            Some(of) => literal(cx, &at, of, value, findings),
            None => findings.push(not_declared(cx, &at, name, to, declared)),
        }
    }
}

fn not_declared(cx: &Cx<'_>, at: &str, name: &str, to: &str, declared: &IndexMap<String, Json>) -> Diagnostic {
    let known = || declared.keys().map(String::as_str);
    let hint = suggest::hint(name, known()).unwrap_or_else(|| match declared.len() {
        0 => format!("remove it, or declare it under `inputs` of {to}"),
        _ => format!("use {}, or declare it under `inputs` of {to}", suggest::list(known())),
    });
    let message = format!("{to} has no input `{name}`");
    cx.unit.at_key(Severity::Error, codes::UNKNOWN_INPUT, at, message).label("not declared there").hint(hint)
}

fn literal(cx: &Cx<'_>, at: &str, of: &Json, value: &Json, findings: &mut Vec<Diagnostic>) {
    if holds_template(value) {
        return;
    }
    let Ok(of) = serde_json::from_value::<Type>(of.clone()) else { return };
    for misfit in of.fit(Value::from(value.clone())).err().into_iter().flatten() {
        let mut finding = cx.unit.error(codes::INPUT_MISFIT, &format!("{at}{}", misfit.pointer), misfit.message);
        finding.hint = misfit.hint;
        findings.push(finding.label("does not fit the declared type"));
    }
}

/// Whether a string at any depth is a template.
pub(super) fn holds_template(value: &Json) -> bool {
    match value {
        Json::String(text) => is_template(text),
        Json::Array(items) => items.iter().any(holds_template),
        Json::Object(members) => members.values().any(holds_template),
        _ => false,
    }
}
