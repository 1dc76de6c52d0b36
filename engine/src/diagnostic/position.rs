//! Bytes of a file to lines and columns.

use std::{ops::Range, sync::Arc};

use super::{SourceFile, Span};

/// A line and a column, from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Where the lines of files begin; each file is looked through once.
#[derive(Debug, Default)]
pub struct Lines {
    files: Vec<(Arc<SourceFile>, Vec<usize>)>,
}

impl Lines {
    /// The first and the last position of a span; the last is exclusive.
    pub fn places(&mut self, span: &Span) -> (Position, Position) {
        let range = clamped(span);
        let starts = self.starts(span);
        let place = |at: usize| {
            let line = starts.partition_point(|start| *start <= at);
            let column = span.file.text[starts[line - 1]..at].chars().count() + 1;
            Position { line, column }
        };
        (place(range.start), place(range.end))
    }

    /// The bytes of whole lines, without the last line break.
    pub(super) fn bytes(&mut self, span: &Span, first: usize, last: usize) -> Range<usize> {
        let starts = self.starts(span);
        let end = starts.get(last).map_or(span.file.text.len(), |next| next - 1);
        starts[first - 1]..end
    }

    fn starts(&mut self, span: &Span) -> &[usize] {
        let known = self.files.iter().position(|(file, _)| Arc::ptr_eq(file, &span.file));
        let index = known.unwrap_or_else(|| {
            let breaks = span.file.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
            self.files.push((span.file.clone(), std::iter::once(0).chain(breaks).collect()));
            self.files.len() - 1
        });
        &self.files[index].1
    }
}

/// The part of a span on its first line.
pub(super) fn first_line(span: &Span) -> Range<usize> {
    let range = clamped(span);
    let text = &span.file.text[range.clone()];
    let line = text.split('\n').next().unwrap_or_default().trim_end();
    range.start..range.start + line.len()
}

/// The range of a span, inside the text and at whole characters. What lies behind the last line break is moved to
/// the end of the last line.
fn clamped(span: &Span) -> Range<usize> {
    let text = &span.file.text;
    let mut start = span.range.start.min(text.len());
    if start == text.len() {
        let last = text.trim_end_matches(['\n', '\r']).len();
        start = if last == 0 { 0 } else { last };
    }
    let start = floor(text, start);
    let end = floor(text, span.range.end.min(text.len())).max(start);
    start..end
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
