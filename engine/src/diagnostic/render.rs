//! Findings for people, machines and code reviews.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::{
    Diagnostic, Severity, Span,
    position::{Lines, Position, first_line},
};
use crate::codes;

/// Lines that are longer are not shown, only named.
const LONGEST_LINE: usize = 10_000;
/// Places of one file that are further apart are shown on their own.
const FARTHEST: usize = 50;

/// Findings as a terminal shows them, each with its lines and a caret.
pub fn text(findings: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut lines = Lines::default();
    let mut text = String::new();
    for finding in findings {
        text.push_str(&renderer.render(&[group(finding, &mut lines)]));
        text.push('\n');
    }
    text
}

/// Findings as JSON: a list of `{ code, severity, message, label, file, line, col, endLine, endCol, hint, related }`.
/// Lines and columns count from 1, columns in characters.
pub fn json(findings: &[Diagnostic]) -> Value {
    let mut lines = Lines::default();
    findings
        .iter()
        .map(|finding| {
            let mut entry = place(&finding.span, &mut lines);
            entry["code"] = finding.code.0.into();
            entry["severity"] = json!(finding.severity);
            entry["message"] = finding.message.as_str().into();
            entry["label"] = finding.label.as_str().into();
            entry["hint"] = finding.hint.as_deref().into();
            let related = finding.related.iter().map(|label| {
                let mut entry = place(&label.span, &mut lines);
                entry["text"] = label.text.as_str().into();
                entry
            });
            entry["related"] = related.collect();
            entry
        })
        .collect()
}

/// Findings as annotations of GitHub's workflow commands, one a line.
pub fn github(findings: &[Diagnostic]) -> String {
    let mut lines = Lines::default();
    let mut text = String::new();
    for finding in findings {
        let (start, end) = lines.places(&finding.span);
        let command = match finding.severity {
            Severity::Note => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let title = codes::title(finding.code.0).unwrap_or_default();
        let hint = finding.hint.as_ref().map(|hint| format!("\nhelp: {hint}")).unwrap_or_default();
        text.push_str(&format!(
            "::{command} file={},line={},endLine={},col={},endColumn={},title={}::{}\n",
            property(&finding.span.file.name),
            start.line,
            end.line,
            start.column,
            end.column,
            property(&format!("{}: {title}", finding.code)),
            escaped(&format!("{}{hint}", finding.message)),
        ));
    }
    text
}

fn place(span: &Span, lines: &mut Lines) -> Value {
    let (start, end) = lines.places(span);
    json!({
        "file": span.file.name,
        "line": start.line,
        "col": start.column,
        "endLine": end.line,
        "endCol": end.column,
    })
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

fn group<'a>(finding: &'a Diagnostic, lines: &mut Lines) -> Group<'a> {
    let level = match finding.severity {
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let mut group = Group::with_title(level.primary_title(&*finding.message).id(finding.code.0));
    let primary = lines.places(&finding.span).0;
    let (near, far): (Vec<_>, Vec<_>) = finding
        .related
        .iter()
        .map(|label| (&label.span, lines.places(&label.span).0, &*label.text))
        .partition(|(span, at, _)| finding.span.is_in_file_of(span) && at.line.abs_diff(primary.line) <= FARTHEST);
    let mut shown = vec![(&finding.span, primary, &*finding.label)];
    shown.extend(near);
    group = add(group, &shown, AnnotationKind::Primary, lines);
    for label in far {
        group = add(group, &[label], AnnotationKind::Context, lines);
    }
    match &finding.hint {
        Some(hint) => group.element(Level::HELP.message(&**hint)),
        None => group,
    }
}

/// Adds places of one file. The first has the kind `first`.
fn add<'a>(
    group: Group<'a>,
    places: &[(&'a Span, Position, &'a str)],
    first: AnnotationKind,
    lines: &mut Lines,
) -> Group<'a> {
    let [(span, at, _), ..] = places else { return group };
    let name = &*span.file.name;
    if span.file.text.is_empty() {
        return group.element(Origin::path(name));
    }
    let low = places.iter().map(|(_, at, _)| at.line).min().unwrap_or(1);
    let high = places.iter().map(|(_, at, _)| at.line).max().unwrap_or(1);
    let excerpt = lines.bytes(span, low, high);
    let text = &span.file.text[excerpt.clone()];
    if text.split('\n').any(|line| line.len() > LONGEST_LINE) {
        return group.element(Origin::path(name).line(at.line).char_column(at.column));
    }
    // Carriage returns would be shown as symbols.
    let shift = |at: usize| text[..at].bytes().filter(|byte| *byte != b'\r').count();
    let annotations = places.iter().enumerate().map(|(index, (span, _, words))| {
        let kind = if index == 0 { first } else { AnnotationKind::Context };
        let range = first_line(span);
        let words = (!words.is_empty()).then_some(*words);
        kind.span(shift(range.start - excerpt.start)..shift(range.end - excerpt.start)).label(words)
    });
    let shown = if text.contains('\r') { Cow::Owned(text.replace('\r', "")) } else { Cow::Borrowed(text) };
    let snippet = Snippet::source(shown).path(name).line_start(low);
    group.element(snippet.annotations(annotations.collect::<Vec<_>>()))
}
