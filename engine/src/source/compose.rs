//! Events of the YAML parser to a value with places; anchors, aliases and merge keys are applied here.

mod map;

use std::{collections::HashMap, ops::Range, sync::Arc};

use granit_parser::{Event, Options, Parser, Placement, ScalarStyle, Span as Mark, StrInput, StructureStyle, Tag};
use serde_json::Value;

use super::{
    MAX_DEPTH,
    place::{Parts, Place, Style},
    resolve, syntax,
    traps::{self, Patches},
};
use crate::{
    codes,
    diagnostic::{Diagnostic, Severity, SourceFile, Span},
};

/// How many values aliases may add to a document.
const MAX_COPIED: usize = 200_000;
/// How many bytes of text aliases may add to a document.
const MAX_COPIED_BYTES: usize = 32 << 20;

/// A value and its places.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub value: Value,
    pub place: Place,
}

/// Why composing ended early.
pub(super) enum Stop {
    /// A template without quotes, from its first brace or from the start of the text that it ends.
    Template(Range<usize>),
    /// Anything else.
    Finding(Box<Diagnostic>),
}

type Result<T> = std::result::Result<T, Stop>;

/// Composes one document.
pub(super) struct Composer<'t> {
    file: &'t Arc<SourceFile>,
    text: &'t str,
    patches: &'t Patches,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    copied: usize,
    copied_bytes: usize,
    depth: usize,
    /// Where the brackets and braces that are open were opened.
    flow: Vec<usize>,
    /// The plain scalar that was read last.
    plain: Range<usize>,
    /// What is wrong, but does not end the document.
    pub findings: Vec<Diagnostic>,
}

impl<'t> Composer<'t> {
    /// A composer of `text`: the file's text, where templates without quotes are patched.
    pub(super) fn new(file: &'t Arc<SourceFile>, text: &'t str, patches: &'t Patches) -> Self {
        Self {
            file,
            text,
            patches,
            parser: Parser::new_from_str_with_options(text, options()),
            anchors: HashMap::new(),
            copied: 0,
            copied_bytes: 0,
            depth: 0,
            flow: Vec::new(),
            plain: 0..0,
            findings: Vec::new(),
        }
    }

