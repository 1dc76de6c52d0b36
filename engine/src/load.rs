//! From a file on disk to every finding about it, and to the bundle that a run is pinned to.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use indexmap::IndexMap;

use self::{composites::Composites, include::Includes, project::Project};
use crate::{
    bundle::Bundle,
    check::{self, Child, Unit},
    codes,
    composite::CompositeDef,
    definition::Definition,
    diagnostic::{Diagnostic, Severity, Span},
    node::Registry,
    source::{self, Document},
};

mod composites;
mod include;
mod project;
mod resolve;

/// Where a definition is looked at from.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The definitions root: names of workflows are paths below it. By default the nearest folder upward with
    /// `liteagent.toml`, else the folder of the file.
    pub root: Option<PathBuf>,
    /// Stands in the place of `defaults.model`, in the workflow and in those that it names: a node that names its model keeps
    /// it.
    pub model: Option<String>,
    /// Where workflows are looked for that the folder does not have.
    pub library: Option<Library>,
}

/// Workflows that are no files here, by name: what an installation has published.
#[derive(Clone)]
pub struct Library(Arc<Find>);

/// Gives the text of a definition by its name.
type Find = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Library {
    /// `find` gives the text of a definition that includes no file.
    pub fn new(find: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Library")
    }
}

/// What was read, and what was found.
#[derive(Debug)]
pub struct Loaded {
    /// Every finding, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// The workflow and all that it names; `None` when there is an error, or the file is a composite.
    pub bundle: Option<Bundle>,
    /// The node type that the file makes, when it is a composite and no workflow.
    pub composite: Option<String>,
    /// Every file that was read, the definition first: what `--watch` watches.
    pub files: Vec<PathBuf>,
}

/// The node types that files below a definitions root can use: those of the program, and the composites of the project
/// that have no errors in their form.
pub fn node_types(root: &Path, registry: &Registry) -> Registry {
    Composites::of(&Project::around(&root.join("any"), Some(root)), registry).registry
}

/// Reads a definition and every workflow, composite and file that it names, and checks them all. A file that is a
/// composite is checked as one.
pub fn load(path: &Path, registry: &Registry, options: &LoadOptions) -> Loaded {
    let project = Project::around(path, options.root.as_deref());
    let composites = Composites::of(&project, registry);
    let (model, library) = (options.model.as_deref(), options.library.as_ref());
    let mut loader = Loader { model, library, ..Loader::new(&composites, Some(project)) };
    let entry = loader.file(path);
    loader.finish(entry)
}

/// Checks a definition that is no file: it may name no other workflow and include no file.
pub fn load_text(name: &str, text: &str, registry: &Registry) -> Loaded {
    let composites = Composites::none(registry);
    let mut loader = Loader::new(&composites, None);
    let entry = loader.text(name, text);
    loader.finish(entry)
}

/// Reads definitions, each once, children before the workflows that name them.
struct Loader<'a> {
    registry: &'a Registry,
    composites: &'a Composites,
    project: Option<Project>,
    model: Option<&'a str>,
    library: Option<&'a Library>,
    diagnostics: Vec<Diagnostic>,
    files: Vec<PathBuf>,
    /// The definitions that were read, by canonical path.
    read: HashMap<PathBuf, Option<Arc<Child>>>,
    /// The definitions that are being read, outermost first: canonical path and name.
    open: Vec<(PathBuf, String)>,
    workflows: IndexMap<String, Definition>,
    /// The composites that were read, by name, each resolved; `None` when it has errors.
    made_of: IndexMap<String, Option<CompositeDef>>,
    /// The composite that the first file is.
    composite: Option<String>,
}

