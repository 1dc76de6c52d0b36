//! A checked file to its resolved form: defaults merged into nodes, old names replaced, chat inputs and what models are told
//! of tools filled in.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value as Json, json};

use crate::{
    check::{Child, Unit},
    codes,
    composite::CompositeDef,
    definition::Definition,
    diagnostic::Diagnostic,
    node::NodeSpec,
    types::Type,
};

/// The resolved definition. `model` stands in the place of `defaults.model`.
///
/// # Errors
/// When a part has a form that no check knows of.
pub(super) fn definition(
    unit: &Unit<'_>,
    name: &str,
    children: &BTreeMap<String, Arc<Child>>,
    model: Option<&str>,
) -> Result<Definition, Box<Diagnostic>> {
    let mut workflow = unit.workflow().clone();
    if let Some(top) = workflow.as_object_mut() {
        top.retain(|key, _| !key.starts_with("x-"));
        top.insert("name".to_owned(), name.into());
        chat_inputs(top);
        let mut defaults = top.remove("defaults").unwrap_or_else(|| json!({}));
        if let (Some(model), Some(defaults)) = (model, defaults.as_object_mut()) {
            defaults.insert("model".to_owned(), model.into());
        }
        for key in ["nodes", "on_failure", "finally"] {
            if let Some(nodes) = top.get_mut(key) {
                Resolver { unit, defaults: &defaults, children }.nodes(nodes, &format!("/{key}"));
            }
        }
    }
    serde_path_to_error::deserialize(&workflow).map_err(|error| {
        let pointer = crate::node::pointer(error.path());
        Box::new(Diagnostic::error(codes::INVALID_CONFIG, unit.at(&pointer), error.into_inner().to_string()))
    })
}

/// The resolved composite.
///
/// # Panics
/// Never: a map of nodes stays one.
pub(super) fn composite(unit: &Unit<'_>, def: &CompositeDef, children: &BTreeMap<String, Arc<Child>>) -> CompositeDef {
    let mut nodes = json!(def.nodes);
    let at = if def.rounds.is_some() { "/nodes/rounds/nodes" } else { "/nodes" };
    Resolver { unit, defaults: &Json::Null, children }.nodes(&mut nodes, at);
    let nodes = serde_json::from_value(nodes).expect("names were put in the place of others");
    CompositeDef { nodes, ..def.clone() }
}

/// A chat workflow has the inputs `message` and `files`, unless it declares them itself.
fn chat_inputs(top: &mut Map<String, Json>) {
    if !top.contains_key("conversation") {
        return;
    }
    let inputs = top.entry("inputs").or_insert_with(|| json!({}));
    let Some(inputs) = inputs.as_object_mut() else { return };
    inputs.entry("message").or_insert_with(|| json!("string"));
    inputs.entry("files").or_insert_with(|| json!({ "type": "file[]", "default": [] }));
}

struct Resolver<'a> {
    unit: &'a Unit<'a>,
    defaults: &'a Json,
    children: &'a BTreeMap<String, Arc<Child>>,
}

impl Resolver<'_> {
    fn nodes(&self, nodes: &mut Json, pointer: &str) {
        for (id, node) in nodes.as_object_mut().into_iter().flatten() {
            let pointer = format!("{pointer}/{}", crate::graph::escape(id));
            if let Some(node) = node.as_object_mut() {
                self.node(node, &pointer);
            }
        }
    }

    fn node(&self, node: &mut Map<String, Json>, pointer: &str) {
        let Some(facts) = self.unit.facts(pointer) else { return };
        if let Some(spec) = facts.spec {
            node.insert("type".to_owned(), spec.type_name.into());
            if spec.config_schema.pointer("/properties/model").is_some() {
                self.default(node, "model");
            }
        }
        self.default(node, "retry");
        // A timeout ends the wait of a node that waits, by a port of its own: that is for its author to say.
        if !facts.waits {
            self.default(node, "timeout");
        }
        if let Some(child) = self.child(node) {
            node.insert("workflow".to_owned(), child.name.as_str().into());
        }
        for tools in &facts.tools {
            let Some(below) = tools.strip_prefix(pointer).and_then(|below| below.strip_prefix('/')) else { continue };
            for (_, tool) in node.get_mut(below).and_then(Json::as_object_mut).into_iter().flatten() {
                if let Some(tool) = tool.as_object_mut() {
                    self.tool(tool);
                }
            }
        }
        if let Some(body) = node.get_mut("nodes").filter(|_| facts.spec.is_some_and(NodeSpec::has_nodes)) {
            self.nodes(body, &format!("{pointer}/nodes"));
        }
    }

    fn child(&self, node: &Map<String, Json>) -> Option<&Child> {
        node.get("workflow").and_then(Json::as_str).and_then(|named| self.children.get(named)).map(|child| &**child)
    }

    /// What a model is told of a workflow that it may call: when to use it, and what to pass. What the author fixed is
    /// hidden from it.
    fn tool(&self, tool: &mut Map<String, Json>) {
        let Some(child) = self.child(tool) else { return };
        tool.insert("workflow".to_owned(), child.name.as_str().into());
        if let Some(description) = child.description.as_deref().filter(|_| !tool.contains_key("description")) {
            tool.insert("description".to_owned(), description.into());
        }
        let fixed = tool.get("inputs").and_then(Json::as_object);
        let holds_files = |of: &Json| serde_json::from_value::<Type>(of.clone()).is_ok_and(|ty| ty.holds_files());
        let open = child
            .inputs
            .iter()
            .filter(|(name, of)| !fixed.is_some_and(|fixed| fixed.contains_key(*name)) && !holds_files(of));
        let parameters: Map<_, _> = open.map(|(name, of)| (name.clone(), of.clone())).collect();
        tool.insert("parameters".to_owned(), parameters.into());
    }

    fn default(&self, node: &mut Map<String, Json>, key: &str) {
        if let Some(value) = self.defaults.get(key).filter(|_| !node.contains_key(key)) {
            node.insert(key.to_owned(), value.clone());
        }
    }
}
