//! Builds the graph: walks bodies from outside in, and resolves each root name from inside out.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use schemars::Schema;
use serde_json::{Map, Value as Json};

use super::{
    BodyGraph, NodeInfo, Target, TemplateSite, WorkflowGraph,
    collect::{Field, collect, escape},
};
use crate::{
    definition::{Definition, Exit, Need, NodeCommon},
    node::{Registry, schema_of},
    template::Compiled,
};

/// The roots that every template may name.
const ROOTS: [&str; 6] = ["inputs", "env", "secrets", "sys", "conversation", "trigger"];

static WORKFLOW: LazyLock<Schema> = LazyLock::new(schema_of::<Definition>);
static COMMON: LazyLock<Schema> = LazyLock::new(schema_of::<NodeCommon>);

/// Builds the graph of one workflow.
pub(super) struct Builder<'a> {
    workflow: &'a Json,
    registry: &'a Registry,
    /// The bodies around the current place, outermost first.
    levels: Vec<Level<'a>>,
}

/// What a body lets templates see.
struct Level<'a> {
    ids: HashSet<&'a str>,
    locals: &'static [&'static str],
}

impl<'a> Builder<'a> {
    pub(super) fn new(workflow: &'a Json, registry: &'a Registry) -> Self {
        Self { workflow, registry, levels: Vec::new() }
    }

    pub(super) fn workflow(mut self) -> WorkflowGraph {
        let body = self.body(self.workflow.get("nodes"), "/nodes", &[]);
        self.enter(self.workflow.get("nodes"), &[]);
        let sites = self.outer_sites();
        let outputs = sites.iter().filter(|site| is_output(site)).flat_map(TemplateSite::reads).collect();
        let on_failure = self.handler("on_failure");
        let finally = self.handler("finally");
        WorkflowGraph { body, on_failure, finally, outputs, sites }
    }

    fn outer_sites(&mut self) -> Vec<TemplateSite> {
        let fields = collect(&WORKFLOW, self.workflow, "");
        let (outputs, others): (Vec<_>, Vec<_>) =
            fields.into_iter().partition(|field| field.pointer.starts_with("/outputs/"));
        let mut sites: Vec<_> = outputs.into_iter().map(|field| self.site(field)).collect();
        // The inputs of a trigger are rendered before there is a run: no node is in sight.
        let levels = std::mem::take(&mut self.levels);
        sites.extend(others.into_iter().map(|field| self.site(field)));
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
            if node.is_object() {
                body.push(self.node(id, node, format!("{pointer}/{}", escape(id))));
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
        let kind = fields.get("type").and_then(Json::as_str).unwrap_or_default();
        let spec = self.registry.get(kind);
        let container = spec.and_then(|spec| spec.meta.container);
        let locals = container.map_or(&[][..], |container| container.roots());

        let mut found = collect(&COMMON, fields, &pointer);
        if let Some(spec) = spec {
            found.extend(collect(&spec.config_schema, fields, &pointer));
        }
        let (within, own): (Vec<_>, Vec<_>) = found.into_iter().partition(|field| field.inner && container.is_some());
        let mut sites: Vec<_> = own.into_iter().map(|field| self.site(field)).collect();
        let mut reads: Vec<_> = sites.iter().flat_map(TemplateSite::reads).collect();

        let body = container.map(|_| Box::new(self.body(fields.get("nodes"), &format!("{pointer}/nodes"), locals)));
        self.enter(fields.get("nodes").filter(|_| container.is_some()), locals);
        let within: Vec<_> = within.into_iter().map(|field| self.site(field)).collect();
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
            container,
            body,
            pointer,
        }
    }

    fn site(&self, field: Field) -> TemplateSite {
        let compiled = Compiled::new(&field.text);
        let references = compiled.as_ref().map_or(&[][..], Compiled::references);
        let targets = references.iter().map(|reference| self.resolve(&reference.root, &field.locals)).collect();
        TemplateSite {
            pointer: field.pointer,
            text: field.text,
            mark: field.mark,
            optional: field.optional,
            inner: field.inner,
            expects: field.expects,
            targets,
            compiled,
        }
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

fn is_output(site: &TemplateSite) -> bool {
    site.pointer.starts_with("/outputs/")
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