    /// The document. An empty text is `null`.
    pub(super) fn document(&mut self) -> Result<Node> {
        let mut root = None;
        loop {
            let (event, mark) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(explicit, _) => {
                    let range = range(&mark);
                    if root.is_some() {
                        return Err(Stop::Finding(Box::new(traps::second_document(self.span(range)))));
                    }
                    if explicit {
                        self.findings.push(traps::document_marker(self.span(range)));
                    }
                }
                Event::StreamStart | Event::DocumentEnd | Event::Anchor(..) => {}
                event => root = Some(self.node(event, &mark)?),
            }
        }
        Ok(root.unwrap_or_else(|| Node { value: Value::Null, place: Place::scalar(0..0, Style::Plain) }))
    }

    /// The next event that is no comment.
    fn next(&mut self) -> Result<(Event<'t>, Mark)> {
        loop {
            match self.parser.next() {
                Some(Ok((Event::Comment(text, placement), mark))) => self.comment(&text, placement, &range(&mark)),
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    let at = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
                    return Err(match traps::template_at(self.text, at, &self.plain, !self.flow.is_empty()) {
                        Some(range) => Stop::Template(range),
                        None => {
                            Stop::Finding(Box::new(syntax::explain(self.file, at, &error, self.flow.last().copied())))
                        }
                    });
                }
                None => return Ok((Event::StreamEnd, Mark::default())),
            }
        }
    }

    fn comment(&mut self, comment: &str, placement: Placement, range: &Range<usize>) {
        if placement == Placement::Right
            && self.plain.end + 1 == range.start
            && traps::ends_a_text(&self.text[self.plain.clone()], comment)
        {
            let text = self.plain.clone();
            self.findings.push(traps::comment_in_text(self.span(range.clone()), self.span(text)));
        }
    }

    fn node(&mut self, event: Event<'t>, mark: &Mark) -> Result<Node> {
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (self.scalar(&text, style, tag.as_deref(), mark), anchor),
            Event::SequenceStart(style, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", mark);
                (self.nested(style, mark, |this| this.list(mark))?, anchor)
            }
            Event::MappingStart(style, anchor, tag) => {
                let start = range(mark).start;
                if style == StructureStyle::Flow && traps::opens_template(&self.text[start..]) {
                    return Err(Stop::Template(traps::template_extent(self.text, start, !self.flow.is_empty())));
                }
                self.collection_tag(tag.as_deref(), "map", mark);
                (self.nested(style, mark, |this| this.map(mark, style))?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, range(mark)),
            Event::UnresolvedAlias(name) => {
                let span = self.span(range(mark));
                self.findings.push(
                    Diagnostic::error(
                        codes::UNKNOWN_ANCHOR,
                        span,
                        format!("the alias `*{name}` has no anchor before it"),
                    )
                    .label("nothing was marked with this name")
                    .hint(format!("mark the value with `&{name}` above, or quote the text if no alias is meant")),
                );
                return Ok(Node { value: Value::Null, place: Place::scalar(range(mark), Style::Plain) });
            }
            _ => (Node { value: Value::Null, place: Place::scalar(range(mark), Style::Plain) }, 0),
        };
        if anchor != 0 {
            self.spend(&node, range(mark))?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn nested(
        &mut self,
        style: StructureStyle,
        mark: &Mark,
        read: impl FnOnce(&mut Self) -> Result<Node>,
    ) -> Result<Node> {
        if self.depth == MAX_DEPTH {
            return Err(Stop::Finding(Box::new(too_deep(self.span(range(mark))))));
        }
        let open = self.flow.len();
        if style == StructureStyle::Flow {
            self.flow.push(range(mark).start);
        }
        self.depth += 1;
        let node = read(self)?;
        self.depth -= 1;
        self.flow.truncate(open);
        Ok(node)
    }

    fn list(&mut self, mark: &Mark) -> Result<Node> {
        let mut extent = range(mark);
        let (mut items, mut places) = (Vec::new(), Vec::new());
        loop {
            let (event, mark) = self.next()?;
            match event {
                Event::SequenceEnd => return Ok(collection(Value::Array(items), extent, &mark, Parts::List(places))),
                Event::Anchor(..) => {}
                event => {
                    let node = self.node(event, &mark)?;
                    extent.end = extent.end.max(node.place.value.end);
                    items.push(node.value);
                    places.push(node.place);
                }
            }
        }
    }

    /// The next event that starts a node.
    fn next_node(&mut self) -> Result<(Event<'t>, Mark)> {
        loop {
            match self.next()? {
                (Event::Anchor(..), _) => {}
                found => return Ok(found),
            }
        }
    }

    fn alias(&mut self, anchor: usize, at: Range<usize>) -> Result<Node> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            let span = self.span(at.clone());
            self.findings.push(
                Diagnostic::error(codes::UNKNOWN_ANCHOR, span, "the alias stands inside the value that it names")
                    .hint("move the alias out of the value that has the anchor"),
            );
            return Ok(Node { value: Value::Null, place: Place::scalar(at, Style::Plain) });
        };
        self.spend(&node, at.clone())?;
        Ok(Node { value: node.value, place: node.place.moved_to(&at) })
    }

    /// Counts a copy. The budget stops documents that grow without end.
    fn spend(&mut self, node: &Node, at: Range<usize>) -> Result<()> {
        let (values, bytes) = weight(&node.value);
        self.copied += values;
        self.copied_bytes += bytes;
        if self.copied <= MAX_COPIED && self.copied_bytes <= MAX_COPIED_BYTES {
            return Ok(());
        }
        Err(Stop::Finding(Box::new(
            Diagnostic::error(
                codes::TOO_MANY_ALIASES,
                self.span(at),
                format!(
                    "aliases make this document too large: more than {MAX_COPIED} values or {} MiB",
                    MAX_COPIED_BYTES >> 20
                ),
            )
            .hint("write the values out, or repeat fewer of them with `*name`"),
        )))
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, mark: &Mark) -> Node {
        let at = range(mark);
        if let Some(original) = self.patches.original(&self.file.text, &at) {
            return Node { value: Value::from(original), place: Place::scalar(at, Style::Plain) };
        }
        let place = Place::scalar(trimmed(self.text, at.clone(), style), styled(style));
        let value = match tag {
            Some(tag) => self.tagged(text, tag, mark),
            None if style == ScalarStyle::Plain => self.plain(text, at),
            None => Value::from(text),
        };
        Node { value, place }
    }

    fn plain(&mut self, text: &str, at: Range<usize>) -> Value {
        self.plain = at.clone();
        if let Some(meaning) = resolve::old_boolean(text) {
            self.findings.push(traps::old_boolean(self.span(at), text, meaning));
            return Value::from(text);
        }
        resolve::plain(text).unwrap_or_else(|()| {
            self.findings.push(
                Diagnostic::error(
                    codes::BAD_NUMBER,
                    self.span(at),
                    format!("`{text}` is no number that JSON can hold"),
                )
                .hint(format!("write `\"{text}\"` if a text is meant")),
            );
            Value::from(text)
        })
    }

    fn tagged(&mut self, text: &str, tag: &Tag, mark: &Mark) -> Value {
        let at = mark.tag_span().map_or_else(|| range(mark), |tag| range(&tag));
        let Some(suffix) = tag.core_suffix() else {
            self.unknown_tag(tag, at);
            return Value::from(text);
        };
        resolve::tagged(text, suffix).unwrap_or_else(|| {
            let message = format!("the tag `{}` does not fit `{text}`", tag.original());
            self.findings.push(Diagnostic::error(codes::BAD_TAG, self.span(at), message).hint("remove the tag"));
            Value::from(text)
        })
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, expected: &str, mark: &Mark) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(expected)
        {
            self.unknown_tag(tag, mark.tag_span().map_or_else(|| range(mark), |tag| range(&tag)));
        }
    }

    fn unknown_tag(&mut self, tag: &Tag, at: Range<usize>) {
        let message = format!("the tag `{}` is not known", tag.original());
        self.findings.push(
            Diagnostic::error(codes::BAD_TAG, self.span(at), message)
                .hint("remove the tag, or quote the text if it begins with `!`"),
        );
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span { file: self.file.clone(), range }
    }
}

