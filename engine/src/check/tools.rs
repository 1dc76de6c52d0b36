//! Tools: workflows that a model may call, with what it must not see or do by itself.

use serde_json::Value as Json;

use super::{Child, Cx, fit};
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity},
    graph::escape,
    types::Type,
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    for body in cx.bodies() {
        for tools in body.nodes.iter().flat_map(|node| &node.tools) {
            for (name, tool) in cx.unit.members(tools) {
                let pointer = format!("{tools}/{}", escape(name));
                let child = tool.get("workflow").and_then(Json::as_str).and_then(|named| cx.children.get(named));
                if let Some(child) = child {
                    check_workflow(cx, &pointer, name, tool, child, findings);
                }
            }
        }
    }
}

fn check_workflow(cx: &Cx<'_>, pointer: &str, name: &str, tool: &Json, child: &Child, findings: &mut Vec<Diagnostic>) {
    fit::given(cx, &format!("{pointer}/inputs"), &format!("`{}`", child.name), &child.inputs, findings);
    if child.acts && tool.get("approval").is_none() {
        let message = format!("`{name}` changes something outside, and nobody is asked before a model does so");
        let finding =
            cx.unit.at_key(Severity::Error, codes::TOOL_APPROVAL, pointer, message).label("acts on the outside");
        findings.push(finding.hint(
            "add `approval: { to: ..., message: ... }`, or write `approval: none` when the model may do it by itself",
        ));
    }
    if tool.get("description").is_none() && child.description.as_ref().is_none_or(String::is_empty) {
        let message = format!("the model is not told what `{name}` does: `{}` has no `description`", child.name);
        let finding =
            cx.unit.at_key(Severity::Warning, codes::TOOL_UNDESCRIBED, pointer, message).label("not described");
        findings.push(finding.hint("add `description` to the tool, or to the workflow, and say when to use it"));
    }
    let given = |input: &str| tool.get("inputs").is_some_and(|inputs| inputs.get(input).is_some());
    for (input, of) in child.inputs.iter().filter(|(input, _)| !given(input)) {
        let Ok(ty) = serde_json::from_value::<Type>(of.clone()) else { continue };
        if ty.holds_files() && !ty.is_optional() {
            let message = format!("a model cannot pass files, and `{}` needs the input `{input}`", child.name);
            let finding = cx.unit.at_key(Severity::Error, codes::TOOL_FILES, pointer, message);
            let hint = format!("give it a fixed value: `inputs: {{ {input}: ... }}`");
            findings.push(finding.label(format!("`{input}` is a file")).hint(hint));
        }
    }
}
