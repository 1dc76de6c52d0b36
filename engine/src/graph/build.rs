//! Builds the graph: walks bodies from outside in, and resolves each root name from inside out.

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{
    BodyGraph, NodeInfo, Target, TemplateSite, WorkflowGraph, escape,
    schemas::{Schemas, WORKFLOW},
};
use crate::{
    codes,
    composite::Placed,
    definition::{Exit, Need},
    node::{Container, Registry},
    shape::{self, FileSite, Finding, Shape, Site},
    template::Compiled,
};

/// The roots that every template may name.
const ROOTS: [&str; 6] = ["inputs", "env", "secrets", "sys", "conversation", "trigger"];

/// Builds the graph of one workflow.
pub(super) struct Builder<'a> {
    workflow: &'a Json,
    registry: &'a Registry,
    schemas: Schemas<'a>,
    /// Findings about what is not even a node.
    findings: Vec<Finding>,
    /// The bodies around the current place, outermost first.
    levels: Vec<Level<'a>>,
    /// What is not looked into.
    left_out: &'a [Placed],
}

/// What a body lets templates see.
struct Level<'a> {
    ids: HashSet<&'a str>,
    locals: &'static [&'static str],
}

impl<'a> Builder<'a> {
    pub(super) fn new(workflow: &'a Json, registry: &'a Registry) -> Self {
        Self {
            workflow,
            registry,
            schemas: Schemas::new(registry),
            findings: Vec::new(),
            levels: Vec::new(),
            left_out: &[],
        }
    }

    /// Does not look into what was placed there.
    pub(super) fn leaving_out(self, placed: &'a [Placed]) -> Self {
        Self { left_out: placed, ..self }
    }

    pub(super) fn workflow(mut self) -> WorkflowGraph {
        let body = self.body(self.workflow.get("nodes"), "/nodes", &[]);
        self.enter(self.workflow.get("nodes"), &[]);
        let Shape { sites, findings, .. } = self.outer_shape();
        self.findings.extend(findings);
        let sites = self.outer_sites(sites);
        let outputs = sites.iter().filter(|site| is_output(&site.pointer)).flat_map(TemplateSite::reads).collect();
        let on_failure = self.handler("on_failure");
        let finally = self.handler("finally");
        WorkflowGraph { body, on_failure, finally, outputs, sites, findings: self.findings }
    }

    pub(super) fn files(mut self) -> Vec<FileSite> {
        let mut files = self.outer_shape().files;
        for key in ["nodes", "on_failure", "finally"] {
            self.files_of(self.workflow.get(key), &format!("/{key}"), &mut files);
        }
        files
    }

    fn files_of(&mut self, nodes: Option<&'a Json>, pointer: &str, files: &mut Vec<FileSite>) {
        for (id, node) in nodes.and_then(Json::as_object).into_iter().flatten().filter(|(_, node)| node.is_object()) {
            let shape = self.shape(node, &format!("{pointer}/{}", escape(id)));
            files.extend(shape.files);
            for body in shape.bodies {
                self.files_of(node.get("nodes"), &body, files);
            }
        }
    }

