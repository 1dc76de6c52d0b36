//! From bytes of a decoded string to bytes of its spelling in the file.

use std::ops::Range;

use super::place::Style;

/// The bytes of the file that spell `part` of a decoded scalar; `None` when the spelling cannot be followed.
pub(super) fn part(
    file: &str,
    scalar: Range<usize>,
    style: Style,
    text: &str,
    part: Range<usize>,
) -> Option<Range<usize>> {
    let raw = file.get(scalar.clone())?;
    let (inner, shift) = match style {
        Style::Single | Style::Double => (raw.get(1..raw.len().checked_sub(1)?)?, 1),
        Style::Plain | Style::Literal | Style::Folded => (raw, 0),
        Style::Collection => return None,
    };
    text.get(part.clone())?;
    let base = scalar.start + shift;
    if inner.get(..text.len()) == Some(text) {
        return Some(base + part.start..base + part.end);
    }
    let indent = scalar.start - file[..scalar.start].rfind('\n').map_or(0, |end| end + 1);
    let mut walk = Walk { raw: inner, at: 0, style, indent, fresh: false };
    let mut start = None;
    let mut end = None;
    for (offset, letter) in text.char_indices() {
        if start.is_some() && offset >= part.end {
            break;
        }
        let Some(spelled) = walk.next(letter) else {
            // A block scalar may end with line breaks that are not part of its place.
            if style.is_block() && text[offset..].chars().all(char::is_whitespace) {
                break;
            }
            return None;
        };
        if offset >= part.start && start.is_none() {
            start = Some(spelled.start);
        }
        end = Some(spelled.end);
    }
    let start = start.or(end).unwrap_or(0);
    let end = if part.is_empty() { start } else { end.unwrap_or(start) };
    Some(base + start..base + end.max(start))
}

/// Follows the spelling letter by letter.
struct Walk<'t> {
    raw: &'t str,
    at: usize,
    style: Style,
    /// How far the lines of a block scalar are indented.
    indent: usize,
    /// Whether the letter before was a line break.
    fresh: bool,
}

impl Walk<'_> {
    /// The bytes that spell the next decoded letter.
    fn next(&mut self, letter: char) -> Option<Range<usize>> {
        if self.style == Style::Double {
            while let Some(skipped) = line_continuation(&self.raw[self.at..]) {
                self.at += skipped;
            }
        }
        let rest = &self.raw[self.at..];
        let first = rest.chars().next()?;
        let start = self.at;
        let length = match (self.style, first) {
            (Style::Double, '\\') => escape(rest, letter)?,
            (Style::Single, '\'') => 2,
            _ if letter == '\n' || letter == ' ' => {
                self.line_break(rest, letter).or_else(|| (first == letter).then_some(1))?
            }
            _ => (first == letter).then(|| first.len_utf8())?,
        };
        self.at += length;
        self.fresh = letter == '\n';
        Some(start..self.at)
    }

    /// The length of the line breaks that spell a letter, with the indentation behind them.
    fn line_break(&self, rest: &str, letter: char) -> Option<usize> {
        let blanks = if self.style.is_block() { 0 } else { leading_blanks(rest) };
        let mut length = blanks + break_length(&rest[blanks..])?;
        if letter == ' ' && self.style == Style::Literal {
            return None;
        }
        // Where lines are folded, a break that is kept is spelled by two.
        if letter == '\n' && self.style != Style::Literal && !self.fresh {
            let blanks = leading_blanks(&rest[length..]);
            if let Some(second) = break_length(&rest[length + blanks..]) {
                length += blanks + second;
            }
        }
        let indentation = leading_blanks(&rest[length..]);
        Some(length + if self.style.is_block() { indentation.min(self.indent) } else { indentation })
    }
}

fn leading_blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

fn break_length(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n' | b'\r', ..] => Some(1),
        _ => None,
    }
}

/// A backslash at the end of a line in double quotes, with the indentation of the next.
fn line_continuation(rest: &str) -> Option<usize> {
    let next = rest.strip_prefix("\\\n").or_else(|| rest.strip_prefix("\\\r\n"))?;
    Some(rest.len() - next.trim_start_matches([' ', '\t']).len())
}

/// The length of an escape in double quotes.
fn escape(rest: &str, letter: char) -> Option<usize> {
    let length = match rest.as_bytes().get(1)? {
        b'x' => 4,
        b'u' if u32::from(letter) > 0xFFFF => 12,
        b'u' => 6,
        b'U' => 10,
        _ => 1 + rest[1..].chars().next()?.len_utf8(),
    };
    rest.is_char_boundary(length).then_some(length)
}
