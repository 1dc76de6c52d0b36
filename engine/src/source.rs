//! YAML or JSON text to a [`Document`]: the value, and the place of every key and value in the file.
//!
//! Everything that knows the YAML crate is here and in `source/`.

mod compose;
mod emit;
mod format;
mod place;
mod read;
mod resolve;
pub mod rewrite;
mod spell;
mod syntax;
mod traps;

use std::{borrow::Cow, ops::Range, sync::Arc};

pub use self::read::{read, read_text};
use self::{
    compose::{Composer, Stop},
    place::Place,
    traps::Patches,
};
use crate::{
    diagnostic::{Diagnostic, SourceFile, Span},
    shape::Finding,
};

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 8 << 20;

/// The deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 128;

/// A file that was read: its value, and where each part of it stands.
///
/// Places are named by JSON pointers. Where an alias or a merge key (`<<`) brought a value in, its place is the alias,
/// and [`Document::anchor`] is where the value was written.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Its value, anchors and merge keys applied.
    pub value: serde_json::Value,
    root: Place,
}

impl Document {
    /// The place of the value at a pointer; of the nearest parent that exists when there is none.
    pub fn span(&self, pointer: &str) -> Span {
        let (place, _) = self.root.find(pointer);
        self.spanned(place.value.clone())
    }

    /// The place of the key that leads to a pointer; of the value itself for items of lists and for the root.
    pub fn key_span(&self, pointer: &str) -> Span {
        let (place, _) = self.root.find(pointer);
        self.spanned(place.key.clone().unwrap_or_else(|| place.value.clone()))
    }

    /// Where the value at a pointer was written, when an alias or a merge key brought it here.
    pub fn anchor(&self, pointer: &str) -> Option<Span> {
        let (place, _) = self.root.find(pointer);
        place.origin.clone().map(|range| self.spanned(range))
    }

    /// The place of a part of the string at a pointer: `range` counts bytes of the decoded string. Exact for plain,
    /// quoted and block scalars; the whole scalar where the spelling cannot be followed. In an alias it is the place
    /// where the text was written.
    pub fn text_span(&self, pointer: &str, range: Range<usize>) -> Span {
        let (place, exact) = self.root.find(pointer);
        let written = place.origin.as_ref().unwrap_or(&place.value).clone();
        let text = self.value.pointer(pointer).and_then(serde_json::Value::as_str);
        let (true, Some(text)) = (exact, text) else {
            return self.spanned(written);
        };
        let part = spell::part(&self.file.text, written.clone(), place.style, text, range);
        self.spanned(part.unwrap_or(written))
    }

    /// An error at the place that a finding of the shape names. What an alias brought in is shown where it was written
    /// as well.
    pub fn diagnostic(&self, finding: &Finding) -> Diagnostic {
        let span = if finding.on_key { self.key_span(&finding.pointer) } else { self.span(&finding.pointer) };
        let mut diagnostic = Diagnostic::error(finding.code, span, &*finding.message).label(&*finding.label);
        diagnostic.hint.clone_from(&finding.hint);
        match self.anchor(&finding.pointer) {
            Some(written) => diagnostic.related(written, "written here"),
            None => diagnostic,
        }
    }

    /// Whether something stands at a pointer.
    pub fn has(&self, pointer: &str) -> bool {
        self.root.find(pointer).1
    }

    fn spanned(&self, range: Range<usize>) -> Span {
        Span { file: self.file.clone(), range }
    }
}

/// Reads a text: YAML 1.2 core, or strict JSON when the name ends with `.json`.
///
/// All findings come at once; some are only warnings. There is no document when the text has no structure that could
/// be checked any further. With errors and a document, further checks may add to the findings, but it must not run.
pub fn parse(name: &str, text: String) -> (Option<Document>, Vec<Diagnostic>) {
    let file = Arc::new(SourceFile { name: name.to_owned(), text });
    if file.text.len() > MAX_BYTES {
        return (None, vec![read::too_large(&file)]);
    }
    if is_json(name)
        && let Err(finding) = read::check_json(&file)
    {
        return (None, vec![*finding]);
    }
    compose(&file)
}

fn is_json(name: &str) -> bool {
    name.len() > 5 && name.as_bytes()[name.len() - 5..].eq_ignore_ascii_case(b".json")
}

/// Composes the document. An unquoted template ends the structure of YAML; it is reported, read as if it were
/// quoted, and the text is composed again, so that one slip does not hide the findings behind it.
fn compose(file: &Arc<SourceFile>) -> (Option<Document>, Vec<Diagnostic>) {
    let mut patches = Patches::default();
    loop {
        let text = if patches.is_empty() { Cow::Borrowed(&*file.text) } else { Cow::Owned(patches.apply(&file.text)) };
        let mut composer = Composer::new(file, &text, &patches);
        let result = composer.document();
        let mut findings = composer.findings;
        match result {
            Ok(node) => {
                findings.extend(patches.findings(file));
                findings.sort_by_key(|finding| finding.span.range.start);
                let document = Document { file: file.clone(), value: node.value, root: node.place };
                return (Some(document), findings);
            }
            Err(Stop::Template(range)) if patches.add(range.clone()) => {}
            Err(Stop::Template(range)) => {
                findings.extend(patches.findings(file));
                findings.push(traps::unquoted_template(file, range));
                return (None, findings);
            }
            Err(Stop::Finding(finding)) => {
                if !patches.explain(&file.text, finding.span.range.start) {
                    findings.push(*finding);
                }
                findings.extend(patches.findings(file));
                findings.sort_by_key(|finding| finding.span.range.start);
                return (None, findings);
            }
        }
    }
}
