//! A file as the checks see it: its value with included files, its graph, and what is known of each node.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{Arc, LazyLock},
};

use indexmap::IndexMap;
use schemars::Schema;
use serde_json::{Map, Value as Json};

use super::gating::{ERROR, Exits, TIMEOUT};
use crate::{
    composite::{Composite, Expansion},
    definition::NodeCommon,
    diagnostic::{Diagnostic, Severity, SourceFile, Span},
    error::Code,
    graph::{BodyGraph, NodeInfo, WorkflowGraph, escape},
    node::{ConfigError, Effect, ErasedNode, NodeSpec, Registry, schema_of},
    source::Document,
};

/// The names of the fields that every node has.
static COMMON: LazyLock<Vec<String>> = LazyLock::new(|| {
    let schema = schema_of::<NodeCommon>();
    let fields = schema.get("properties").and_then(Json::as_object).into_iter().flat_map(Map::keys);
    fields.cloned().chain(["type".to_owned()]).collect()
});

/// One definition, ready to be checked.
pub struct Unit<'a> {
    document: Document,
    workflow: Json,
    /// The texts that stand in files of their own, by pointer.
    included: HashMap<String, Included>,
    pub(super) registry: &'a Registry,
    pub(super) graph: WorkflowGraph,
    facts: HashMap<String, Facts<'a>>,
    /// Of the nodes of a composite: that composite. The pointers are those of its sketch.
    pub(super) composite: Option<Arc<Composite>>,
}

/// A text that stands in a file of its own.
#[derive(Clone, Debug)]
pub struct Included {
    /// The pointer of its path.
    pub written: String,
    /// The file; `None` when it cannot be read, which was said.
    pub file: Option<Arc<SourceFile>>,
}

/// What is known of a node without running it.
pub struct Facts<'a> {
    /// Its type, when there is one of that name.
    pub spec: Option<&'a NodeSpec>,
    /// The node, or why it cannot be built; `None` when the type is not known.
    pub node: Option<Result<Arc<dyn ErasedNode>, ConfigError>>,
    /// What `<id>` holds.
    pub output: Option<Schema>,
    /// What another attempt may repeat.
    pub effect: Effect,
    /// Whether it changes something outside, what it calls left out.
    pub acts: bool,
    /// Its maps of tools, by pointer.
    pub tools: Vec<String>,
    /// Whether time ends its wait by the port `timeout`.
    pub waits: bool,
    pub(super) exits: Exits,
}

/// What a workflow shows to those that name it.
#[derive(Debug)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// Its declared inputs.
    pub inputs: IndexMap<String, Json>,
    /// The names of its outputs.
    pub outputs: Vec<String>,
    /// Whether it changes something outside, itself or by what it calls.
    pub acts: bool,
}

impl<'a> Unit<'a> {
    /// Reads the graph off a file and builds its nodes.
    pub fn new(
        document: Document,
        workflow: Json,
        included: HashMap<String, Included>,
        registry: &'a Registry,
    ) -> Self {
        let graph = WorkflowGraph::new(&workflow, registry);
        let facts = facts(&graph, &workflow, registry);
        Self { document, workflow, included, registry, graph, facts, composite: None }
    }

    /// The nodes of a composite, with what can be known of its fields.
    pub fn of_composite(
        document: Document,
        composite: Arc<Composite>,
        included: HashMap<String, Included>,
        registry: &'a Registry,
    ) -> Self {
        let sketch = composite.sketch();
        let graph = WorkflowGraph::placed(&sketch.view, registry, &sketch.placed);
        let facts = facts(&graph, &sketch.view, registry);
        Self { document, workflow: sketch.view, included, registry, graph, facts, composite: Some(composite) }
    }

    /// The value of the file, with the text of included files in their place.
    pub fn workflow(&self) -> &Json {
        &self.workflow
    }

    /// The value at a pointer.
    pub fn get(&self, pointer: &str) -> Option<&Json> {
        self.workflow.pointer(pointer)
    }