/// Whether there are errors among findings.
pub(super) fn has_errors(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// The finding for nesting over the limit.
pub(super) fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(
        codes::TOO_DEEP,
        span,
        format!("expected at most {MAX_DEPTH} levels of lists and maps inside each other, found more"),
    )
    .hint("flatten the value")
}

fn options() -> Options {
    granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_comments: true,
        max_buffered_comment_events: 100_000,
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
    }
}

fn range(mark: &Mark) -> Range<usize> {
    mark.byte_range().unwrap_or_default()
}

fn styled(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// A block scalar without the empty lines behind it.
fn trimmed(text: &str, at: Range<usize>, style: ScalarStyle) -> Range<usize> {
    if !styled(style).is_block() {
        return at;
    }
    let length = text[at.clone()].trim_end().len();
    at.start..at.start + length
}

/// The extent of a collection whose end was read: its closing bracket, or the end of its last part.
fn closed(extent: Range<usize>, end: &Mark) -> Range<usize> {
    let bracket = range(end);
    if bracket.is_empty() { extent } else { extent.start..bracket.end }
}

fn collection(value: Value, extent: Range<usize>, end: &Mark, parts: Parts) -> Node {
    Node { value, place: Place::collection(closed(extent, end), parts) }
}

/// How many values a value has, and how many bytes of text.
fn weight(value: &Value) -> (usize, usize) {
    match value {
        Value::String(text) => (1, text.len()),
        Value::Array(items) => items.iter().map(weight).fold((1, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1)),
        Value::Object(members) => members.iter().fold((1, 0), |sum, (key, value)| {
            let part = weight(value);
            (sum.0 + part.0, sum.1 + part.1 + key.len())
        }),
        _ => (1, 0),
    }
}
