//! Composites: node types that are made of nodes, each described by a YAML file.
//!
//! ```yaml
//! composite: greet
//! description: Greets someone, and counts the letters.
//! fields:
//!   name: { type: string, description: Whom to greet. }
//! nodes:
//!   text: { type: template-transform, template: "Hello {{ inputs.name }}" }
//! outputs:
//!   text: { value: "{{ text.text }}", type: string, description: The greeting. }
//! ```
//!
//! It is a border: its nodes see its fields as `inputs`, and nothing else of the workflow in which it stands.
//!
//! * [`CompositeDef`] is the file; [`Composite`] is what was made of it (`field.rs` reads the fields);
//! * `expand.rs` puts the fields of one node in their places; `node.rs` is that node as the engine sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use self::field::{Field, Kind};
pub use self::inner::Inner;
pub(crate) use self::{
    expand::{Expansion, Placed},
    inner::of_calls,
};
use crate::{
    codes,
    definition::{FORMAT, NodeMap},
    graph::escape,
    node::{Effect, Family, NodeMeta, NodeSpec, Registry, intern},
    shape::Finding,
    suggest,
    template::TemplateTree,
    types::Type,
};

mod expand;
mod field;
mod inner;
mod node;

/// A node type that is made of nodes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompositeDef {
    /// The version of the format; 1 if missing.
    #[serde(default = "format_number")]
    pub format: u32,
    /// The node type that it makes, as in `type: agent`.
    #[schemars(
        regex(pattern = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"),
        extend("patternErrorMessage" = "expected a name such as `answer-twice`")
    )]
    pub composite: String,
    /// What it does. The first sentence stands in lists.
    pub description: String,
    /// Where it stands in the documentation.
    #[serde(default)]
    pub family: Family,
    /// Its fields by name: a type, or `{ like: llm.messages }` for the form of another node type's field. With
    /// `static: true` a field is known before the run.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "IndexMap<String, TemplateTree>")]
    pub fields: IndexMap<String, Json>,
    /// Makes the nodes a round that is repeated: the fields of a `loop` but for `nodes` and `output`.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<IndexMap<String, TemplateTree>>")]
    pub rounds: Option<Map<String, Json>>,
    /// The nodes, by id.
    pub nodes: NodeMap,
    /// What the node gives, by name; with `loop`, computed after the last round with the new state.
    pub outputs: IndexMap<String, OutputDef>,
}

impl CompositeDef {
    /// Whether every node type that it is made of is there.
    pub fn is_made_of(&self, registry: &Registry) -> bool {
        self.node_types().iter().all(|kind| registry.get(kind).is_some())
    }

    /// The node types that it is made of, and those whose fields its fields are like.
    pub(crate) fn node_types(&self) -> BTreeSet<String> {
        let likes = self.fields.values().filter_map(|field| field.get("like")?.as_str());
        let mut types: BTreeSet<_> = likes.map(|like| like.split('.').next().unwrap_or_default().to_owned()).collect();
        expand::each_node(&json!(self.nodes), "", &mut |node, _| {
            types.extend(node.get("type").and_then(Json::as_str).map(str::to_owned));
        });
        types
    }
}

/// An output of a composite.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputDef {
    /// What it is.
    pub description: String,
    /// Its type; anything if missing.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Type>,
    /// The field whose types it has: the author of a node declares them there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<String>,
    /// How it is computed.
    pub value: TemplateTree,
}

fn format_number() -> u32 {
    FORMAT
}

/// A composite that can be used.
#[derive(Debug)]
pub struct Composite {
    /// As its file has it.
    pub def: CompositeDef,
    /// Whether something in it may ask a model.
    pub(crate) may_use_models: bool,
    fields: IndexMap<String, Field>,
    config_schema: Schema,
    output_schema: Schema,
}

impl Registry {
    /// Adds a composite, which is made of node types that are there already.
    ///
    /// # Errors
    /// What is wrong with it, by places in its file. Whether its nodes fit together is for the checks to say.
    pub fn with_composite(mut self, def: CompositeDef) -> Result<Self, Vec<Finding>> {
        let composite = Arc::new(Composite::new(def, &self)?);
        let spec = composite.spec(&self);
        self.insert(spec);
        Ok(self)
    }
}