    /// The members of the object at a pointer; none when there is no object.
    pub(super) fn members(&self, pointer: &str) -> impl Iterator<Item = (&String, &Json)> + Clone {
        self.get(pointer).and_then(Json::as_object).into_iter().flatten()
    }

    /// The name that the file gives itself.
    pub fn name(&self) -> Option<&str> {
        self.workflow.get("name").and_then(Json::as_str)
    }

    /// What is known of a node.
    pub fn facts(&self, pointer: &str) -> Option<&Facts<'a>> {
        self.facts.get(pointer)
    }

    /// The workflows that its nodes name, as tools as well: where, and by which name or path.
    pub fn workflows_named(&self) -> Vec<(String, String)> {
        let mut places = Vec::new();
        self.graph.each_body(&mut |body| {
            for node in &body.nodes {
                places.extend((node.kind == "workflow").then(|| format!("{}/workflow", node.pointer)));
                for tools in &node.tools {
                    places.extend(self.members(tools).map(|(name, _)| format!("{tools}/{}/workflow", escape(name))));
                }
            }
        });
        let named = |pointer: String| {
            let name = self.get(&pointer)?.as_str().filter(|name| !name.contains("{{"))?.to_owned();
            Some((pointer, name))
        };
        places.into_iter().filter_map(named).collect()
    }

    /// The types of its nodes, each with the first node of that type.
    pub fn types_used(&self) -> IndexMap<String, String> {
        let mut types = IndexMap::new();
        self.graph.each_body(&mut |body| {
            for node in &body.nodes {
                types.entry(node.kind.clone()).or_insert_with(|| node.pointer.clone());
            }
        });
        types
    }

    /// A pointer as the file has it.
    pub(super) fn in_file<'p>(&self, pointer: &'p str) -> Cow<'p, str> {
        match &self.composite {
            Some(composite) => Expansion::in_file(pointer, composite.def.rounds.is_some()).into(),
            None => pointer.into(),
        }
    }

    /// The place of a value.
    pub fn at(&self, pointer: &str) -> Span {
        self.document.span(&self.written(pointer))
    }

    /// The place of the key that leads to a value.
    pub fn key(&self, pointer: &str) -> Span {
        self.document.key_span(&self.written(pointer))
    }

    /// The place of a value of the file itself.
    pub(super) fn file_span(&self, pointer: &str) -> Span {
        self.document.span(pointer)
    }

    /// The place of the key that leads to a value of the file itself.
    pub(super) fn file_key(&self, pointer: &str) -> Span {
        self.document.key_span(pointer)
    }

    /// The pointer where a value was written: that of the path for a text from a file that stands beside it.
    fn written<'p>(&'p self, pointer: &'p str) -> Cow<'p, str> {
        let pointer = self.in_file(pointer);
        let included = self.included.get(&*pointer).filter(|_| !self.document.has(&pointer));
        included.map_or(pointer, |included| included.written.as_str().into())
    }

    /// Whether a text is missing because its file could not be read.
    pub(super) fn is_unread(&self, pointer: &str) -> bool {
        self.included.get(&*self.in_file(pointer)).is_some_and(|included| included.file.is_none())
    }

    /// The place of a part of a text, in the file where the text stands.
    pub fn text(&self, pointer: &str, range: Range<usize>) -> Span {
        match self.included.get(&*self.in_file(pointer)) {
            Some(Included { file: Some(file), .. }) => Span { file: file.clone(), range },
            Some(Included { file: None, .. }) => self.at(pointer),
            None => self.document.text_span(&self.in_file(pointer), range),
        }
    }

    /// A finding at a value, with the place of the anchor when an alias brought the value there.
    pub(super) fn finding(
        &self,
        severity: Severity,
        code: Code,
        pointer: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let finding = Diagnostic { severity, ..Diagnostic::error(code, self.at(pointer), message) };
        self.anchored(finding, pointer)
    }

    /// An error at a value.
    pub(super) fn error(&self, code: Code, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.finding(Severity::Error, code, pointer, message)
    }

    /// A warning at a value.
    pub(super) fn warning(&self, code: Code, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.finding(Severity::Warning, code, pointer, message)
    }

    /// A finding at a key.
    pub(super) fn at_key(
        &self,
        severity: Severity,
        code: Code,
        pointer: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let finding = Diagnostic { severity, ..Diagnostic::error(code, self.key(pointer), message) };
        self.anchored(finding, pointer)
    }

    fn anchored(&self, finding: Diagnostic, pointer: &str) -> Diagnostic {
        match self.document.anchor(&self.in_file(pointer)) {
            Some(anchor) => finding.related(anchor, "written here"),
            None => finding,
        }
    }
}

