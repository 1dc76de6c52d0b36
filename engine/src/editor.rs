//! JSON Schema for editors: completion, documentation and findings while a person types.
//!
//! The checks walk the schemas of our types as schemars makes them (see [`crate::shape`]). Here the same schemas become
//! plain draft 7: node types in their place, without our marks, in the forms that yaml-language-server completes well.

mod plain;

use schemars::Schema;
use serde_json::{Map, Value as Json, json};

use self::plain::{plain, unwrapped};
use crate::{
    definition::{Definition, ID_MESSAGE, ID_PATTERN, NAME_MESSAGE, NAME_PATTERN, NodeCommon},
    node::{NodeSpec, Registry, schema_generator},
};

/// What a field begins with in a new node.
const SNIPPET: &str = "x-liteagent-snippet";

/// The schema of workflow files.
pub fn workflow_schema(registry: &Registry) -> Json {
    let mut generator = schema_generator();
    let mut whole = generator.root_schema_for::<Definition>();
    let common = titled(fields(&generator.root_schema_for::<NodeCommon>()));
    let nodes: Vec<_> =
        registry.iter().map(|spec| (spec.type_name, node(spec, (spec.config_in)(&mut generator), &common))).collect();
    let mut definitions = generator.take_definitions(true);
    definitions.insert("Trigger".to_owned(), any_trigger());
    definitions.insert("Nodes".to_owned(), node_map());
    definitions.insert("Node".to_owned(), any_node(registry));
    definitions.insert("NewNode".to_owned(), new_node(registry, &common));
    definitions.insert("Common".to_owned(), json!({ "properties": common }));
    definitions.extend(nodes.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    for field in ["inputs", "outputs"] {
        if let Some(rules) = whole.pointer_mut(&format!("/properties/{field}")).and_then(Json::as_object_mut) {
            rules.insert("propertyNames".to_owned(), names("name", NAME_PATTERN, NAME_MESSAGE));
        }
    }
    // A title would stand over the description of every field; `required` stands apart as in `new_node`.
    whole.remove("title");
    let required = whole.remove("required");
    whole.insert("allOf".to_owned(), json!([{ "required": required }]));
    whole.insert("definitions".to_owned(), definitions.into());
    file_schema(whole)
}

/// The schema of a file for editors, from that of its type. Keys that begin with `x-` hold anchors.
pub fn file_schema(schema: Schema) -> Json {
    let mut whole = Map::new();
    whole.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    if let Json::Object(rules) = plain(schema.into()) {
        whole.extend(rules);
    }
    whole.insert("patternProperties".to_owned(), json!({ "^x-": {} }));
    whole.into()
}

/// A map of nodes by id.
fn node_map() -> Json {
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": names("id", ID_PATTERN, ID_MESSAGE),
        "additionalProperties": reference("Node"),
    })
}

/// A trigger: `cron`, `webhook` or `after` says which fields it has.
fn any_trigger() -> Json {
    let kinds = [
        ("cron", "ScheduleTrigger", "new schedule", json!({ "cron": "$1" })),
        ("webhook", "WebhookTrigger", "new webhook", json!({ "webhook": { "path": "$1", "auth": "$2" } })),
        ("after", "AfterTrigger", "after another workflow", json!({ "after": { "workflow": "$1" } })),
    ];
    let one_of: Vec<_> = kinds.iter().map(|(key, ..)| json!({ "required": [key] })).collect();
    let snippets: Vec<_> = kinds.iter().map(|(_, _, label, body)| json!({ "label": label, "body": body })).collect();
    let new = json!({
        "properties": kinds.iter().map(|(key, of, ..)| ((*key).to_owned(), reference(&format!("{of}/properties/{key}"))))
            .collect::<Map<_, _>>(),
        "allOf": [{ "anyOf": one_of, "errorMessage": TRIGGER }],
        "defaultSnippets": snippets,
    });
    kinds.iter().rev().fold(new, |otherwise, (key, of, ..)| {
        json!({ "type": "object", "errorMessage": TRIGGER, "if": { "required": [key] }, "then": reference(of), "else": otherwise })
    })
}

const TRIGGER: &str = "expected a trigger: a map with `cron`, `webhook` or `after`";

/// The rule of the keys of a map.
fn names(title: &str, pattern: &str, message: &str) -> Json {
    json!({ "title": title, "pattern": pattern, "patternErrorMessage": message })
}

