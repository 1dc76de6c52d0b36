//! Secrets: declared where they are used, used where they are declared, and only in fields that are marked for them.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::{Cx, triggers};
use crate::{
    codes,
    diagnostic::{Diagnostic, Span},
    graph::TemplateSite,
    shape::Mark,
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    let names = cx.unit.get("/secrets").and_then(Json::as_array);
    let declared: Vec<_> = names.into_iter().flatten().filter_map(Json::as_str).collect();
    let mut used = HashSet::new();
    let mut broken = false;
    for site in sites(cx) {
        broken |= site.compiled.is_err();
        check_site(cx, site, &declared, &mut used, findings);
    }
    for (pointer, name) in triggers::secrets(cx) {
        if !declared.contains(&name.as_str()) {
            findings.push(undeclared(&name, &declared, cx.unit.at(&pointer)));
        }
        used.insert(name);
    }
    for (index, name) in declared.iter().enumerate() {
        let pointer = format!("/secrets/{index}");
        if declared[..index].contains(name) {
            let finding =
                cx.unit.warning(codes::UNUSED_SECRET, &pointer, format!("the secret `{name}` is declared twice"));
            findings.push(finding.label("again").hint("remove one of the two"));
        } else if !used.contains(*name) && !broken && !cx.has_unknown_types() {
            let finding = cx.unit.warning(codes::UNUSED_SECRET, &pointer, format!("the secret `{name}` is never used"));
            findings.push(finding.label("unused").hint("remove it from `secrets`"));
        }
    }
}

/// Every template of the workflow.
pub(super) fn sites<'a>(cx: &Cx<'a>) -> impl Iterator<Item = &'a TemplateSite> {
    let of_nodes = cx.bodies().into_iter().flat_map(|body| &body.nodes).flat_map(|node| &node.sites);
    cx.unit.graph.sites.iter().chain(of_nodes)
}

fn check_site(
    cx: &Cx<'_>,
    site: &TemplateSite,
    declared: &[&str],
    used: &mut HashSet<String>,
    findings: &mut Vec<Diagnostic>,
) {
    let Ok(compiled) = &site.compiled else { return };
    for secret in compiled.secrets() {
        let Some(name) = secret.name.as_deref() else { continue };
        let span = || cx.unit.text(&site.pointer, secret.span.clone());
        used.insert(name.to_owned());
        if !declared.contains(&name) {
            findings.push(undeclared(name, declared, span()));
        }
        if site.mark != Mark::Secret {
            let message = format!("the secret `{name}` would be seen by others: this field is not marked for secrets");
            let finding = Diagnostic::error(codes::SECRET_MISPLACED, span(), message).label("no place for a secret");
            findings.push(finding.hint("use it in `auth` or `headers` of an `http-request`"));
        }
    }
}

fn undeclared(name: &str, declared: &[&str], span: Span) -> Diagnostic {
    let hint = super::did_you_mean(name, declared.iter().copied(), || format!("add `{name}` to `secrets` at the top"));
    let finding = Diagnostic::error(codes::UNDECLARED_SECRET, span, format!("the secret `{name}` is not declared"));
    finding.label("not in `secrets`").hint(hint)
}