/// Composites that could not be added: the name of each, and why.
pub(crate) type Refused = Vec<(String, Vec<Finding>)>;

impl Registry {
    /// Adds composites, of which one may be made of another: what it is made of comes first.
    pub(crate) fn with_composites(&self, defs: Vec<CompositeDef>) -> (Self, Refused) {
        let mut registry = self.clone();
        let mut refused = Vec::new();
        let mut left = defs;
        while !left.is_empty() {
            let names: Vec<_> = left.iter().map(|def| def.composite.clone()).collect();
            let waits = |def: &CompositeDef| def.node_types().iter().any(|kind| names.contains(kind));
            let (later, now): (Vec<_>, Vec<_>) = left.into_iter().partition(waits);
            if now.is_empty() {
                let circle = |def: CompositeDef| {
                    let message = format!("`{}` is made of itself, directly or through others", def.composite);
                    let finding = Finding::new(codes::WORKFLOW_RECURSION, "/nodes", message).on_key();
                    (def.composite, vec![finding.hint("use a `loop` node for what repeats".to_owned())])
                };
                refused.extend(later.into_iter().map(circle));
                return (registry, refused);
            }
            for def in now {
                let name = def.composite.clone();
                match registry.clone().with_composite(def) {
                    Ok(more) => registry = more,
                    Err(findings) => refused.push((name, findings)),
                }
            }
            left = later;
        }
        (registry, refused)
    }
}

