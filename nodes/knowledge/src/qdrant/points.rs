//! Documents and chunks as points.
//!
//! A chunk is a point with two vectors; a document has a point without any, its head. Both carry what filters see:
//! `is` has a text for each fact that is compared as a whole, `number` the numbers that are compared by size.

use std::collections::{BTreeSet, HashMap};

use liteagent_engine::value::{Object, Value};
use qdrant_client::{
    Payload,
    qdrant::{self, NamedVectors, PayloadIncludeSelector, PointId, PointStruct, Vector, value::Kind},
};
use uuid::Uuid;

use super::collections::{MEANING, WORDS};
use crate::{
    catalog::Revision,
    error::Error,
    store::{PutChunk, Settings, StoredChunk, Terms},
};

/// The names in the payload.
pub(super) mod field {
    pub(in super::super) const KIND: &str = "kind";
    pub(in super::super) const DOCUMENT: &str = "document";
    pub(in super::super) const REVISION: &str = "revision";
    pub(in super::super) const SETTINGS: &str = "settings";
    pub(in super::super) const ENABLED: &str = "enabled";
    pub(in super::super) const IS: &str = "is";
    pub(in super::super) const NUMBER: &str = "number";
    /// Of chunks alone.
    pub(in super::super) const POSITION: &str = "position";
    pub(in super::super) const GROUP: &str = "group";
    pub(in super::super) const TOKENS: &str = "tokens";
    pub(in super::super) const BODY: &str = "body";
    /// Of heads alone.
    pub(in super::super) const DELETED: &str = "deleted";
    pub(in super::super) const METADATA: &str = "metadata";
}

/// The kinds of points.
pub(super) const CHUNK: &str = "chunk";
pub(super) const HEAD: &str = "head";

/// What an average chunk has of words, for the weight of a chunk's length: Qdrant has no average. Stored in the weights of
/// every chunk: never to be changed.
const AVERAGE: f32 = 128.0;
/// How soon more of the same word counts no more, and how much the length counts: as in the embedded store.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// What is known of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) revision: Revision,
    pub(super) settings: Settings,
    pub(super) deleted: bool,
}

impl Head {
    /// Whether it is too new for chunks of a revision.
    pub(super) fn refuses(&self, revision: Revision) -> bool {
        self.revision > revision || (self.deleted && self.revision == revision)
    }

    /// Whether its chunks of a revision are those that count.
    pub(super) fn has(&self, revision: Revision) -> bool {
        self.revision == revision && !self.deleted
    }

    pub(super) fn read(point: &HashMap<String, qdrant::Value>) -> Result<Self, Error> {
        let metadata = text(point, field::METADATA)?;
        let metadata = serde_json::from_str(metadata).map_err(|error| strange(field::METADATA, error))?;
        Ok(Self {
            revision: number(point, field::REVISION)?,
            settings: Settings {
                revision: number(point, field::SETTINGS)?,
                enabled: flag(point, field::ENABLED)?,
                metadata,
            },
            deleted: flag(point, field::DELETED)?,
        })
    }
}

/// The point of a document's head.
pub(super) fn head_id(document: &str) -> PointId {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("head {document}").as_bytes()).to_string().into()
}

/// The point of a chunk.
pub(super) fn chunk_id(document: &str, revision: Revision, position: u32) -> PointId {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("chunk {revision} {position} {document}").as_bytes()).to_string().into()
}

/// The head of a document that nothing is known of: older than everything.
pub(super) fn blank_head(document: &str) -> Result<PointStruct, Error> {
    let nothing = Settings { revision: -1, enabled: true, metadata: Object::default() };
    let mut payload = Payload::from(settings(&nothing));
    payload.insert(field::KIND, HEAD);
    payload.insert(field::DOCUMENT, document);
    payload.insert(field::REVISION, -1_i64);
    payload.insert(field::DELETED, true);
    payload.insert(field::METADATA, metadata(&nothing.metadata)?);
    Ok(PointStruct::new(head_id(document), NamedVectors::default(), payload))
}

/// The point of a chunk of a revision.
pub(super) fn chunk(
    document: &str,
    revision: Revision,
    of: &Settings,
    PutChunk { position, chunk, terms, vector }: &PutChunk,
) -> Result<PointStruct, Error> {
    let body = serde_json::to_string(chunk).map_err(|error| strange(field::BODY, error))?;
    let mut payload = Payload::from(settings(of));
    payload.insert(field::KIND, CHUNK);
    payload.insert(field::DOCUMENT, document);
    payload.insert(field::REVISION, revision);
    payload.insert(field::POSITION, i64::from(*position));
    payload.insert(field::TOKENS, i64::from(chunk.tokens));
    payload.insert(field::BODY, body);
    if let Some(passage) = &chunk.passage {
        payload.insert(field::GROUP, passage.as_ref());
    }
    let vectors = NamedVectors::default()
        .add_vector(MEANING, Vector::from(vector.clone()))
        .add_vector(WORDS, Vector::from(weights(terms)));
    Ok(PointStruct::new(chunk_id(document, revision, *position), vectors, payload))
}

