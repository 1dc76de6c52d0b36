//! Composites: fields that are placed, and what cannot be known of nodes whose fields are not given yet.

use super::Cx;
use crate::{codes, diagnostic::Diagnostic};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    let Some(composite) = &cx.unit.composite else { return };
    // A field that is placed and has no value yet is missing only here.
    let places: Vec<_> = composite.places().into_iter().map(|(pointer, _)| pointer).collect();
    let waits_for_fields = |finding: &Diagnostic| {
        let is_about_form = finding.code == codes::MISSING_FIELD || finding.code == codes::INVALID_CONFIG;
        is_about_form
            && places.iter().any(|place| {
                let node = place.rsplit_once('/').map_or("", |(node, _)| node);
                let range = &finding.span.range;
                cx.unit.file_key(node).range == *range || cx.unit.file_span(node).range == *range
            })
    };
    findings.retain(|finding| !waits_for_fields(finding));
    for finding in composite.misplaced(cx.unit.registry) {
        let span =
            if finding.on_key { cx.unit.file_key(&finding.pointer) } else { cx.unit.file_span(&finding.pointer) };
        let placed = Diagnostic::error(finding.code, span, &finding.message);
        findings.push(Diagnostic { label: finding.label, hint: finding.hint, ..placed });
    }
}