    /// Walks the workflow, its nodes aside. Keys that begin with `x-` are where anchors live.
    fn outer_shape(&self) -> Shape {
        let top = self.workflow.as_object();
        let workflow = match top.filter(|top| top.keys().any(|key| key.starts_with("x-"))) {
            Some(top) => {
                let kept = top.iter().filter(|(key, _)| !key.starts_with("x-"));
                Cow::Owned(Json::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect()))
            }
            None => Cow::Borrowed(self.workflow),
        };
        shape::walk_as("", &WORKFLOW, &workflow, "")
    }

    /// Walks the fields of a node.
    fn shape(&mut self, node: &'a Json, pointer: &str) -> Shape {
        let kind = kind(node);
        let schema = self.schemas.of(kind);
        if self.registry.get(kind).is_some() {
            return shape::walk_as(kind, &schema, node, pointer);
        }
        // Of an unknown type only the fields that every node has can be judged.
        let fields = schema.get("properties").and_then(Json::as_object);
        let common = node.as_object().into_iter().flatten();
        let common = common.filter(|(key, _)| fields.is_some_and(|fields| fields.contains_key(*key)));
        let common = common.map(|(key, value)| (key.clone(), value.clone())).collect();
        shape::walk_as(kind, &schema, &Json::Object(common), pointer)
    }

    fn outer_sites(&mut self, sites: Vec<Site>) -> Vec<TemplateSite> {
        let (outputs, others): (Vec<_>, Vec<_>) = sites.into_iter().partition(|site| is_output(&site.pointer));
        let mut sites: Vec<_> = outputs.into_iter().map(|site| self.site(site)).collect();
        // The inputs of a trigger and the key of `concurrency` are rendered before there is a run: no node is in sight.
        let levels = std::mem::take(&mut self.levels);
        sites.extend(others.into_iter().map(|site| self.site(site)));
        self.levels = levels;
        sites
    }

    fn handler(&mut self, key: &str) -> Option<BodyGraph> {
        let nodes = self.workflow.get(key)?;
        let mut body = self.body(Some(nodes), &format!("/{key}"), &["error", "status"]);
        for read in body.nodes.iter_mut().flat_map(|node| &mut node.reads) {
            read.guarded = true;
        }
        Some(body)
    }

    fn body(&mut self, nodes: Option<&'a Json>, pointer: &str, locals: &'static [&'static str]) -> BodyGraph {
        self.enter(nodes, locals);
        let mut body = BodyGraph::default();
        for (id, node) in nodes.and_then(Json::as_object).into_iter().flatten() {
            let pointer = format!("{pointer}/{}", escape(id));
            if node.is_object() {
                body.push(self.node(id, node, pointer));
            } else {
                self.findings.push(not_a_node(id, pointer));
            }
        }
        self.levels.pop();
        body
    }

    fn enter(&mut self, nodes: Option<&'a Json>, locals: &'static [&'static str]) {
        let ids = nodes.and_then(Json::as_object).into_iter().flat_map(Map::keys).map(String::as_str).collect();
        self.levels.push(Level { ids, locals });
    }

    fn node(&mut self, id: &str, fields: &'a Json, pointer: String) -> NodeInfo {
        let kind = kind(fields);
        let container = self.registry.get(kind).and_then(|spec| spec.meta.container);
        let locals = container.map_or(&[][..], |container| container.roots());
        let has_body = container.is_some_and(Container::has_nodes);

        let Shape { mut sites, findings, tools, .. } = self.shape(fields, &pointer);
        sites.retain(|site| !self.left_out.iter().any(|placed| is_within(&site.pointer, &placed.pointer)));
        let (within, own): (Vec<_>, Vec<_>) = sites.into_iter().partition(|site| site.inner && container.is_some());
        let mut sites: Vec<_> = own.into_iter().map(|site| self.site(site)).collect();
        let mut reads: Vec<_> = sites.iter().flat_map(TemplateSite::reads).collect();

        let body = has_body.then(|| Box::new(self.body(fields.get("nodes"), &format!("{pointer}/nodes"), locals)));
        self.enter(fields.get("nodes").filter(|_| has_body), locals);
        let within: Vec<_> = within.into_iter().map(|site| self.site(site)).collect();
        self.levels.pop();
        let inner: Vec<_> = within.iter().flat_map(TemplateSite::reads).collect();
        let of_body = body.iter().flat_map(|body| &body.nodes).flat_map(|node| &node.reads);
        reads.extend(
            of_body
                .chain(&inner)
                .filter(|read| read.up > 0)
                .map(|read| super::Read { up: read.up - 1, ..read.clone() }),
        );
        sites.extend(within);
        NodeInfo {
            id: Arc::from(id),
            kind: kind.to_owned(),
            needs: needs(fields.get("needs")),
            reads,
            inner,
            sites,
            findings,
            tools,
            container,
            body,
            pointer,
        }
    }

    fn site(&self, site: Site) -> TemplateSite {
        let compiled = Compiled::new(&site.text);
        let references = compiled.as_ref().map_or(&[][..], Compiled::references);
        let targets = references.iter().map(|reference| self.resolve(&reference.root, &site.locals)).collect();
        TemplateSite { site, compiled, targets }
    }

    fn resolve(&self, name: &str, locals: &[String]) -> Target {
        if locals.iter().any(|local| local == name) {
            return Target::Local;
        }
        for (up, level) in self.levels.iter().rev().enumerate() {
            if level.locals.contains(&name) {
                return Target::Local;
            }
            if level.ids.contains(name) {
                return Target::Node { up: up as u32 };
            }
        }
        if ROOTS.contains(&name) { Target::Root } else { Target::Unknown }
    }
}

/// Whether a place is another one, or below it.
fn is_within(pointer: &str, other: &str) -> bool {
    pointer.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_output(pointer: &str) -> bool {
    pointer.starts_with("/outputs/")
}

fn kind(node: &Json) -> &str {
    node.get("type").and_then(Json::as_str).unwrap_or_default()
}

fn not_a_node(id: &str, pointer: String) -> Finding {
    Finding::new(codes::WRONG_TYPE, pointer, format!("expected the fields of the node `{id}`, found something else"))
        .on_key()
        .label("not a node")
        .hint(format!("write `{id}: {{ type: ... }}`"))
}

/// The entries of `needs`; what is malformed keeps its place as a join of nothing.
fn needs(entries: Option<&Json>) -> Vec<Need> {
    let exit = |entry: &Json| entry.as_str().map(|text| Exit::from(text.to_owned()));
    let need = |entry: &Json| match exit(entry) {
        Some(exit) => Need::One(exit),
        None => Need::Any { any: list(entry.get("any")).iter().filter_map(exit).collect() },
    };
    list(entries).iter().map(need).collect()
}

fn list(value: Option<&Json>) -> &[Json] {
    value.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}
