//! JSON Schemas as strict decoders take them.

use serde_json::{Map, Value as Json};

/// Deeper schemas are not made strict.
const DEEPEST: usize = 40;

/// Formats that strict decoders know.
const FORMATS: [&str; 9] = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// What a strict decoder wants of a schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strict {
    /// Every property has to be required.
    pub(super) all_required: bool,
    /// Only the keywords that every decoder knows.
    pub(super) narrow: bool,
}

/// Whether the root is an object: nothing else can be an answer of its own.
pub(super) fn is_object(schema: &Json) -> bool {
    schema.get("type").and_then(Json::as_str) == Some("object")
}

impl Strict {
    /// The schema without keywords that decoders do not know, all objects closed. `None` when it says something that
    /// cannot be held strictly.
    pub(super) fn of(self, schema: &Json) -> Option<Json> {
        if is_object(schema) { self.convert(schema, 0) } else { None }
    }

    fn convert(self, schema: &Json, depth: usize) -> Option<Json> {
        let members = schema.as_object().filter(|_| depth < DEEPEST)?;
        let mut strict = Map::new();
        let mut says_something = false;
        for (name, value) in members {
            let kept = match name.as_str() {
                "type" | "enum" | "const" | "$ref" => {
                    says_something = true;
                    value.clone()
                }
                "title" | "description" | "required" => value.clone(),
                "anyOf" => {
                    says_something = true;
                    let all: Option<Vec<Json>> =
                        value.as_array()?.iter().map(|one| self.convert(one, depth + 1)).collect();
                    all?.into()
                }
                "items" => self.convert(value, depth + 1)?,
                "properties" | "$defs" | "definitions" => {
                    let each = value.as_object()?.iter();
                    let all: Option<Map<_, _>> =
                        each.map(|(name, one)| Some((name.clone(), self.convert(one, depth + 1)?))).collect();
                    all?.into()
                }
                "additionalProperties" if value == &Json::Bool(false) => continue,
                "pattern" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf"
                | "minItems" | "maxItems" => {
                    if self.narrow {
                        continue;
                    }
                    value.clone()
                }
                "format" => {
                    if self.narrow || !FORMATS.contains(&value.as_str().unwrap_or_default()) {
                        continue;
                    }
                    value.clone()
                }
                // The caller validates these; leaving them out only lets more through.
                "default" | "examples" | "minLength" | "maxLength" | "uniqueItems" | "minProperties"
                | "maxProperties" | "$schema" | "$id" | "deprecated" | "readOnly" | "writeOnly" | "$comment" => {
                    continue;
                }
                name if name.starts_with("x-") => continue,
                _ => return None,
            };
            strict.insert(name.clone(), kept);
        }
        if !says_something {
            return None;
        }
        let has = |kind: &str| match members.get("type") {
            Some(Json::String(one)) => one == kind,
            Some(Json::Array(all)) => all.iter().any(|one| one == kind),
            _ => false,
        };
        if has("array") && !strict.contains_key("items") {
            return None;
        }
        if has("object") {
            self.close(&mut strict)?;
        }
        Some(Json::Object(strict))
    }

    /// Closes an object, if its properties are known and required as they have to be.
    fn close(self, object: &mut Map<String, Json>) -> Option<()> {
        let properties = object.get("properties")?.as_object()?;
        let required: Vec<&str> =
            object.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        if self.all_required && properties.keys().any(|name| !required.contains(&name.as_str())) {
            return None;
        }
        if !object.contains_key("required") {
            object.insert("required".to_owned(), Json::Array(Vec::new()));
        }
        object.insert("additionalProperties".to_owned(), Json::Bool(false));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OPEN: Strict = Strict { all_required: true, narrow: false };
    const NARROW: Strict = Strict { all_required: false, narrow: true };

    #[test]
    fn objects_are_closed_and_unknown_keywords_left_out() {
        let schema = json!({
            "type": "object",
            "properties": {
                "sum": { "type": "number", "minimum": 0, "default": 1 },
                "kind": { "enum": ["a", "b"], "description": "which" },
                "lines": { "type": "array", "items": { "type": ["string", "null"], "maxLength": 5, "format": "color" } },
            },
            "required": ["sum", "kind", "lines"],
        });
        let strict = OPEN.of(&schema).unwrap();
        assert_eq!(
            strict,
            json!({
                "type": "object",
                "properties": {
                    "sum": { "type": "number", "minimum": 0 },
                    "kind": { "enum": ["a", "b"], "description": "which" },
                    "lines": { "type": "array", "items": { "type": ["string", "null"] } },
                },
                "required": ["sum", "kind", "lines"],
                "additionalProperties": false,
            })
        );
        assert_eq!(NARROW.of(&schema).unwrap()["properties"]["sum"], json!({ "type": "number" }));
    }

    #[test]
    fn what_cannot_be_held_strictly_is_not() {
        let optional = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
        assert_eq!(OPEN.of(&optional), None);
        assert!(NARROW.of(&optional).is_some());
        let inner = |schema: Json| json!({ "type": "object", "properties": { "a": schema }, "required": ["a"] });
        for open in [
            json!({}),
            json!({ "type": "object" }),
            json!({ "type": "object", "properties": {}, "additionalProperties": true }),
            json!({ "type": "array" }),
            json!({ "oneOf": [{ "type": "string" }] }),
            json!({ "description": "anything" }),
            json!(true),
        ] {
            assert_eq!(NARROW.of(&inner(open.clone())), None, "{open}");
        }
        assert_eq!(NARROW.of(&json!({ "type": "array", "items": { "type": "string" } })), None);
        let mut deep = json!({ "type": "string" });
        for _ in 0..100 {
            deep = inner(deep);
        }
        assert_eq!(NARROW.of(&deep), None);
    }
}
