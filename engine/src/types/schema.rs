//! Declared types as JSON Schema: of their values, and of the declarations themselves.

use schemars::{Schema, json_schema};
use serde_json::{Map, Value as Json, json};

use super::form::{Base, Form, NAMES};

/// The rules that mean the same in JSON Schema.
const KEPT: [&str; 13] = [
    "enum",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "title",
    "description",
    "default",
];

/// The rules that belong to a list and not to its items.
const OUTER: [&str; 3] = ["title", "description", "default"];

/// The schema of the values of a type.
pub(super) fn schema(json: &Json) -> Schema {
    Schema::from(rules_of(&Form::of(json)))
}

fn rules_of(form: &Form<'_>) -> Map<String, Json> {
    let mut rules = if form.is_list() { list(form) } else { base(form) };
    for key in KEPT {
        let is_here = if OUTER.contains(&key) { form.outer } else { form.lists == 0 };
        if let Some(value) = form.rule(key).filter(|_| is_here) {
            rules.insert(key.to_owned(), value.clone());
        }
    }
    if form.optional {
        allow_null(&mut rules);
    }
    rules
}

fn list(form: &Form<'_>) -> Map<String, Json> {
    let mut rules = Map::new();
    rules.insert("type".to_owned(), "array".into());
    let items = rules_of(&form.items());
    if !items.is_empty() {
        rules.insert("items".to_owned(), items.into());
    }
    for key in ["minItems", "maxItems", "uniqueItems"] {
        if let Some(value) = form.rule(key).filter(|_| form.outer) {
            rules.insert(key.to_owned(), value.clone());
        }
    }
    rules
}

fn base(form: &Form<'_>) -> Map<String, Json> {
    let mut rules = Map::new();
    match form.base {
        Base::Any | Base::Array => {}
        Base::File => {
            rules = file();
            if let Some(accept) = form.rule("accept") {
                rules.insert("x-liteagent-accept".to_owned(), accept.clone());
            }
        }
        Base::Object => {
            rules.insert("type".to_owned(), "object".into());
            let members: Map<_, _> =
                form.members().map(|(name, member)| (name.to_owned(), rules_of(&member).into())).collect();
            let is_required = |member: &Form<'_>| !member.optional && member.rule("default").is_none();
            let required: Vec<_> =
                form.members().filter(|(_, member)| is_required(member)).map(|(name, _)| name).collect();
            if !members.is_empty() {
                rules.insert("properties".to_owned(), members.into());
                rules.insert("required".to_owned(), required.into());
            }
        }
        scalar => {
            rules.insert("type".to_owned(), scalar.name().into());
        }
    }
    rules
}

/// A file value: what is known about it, never its content.
fn file() -> Map<String, Json> {
    let rules = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "name": { "type": "string" },
            "mime": { "type": "string" },
            "size": { "type": "integer" },
            "sha256": { "type": "string" },
        },
        "required": ["id", "name", "mime", "size", "sha256"],
        "x-liteagent-value": "file",
    });
    rules.as_object().cloned().unwrap_or_default()
}

fn allow_null(rules: &mut Map<String, Json>) {
    if let Some(Json::String(kind)) = rules.get("type") {
        let both = json!([kind, "null"]);
        rules.insert("type".to_owned(), both);
    }
    if let Some(Json::Array(values)) = rules.get_mut("enum")
        && !values.contains(&Json::Null)
    {
        values.push(Json::Null);
    }
}

/// The schema of declarations, for editors.
pub(super) fn of_declarations(nested: &Schema) -> Schema {
    const MESSAGE: &str = "expected a type such as `string`, `integer[]` or `\"number?\"`";
    let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).filter(|name| *name != "array").collect();
    let pattern = format!(r"^({})(\[\])*\??$", names.join("|"));
    let short = json!({ "type": "string", "pattern": pattern, "patternErrorMessage": MESSAGE, "examples": names });
    let kind = json!({
        "type": "string",
        "description": "The kind of value.",
        "pattern": format!(r"^({}|array)(\[\])*\??$", names.join("|")),
        "patternErrorMessage": MESSAGE,
        "examples": names,
    });
    json_schema!({
        "description": "A declared type: a name such as `string[]` or `\"number?\"`, or a subset of JSON Schema.",
        "x-liteagent-type": true,
        "anyOf": [
            short,
            {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "type": kind,
                    "title": { "type": "string", "description": "A short name for people." },
                    "description": { "type": "string", "description": "What it is, for people and models." },
                    "default": { "description": "What stands in when no value is given." },
                    "optional": { "type": "boolean", "description": "Whether it may be left out; it is then `null`." },
                    "enum": { "type": "array", "minItems": 1, "description": "The values that are allowed." },
                    "pattern": { "type": "string", "description": "A regular expression that a string must match." },
                    "format": { "enum": super::fit::FORMATS, "description": "A form that a string must have." },
                    "minLength": { "type": "integer", "minimum": 0, "description": "The fewest characters." },
                    "maxLength": { "type": "integer", "minimum": 0, "description": "The most characters." },
                    "minimum": { "type": "number", "description": "The least number." },
                    "maximum": { "type": "number", "description": "The greatest number." },
                    "exclusiveMinimum": { "type": "number", "description": "The number must be greater than this." },
                    "exclusiveMaximum": { "type": "number", "description": "The number must be less than this." },
                    "multipleOf": { "type": "number", "exclusiveMinimum": 0, "description": "The number must be a multiple of this." },
                    "items": nested,
                    "minItems": { "type": "integer", "minimum": 0, "description": "The fewest items." },
                    "maxItems": { "type": "integer", "minimum": 0, "description": "The most items." },
                    "uniqueItems": { "type": "boolean", "description": "Whether items must differ." },
                    "properties": { "type": "object", "additionalProperties": nested, "description": "The members of an object." },
                    "accept": { "type": "array", "items": { "type": "string" }, "description": "The MIME types or endings of a file that are taken." },
                },
            },
        ],
    })
}
