//! Edits that leave everything outside the edited key as it is, byte for byte: comments, order, quotes, blank lines.
//!
//! Every edit is read back before it is given out: it has the value that was asked for and no other, or it is refused.

use std::ops::Range;

use serde_json::Value;

pub use super::format::format;
use super::{
    Document, compose, emit, parse,
    place::{Parts, Place},
};
use crate::error::Code;

/// Why a text cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// It has errors, so nobody knows what stands where.
    #[error("the file has errors: run the check first")]
    Broken,
    /// Nothing stands there.
    #[error("nothing stands at `{0}`")]
    Absent(String),
    /// The value is written elsewhere and used here by an alias or a merge key, or used elsewhere.
    #[error("the value at `{0}` is shared by an anchor: edit it by hand")]
    Shared(String),
    /// The spelling is unusual, and the edit would have changed something else.
    #[error("the text at `{0}` is spelled in a way that cannot be edited safely: edit it by hand")]
    Unusual(String),
}

impl RewriteError {
    /// The stable code.
    pub fn code(&self) -> Code {
        crate::codes::NOT_EDITABLE
    }
}

/// Replaces the value at a pointer.
///
/// # Errors
/// When the text has errors, nothing stands there, or only an edit by hand is safe.
pub fn set(text: &str, pointer: &str, value: &Value) -> Result<String, RewriteError> {
    let editor = Editor::new(text)?;
    let mut wanted = editor.document.value.clone();
    let place = editor.place(pointer)?;
    let (parent, key) = split(pointer);
    if !pointer.is_empty() && editor.place(&parent)?.origin.is_some() {
        return Err(RewriteError::Shared(pointer.to_owned()));
    }
    *wanted.pointer_mut(pointer).ok_or_else(|| RewriteError::Absent(pointer.to_owned()))? = value.clone();
    let edited = if place.key.is_some() && place.key.as_ref() == Some(&place.value) && place.origin.is_some() {
        // A merge key brought it in: a key of its own wins over it.
        editor.insert(&parent, None, &key, value)?
    } else {
        editor.set(pointer, place, value)
    };
    verified(edited, &wanted, pointer).or_else(|_| {
        // Lines of text would take in a comment that stands behind the old value: on one line they cannot.
        let one_line = Editor::spaced(place, &emit::flow(value));
        verified(editor.replaced(editor.written(place), &one_line), &wanted, pointer)
    })
}

/// Removes the entry of a map, or the item of a list.
///
/// # Errors
/// When the text has errors, nothing stands there, or only an edit by hand is safe.
pub fn remove(text: &str, pointer: &str) -> Result<String, RewriteError> {
    let editor = Editor::new(text)?;
    let place = editor.place(pointer)?;
    let (parent, key) = split(pointer);
    let mut wanted = editor.document.value.clone();
    let holder = wanted.pointer_mut(&parent).filter(|_| !pointer.is_empty());
    let left = match holder.ok_or_else(|| RewriteError::Absent(pointer.to_owned()))? {
        Value::Object(members) => {
            members.shift_remove(&key);
            members.len()
        }
        Value::Array(items) => {
            items.remove(key.parse().unwrap_or_default());
            items.len()
        }
        _ => return Err(RewriteError::Absent(pointer.to_owned())),
    };
    let holder = editor.place(&parent)?;
    if holder.origin.is_some() || place.key.as_ref() == Some(&place.value) {
        return Err(RewriteError::Shared(pointer.to_owned()));
    }
    let edited = if left == 0 {
        let empty = wanted.pointer(&parent).cloned().unwrap_or_default();
        editor.set(&parent, holder, &empty)
    } else {
        editor.remove(holder, place)
    };
    verified(edited, &wanted, pointer)
}

/// Adds an entry to the map at a pointer: behind the entry `after`, else at the end.
///
/// # Errors
/// When the text has errors, no map stands there, the key exists, or only an edit by hand is safe.
pub fn insert(text: &str, map: &str, after: Option<&str>, key: &str, value: &Value) -> Result<String, RewriteError> {
    let editor = Editor::new(text)?;
    let mut wanted = editor.document.value.clone();
    let members = wanted.pointer_mut(map).and_then(Value::as_object_mut).filter(|members| !members.contains_key(key));
    members.ok_or_else(|| RewriteError::Absent(map.to_owned()))?.insert(key.to_owned(), value.clone());
    verified(editor.insert(map, after, key, value)?, &wanted, map)
}