impl<'a> Loader<'a> {
    fn new(composites: &'a Composites, project: Option<Project>) -> Self {
        Self {
            registry: &composites.registry,
            composites,
            project,
            model: None,
            library: None,
            diagnostics: Vec::new(),
            files: Vec::new(),
            read: HashMap::new(),
            open: Vec::new(),
            workflows: IndexMap::new(),
            made_of: IndexMap::new(),
            composite: None,
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
        let child = document.and_then(|document| match composites::name_in(&document.value) {
            Some(name) => {
                let name = name.to_owned();
                self.composite_file(&name, document, path, &canonical);
                None
            }
            None => Some(self.document(document, path, canonical.clone(), default_name)),
        });
        self.read.insert(canonical, child.clone());
        child
    }

    fn text(&mut self, name: &str, text: &str) -> Option<Arc<Child>> {
        let (document, findings) = source::parse(name, text.to_owned());
        self.diagnostics.extend(findings);
        let path = PathBuf::from(name);
        let named = path.with_extension("").to_string_lossy().into_owned();
        Some(self.document(document?, &path, path.clone(), Some(named)))
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

        let children = self.named(&unit, path, canonical, &name, &mut findings);
        findings.extend(check::check(&unit, &children));
        self.tell_broken(&unit, &mut findings);
        let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
        self.diagnostics.extend(findings);
        let child = Arc::new(Child::of(&unit, name.clone(), &children));
        if !failed {
            match resolve::definition(&unit, &name, &children, self.model) {
                Ok(definition) => drop(self.workflows.insert(name, definition)),
                Err(finding) => self.diagnostics.push(*finding),
            }
        }
        child
    }

    /// The workflows and composites that a file names.
    fn named(
        &mut self,
        unit: &Unit<'_>,
        path: &Path,
        canonical: PathBuf,
        name: &str,
        findings: &mut Vec<Diagnostic>,
    ) -> BTreeMap<String, Arc<Child>> {
        self.open.push((canonical, name.to_owned()));
        self.composites_of(unit, findings);
        let mut children = BTreeMap::new();
        for (pointer, named) in unit.workflows_named() {
            if let Some(child) = self.child(unit, path, &pointer, &named, findings) {
                children.insert(named, child);
            }
        }
        self.open.pop();
        children
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
                if let Some(text) = self.library.and_then(|library| library.0(named)) {
                    return self.published(unit.at(pointer), named, &text, findings);
                }
                let finding = Diagnostic::error(missing.code, unit.at(pointer), missing.message);
                findings.push(finding.label(missing.label).hint(missing.hint));
                return None;
            }
        };
        let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.is_open(&canonical, || unit.at(pointer), findings) {
            return None;
        }
        let child = self.file(&path);
        if let Some(name) = child.is_none().then(|| self.composites.at(&canonical)).flatten() {
            let message = format!("`{named}` is a composite and no workflow");
            let finding = Diagnostic::error(codes::UNKNOWN_WORKFLOW, unit.at(pointer), message);
            findings.push(finding.label("makes a node type").hint(format!("write `type: {name}` instead")));
        }
        child
    }

    /// A workflow that is no file here.
    fn published(&mut self, at: Span, name: &str, text: &str, findings: &mut Vec<Diagnostic>) -> Option<Arc<Child>> {
        // No file has an empty folder in its canonical path.
        let key = PathBuf::from(format!("library//{name}"));
        if self.is_open(&key, || at, findings) {
            return None;
        }
        if let Some(known) = self.read.get(&key) {
            return known.clone();
        }
        let (document, found) = source::parse(name, text.to_owned());
        self.diagnostics.extend(found);
        let child =
            document.map(|document| self.document(document, Path::new(name), key.clone(), Some(name.to_owned())));
        self.read.insert(key, child.clone());
        child
    }

    /// Whether a definition is being read already, which is a finding: it calls itself.
    fn is_open(&self, canonical: &Path, at: impl FnOnce() -> Span, findings: &mut Vec<Diagnostic>) -> bool {
        let Some(start) = self.open.iter().position(|(open, _)| open == canonical) else { return false };
        findings.push(recursion(at(), self.open[start..].iter().map(|(_, name)| name.as_str()).collect()));
        true
    }

    fn finish(mut self, entry: Option<Arc<Child>>) -> Loaded {
        check::arrange(&mut self.diagnostics, &self.files);
        let failed = self.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
        let composites = self.made_of.into_iter().filter_map(|(name, def)| Some((name, def?))).collect();
        let bundle = entry
            .filter(|_| !failed)
            .map(|entry| Bundle::new(entry.name.clone(), self.workflows).with_composites(composites));
        Loaded { diagnostics: self.diagnostics, bundle, composite: self.composite, files: self.files }
    }
}

fn recursion(span: Span, names: Vec<&str>) -> Diagnostic {
    let circle = names.iter().chain(names.first()).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" -> ");
    Diagnostic::error(codes::WORKFLOW_RECURSION, span, format!("a workflow calls itself: {circle}"))
        .label("back to the start of the circle")
        .hint("use a `loop` node for what repeats, or split the part that both need into a third workflow")
}
