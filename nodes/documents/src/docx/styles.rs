//! What styles and lists of a document mean.

use std::collections::HashMap;

use crate::{
    trouble::Trouble,
    xml::{Piece, Tag, walk},
};

/// Styles of paragraphs by their ids.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

#[derive(Default)]
struct Style {
    level: Option<u8>,
    list: Option<(String, u8)>,
    based_on: Option<String>,
}

/// How long a chain of styles may be that are based on each other.
const LONGEST_CHAIN: usize = 16;

impl Styles {
    pub(super) fn read(part: &str, xml: &[u8]) -> Result<Self, Trouble> {
        let mut styles = HashMap::new();
        let mut current: Option<(String, Style)> = None;
        walk(part, xml, |piece| {
            match piece {
                Piece::Start(tag) if tag.name == "style" => {
                    current = Some((tag.get("styleId").unwrap_or_default(), Style::default()));
                }
                Piece::Start(tag) => {
                    if let Some((_, style)) = &mut current {
                        style.say(&tag);
                    }
                }
                Piece::End("style") => styles.extend(current.take()),
                Piece::End(_) | Piece::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(Self(styles))
    }

    /// The depth that a style gives headings.
    pub(super) fn level(&self, id: &str) -> Option<u8> {
        self.chain(id).find_map(|style| style.level)
    }

    /// The list whose items have a style.
    pub(super) fn list(&self, id: &str) -> Option<(String, u8)> {
        self.chain(id).find_map(|style| style.list.clone())
    }

    fn chain<'s>(&'s self, id: &str) -> impl Iterator<Item = &'s Style> {
        let next = |style: &&'s Style| style.based_on.as_ref().and_then(|id| self.0.get(id));
        std::iter::successors(self.0.get(id), next).take(LONGEST_CHAIN)
    }
}

impl Style {
    fn say(&mut self, tag: &Tag<'_>) {
        match tag.name {
            "name" => {
                let name = tag.get("val").unwrap_or_default().to_lowercase();
                let number = name.strip_prefix("heading ").and_then(|number| number.parse().ok());
                self.level = self.level.or(number).or((name == "title").then_some(1));
            }
            "outlineLvl" => self.level = self.level.or_else(|| outline(tag)),
            "basedOn" => self.based_on = tag.get("val"),
            "ilvl" => {
                let depth = tag.get("val").and_then(|depth| depth.parse().ok()).unwrap_or_default();
                self.list.get_or_insert_default().1 = depth;
            }
            "numId" => self.list.get_or_insert_default().0 = tag.get("val").unwrap_or_default(),
            _ => {}
        }
    }
}

/// The depth of a heading: 9 is that of text.
pub(super) fn outline(tag: &Tag<'_>) -> Option<u8> {
    tag.get("val")?.parse().ok().filter(|level| *level < 9).map(|level: u8| level + 1)
}

/// The lists of a document.
#[derive(Default)]
pub(super) struct Numbering {
    /// The kind of each level of each abstract list; those that are missing are points.
    kinds: HashMap<(String, u8), String>,
    /// The abstract list of each list.
    lists: HashMap<String, String>,
    /// How far each level of each list has counted.
    counts: HashMap<(String, u8), u32>,
}

impl Numbering {
    pub(super) fn read(part: &str, xml: &[u8]) -> Result<Self, Trouble> {
        let mut numbering = Self::default();
        let (mut abstract_list, mut level, mut list) = (None, 0, None);
        walk(part, xml, |piece| {
            let Piece::Start(tag) = piece else { return Ok(()) };
            match tag.name {
                "abstractNum" => (abstract_list, list) = (tag.get("abstractNumId"), None),
                "num" => (abstract_list, list) = (None, tag.get("numId")),
                "lvl" => level = tag.get("ilvl").and_then(|level| level.parse().ok()).unwrap_or_default(),
                "numFmt" => {
                    if let (Some(list), Some(kind)) = (&abstract_list, tag.get("val")) {
                        numbering.kinds.insert((list.clone(), level), kind);
                    }
                }
                "abstractNumId" => {
                    if let (Some(list), Some(of)) = (&list, tag.get("val")) {
                        numbering.lists.insert(list.clone(), of);
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(numbering)
    }

    /// What stands before the next item of a list; `None` when the list is none.
    pub(super) fn mark(&mut self, list: &str, depth: u8) -> Option<String> {
        if matches!(list, "" | "0") {
            return None;
        }
        let kind = self.lists.get(list).and_then(|of| self.kinds.get(&(of.clone(), depth)));
        match kind.map_or("bullet", String::as_str) {
            "none" => None,
            "bullet" => Some("-".to_owned()),
            _ => {
                // Deeper levels begin anew.
                self.counts.retain(|(of, level), _| of != list || *level <= depth);
                let count = self.counts.entry((list.to_owned(), depth)).or_default();
                *count += 1;
                Some(format!("{count}."))
            }
        }
    }
}