fn verified(edited: String, wanted: &Value, pointer: &str) -> Result<String, RewriteError> {
    let (document, findings) = parse("edited.yaml", edited);
    match document {
        Some(document) if document.value == *wanted && !compose::has_errors(&findings) => {
            Ok(document.file.text.clone())
        }
        _ => Err(RewriteError::Unusual(pointer.to_owned())),
    }
}

fn split(pointer: &str) -> (String, String) {
    let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
    (parent.to_owned(), key.replace("~1", "/").replace("~0", "~"))
}

/// A document that is being edited.
struct Editor {
    document: Document,
}

impl Editor {
    fn new(text: &str) -> Result<Self, RewriteError> {
        let (document, findings) = parse("edited.yaml", text.to_owned());
        match document {
            Some(document) if !compose::has_errors(&findings) => Ok(Self { document }),
            _ => Err(RewriteError::Broken),
        }
    }

    fn text(&self) -> &str {
        &self.document.file.text
    }

    fn place(&self, pointer: &str) -> Result<&Place, RewriteError> {
        match self.document.root.find(pointer) {
            (place, true) => Ok(place),
            _ => Err(RewriteError::Absent(pointer.to_owned())),
        }
    }

    /// Whether a place lies within brackets or braces.
    fn in_flow(&self, pointer: &str) -> bool {
        let mut parent = pointer;
        while let Some((rest, _)) = parent.rsplit_once('/') {
            parent = rest;
            let (place, _) = self.document.root.find(parent);
            if self.text()[place.value.clone()].starts_with(['{', '[']) {
                return true;
            }
        }
        false
    }

    fn set(&self, pointer: &str, place: &Place, value: &Value) -> String {
        let old = self.written(place);
        if self.in_flow(pointer) {
            return self.replaced(old, &Self::spaced(place, &emit::flow(value)));
        }
        if pointer.is_empty() {
            return self.replaced(old, &emit::lines(value, 0));
        }
        let column = self.column(place.key.as_ref().unwrap_or(&place.value).start);
        let indent = if place.key.is_some() { column + 2 } else { column };
        let new = emit::block(value, indent);
        let is_below = self.text()[self.head(place)..old.start].contains('\n');
        let is_lines = new.starts_with('\n');
        let is_empty = place.value.is_empty();
        if is_lines && (is_below || place.key.is_none()) && !is_empty {
            let lines = emit::lines(value, self.column(old.start));
            return self.on_line(old.start, lines.trim_start(), old.end);
        }
        if is_below {
            return self.instead(place, &new, old.end);
        }
        if is_lines || is_empty {
            return self.on_line(self.head(place), &new, old.end);
        }
        self.on_line(old.start, new.trim_start_matches(' '), old.end)
    }

    /// Puts a value behind its key, in place of lines below; what else stands on the line of the key stays.
    fn instead(&self, place: &Place, new: &str, end: usize) -> String {
        let text = self.text();
        let head = self.head(place);
        let line = text[head..].find('\n').map_or(text.len(), |end| head + end);
        let comment = text[head..line].find('#').map_or(line, |comment| head + comment);
        let mark = text[head..comment].trim_end();
        let gap = if comment < line { &text[head + mark.len()..comment] } else { "" };
        let (first, rest) = new.split_at(new.find('\n').unwrap_or(new.len()));
        format!("{}{mark}{first}{gap}{}{rest}{}", &text[..head], text[comment..line].trim_end(), &text[end..])
    }

    /// Replaces bytes by a text, whose further lines go below what follows on the line.
    fn on_line(&self, start: usize, new: &str, end: usize) -> String {
        let text = self.text();
        let line = text[end..].find('\n').map_or(text.len(), |at| end + at);
        let (first, rest) = new.split_at(new.find('\n').unwrap_or(new.len()));
        format!("{}{first}{}{rest}{}", &text[..start], &text[end..line], &text[line..])
    }

    /// The byte behind the colon of a key, or behind the dash of an item.
    fn head(&self, place: &Place) -> usize {
        let text = self.text();
        if let Some(key) = &place.key {
            return text[key.end..].find(':').map_or(key.end, |colon| key.end + colon + 1);
        }
        // A block scalar may have a dash of its own: `- |-`.
        let before = text[..place.value.start].trim_end();
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let mark = if place.style.is_block() { before[line..].find(['|', '>']) } else { None };
        let end = mark.map_or(before.len(), |mark| line + mark);
        before[..end].rfind('-').map_or(end, |dash| dash + 1)
    }

