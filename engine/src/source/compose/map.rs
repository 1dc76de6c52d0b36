//! Maps: keys, merge keys, and what stands twice.

use std::ops::Range;

use granit_parser::{Event, ScalarStyle, Span as Mark, StructureStyle};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{
    super::{
        place::{Parts, Place},
        traps,
    },
    Composer, Node, Result, closed, range, styled,
};
use crate::{codes, diagnostic::Diagnostic};

impl<'t> Composer<'t> {
    pub(super) fn map(&mut self, mark: &Mark, style: StructureStyle) -> Result<Node> {
        let mut extent = range(mark);
        let mut members = Map::new();
        let mut places = IndexMap::new();
        let mut merges = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            let key = match event {
                Event::MappingEnd => break extent = closed(extent, &mark),
                Event::Anchor(..) => continue,
                event => self.key(event, &mark)?,
            };
            let (event, value_mark) = self.next_node()?;
            let node = self.node(event, &value_mark)?;
            extent.end = extent.end.max(node.place.value.end);
            let Some((key, at, plain)) = key else { continue };
            if plain && key == "<<" {
                merges.push((at, node));
                continue;
            }
            if style == StructureStyle::Flow && plain && node.value.is_null() && node.place.value.is_empty() {
                self.bare_key(&key, &at);
            }
            self.insert(&mut members, &mut places, key, at, node);
        }
        for (at, node) in merges {
            self.merge(&mut members, &mut places, &at, node);
        }
        Ok(Node { value: Value::Object(members), place: Place::collection(extent, Parts::Map(places)) })
    }

    fn bare_key(&mut self, key: &str, at: &Range<usize>) {
        if key.contains(' ') {
            self.findings.push(traps::comma_in_text(self.span(at.clone()), key));
        }
    }

    /// A key: its text, its place, and whether it is plain. A list or map as a key is reported and read over.
    fn key(&mut self, event: Event<'t>, mark: &Mark) -> Result<Option<(String, Range<usize>, bool)>> {
        let at = range(mark);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                if anchor != 0 {
                    let node = Node { value: Value::from(&*text), place: Place::scalar(at.clone(), styled(style)) };
                    self.anchors.insert(anchor, node);
                }
                if plain && at.is_empty() {
                    self.bad_key(at, "expected a key before `:`, found nothing");
                    return Ok(None);
                }
                Ok(Some((text.into_owned(), at, plain)))
            }
            Event::Alias(anchor) => {
                let node = self.alias(anchor, at.clone())?;
                if let Value::String(text) = node.value {
                    return Ok(Some((text, at, false)));
                }
                self.bad_key(at, "expected a text as the key, found an alias of something else");
                Ok(None)
            }
            event => {
                let node = self.node(event, mark)?;
                let found = if node.value.is_array() { "a list" } else { "a map" };
                self.bad_key(node.place.value, format!("expected a text as the key, found {found}"));
                Ok(None)
            }
        }
    }

    fn bad_key(&mut self, at: Range<usize>, message: impl Into<String>) {
        let span = self.span(at);
        self.findings.push(
            Diagnostic::error(codes::BAD_KEY, span, message)
                .hint("write `key: value`, and quote a text that begins with a bracket"),
        );
    }

    fn insert(
        &mut self,
        members: &mut Map<String, Value>,
        places: &mut IndexMap<String, Place>,
        key: String,
        at: Range<usize>,
        node: Node,
    ) {
        if let Some(first) = places.get(&key) {
            let first = self.span(first.key.clone().unwrap_or_default());
            self.findings.push(
                Diagnostic::error(codes::DUPLICATE_KEY, self.span(at), format!("the key `{key}` stands twice"))
                    .label("here again")
                    .related(first, "first here")
                    .hint(format!("remove or rename one `{key}`")),
            );
            return;
        }
        places.insert(key.clone(), Place { key: Some(at), ..node.place });
        members.insert(key, node.value);
    }

    /// Adds the members that are not there yet.
    fn merge(
        &mut self,
        members: &mut Map<String, Value>,
        places: &mut IndexMap<String, Place>,
        at: &Range<usize>,
        node: Node,
    ) {
        match (node.value, node.place.parts) {
            (Value::Object(values), Parts::Map(parts)) => {
                for ((key, value), (_, place)) in values.into_iter().zip(parts) {
                    if !places.contains_key(&key) {
                        places.insert(key.clone(), place);
                        members.insert(key, value);
                    }
                }
            }
            (Value::Array(values), Parts::List(parts)) if values.iter().all(Value::is_object) => {
                for (value, place) in values.into_iter().zip(parts) {
                    self.merge(members, places, at, Node { value, place });
                }
            }
            _ => {
                let span = self.span(at.clone());
                self.findings.push(
                    Diagnostic::error(
                        codes::BAD_MERGE,
                        span,
                        "expected a map or a list of maps under `<<`, found something else",
                    )
                    .hint("write `<<: *name` where `&name` marks a map"),
                );
            }
        }
    }
}
