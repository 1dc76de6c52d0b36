//! Ids of nodes: their form, words that they must not be, and ids that hide others.

use std::collections::HashMap;

use super::Cx;
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity},
    graph::BodyGraph,
};

/// The roots of templates.
const ROOTS: &[&str] = &[
    "inputs",
    "env",
    "secrets",
    "sys",
    "conversation",
    "trigger",
    "item",
    "index",
    "state",
    "round",
    "error",
    "status",
    "call",
    "page",
    "ok",
];

/// Words of the template language.
const KEYWORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "endif",
    "for",
    "endfor",
    "recursive",
    "set",
    "endset",
    "with",
    "endwith",
    "without",
    "context",
    "block",
    "endblock",
    "extends",
    "include",
    "import",
    "from",
    "as",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "filter",
    "endfilter",
    "raw",
    "endraw",
    "autoescape",
    "endautoescape",
    "do",
    "break",
    "continue",
    "loop",
    "range",
    "dict",
    "namespace",
    "cycler",
    "joiner",
    "lipsum",
    "debug",
    "self",
    "super",
    "caller",
    "varargs",
    "kwargs",
    "true",
    "false",
    "none",
    "defined",
    "undefined",
];

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    for body in cx.unit.graph.bodies() {
        check_body(cx, body, &mut HashMap::new(), findings);
    }
    for (name, _) in cx.unit.members("/inputs") {
        check_name(cx, &format!("/inputs/{}", crate::graph::escape(name)), name, "an input", findings);
    }
    for (name, _) in cx.unit.members("/outputs") {
        check_name(cx, &format!("/outputs/{}", crate::graph::escape(name)), name, "an output", findings);
    }
}

fn check_body<'a>(
    cx: &Cx<'a>,
    body: &'a BodyGraph,
    outside: &mut HashMap<&'a str, &'a str>,
    findings: &mut Vec<Diagnostic>,
) {
    for node in &body.nodes {
        if let Some(finding) = check_id(cx, &node.pointer, &node.id) {
            findings.push(finding);
        }
        if let Some(hidden) = outside.get(&*node.id) {
            let message = format!("the node `{}` hides the one outside that has the same id", node.id);
            let finding = cx.unit.at_key(Severity::Warning, codes::HIDDEN_ID, &node.pointer, message);
            let finding =
                finding.label("templates here read this one").related(cx.unit.key(hidden), "and not this one");
            findings.push(finding.hint(format!("call it something else, such as `{}_one`", node.id)));
        }
    }
    let ids: Vec<_> = body.nodes.iter().filter(|node| !outside.contains_key(&*node.id)).collect();
    outside.extend(ids.iter().map(|node| (&*node.id, node.pointer.as_str())));
    for inner in body.nodes.iter().filter_map(|node| node.body.as_deref()) {
        check_body(cx, inner, outside, findings);
    }
    for node in ids {
        outside.remove(&*node.id);
    }
}

fn check_id(cx: &Cx<'_>, pointer: &str, id: &str) -> Option<Diagnostic> {
    let well_formed = id.starts_with(|c: char| c.is_ascii_lowercase()) && id.bytes().all(is_id_byte);
    if !well_formed {
        let message = format!("`{id}` is no id: expected lower-case letters, digits and `_`, beginning with a letter");
        let finding = cx.unit.at_key(Severity::Error, codes::INVALID_ID, pointer, message).label("not an id");
        return Some(finding.hint(format!("write `{}`", mended(id))));
    }
    if ROOTS.contains(&id) || KEYWORDS.contains(&id) {
        let message = format!("`{id}` cannot be the id of a node: templates use the word for something else");
        let finding = cx.unit.at_key(Severity::Error, codes::RESERVED_ID, pointer, message).label("a reserved word");
        return Some(finding.hint(format!("call it something else, such as `{id}_node`")));
    }
    None
}

fn check_name(cx: &Cx<'_>, pointer: &str, name: &str, what: &str, findings: &mut Vec<Diagnostic>) {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return;
    }
    let message = format!("`{name}` cannot be the name of {what}: expected letters, digits and `_`");
    let finding = cx.unit.at_key(Severity::Error, codes::INVALID_ID, pointer, message).label("not a name");
    findings.push(finding.hint(format!("write `{}`", mended(name))));
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The nearest id.
fn mended(id: &str) -> String {
    let id: String = id.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let id = id.trim_matches('_');
    if id.starts_with(|c: char| c.is_ascii_lowercase()) {
        id.to_owned()
    } else {
        format!("node_{id}").trim_end_matches('_').to_owned()
    }
}
