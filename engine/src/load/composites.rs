//! Composites of a project: `composites/*.yaml` below its root, each a node type.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use indexmap::IndexMap;
use schemars::Schema;
use serde_json::Value as Json;

use super::{Loader, include::Includes, project::Project, recursion, resolve};
use crate::{
    check::{self, Unit},
    codes,
    composite::{Composite, CompositeDef},
    diagnostic::{Diagnostic, Severity},
    node::{Registry, schema_of},
    shape,
    source::{self, Document},
};

/// The folder of the root that they stand in.
pub(super) const FOLDER: &str = "composites";

static FILE: LazyLock<Schema> = LazyLock::new(schema_of::<CompositeDef>);

/// The node types of a project.
pub(super) struct Composites {
    /// Those of the program, and those that the project makes.
    pub(super) registry: Registry,
    /// Its files, by the name of the composite.
    sources: IndexMap<String, Source>,
}

/// A file that makes a node type.
struct Source {
    path: PathBuf,
    canonical: PathBuf,
    document: Document,
    includes: Includes,
    findings: Vec<Diagnostic>,
    /// What it makes; `None` when its form is wrong.
    composite: Option<Arc<Composite>>,
}

/// The name of the composite that a file is; `None` when it is a workflow.
pub(super) fn name_in(file: &Json) -> Option<&str> {
    file.get("composite")?.as_str()
}

impl Composites {
    /// Those of the program alone.
    pub(super) fn none(registry: &Registry) -> Self {
        Self { registry: registry.clone(), sources: IndexMap::new() }
    }

    /// Reads those of a project.
    pub(super) fn of(project: &Project, registry: &Registry) -> Self {
        let mut all = Self::none(registry);
        let entries = fs::read_dir(project.root.join(FOLDER)).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(|path| is_definition(path)).collect();
        paths.sort();
        let mut defs = Vec::new();
        for path in paths {
            let (Some(document), findings) = source::read(&path) else { continue };
            let Some(name) = name_in(&document.value).map(str::to_owned) else { continue };
            let mut source = Source::read(document, &path, findings, Some(project), registry);
            let mut key = name.clone();
            if let Some(other) = all.sources.get(&name) {
                let span = other.document.span("/composite");
                source.is_taken(format!("two composites are called `{name}`"), Some(span));
                key = path.to_string_lossy().into_owned();
            } else if registry.get(&name).is_some() {
                source.is_taken(format!("there is already a node type `{name}`"), None);
                key = path.to_string_lossy().into_owned();
            }
            defs.extend(source.def());
            all.sources.insert(key, source);
        }
        let (registry, refused) = registry.with_composites(defs);
        for (name, findings) in refused {
            if let Some(source) = all.sources.get_mut(&name) {
                let told = findings.iter().map(|finding| source.document.diagnostic(finding));
                source.findings.extend(told);
            }
        }
        for (name, source) in &mut all.sources {
            source.composite = registry.get(name).and_then(|spec| spec.composite.clone());
        }
        all.registry = registry;
        all
    }

    /// The name of the composite that a file makes.
    pub(super) fn at(&self, canonical: &Path) -> Option<&str> {
        self.sources
            .values()
            .find(|source| source.canonical == canonical)
            .and_then(|source| name_in(&source.document.value))
    }
}

fn is_definition(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending)) && !name.contains(".test.")
}

impl Source {
    fn read(
        document: Document,
        path: &Path,
        mut findings: Vec<Diagnostic>,
        project: Option<&Project>,
        registry: &Registry,
    ) -> Self {
        let mut includes = Includes::of(&document, path, project, registry);
        findings.append(&mut includes.diagnostics);
        let shape = shape::walk_as("", &FILE, &includes.value, "");
        findings.extend(shape.findings.iter().map(|finding| document.diagnostic(finding)));
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self { path: path.to_owned(), canonical, document, includes, findings, composite: None }
    }

    /// Its name is that of another node type, so no node can be of it.
    fn is_taken(&mut self, message: String, by: Option<crate::diagnostic::Span>) {
        let finding =
            Diagnostic::error(codes::COMPOSITE_NAME, self.document.span("/composite"), message).label("taken");
        let finding = finding.hint("give it another name; `liteagent nodes` lists those that are taken");
        self.findings.push(match by {
            Some(by) => finding.related(by, "the other one"),
            None => finding,
        });
    }

    /// The definition; when its form is wrong, a finding says so.
    fn def(&mut self) -> Option<CompositeDef> {
        if self.findings.iter().any(|finding| finding.severity == Severity::Error) {
            return None;
        }
        let mut file = self.includes.value.clone();
        if let Some(top) = file.as_object_mut() {
            top.retain(|key, _| !key.starts_with("x-"));
        }
        match serde_path_to_error::deserialize(&file) {
            Ok(def) => Some(def),
            Err(error) => {
                let pointer = crate::node::pointer(error.path());
                let span = self.document.span(&pointer);
                let message = error.into_inner().to_string();
                self.findings.push(Diagnostic::error(codes::INVALID_CONFIG, span, message));
                None
            }
        }
    }
}