fn facts<'a>(graph: &WorkflowGraph, workflow: &Json, registry: &'a Registry) -> HashMap<String, Facts<'a>> {
    let mut facts = HashMap::new();
    graph.each_body(&mut |body: &BodyGraph| {
        for node in &body.nodes {
            let fields = workflow.pointer(&node.pointer).and_then(Json::as_object);
            let known = Facts { tools: node.tools.clone(), ..Facts::of(fields, registry.get(&node.kind)) };
            facts.insert(node.pointer.clone(), known);
        }
    });
    facts
}

impl<'a> Facts<'a> {
    fn of(fields: Option<&Map<String, Json>>, spec: Option<&'a NodeSpec>) -> Self {
        let common = |key: &str| fields.and_then(|fields| fields.get(key));
        let config = || fields.into_iter().flatten().filter(|(key, _)| !COMMON.contains(key));
        let node = spec.map(|spec| {
            (spec.build)(Json::Object(config().map(|(key, value)| (key.clone(), value.clone())).collect()))
        });
        let built = node.as_ref().and_then(|node| node.as_ref().ok());
        let mut ports = built.map(|node| node.ports()).unwrap_or_default();
        let waits = ports.iter().any(|port| port == TIMEOUT);
        if common("timeout").is_none() {
            ports.retain(|port| port != TIMEOUT);
        }
        if ports.iter().all(|port| port == TIMEOUT) {
            ports.push(String::new());
        }
        if common("on_error").and_then(Json::as_str) == Some("continue") {
            ports.push(ERROR.to_owned());
        }
        let exits = Exits { names: ports, when: common("when").is_some(), unknown: built.is_none() };
        let output = built.map(|node| node.output_schema()).or_else(|| Some(spec?.output_schema.clone()));
        let effect = built.map(|node| node.effect()).or_else(|| Some(spec?.meta.effect)).unwrap_or(Effect::Pure);
        let acts = built.is_some_and(|node| node.acts());
        Self { spec, node, output, effect, acts, tools: Vec::new(), waits, exits }
    }
}

impl Child {
    /// What a file shows; `children` are the workflows that it names.
    pub fn of(unit: &Unit<'_>, name: String, children: &BTreeMap<String, Arc<Child>>) -> Self {
        let mut inputs: IndexMap<_, _> = unit.members("/inputs").map(|(name, of)| (name.clone(), of.clone())).collect();
        if unit.get("/conversation").is_some() {
            inputs.entry("message".to_owned()).or_insert_with(|| Json::from("string"));
            inputs.entry("files".to_owned()).or_insert_with(|| serde_json::json!({ "type": "file[]", "default": [] }));
        }
        let outputs = unit.members("/outputs").map(|(name, _)| name.clone()).collect();
        let description = unit.get("/description").and_then(Json::as_str).map(|text| text.trim().to_owned());
        let acts = unit.facts.values().any(|facts| facts.acts) || children.values().any(|child| child.acts);
        Self { name, description, inputs, outputs, acts }
    }
}

/// The place of a node's own field.
pub(super) fn field(node: &NodeInfo, field: &str) -> String {
    format!("{}/{field}", node.pointer)
}
