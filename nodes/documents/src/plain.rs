//! Text, source code, Markdown and JSON: what is text already.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};
use serde::de::IgnoredAny;

use crate::{draft::Draft, trouble::Trouble};

/// Text and source code, as they are, with line ends of one kind.
pub(crate) fn text(text: &str, draft: &mut Draft) -> Result<(), Trouble> {
    draft.push(&unix(text))
}

/// JSON: one that stands on a single line is laid out.
pub(crate) fn json(text: &str, draft: &mut Draft) -> Result<(), Trouble> {
    let is_lines = text.trim().contains('\n');
    let values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let error = values.map(|value| value.map(drop)).find_map(Result::err);
    if let Some(error) = &error {
        draft.warn(format!("it is no JSON: {error}"));
    }
    if is_lines || error.is_some() { self::text(text, draft) } else { draft.push(&laid_out(text.trim())) }
}

/// Valid JSON on many lines. Numbers and texts stay as they were written.
fn laid_out(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    let mut chars = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        // What is nested deeper than this is read by nobody.
        out.extend(std::iter::repeat_n("  ", depth.min(32)));
    };
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            in_text = is_escaped || c != '"';
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '"' => {
                in_text = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.peek().is_some_and(char::is_ascii_whitespace) {
                    chars.next();
                }
                if let Some(close) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

/// Markdown, as it is; its headings are found, and a title in its front matter.
pub(crate) fn markdown(text: &str, draft: &mut Draft) -> Result<(), Trouble> {
    let text = unix(text);
    let mut at = Place { text: &text, byte: 0, chars: 0 };
    let mut heading: Option<(u64, u8, String)> = None;
    let mut is_front_matter = false;
    let options = Options::ENABLE_YAML_STYLE_METADATA_BLOCKS | Options::ENABLE_TABLES;
    for (event, range) in Parser::new_ext(&text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                heading = Some((at.line(&range), depth(level), String::new()));
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some((start, level, text)) = heading.take().filter(|(.., text)| !text.trim().is_empty()) {
                    draft.mark(start, level, crate::draft::one_line(&text));
                }
            }
            Event::Start(Tag::MetadataBlock(MetadataBlockKind::YamlStyle)) => is_front_matter = true,
            Event::End(TagEnd::MetadataBlock(_)) => is_front_matter = false,
            Event::Text(text) if is_front_matter => draft.title = draft.title.take().or_else(|| title(&text)),
            Event::Text(text) | Event::Code(text) => {
                if let Some((.., heading)) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some((.., heading)) = &mut heading {
                    heading.push(' ');
                }
            }
            _ => {}
        }
    }
    draft.push(&text)
}

/// A place that moves forward through a text, counted in characters.
struct Place<'t> {
    text: &'t str,
    byte: usize,
    chars: u64,
}

impl Place<'_> {
    /// The character where the line begins in which a range begins. Ranges come in order.
    fn line(&mut self, range: &Range<usize>) -> u64 {
        let line = self.text[..range.start].rfind('\n').map_or(0, |end| end + 1);
        if line > self.byte {
            self.chars += self.text[self.byte..line].chars().count() as u64;
            self.byte = line;
        }
        self.chars
    }
}

fn depth(level: HeadingLevel) -> u8 {
    level as u8
}

/// The title of front matter: a plain or quoted text after `title:`.
fn title(front_matter: &str) -> Option<String> {
    let value = front_matter.lines().find_map(|line| line.strip_prefix("title:"))?.trim();
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// A text whose lines end as on Unix.
fn unix(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn json_on_one_line_is_laid_out_and_keeps_its_numbers() {
        let json = r#"{"a":[1.10,{"b":"x, {\"y\"}: \\"}], "e":[ ],"n":123456789012345678901}"#;
        let laid = laid_out(json);
        insta::assert_snapshot!(laid, @r#"
        {
          "a": [
            1.10,
            {
              "b": "x, {\"y\"}: \\"
            }
          ],
          "e": [],
          "n": 123456789012345678901
        }
        "#);
    }

    #[test]
    fn headings_of_markdown_are_found_where_they_begin() {
        let source = "---\ntitle: \"Über\"\n---\nä\n\n# One `x`\r\n\n```\n# no\n```\n\nTwo\n---\n\n> ### Three\n";
        let mut draft = Draft::new(&Limits::default());
        markdown(source, &mut draft).unwrap();
        let read = draft.finish("markdown", "").unwrap();
        let lines: Vec<_> = read
            .headings
            .iter()
            .map(|heading| {
                let from: String = read.text.chars().skip(heading.start as usize).collect();
                (heading.level, heading.text.as_str(), from.lines().next().unwrap_or_default().to_owned())
            })
            .collect();
        let expected = [(1, "One x", "# One `x`"), (2, "Two", "Two"), (3, "Three", "> ### Three")];
        assert_eq!(lines, expected.map(|(level, text, line)| (level, text, line.to_owned())));
        assert_eq!(read.title.as_deref(), Some("Über"));
    }
}
