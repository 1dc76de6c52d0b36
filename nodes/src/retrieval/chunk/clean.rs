//! What is removed from a text before it is cut.

use std::{ops::Range, sync::LazyLock};

use liteagent_engine::node::prelude::*;
use regex::Regex;

use super::text::Marked;

/// What is removed from a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clean {
    /// Spaces at the ends of lines, several spaces within a line, and more than one blank line. What lines begin with stays.
    Whitespace,
    /// Addresses of web pages.
    Urls,
    /// E-mail addresses.
    Emails,
}

static URLS: LazyLock<Regex> = LazyLock::new(|| pattern(r#"https?://[^\s<>"')\]]+"#));
static EMAILS: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of this file is a pattern")
}

/// A part of a text, and what stands there instead.
type Edit = (Range<usize>, &'static str);

/// Removes what was asked for; headings and pages keep their places. White space comes last: others leave some.
pub(super) fn clean(mut text: Marked, what: &[Clean]) -> Marked {
    for (kind, pattern) in [(Clean::Urls, &URLS), (Clean::Emails, &EMAILS)] {
        if what.contains(&kind) {
            let edits = pattern.find_iter(&text.text).map(|found| (found.range(), "")).collect();
            text = rewrite(text, edits);
        }
    }
    if what.contains(&Clean::Whitespace) {
        let edits = whitespace(&text.text);
        text = rewrite(text, edits);
    }
    text
}

fn whitespace(text: &str) -> Vec<Edit> {
    let (mut edits, mut start, mut was_blank) = (Vec::new(), 0, false);
    for line in text.split_inclusive('\n') {
        let (content, end) = (line.trim_end(), start + line.len());
        let is_blank = content.is_empty();
        if is_blank && was_blank {
            edits.push((start..end, ""));
        } else {
            let indent = content.len() - content.trim_start().len();
            runs(&content[indent..], start + indent, &mut edits);
            let line_end = if line.ends_with('\n') { end - 1 } else { end };
            if start + content.len() < line_end {
                edits.push((start + content.len()..line_end, ""));
            }
        }
        was_blank = is_blank;
        start = end;
    }
    edits
}

/// Several spaces become one.
fn runs(content: &str, start: usize, edits: &mut Vec<Edit>) {
    let is_space = |letter: &u8| matches!(letter, b' ' | b'\t');
    let bytes = content.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(is_space) {
        let begin = at + found;
        let length = bytes[begin..].iter().take_while(|letter| is_space(letter)).count();
        if length > 1 {
            edits.push((start + begin..start + begin + length, " "));
        }
        at = begin + length;
    }
}

/// Makes edits, which are in order and do not touch. A place inside of one is then where it stood.
fn rewrite(mut text: Marked, edits: Vec<Edit>) -> Marked {
    if edits.is_empty() {
        return text;
    }
    let mut made = String::with_capacity(text.text.len());
    // For each edit: where it ended before, and where its end is now.
    let mut ends = vec![(0, 0)];
    for (range, instead) in &edits {
        let (before, _) = ends[ends.len() - 1];
        made.push_str(&text.text[before..range.start]);
        made.push_str(instead);
        ends.push((range.end, made.len()));
    }
    made.push_str(&text.text[ends[ends.len() - 1].0..]);
    for mark in text.marks() {
        let next = ends.partition_point(|(before, _)| before <= mark);
        let (before, now) = ends[next - 1];
        let moved = now + (*mark - before);
        // Inside of the next edit only its beginning is left.
        let limit = edits.get(next - 1).map_or(usize::MAX, |(range, _)| now + (range.start - before));
        *mark = moved.min(limit);
    }
    text.text = made;
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::retrieval::chunk::text::Heading;

    fn marked(text: &str) -> Marked {
        Marked { text: text.to_owned(), ..Marked::default() }
    }

    #[test]
    fn code_keeps_its_form() {
        let text = "a  b \t\n\n\n\ndef f(x):\n    return  x   \n";
        assert_eq!(clean(marked(text), &[Clean::Whitespace]).text, "a b\n\ndef f(x):\n    return x\n");
        let text = "Ask a.b@c.example.org or see https://example.org/x?y=1, now";
        assert_eq!(clean(marked(text), &[Clean::Urls, Clean::Emails]).text, "Ask  or see  now");
        assert_eq!(clean(marked(text), &[Clean::Whitespace]).text, text);
    }

    proptest! {
        #[test]
        fn places_move_with_their_text(parts in proptest::collection::vec("[ab \n\t]{0,9}", 0..8)) {
            // A mark stands at a letter that is nowhere else.
            let mut text = Marked::default();
            for part in parts {
                text.text.push_str(&part);
                text.headings.push(Heading { start: text.text.len(), level: 1, text: String::new() });
                text.text.push('§');
            }
            let cleaned = clean(text, &[Clean::Whitespace]);
            for heading in &cleaned.headings {
                prop_assert!(cleaned.text[heading.start..].starts_with('§'));
            }
            prop_assert_eq!(whitespace(&cleaned.text), vec![]);
        }
    }
}
