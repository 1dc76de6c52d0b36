//! Follows a path through a JSON Schema: what stands there, or which member is not there.

use schemars::Schema;
use serde_json::{Map, Value as Json};

use crate::template::Segment;

/// Where a path leads.
pub(super) enum Found {
    /// Somewhere of which nothing is known.
    Any,
    /// To values of these schemas, whose references are resolved.
    Schemas(Vec<Json>),
    /// Nowhere: the segment at this position names no member; these are known.
    Missing { at: usize, known: Vec<String> },
}

/// Follows `path` from the values of `schema`.
pub(super) fn follow(schema: &Schema, path: &[Segment]) -> Found {
    let root = schema.as_value();
    let mut current = Vec::new();
    if !alternatives(root, root, 0, &mut current) {
        return Found::Any;
    }
    for (at, segment) in path.iter().enumerate() {
        let mut next = Vec::new();
        let mut known = Vec::new();
        for schema in &current {
            match step(schema, segment) {
                Step::Any => return Found::Any,
                Step::To(schema) => {
                    if !alternatives(root, schema, 0, &mut next) {
                        return Found::Any;
                    }
                }
                Step::Missing(names) => known.extend(names),
            }
        }
        if next.is_empty() {
            return Found::Missing { at, known };
        }
        current = next;
    }
    Found::Schemas(current.into_iter().map(|schema| Json::Object(schema.clone())).collect())
}

/// The plain schemas that a schema stands for, `null` left out; false when it says nothing.
fn alternatives<'s>(root: &'s Json, schema: &'s Json, depth: u32, out: &mut Vec<&'s Map<String, Json>>) -> bool {
    let Some(fields) = schema.as_object().filter(|fields| !fields.is_empty() && depth < 32) else { return false };
    if let Some(reference) = fields.get("$ref").and_then(Json::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.is_some_and(|target| alternatives(root, target, depth + 1, out));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(branches) = fields.get(key).and_then(Json::as_array) {
            return branches.iter().all(|branch| alternatives(root, branch, depth + 1, out));
        }
    }
    if let Some([only]) = fields.get("allOf").and_then(Json::as_array).map(Vec::as_slice) {
        return alternatives(root, only, depth + 1, out);
    }
    if fields.get("type").and_then(Json::as_str) == Some("null") {
        return true;
    }
    if ["type", "properties", "items", "enum", "const"].iter().all(|key| !fields.contains_key(*key)) {
        return false;
    }
    out.push(fields);
    true
}

enum Step<'s> {
    Any,
    To(&'s Json),
    Missing(Vec<String>),
}

fn step<'s>(schema: &'s Map<String, Json>, segment: &Segment) -> Step<'s> {
    let of = |name: &str| is(schema, name);
    match segment {
        Segment::Member(_) if schema.contains_key("type") && !of("object") => Step::Missing(Vec::new()),
        Segment::Member(name) => member(schema, name),
        Segment::Item(_) if of("array") => schema.get("items").map_or(Step::Any, |items| match items {
            Json::Object(fields) if !fields.is_empty() => Step::To(items),
            _ => Step::Any,
        }),
        Segment::Item(_) => Step::Any,
    }
}

fn member<'s>(schema: &'s Map<String, Json>, name: &str) -> Step<'s> {
    let properties = schema.get("properties").and_then(Json::as_object);
    if let Some(member) = properties.and_then(|properties| properties.get(name)) {
        return Step::To(member);
    }
    match schema.get("additionalProperties") {
        Some(Json::Bool(false)) => {}
        Some(others @ Json::Object(fields)) if !fields.is_empty() => return Step::To(others),
        Some(_) => return Step::Any,
        None if properties.is_none_or(Map::is_empty) => return Step::Any,
        None => {}
    }
    Step::Missing(properties.into_iter().flat_map(Map::keys).cloned().collect())
}

/// Whether values of a schema may have a type.
pub(super) fn is(schema: &Map<String, Json>, name: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(only)) => only == name,
        Some(Json::Array(names)) => names.iter().any(|one| one == name),
        _ => schema.contains_key("properties") && name == "object",
    }
}