/// What each word of a chunk weighs; Qdrant multiplies it with its rarity.
pub(super) fn weights(Terms { length, counts }: &Terms) -> Vec<(u32, f32)> {
    let length = *length as f32 / AVERAGE;
    let weight = |count: f32| count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length));
    counts.iter().map(|(term, count)| (*term, weight(*count as f32))).collect()
}

/// What chunks and heads carry of a document's settings.
pub(super) fn settings(of: &Settings) -> HashMap<String, qdrant::Value> {
    let is: Vec<String> = facts(&of.metadata);
    let numbers: HashMap<String, qdrant::Value> =
        numbers(&of.metadata).map(|(key, number)| (key.to_owned(), number.into())).collect();
    let number = Kind::StructValue(qdrant::Struct { fields: numbers });
    [
        (field::SETTINGS, of.revision.into()),
        (field::ENABLED, of.enabled.into()),
        (field::IS, is.into()),
        (field::NUMBER, number.into()),
    ]
    .into_iter()
    .map(|(key, value): (&str, qdrant::Value)| (key.to_owned(), value))
    .collect()
}

/// Metadata as heads keep it.
pub(super) fn metadata(of: &Object) -> Result<String, Error> {
    serde_json::to_string(of).map_err(|error| strange(field::METADATA, error))
}

/// A text for each fact of metadata that filters compare as a whole.
fn facts(metadata: &Object) -> Vec<String> {
    let mut facts = Vec::new();
    for (key, value) in metadata {
        match value {
            Value::List(members) => facts.extend(members.iter().filter_map(|member| holds(key, member))),
            value => facts.extend(equals(key, value)),
        }
        if !is_empty(value) {
            facts.push(filled(key));
        }
    }
    facts
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::List(members) => members.is_empty(),
        _ => false,
    }
}

/// The fact that a field is equal to something; nothing is equal to lists.
pub(super) fn equals(key: &str, value: &Value) -> Option<String> {
    scalar(value).map(|value| format!("{} {key}={value}", key.len()))
}

/// The fact that a list has a member.
pub(super) fn holds(key: &str, member: &Value) -> Option<String> {
    scalar(member).map(|member| format!("{} {key}~{member}", key.len()))
}

/// The fact that a field is there, and neither an empty text nor an empty list.
pub(super) fn filled(key: &str) -> String {
    format!("{} {key}+", key.len())
}

/// Numbers are equal when they are the same double.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(format!("s{text}")),
        Value::Bool(value) => Some(format!("b{value}")),
        // Adding zero makes -0 and 0 one.
        Value::Number(_) => value.as_f64().map(|number| format!("n{}", number + 0.0)),
        _ => None,
    }
}

/// The numbers of metadata that filters compare by size in Qdrant.
fn numbers(metadata: &Object) -> impl Iterator<Item = (&str, f64)> {
    let number = |(key, value): (&'_ std::sync::Arc<str>, &Value)| (is_plain(key)).then(|| value.as_f64())?;
    metadata.iter().filter_map(move |pair| Some((pair.0.as_ref(), number(pair)?)))
}

/// The keys of [`numbers`].
pub(super) fn number_keys(metadata: &Object) -> BTreeSet<String> {
    numbers(metadata).map(|(key, _)| key.to_owned()).collect()
}

/// Whether a key can be a part of a path in a payload without quotes.
pub(super) fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The path to a number of metadata.
pub(super) fn number_field(key: &str) -> String {
    format!("{}.{key}", field::NUMBER)
}

/// The number of metadata at a path.
pub(super) fn number_key(path: &str) -> Option<String> {
    path.strip_prefix(field::NUMBER)?.strip_prefix('.').map(str::to_owned)
}

/// Of a payload only some fields.
pub(super) fn only(fields: &[&str]) -> PayloadIncludeSelector {
    PayloadIncludeSelector { fields: fields.iter().map(|field| (*field).to_owned()).collect() }
}

/// A chunk as it was put.
pub(super) fn stored(point: &HashMap<String, qdrant::Value>) -> Result<StoredChunk, Error> {
    let chunk = serde_json::from_str(text(point, field::BODY)?).map_err(|error| strange(field::BODY, error))?;
    Ok(StoredChunk { position: position(point)?, chunk })
}

/// The position of a chunk.
pub(super) fn position(point: &HashMap<String, qdrant::Value>) -> Result<u32, Error> {
    u32::try_from(number(point, field::POSITION)?).map_err(|error| strange(field::POSITION, error))
}

pub(super) fn text<'a>(point: &'a HashMap<String, qdrant::Value>, name: &str) -> Result<&'a str, Error> {
    match point.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => Ok(text),
        found => Err(strange(name, format!("expected a text, found {found:?}"))),
    }
}

pub(super) fn number(point: &HashMap<String, qdrant::Value>, name: &str) -> Result<i64, Error> {
    match point.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::IntegerValue(number)) => Ok(*number),
        found => Err(strange(name, format!("expected an integer, found {found:?}"))),
    }
}

fn flag(point: &HashMap<String, qdrant::Value>, name: &str) -> Result<bool, Error> {
    match point.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::BoolValue(flag)) => Ok(*flag),
        found => Err(strange(name, format!("expected a boolean, found {found:?}"))),
    }
}

/// A point that somebody else wrote.
fn strange(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Refused(format!("a point has a strange `{what}`: {error}"))
}