impl Loader<'_> {
    /// Reads the composites that the nodes of a file are of.
    pub(super) fn composites_of(&mut self, unit: &Unit<'_>, findings: &mut Vec<Diagnostic>) {
        for (kind, pointer) in unit.types_used() {
            self.composite(&kind, unit, &pointer, findings);
        }
    }

    fn composite(&mut self, kind: &str, unit: &Unit<'_>, pointer: &str, findings: &mut Vec<Diagnostic>) {
        if self.made_of.contains_key(kind) {
            return;
        }
        let composites = self.composites;
        let Some(source) = composites.sources.get(kind) else {
            // One of the program: it was tested with it.
            if let Some(composite) = self.registry.get(kind).and_then(|spec| spec.composite.as_ref()) {
                self.made_of.insert(kind.to_owned(), Some(composite.def.clone()));
                for kind in composite.def.node_types() {
                    self.composite(&kind, unit, pointer, findings);
                }
            }
            return;
        };
        if let Some(start) = self.open.iter().position(|(open, _)| *open == source.canonical) {
            let names = self.open[start..].iter().map(|(_, name)| name.as_str()).collect();
            findings.push(recursion(unit.at(&format!("{pointer}/type")), names));
            return;
        }
        let made = self.check_composite(kind, source);
        self.made_of.insert(kind.to_owned(), made);
    }

    /// A file that is a composite, and was named as a definition.
    pub(super) fn composite_file(&mut self, name: &str, document: Document, path: &Path, canonical: &Path) {
        if self.open.is_empty() {
            self.composite = Some(name.to_owned());
        }
        let composites = self.composites;
        if let Some((key, source)) = composites.sources.iter().find(|(_, source)| source.canonical == canonical) {
            if !self.made_of.contains_key(key) {
                let made = self.check_composite(name, source);
                self.made_of.insert(key.clone(), made);
            }
            return;
        }
        // It stands elsewhere: no node can be of it, but it can be checked.
        let mut source = Source::read(document, path, Vec::new(), self.project.as_ref(), self.registry);
        if self.registry.get(name).is_some() {
            source.is_taken(format!("there is already a node type `{name}`"), None);
        }
        if let Some(def) = source.def() {
            match self.registry.clone().with_composite(def) {
                Ok(registry) => source.composite = registry.get(name).and_then(|spec| spec.composite.clone()),
                Err(findings) => {
                    let told: Vec<_> = findings.iter().map(|finding| source.document.diagnostic(finding)).collect();
                    source.findings.extend(told);
                }
            }
        }
        self.check_composite(name, &source);
    }

    /// Checks a composite and what it names; gives it resolved when there is no error.
    fn check_composite(&mut self, name: &str, source: &Source) -> Option<CompositeDef> {
        if !self.files.contains(&source.path) {
            self.files.push(source.path.clone());
        }
        self.files.extend(source.includes.paths.iter().cloned());
        let mut findings = source.findings.clone();
        let mut resolved = None;
        if let Some(composite) = &source.composite {
            let (document, texts) = (source.document.clone(), source.includes.files.clone());
            let unit = Unit::of_composite(document, composite.clone(), texts, self.registry);
            let children = self.named(&unit, &source.path, source.canonical.clone(), name, &mut findings);
            findings.extend(check::check(&unit, &children));
            self.tell_broken(&unit, &mut findings);
            resolved = Some(resolve::composite(&unit, &composite.def, &children));
        }
        let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
        self.diagnostics.extend(findings);
        resolved.filter(|_| !failed)
    }

    /// Nodes of composites that have errors. What is wrong with those is said in their own files.
    pub(super) fn tell_broken(&self, unit: &Unit<'_>, findings: &mut Vec<Diagnostic>) {
        for (kind, pointer) in unit.types_used() {
            if !matches!(self.made_of.get(&kind), Some(None)) {
                continue;
            }
            // Whatever else would be said of its nodes follows from that.
            let (unknown, inside) = (format!("unknown node type `{kind}`"), format!("inside of `{kind}`:"));
            findings.retain(|finding| finding.message != unknown && !finding.message.contains(&inside));
            let span = unit.at(&format!("{pointer}/type"));
            let finding =
                Diagnostic::error(codes::COMPOSITE_BROKEN, span, format!("the composite `{kind}` has errors"));
            findings.push(finding.label("cannot be used").hint(format!("mend `{FOLDER}/{kind}.yaml` first")));
        }
    }
}