    /// The bytes of a value, with the head of a block scalar.
    fn written(&self, place: &Place) -> Range<usize> {
        let start = place.value.start;
        if place.value.is_empty() {
            let head = self.head(place);
            return head..head;
        }
        if !place.style.is_block() {
            return place.value.clone();
        }
        let before = self.text()[..start].trim_end();
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let from = place.key.as_ref().map_or(line, |key| key.end).max(line);
        let head = self.text()[from..start].find(['|', '>']).map_or(start, |head| from + head);
        head..place.value.end
    }

    fn insert(&self, map: &str, after: Option<&str>, key: &str, value: &Value) -> Result<String, RewriteError> {
        let holder = self.place(map)?;
        if holder.origin.is_some() {
            return Err(RewriteError::Shared(map.to_owned()));
        }
        let Parts::Map(members) = &holder.parts else {
            return Err(RewriteError::Absent(map.to_owned()));
        };
        let own = |place: &&Place| place.key.as_ref() != Some(&place.value);
        let sibling = match after {
            Some(after) => members.get(after).filter(own),
            None => members.values().filter(own).max_by_key(|place| place.value.end),
        };
        let Some(sibling) = sibling else {
            if after.is_some() {
                return Err(RewriteError::Absent(map.to_owned()));
            }
            let all = Value::Object(emit::with(&serde_json::Map::new(), key, value.clone()));
            return Ok(self.set(map, holder, &all));
        };
        let text = self.text();
        if text[holder.value.clone()].starts_with('{') {
            let entry = format!(", {}: {}", emit::text(key, true), emit::flow(value));
            let at = sibling.value.end.max(sibling.key.as_ref().map_or(0, |key| key.end));
            return Ok(self.replaced(at..at, &entry));
        }
        let start = sibling.key.as_ref().map_or(sibling.value.start, |key| key.start);
        let column = self.column(start);
        let last = Self::last_byte(sibling);
        let end = text[last..].find('\n').map_or(text.len(), |end| last + end);
        let entry = format!("\n{}{}", " ".repeat(column), emit::entry(key, value, column));
        Ok(self.replaced(end..end, &entry))
    }

    fn remove(&self, holder: &Place, place: &Place) -> String {
        let text = self.text();
        let siblings: Vec<&Place> = match &holder.parts {
            Parts::List(items) => items.iter().collect(),
            Parts::Map(members) => members.values().collect(),
            Parts::None => Vec::new(),
        };
        let start_of = |place: &Place| place.key.as_ref().map_or_else(|| self.written(place).start, |key| key.start);
        let start = start_of(place);
        let end = Self::last_byte(place);
        let next = siblings.iter().map(|sibling| start_of(sibling)).filter(|other| *other > start).min();
        let before =
            siblings.iter().filter(|sibling| start_of(sibling) < start).map(|sibling| Self::last_byte(sibling)).max();
        if text[holder.value.clone()].starts_with(['{', '[']) {
            return match (next, before) {
                (Some(next), _) => self.replaced(start..next, ""),
                (None, Some(before)) => self.replaced(before..end, ""),
                (None, None) => self.replaced(start..end, ""),
            };
        }
        let line = text[..start].rfind('\n').map_or(0, |end| end + 1);
        let line_end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
        let dash = if place.key.is_none() { text[line..start].rfind('-').map(|dash| line + dash) } else { None };
        let lead = text[line..dash.unwrap_or(start)].trim();
        match (lead.is_empty(), next) {
            (true, _) => self.replaced(line..line_end, ""),
            (false, Some(next)) => {
                self.replaced(dash.unwrap_or(start)..self.dash_before(next, place.key.is_none()), "")
            }
            (false, None) => self.replaced(start..end, ""),
        }
    }

    fn dash_before(&self, start: usize, is_item: bool) -> usize {
        if is_item { self.text()[..start].rfind('-').unwrap_or(start) } else { start }
    }

    fn last_byte(place: &Place) -> usize {
        place.value.end.max(place.key.as_ref().map_or(0, |key| key.end))
    }

    /// A space before a value that takes the place of nothing.
    fn spaced(place: &Place, new: &str) -> String {
        if place.value.is_empty() { format!(" {new}") } else { new.to_owned() }
    }

    fn column(&self, at: usize) -> usize {
        let line = self.text()[..at].rfind('\n').map_or(0, |end| end + 1);
        self.text()[line..at].chars().count()
    }

    fn replaced(&self, range: Range<usize>, new: &str) -> String {
        let text = self.text();
        format!("{}{new}{}", &text[..range.start], &text[range.end..])
    }
}