/// A node of any type: its `type` says which fields it has. Old names of types are left out, so editors point at them.
fn any_node(registry: &Registry) -> Json {
    let types: Vec<_> = registry.iter().map(|spec| spec.type_name).collect();
    let of_type = |rule: Json| json!({ "properties": { "type": rule } });
    let mut rules: Vec<_> =
        types.iter().map(|name| json!({ "if": of_type(json!({ "const": name })), "then": reference(name) })).collect();
    // A pattern, because a hover lists the values of every `enum` that it meets on its way.
    let known = json!({ "pattern": format!("^({})$", types.join("|")) });
    rules.push(json!({ "if": of_type(known), "else": of_type(json!({ "enum": types })) }));
    json!({
        "type": "object",
        "errorMessage": "expected a node: a map with `type`",
        "if": { "type": "object", "required": ["type"] },
        "then": { "allOf": rules },
        "else": reference("NewNode"),
    })
}

/// A node whose type is not written yet. `required` stands apart: beside `properties`, editors would offer one more
/// completion that inserts what is required.
fn new_node(registry: &Registry, common: &Map<String, Json>) -> Json {
    let types = registry.iter();
    let (names, summaries): (Vec<_>, Vec<_>) = types.map(|spec| (spec.type_name, summary(spec))).unzip();
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({ "enum": names, "enumDescriptions": summaries }));
    properties.extend(common_fields(common));
    json!({
        "properties": properties,
        "allOf": [{ "required": ["type"] }],
        "defaultSnippets": registry.iter().map(snippet).collect::<Vec<_>>(),
    })
}

/// A node of one type: its own fields and those that every node has. The title names the completion that inserts the
/// required fields.
fn node(spec: &NodeSpec, config: Schema, common: &Map<String, Json>) -> Json {
    let mut properties = Map::new();
    let kind = json!({ "title": spec.type_name, "const": spec.type_name, "description": config.get("description") });
    properties.insert("type".to_owned(), kind);
    properties.extend(titled(fields(&config)));
    properties.extend(common_fields(common));
    let mut required = vec![json!("type")];
    required.extend(config.get("required").and_then(Json::as_array).cloned().unwrap_or_default());
    json!({
        "title": title(spec),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn title(spec: &NodeSpec) -> String {
    format!("new {} (required fields)", spec.type_name)
}

/// Inserts a node with its required fields, and those that have a text to begin with: the mark `x-liteagent-snippet`, in
/// which each `$?` is a place to fill in.
fn snippet(spec: &NodeSpec) -> Json {
    let required = spec.config_schema.get("required").and_then(Json::as_array);
    let required: Vec<_> = required.into_iter().flatten().filter_map(Json::as_str).collect();
    let fields = fields(&spec.config_schema);
    let begun = fields.iter().filter(|(_, rules)| rules.get(SNIPPET).is_some()).map(|(name, _)| name.as_str());
    let begun: Vec<_> = begun.filter(|name| !required.contains(name)).collect();
    let mut stop = 0;
    let mut next = || {
        stop += 1;
        format!("${stop}")
    };
    let mut body = Map::new();
    body.insert("type".to_owned(), spec.type_name.into());
    for field in required.into_iter().chain(begun) {
        let rules = fields.get(field);
        let begin = rules.and_then(|rules| rules.get(SNIPPET)?.as_str());
        let is_map = rules.is_some_and(|rules| rules.get("type") == Some(&json!("object")));
        let is_body = field == "nodes";
        let value = if let Some(begin) = begin {
            let mut parts = begin.split("$?");
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |text, part| format!("{text}{}{part}", next())).into()
        } else if is_body {
            json!({ next(): { "type": next() } })
        } else if is_map {
            json!({ next(): next() })
        } else {
            next().into()
        };
        body.insert(field.to_owned(), value);
    }
    json!({ "label": title(spec), "description": summary(spec), "body": body })
}

/// The first paragraph of the documentation of a node type.
fn summary(spec: &NodeSpec) -> String {
    let whole = spec.config_schema.get("description").and_then(Json::as_str).unwrap_or_default();
    unwrapped(whole.split("\n\n").next().unwrap_or_default())
}

fn fields(schema: &Schema) -> Map<String, Json> {
    schema.get("properties").and_then(Json::as_object).cloned().unwrap_or_default()
}

fn common_fields(common: &Map<String, Json>) -> impl Iterator<Item = (String, Json)> {
    common.keys().map(|field| (field.clone(), reference(&format!("Common/properties/{field}"))))
}

/// Fields with their names as titles: else a hover shows the title of what is around them.
fn titled(mut fields: Map<String, Json>) -> Map<String, Json> {
    for (name, field) in &mut fields {
        if let Some(rules) = field.as_object_mut() {
            rules.insert("title".to_owned(), name.as_str().into());
        }
    }
    fields
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/definitions/{name}") })
}
