//! The form of the file and of each node: fields, types, templates that cannot be parsed, and what nodes say themselves.

use super::{Cx, Facts};
use crate::{
    codes,
    definition::FORMAT,
    diagnostic::{Diagnostic, Severity},
    graph::{BodyGraph, NodeInfo, TemplateSite},
    node::{ConfigError, Spot},
    shape::Finding,
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    let unit = cx.unit;
    let format = unit.get("/format").and_then(serde_json::Value::as_u64);
    if let Some(newer) = format.filter(|format| *format > u64::from(FORMAT)) {
        let message = format!("the file has format {newer}, this program knows {FORMAT}");
        let finding = unit.error(codes::NEWER_FORMAT, "/format", message).label("a newer format");
        findings.push(finding.hint("install a newer LiteAgent"));
    }
    findings.extend(unit.graph.findings.iter().map(|finding| placed(cx, finding)));
    for site in &unit.graph.sites {
        templates(cx, site, findings);
    }
    for body in cx.bodies() {
        check_body(cx, body, findings);
    }
}

fn check_body(cx: &Cx<'_>, body: &BodyGraph, findings: &mut Vec<Diagnostic>) {
    for node in &body.nodes {
        let facts = cx.facts(&node.pointer);
        findings.extend(node.findings.iter().map(|finding| placed(cx, finding)));
        for site in &node.sites {
            templates(cx, site, findings);
        }
        check_type(cx, node, facts, findings);
        let broken = !node.findings.is_empty() || node.sites.iter().any(|site| site.compiled.is_err());
        match &facts.node {
            Some(Err(error)) if !broken => findings.extend(config(cx, node, Severity::Error, error)),
            Some(Ok(built)) => {
                let found = built.check(cx.unit.registry.known());
                findings.extend(found.iter().filter_map(|found| config(cx, node, found.severity, &found.error)));
            }
            _ => {}
        }
    }
}

fn check_type(cx: &Cx<'_>, node: &NodeInfo, facts: &Facts<'_>, findings: &mut Vec<Diagnostic>) {
    let pointer = super::unit::field(node, "type");
    if node.kind.is_empty() {
        return;
    }
    match facts.spec {
        Some(spec) if spec.type_name == node.kind => {}
        Some(spec) => {
            let message = format!("`{}` is the old name of `{}`", node.kind, spec.type_name);
            let finding = cx.unit.warning(codes::OLD_NODE_TYPE, &pointer, message).label("old name");
            findings.push(finding.hint(format!("write `type: {}`", spec.type_name)));
        }
        None => {
            let known =
                || cx.unit.registry.iter().flat_map(|spec| spec.meta.aliases.iter().copied().chain([spec.type_name]));
            let hint =
                super::did_you_mean(&node.kind, known(), || "run `liteagent nodes` for every node type".to_owned());
            let finding =
                cx.unit.error(codes::UNKNOWN_NODE_TYPE, &pointer, format!("unknown node type `{}`", node.kind));
            findings.push(finding.label("no node type has this name").hint(hint));
        }
    }
}

/// A finding of the schema walker in its place.
pub(super) fn placed(cx: &Cx<'_>, finding: &Finding) -> Diagnostic {
    let mut diagnostic = if finding.on_key {
        cx.unit.at_key(Severity::Error, finding.code, &finding.pointer, &finding.message)
    } else {
        cx.unit.error(finding.code, &finding.pointer, &finding.message)
    };
    diagnostic.label.clone_from(&finding.label);
    diagnostic.hint.clone_from(&finding.hint);
    diagnostic
}

fn templates(cx: &Cx<'_>, site: &TemplateSite, findings: &mut Vec<Diagnostic>) {
    for error in site.compiled.as_ref().err().into_iter().flatten() {
        let span = cx.unit.text(&site.pointer, error.span.clone());
        let mut finding = Diagnostic::error(error.code, span, &error.message);
        finding.hint.clone_from(&error.hint);
        findings.push(finding);
    }
}

/// What a node type says of its fields, in its place; nothing about a text whose file could not be read.
fn config(cx: &Cx<'_>, node: &NodeInfo, severity: Severity, error: &ConfigError) -> Option<Diagnostic> {
    let pointer = format!("{}{}", node.pointer, error.field);
    if cx.unit.is_unread(&pointer) {
        return None;
    }
    let mut finding = match &error.spot {
        Spot::Text(range) => {
            let span = cx.unit.text(&pointer, range.clone());
            Diagnostic { severity, ..Diagnostic::error(error.code, span, &error.message) }
        }
        Spot::Value if !error.field.is_empty() => cx.unit.finding(severity, error.code, &pointer, &error.message),
        Spot::Key | Spot::Value => cx.unit.at_key(severity, error.code, &pointer, &error.message),
    };
    finding.label.clone_from(&error.label);
    finding.hint.clone_from(&error.hint);
    if finding.hint.is_none() && error.code == codes::INVALID_CONFIG {
        finding.hint = Some(format!("run `liteagent nodes show {}` for every field", node.kind));
    }
    Some(finding)
}
