//! Variables of a conversation: each begins with a value.

use super::Cx;
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity},
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    for (name, declared) in cx.unit.members("/conversation/variables") {
        if declared.get("default").is_some() {
            continue;
        }
        let pointer = format!("/conversation/variables/{}", crate::graph::escape(name));
        let message = format!("the conversation variable `{name}` has no value at first");
        let finding = cx.unit.at_key(Severity::Error, codes::VARIABLE_WITHOUT_DEFAULT, &pointer, message);
        let shown = declared.as_str().or_else(|| declared.get("type")?.as_str()).unwrap_or("string");
        let start = match shown.trim_end_matches('?') {
            list if list.ends_with("[]") => "[]",
            "integer" | "number" => "0",
            "boolean" => "false",
            "object" => "{}",
            _ => "\"\"",
        };
        findings.push(
            finding.label("needs `default`").hint(format!("write `{name}: {{ type: \"{shown}\", default: {start} }}`")),
        );
    }
}
