//! A text with the places of its headings and pages.

use liteagent_engine::{capability::documents, node::prelude::*};

/// A text; places are bytes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) text: String,
    pub(super) headings: Vec<Heading>,
    pub(super) pages: Vec<usize>,
}

/// A heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) start: usize,
    pub(super) level: u8,
    pub(super) text: String,
}

#[derive(Deserialize)]
struct Given {
    text: String,
    headings: Option<Vec<documents::Heading>>,
    #[serde(default)]
    pages: Vec<u64>,
}

impl Marked {
    /// Reads a text, or the output of a `document-extractor`.
    pub(super) fn read(value: &Value) -> Result<Self, NodeError> {
        if let Some(text) = value.as_str() {
            return Ok(Self { headings: markdown(text), text: text.to_owned(), pages: Vec::new() });
        }
        let given: Given = value.to_typed().map_err(|error| {
            let message =
                format!("expected a text or an object with `text` in `text`, found {}: {error}", value.kind());
            NodeError::new(codes::CHUNK_TEXT, ErrorClass::Invalid, message)
                .hint("give it the `text` of a node, or the whole output of a `document-extractor`: \"{{ NODE }}\"")
        })?;
        let Some(headings) = given.headings else {
            return Ok(Self {
                headings: markdown(&given.text),
                pages: bytes(&given.text, &given.pages),
                text: given.text,
            });
        };
        let starts: Vec<u64> = headings.iter().map(|heading| heading.start).collect();
        let starts = bytes(&given.text, &starts);
        let heading =
            |(heading, start): (documents::Heading, usize)| Heading { start, level: heading.level, text: heading.text };
        let headings = headings.into_iter().zip(starts).map(heading).collect();
        Ok(Self { headings, pages: bytes(&given.text, &given.pages), text: given.text })
    }

    /// The headings above a place, the outermost first; one that begins there too.
    pub(super) fn headings_at(&self, at: usize) -> Vec<String> {
        let mut path: Vec<&Heading> = Vec::new();
        for heading in self.headings.iter().take_while(|heading| heading.start <= at) {
            path.retain(|above| above.level < heading.level);
            path.push(heading);
        }
        path.into_iter().map(|heading| heading.text.clone()).collect()
    }

    /// The page of a place, from 1.
    pub(super) fn page_at(&self, at: usize) -> Option<u32> {
        let before = self.pages.partition_point(|start| *start <= at);
        (!self.pages.is_empty()).then_some(before.max(1) as u32)
    }

    /// Every place that is kept when the text changes.
    pub(super) fn marks(&mut self) -> impl Iterator<Item = &mut usize> {
        self.headings.iter_mut().map(|heading| &mut heading.start).chain(&mut self.pages)
    }
}

/// The bytes at which characters begin; the end of the text for those beyond. Whatever order they come in.
fn bytes(text: &str, characters: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..characters.len()).collect();
    order.sort_by_key(|index| characters[*index]);
    let mut found = vec![text.len(); characters.len()];
    let mut starts = text.char_indices().map(|(start, _)| start).enumerate();
    let mut here = starts.next();
    for index in order {
        while here.is_some_and(|(number, _)| (number as u64) < characters[index]) {
            here = starts.next();
        }
        if let Some((_, start)) = here {
            found[index] = start;
        }
    }
    found
}

/// The headings of Markdown: lines as `## Heading`, but not in fenced code.
fn markdown(text: &str) -> Vec<Heading> {
    let (mut headings, mut start, mut fence) = (Vec::new(), 0, None);
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|mark| bare.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => {
                let level = line.len() - line.trim_start_matches('#').len();
                let rest = &line[level..];
                if (1..=6).contains(&level) && rest.starts_with([' ', '\t']) && !rest.trim().is_empty() {
                    let text = rest.trim().trim_end_matches('#').trim_end().to_owned();
                    headings.push(Heading { start, level: level as u8, text });
                }
            }
            (Some(_), _) => {}
        }
        start += line.len();
    }
    headings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_pages_are_found_by_their_place() {
        let text = "# Ä\nintro\n## B\n```\n# no heading\n```\nbody\n# C #\nend";
        let document =
            Value::from_pairs([("text", Value::from(text)), ("pages", Value::from(serde_json::json!([0, 10])))]);
        let marked = Marked::read(&document).expect("it is a document");
        assert_eq!(marked.headings, markdown(text));
        let at = |place: &str| {
            let at = text.find(place).expect(place);
            (marked.headings_at(at).join("/"), marked.page_at(at))
        };
        assert_eq!(at("intro"), ("Ä".to_owned(), Some(1)));
        assert_eq!(at("## B"), ("Ä/B".to_owned(), Some(2)));
        assert_eq!(at("body"), ("Ä/B".to_owned(), Some(2)));
        assert_eq!(at("end"), ("C".to_owned(), Some(2)));
        assert_eq!(bytes("äöü", &[9, 2, 0]), [6, 4, 0]);
    }
}
