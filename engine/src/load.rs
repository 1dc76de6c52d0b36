//! From a file on disk to every finding about it, and to the bundle that a run is pinned to.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use indexmap::IndexMap;

use self::{include::Includes, project::Project};
use crate::{
    bundle::Bundle,
    check::{self, Child, Unit},
    codes,
    definition::Definition,
    diagnostic::{Diagnostic, Severity, Span},
    node::Registry,
    source::{self, Document},
};

mod include;
mod project;
mod resolve;

/// Where a definition is looked at from.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The definitions root: names of workflows are paths below it. By default the nearest folder upward with
    /// `liteagent.toml`, else the folder of the file.
    pub root: Option<PathBuf>,
}

/// What was read, and what was found.
#[derive(Debug)]
pub struct Loaded {
    /// Every finding, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// The workflow and all that it names; `None` when there is an error.
    pub bundle: Option<Bundle>,
    /// Every file that was read, the definition first: what `--watch` watches.
    pub files: Vec<PathBuf>,
}

/// Reads a definition and every workflow and file that it names, and checks them all.
pub fn load(path: &Path, registry: &Registry, options: &LoadOptions) -> Loaded {
    let mut loader = Loader::new(registry, Some(Project::around(path, options.root.as_deref())));
    let entry = loader.file(path);
    loader.finish(entry)
}

/// Checks a definition that is no file: it may name no other workflow and include no file.
pub fn load_text(name: &str, text: &str, registry: &Registry) -> Loaded {
    let mut loader = Loader::new(registry, None);
    let entry = loader.text(name, text);
    loader.finish(entry)
}

/// Reads definitions, each once, children before the workflows that name them.
struct Loader<'a> {
    registry: &'a Registry,
    project: Option<Project>,
    diagnostics: Vec<Diagnostic>,
    files: Vec<PathBuf>,
    /// The definitions that were read, by canonical path.
    read: HashMap<PathBuf, Option<Arc<Child>>>,
    /// The definitions that are being read, outermost first: canonical path and name.
    open: Vec<(PathBuf, String)>,
    workflows: IndexMap<String, Definition>,
}

impl<'a> Loader<'a> {
    fn new(registry: &'a Registry, project: Option<Project>) -> Self {
        Self {
            registry,
            project,
            diagnostics: Vec::new(),
            files: Vec::new(),
            read: HashMap::new(),
            open: Vec::new(),
            workflows: IndexMap::new(),
        }
    }

    fn file(&mut self, path: &Path) -> Option<Arc<Child>> {
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(known) = self.read.get(&canonical) {
            return known.clone();
        }
        self.files.push(path.to_owned());
        let (document, findings) = source::read(path);
        self.diagnostics.extend(findings);
        let default_name = self.project.as_ref().and_then(|project| project.name_of(path));
        let child = document.map(|document| self.document(document, path, canonical.clone(), default_name));
        self.read.insert(canonical, child.clone());
        child
    }

    fn text(&mut self, name: &str, text: &str) -> Option<Arc<Child>> {
        let (document, findings) = source::parse(name, text.to_owned());
        self.diagnostics.extend(findings);
        let path = PathBuf::from(name);
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        Some(self.document(document?, &path, path.clone(), stem))
    }

    fn document(
        &mut self,
        document: Document,
        path: &Path,
        canonical: PathBuf,
        default_name: Option<String>,
    ) -> Arc<Child> {
        let includes = Includes::of(&document, path, self.project.as_ref(), self.registry);
        self.files.extend(includes.paths);
        let mut findings = includes.diagnostics;
        let unit = Unit::new(document, includes.value, includes.files, self.registry);
        let name = unit.name().map(str::to_owned).or(default_name).unwrap_or_else(|| "workflow".to_owned());

        self.open.push((canonical, name.clone()));
        let mut children = BTreeMap::new();
        for (pointer, named) in unit.workflows_named() {
            if let Some(child) = self.child(&unit, path, &pointer, &named, &mut findings) {
                children.insert(named, child);
            }
        }
        self.open.pop();

        findings.extend(check::check(&unit, &children));
        let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
        self.diagnostics.extend(findings);
        let child = Arc::new(Child::of(&unit, name.clone()));
        if !failed {
            match resolve::definition(&unit, &name, &children) {
                Ok(definition) => drop(self.workflows.insert(name, definition)),
                Err(finding) => self.diagnostics.push(*finding),
            }
        }
        child
    }

    fn child(
        &mut self,
        unit: &Unit<'_>,
        from: &Path,
        pointer: &str,
        named: &str,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Arc<Child>> {
        let found = match &mut self.project {
            Some(project) => project.find(from, named),
            None => Err(project::Missing::no_files()),
        };
        let path = match found {
            Ok(path) => path,
            Err(missing) => {
                let finding = Diagnostic::error(missing.code, unit.at(pointer), missing.message);
                findings.push(finding.label(missing.label).hint(missing.hint));
                return None;
            }
        };
        let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
        if let Some(start) = self.open.iter().position(|(open, _)| *open == canonical) {
            findings
                .push(recursion(unit.at(pointer), self.open[start..].iter().map(|(_, name)| name.as_str()).collect()));
            return None;
        }
        self.file(&path)
    }

    fn finish(mut self, entry: Option<Arc<Child>>) -> Loaded {
        check::arrange(&mut self.diagnostics, &self.files);
        let failed = self.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
        let bundle = entry.filter(|_| !failed).map(|entry| Bundle::new(entry.name.clone(), self.workflows));
        Loaded { diagnostics: self.diagnostics, bundle, files: self.files }
    }
}

fn recursion(span: Span, names: Vec<&str>) -> Diagnostic {
    let circle = names.iter().chain(names.first()).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" -> ");
    Diagnostic::error(codes::WORKFLOW_RECURSION, span, format!("a workflow calls itself: {circle}"))
        .label("back to the start of the circle")
        .hint("use a `loop` node for what repeats, or split the part that both need into a third workflow")
}
