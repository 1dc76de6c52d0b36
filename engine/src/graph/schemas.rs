//! The schema of a whole node: what every node has and the fields of its type, flat beside each other.

use std::{collections::HashMap, rc::Rc, sync::LazyLock};

use schemars::Schema;
use serde_json::{Map, Value as Json, json};

use crate::{
    definition::{Definition, NodeCommon},
    node::{NodeSpec, Registry, schema_of},
};

/// The schema of a workflow, without what is inside maps of nodes.
pub(super) static WORKFLOW: LazyLock<Schema> = LazyLock::new(schema_of::<Definition>);
static COMMON: LazyLock<Schema> = LazyLock::new(schema_of::<NodeCommon>);

/// The schemas of the node types that a workflow has.
pub(super) struct Schemas<'a> {
    registry: &'a Registry,
    made: HashMap<&'a str, Rc<Schema>>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self { registry, made: HashMap::new() }
    }

    /// The schema of nodes of this type; of an unknown type, of what every node has.
    pub(super) fn of(&mut self, kind: &'a str) -> Rc<Schema> {
        let registry = self.registry;
        self.made.entry(kind).or_insert_with(|| Rc::new(whole(registry.get(kind)))).clone()
    }
}

fn whole(spec: Option<&NodeSpec>) -> Schema {
    let mut schema = spec.map(|spec| spec.config_schema.clone()).unwrap_or_default();
    schema.insert("title".to_owned(), spec.map_or("", |spec| spec.type_name).into());
    for key in ["properties", "definitions"] {
        let common = COMMON.get(key).and_then(Json::as_object).cloned().unwrap_or_default();
        let own = schema.ensure_object().entry(key).or_insert_with(|| json!({}));
        let own = own.as_object_mut().map(std::mem::take).unwrap_or_default();
        let merged: Map<_, _> = common.into_iter().chain(own).collect();
        schema.insert(key.to_owned(), Json::Object(merged));
    }
    if let Some(fields) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        fields.insert("type".to_owned(), json!({ "type": "string" }));
    }
    let required = schema.ensure_object().entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        required.insert(0, "type".into());
    }
    schema.insert("type".to_owned(), "object".into());
    schema
}