impl Composite {
    fn new(def: CompositeDef, registry: &Registry) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut fields = IndexMap::new();
        for (name, declared) in &def.fields {
            match Field::read(name, declared, registry) {
                Ok(field) => drop(fields.insert(name.clone(), field)),
                Err(wrong) => findings.extend(wrong),
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let config_schema = config_schema(&def, &fields);
        let output_schema = output_schema(&def);
        let may_use_models =
            def.node_types().iter().filter_map(|kind| registry.get(kind)).any(NodeSpec::may_use_models);
        Ok(Self { def, may_use_models, fields, config_schema, output_schema })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.def.composite
    }

    fn spec(self: &Arc<Self>, registry: &Registry) -> NodeSpec {
        let (maker, registry) = (self.clone(), registry.clone());
        let mut within = self.config_schema.clone();
        let definitions = within.remove("definitions");
        NodeSpec {
            type_name: intern(self.name()),
            meta: NodeMeta { effect: Effect::Pure, inline: true, ..NodeMeta::pure(self.def.family, &[]) },
            queue: None,
            config_schema: self.config_schema.clone(),
            output_schema: self.output_schema.clone(),
            config_in: Arc::new(move |generator| {
                let known = definitions.as_ref().and_then(Json::as_object).into_iter().flatten();
                generator.definitions_mut().extend(known.map(|(name, schema)| (name.clone(), schema.clone())));
                within.clone()
            }),
            build: Arc::new(move |config| node::build(&maker, &registry, config)),
            composite: Some(self.clone()),
        }
    }

    /// Its nodes as the checks see them: a workflow in JSON whose `inputs` are the fields that they can read. A field that
    /// is placed and has no default is left out, or something of its type stands in.
    pub(crate) fn sketch(&self) -> Expansion {
        let placed = self.fields.iter().filter(|(_, field)| field.is_static);
        let config = placed.filter_map(|(name, field)| Some((name.clone(), field.sample()?))).collect();
        let mut expansion = self.expand(&config, &[]);
        let inputs = self.fields.iter().filter(|(_, field)| field.is_value());
        let inputs: Map<_, _> = inputs.map(|(name, field)| (name.clone(), field.declared())).collect();
        expansion.view["inputs"] = inputs.into();
        expansion
    }

    /// What is wrong with its `{ field: NAME }` and `returns`, by places in its file.
    pub(crate) fn misplaced(&self, registry: &Registry) -> Vec<Finding> {
        let file = json!(self.def);
        let mut findings = Vec::new();
        for (name, output) in &self.def.outputs {
            let Some(field) = output.returns.as_ref().filter(|field| !self.fields.contains_key(*field)) else {
                continue;
            };
            let at = format!("/outputs/{}/returns", escape(name));
            let finding = Finding::new(codes::COMPOSITE_PLACE, at, format!("the composite has no field `{field}`"));
            let known = self.fields.keys().map(String::as_str);
            let hint = suggest::hint(field, known).unwrap_or_else(|| "declare it under `fields`".to_owned());
            findings.push(finding.label("not declared").hint(hint));
        }
        for (pointer, name) in self.places() {
            let wrong = |message: String, hint: &str| {
                let finding = Finding::new(codes::COMPOSITE_PLACE, format!("{pointer}/field"), message);
                finding.hint(hint.to_owned())
            };
            let Some(field) = self.fields.get(&name) else {
                let known = self.fields.keys().map(String::as_str);
                let hint = suggest::hint(&name, known).unwrap_or_else(|| "declare it under `fields`".to_owned());
                findings.push(wrong(format!("the composite has no field `{name}`"), &hint));
                continue;
            };
            if !field.is_static {
                let message = format!("`{name}` is computed when the node starts, and cannot be placed before");
                findings.push(wrong(message, "read it as `{{ inputs.NAME }}`, or add `static: true` to the field"));
                continue;
            }
            let (node, key) = pointer.rsplit_once('/').unwrap_or_default();
            let kind = file.pointer(&format!("{node}/type")).and_then(Json::as_str).unwrap_or("loop");
            let takes_author = registry.get(kind).is_some_and(|spec| takes_templates_of_authors(spec, key));
            if field.holds_templates() && !takes_author {
                let message = format!(
                    "`{name}` may hold templates of an author, which `{key}` of `{kind}` would read as its own"
                );
                findings.push(wrong(message, "give `{{ inputs.NAME }}`, and declare the field without `static`"));
            }
        }
        findings
    }
}

/// Whether templates in a field are rendered where the author of a composite's node wrote them: tools, and what is placed
/// further inside.
fn takes_templates_of_authors(spec: &NodeSpec, key: &str) -> bool {
    if let Some(composite) = &spec.composite {
        return composite.fields.get(key).is_some_and(|field| field.is_static);
    }
    let schema = spec.config_schema.as_value();
    let field = &schema["properties"][key];
    let named = field["$ref"].as_str().or_else(|| field["allOf"][0]["$ref"].as_str());
    let target = named.and_then(|name| schema.pointer(name.strip_prefix('#')?));
    [Some(field), target].into_iter().flatten().any(|schema| schema.get("x-liteagent-tools").is_some())
}

/// The schema of the fields of a node of this type.
fn config_schema(def: &CompositeDef, fields: &IndexMap<String, Field>) -> Schema {
    let mut definitions = BTreeMap::new();
    let mut properties = Map::new();
    for (name, field) in fields {
        properties.insert(name.clone(), field.schema.clone());
        if let Kind::Like { definitions: more } = &field.kind {
            definitions.extend(more.iter().map(|(name, schema)| (name.clone(), schema.clone())));
        }
    }
    let required: Vec<_> = fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name.as_str()).collect();
    let mut schema = json!({
        "title": def.composite,
        "description": def.description.trim(),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if !definitions.is_empty() {
        schema["definitions"] = json!(definitions);
    }
    Schema::from(schema.as_object().cloned().unwrap_or_default())
}

/// The schema of what it gives, as far as it is the same for all nodes of this type.
fn output_schema(def: &CompositeDef) -> Schema {
    let of = |output: &OutputDef| {
        let mut schema = output.kind.as_ref().map_or_else(|| json!({}), |kind| kind.schema().into());
        schema["description"] = output.description.trim().into();
        schema
    };
    let properties: Map<_, _> = def.outputs.iter().map(|(name, output)| (name.clone(), of(output))).collect();
    let schema = json!({
        "description": format!("What `{}` gives.", def.composite),
        "type": "object",
        "properties": properties,
        "required": def.outputs.keys().collect::<Vec<_>>(),
        "additionalProperties": false,
    });
    Schema::from(schema.as_object().cloned().unwrap_or_default())
}
