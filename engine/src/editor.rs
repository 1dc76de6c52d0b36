//! JSON Schema for editors: completion, documentation and findings while a person types.
//!
//! The checks walk the schemas of our types as schemars makes them (see [`crate::shape`]). Here the same schemas become
//! plain draft 7: node types in their place, without our marks, in the forms that yaml-language-server completes well.

mod plain;

use schemars::Schema;
use serde_json::{Map, Value as Json, json};

use self::plain::plain;
use crate::{
    definition::{Definition, ID_MESSAGE, ID_PATTERN, NodeCommon},
    node::{NodeSpec, Registry, schema_generator},
};

/// The schema of workflow files.
pub fn workflow_schema(registry: &Registry) -> Json {
    let mut generator = schema_generator();
    let mut whole = generator.root_schema_for::<Definition>();
    let common = fields(&generator.root_schema_for::<NodeCommon>());
    let nodes: Vec<_> =
        registry.iter().map(|spec| (spec.type_name, node(spec, (spec.config_in)(&mut generator), &common))).collect();
    let mut definitions = generator.take_definitions(true);
    definitions.insert("Nodes".to_owned(), node_map());
    definitions.insert("Node".to_owned(), any_node(registry));
    definitions.insert("Common".to_owned(), json!({ "properties": common }));
    definitions.extend(nodes.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    whole.insert("title".to_owned(), "Workflow".into());
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
        "propertyNames": { "title": "id", "pattern": ID_PATTERN, "patternErrorMessage": ID_MESSAGE },
        "additionalProperties": reference("Node"),
    })
}

/// A node of any type: its `type` says which fields it has. Old names of types are left out, so editors point at them.
fn any_node(registry: &Registry) -> Json {
    let is = |name: &str| json!({ "properties": { "type": { "const": name } } });
    let types: Vec<_> = registry.iter().map(|spec| spec.type_name).collect();
    let mut rules: Vec<_> =
        types.iter().map(|name| json!({ "if": is(name), "then": reference(name) })).collect();
    let known = json!({ "properties": { "type": { "enum": types } } });
    rules.push(json!({ "if": known, "else": known }));
    json!({ "type": "object", "required": ["type"], "allOf": rules })
}

/// A node of one type: its own fields and those that every node has. Its title names the completion that inserts the
/// required fields.
fn node(spec: &NodeSpec, config: Schema, common: &Map<String, Json>) -> Json {
    let name = spec.type_name;
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({ "const": name, "description": config.get("description") }));
    properties.extend(fields(&config));
    for field in common.keys() {
        properties.insert(field.clone(), reference(&format!("Common/properties/{field}")));
    }
    let mut required = vec![json!("type")];
    required.extend(config.get("required").and_then(Json::as_array).cloned().unwrap_or_default());
    json!({
        "title": format!("new {name} (required fields)"),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn fields(schema: &Schema) -> Map<String, Json> {
    schema.get("properties").and_then(Json::as_object).cloned().unwrap_or_default()
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/definitions/{name}") })
}
