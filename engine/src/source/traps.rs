//! The traps of YAML that look like a workflow: found on the tokens, before shapes.

use std::{ops::Range, sync::Arc};

use crate::{
    codes,
    diagnostic::{Diagnostic, SourceFile, Span},
};

/// How many templates without quotes are read as if they were quoted, before the rest is left unread.
const MAX_PATCHES: usize = 50;

/// Templates without quotes. In the text that is parsed they are replaced by a quoted text of the same length.
#[derive(Debug, Default)]
pub(super) struct Patches {
    ranges: Vec<Range<usize>>,
}

impl Patches {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Adds a template; `false` when there are too many or this one cannot be patched.
    pub(super) fn add(&mut self, range: Range<usize>) -> bool {
        let overlaps = self.ranges.iter().any(|old| old.start < range.end && range.start < old.end);
        if overlaps || self.ranges.len() == MAX_PATCHES || range.len() < 2 {
            return false;
        }
        self.ranges.push(range);
        true
    }

    /// The text with quoted texts in place of the templates.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        for range in &self.ranges {
            bytes[range.clone()].fill(b'_');
            bytes[range.start] = b'"';
            bytes[range.end - 1] = b'"';
        }
        String::from_utf8(bytes).expect("whole characters were replaced by ASCII")
    }

    /// What stands in the file where a patched scalar was read.
    pub(super) fn original<'t>(&self, text: &'t str, scalar: &Range<usize>) -> Option<&'t str> {
        self.ranges.contains(scalar).then(|| &text[scalar.clone()])
    }

    /// Whether an error at a place is likely only the rest of a template: on its line or the next.
    pub(super) fn explain(&self, text: &str, at: usize) -> bool {
        self.ranges.iter().any(|range| {
            text.get(range.end..at).is_some_and(|between| between.bytes().filter(|byte| *byte == b'\n').count() <= 1)
        })
    }

    /// A finding for each.
    pub(super) fn findings(&self, file: &Arc<SourceFile>) -> Vec<Diagnostic> {
        self.ranges.iter().map(|range| unquoted_template(file, range.clone())).collect()
    }
}

/// Whether a flow map is in truth a template: `{{` or `{%`.
pub(super) fn opens_template(text: &str) -> bool {
    text.starts_with("{{") || text.starts_with("{%")
}

/// The template that explains a syntax error at `at`. `plain` is the plain scalar that was read last.
pub(super) fn template_at(text: &str, at: usize, plain: &Range<usize>, flow: bool) -> Option<Range<usize>> {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let inside = |open: usize| text[line..at].ends_with(['{', '%', ' ']) || open == at;
    let open = [at, at.saturating_sub(1)].into_iter().find(|open| {
        *open >= line && text.is_char_boundary(*open) && opens_template(&text[*open..]) && inside(*open)
    })?;
    let start =
        if flow && text.get(plain.end..open).is_some_and(|gap| gap.trim_matches(' ').is_empty()) && plain.start >= line
        {
            plain.start
        } else {
            open
        };
    Some(start..template_extent(text, open, flow).end)
}

/// From the first brace of a template to the end of the text that it belongs to.
pub(super) fn template_extent(text: &str, start: usize, flow: bool) -> Range<usize> {
    let line = &text[start..];
    let line = &line[..line.find(['\n', '\r']).unwrap_or(line.len())];
    if !flow {
        let text = line.find(" #").map_or(line, |comment| &line[..comment]);
        return start..start + text.trim_end().len();
    }
    let mut end = 0;
    while let Some(close) = line[end..].find("}}").or_else(|| line[end..].find("%}")) {
        end += close + 2;
        let rest = &line[end..];
        let next = rest.find([',', '}', ']', '{']).unwrap_or(rest.len());
        if !rest[next..].starts_with('{') {
            let text = rest[..next].trim_end();
            return start..start + end + text.len();
        }
        end += next;
    }
    start..start + line.trim_end().len()
}

/// `{{` or `{%` at the start of a plain scalar.
pub(super) fn unquoted_template(file: &Arc<SourceFile>, range: Range<usize>) -> Diagnostic {
    let text = &file.text[range.clone()];
    let hint = if text.contains(['"', '\\']) {
        format!("write '{}'", text.replace('\'', "''"))
    } else {
        format!("write \"{text}\"")
    };
    let hint = if text.len() <= 80 { hint } else { "put the whole text in quotes, or below `|`".to_owned() };
    let span = Span { file: file.clone(), range };
    Diagnostic::error(
        codes::UNQUOTED_TEMPLATE,
        span,
        "a template must be quoted here: YAML reads `{` as the start of a map",
    )
    .label("not quoted")
    .hint(hint)
}

/// Whether a comment right behind a plain text likely belongs to the text: `Rank by # of votes`, `Issue #5`.
pub(super) fn ends_a_text(text: &str, comment: &str) -> bool {
    let is_prose = text.contains(' ') && !text.contains("}}");
    let is_number = comment.starts_with(|first: char| first.is_ascii_digit()) && text.starts_with(char::is_alphabetic);
    is_prose || is_number
}

/// A comment directly after plain text.
pub(super) fn comment_in_text(comment: Span, text: Span) -> Diagnostic {
    let whole = comment.file.text[text.range.start..comment.range.end].to_owned();
    let finding =
        Diagnostic::warning(codes::COMMENT_IN_TEXT, comment, "the text ends at `#`: the rest of the line is a comment")
            .label("a comment, not text");
    if whole.len() <= 80 && !whole.contains(['"', '\\']) {
        return finding.hint(format!("write \"{whole}\"; for a comment, put two spaces before `#`"));
    }
    finding.hint("put the text in quotes; for a comment, put two spaces before `#`")
}

/// A key with spaces and no value inside `{ }`.
pub(super) fn comma_in_text(span: Span, key: &str) -> Diagnostic {
    Diagnostic::error(codes::COMMA_IN_TEXT, span, format!("`{key}` has no value: a comma ended the text before it"))
        .label("read as a key")
        .hint("put the whole text in quotes, or write the map in lines of its own")
}

/// `---` at the start.
pub(super) fn document_marker(span: Span) -> Diagnostic {
    Diagnostic::warning(codes::DOCUMENT_MARKER, span, "a file holds one document: `---` is not needed")
        .hint("remove the line")
}

/// `---` in the middle.
pub(super) fn second_document(span: Span) -> Diagnostic {
    Diagnostic::error(codes::DOCUMENT_MARKER, span, "expected one document, found a second one")
        .label("starts another document")
        .hint("move it to a file of its own, or remove `---`")
}

/// `yes`, `on`, `NO`.
pub(super) fn old_boolean(span: Span, text: &str, meaning: bool) -> Diagnostic {
    Diagnostic::warning(
        codes::OLD_BOOLEAN,
        span,
        format!("`{text}` is a text here, but older YAML tools read it as `{meaning}`"),
    )
    .hint(format!("write `{meaning}` for the boolean, or `\"{text}\"` for the text"))
}

/// Tabs that indent.
pub(super) fn tab(span: Span) -> Diagnostic {
    Diagnostic::error(codes::TAB, span, "a tab cannot indent YAML").label("a tab").hint("indent with two spaces")
}
