//! From a test file on disk to every finding about it, or to tests that can run.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use indexmap::IndexMap;
use liteagent_engine::{
    bundle::Bundle,
    codes,
    diagnostic::{Diagnostic, Severity},
    load::{LoadOptions, load},
    node::Registry,
    shape, source,
    source::Document,
};
use serde_json::Value as Json;

use super::{
    cassette::{Cassette, Recording},
    check,
    file::{Test, TestFile},
    lookup::Lookup,
};

/// A test file that was read, and the workflow that it tests.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(super) bundle: Arc<Bundle>,
    pub(super) file: TestFile,
    /// The file of the tests.
    pub(super) path: PathBuf,
    document: Document,
    pub(super) cassette: Cassette,
}

/// Each test, and whether it uses the cassette.
fn uses(file: &TestFile) -> Vec<(&Test, bool)> {
    file.tests.iter().map(|test| (test, file.uses_cassette(test))).collect()
}

impl Suite {
    /// The tests.
    pub(crate) fn tests(&self) -> &[Test] {
        &self.file.tests
    }

    /// The file of the tests.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// `workflow › test`.
    pub(crate) fn title(&self, test: &Test) -> String {
        format!("{} › {}", self.bundle.entry, test.name)
    }

    /// Whether a test uses the cassette of the file.
    pub(crate) fn uses_cassette(&self, test: &Test) -> bool {
        self.file.uses_cassette(test)
    }

    /// The file of the cassette, and its text with what was recorded, by test. The recordings of other tests stay.
    ///
    /// # Errors
    /// When it cannot be written so that it can be read again.
    pub(crate) fn recorded(&self, recorded: IndexMap<String, Recording>) -> Result<(PathBuf, String), String> {
        let mut cassette = self.cassette.clone();
        cassette.take(recorded, &uses(&self.file));
        Ok((Cassette::path(&self.path), cassette.text()?))
    }

    /// `file:line` of a test.
    pub(super) fn place(&self, test: &Test) -> String {
        let index = self.file.tests.iter().position(|other| other.name == test.name).unwrap_or_default();
        let start = self.document.span(&format!("/tests/{index}")).range.start;
        let text = &self.document.file.text;
        let line = 1 + text.get(..start).unwrap_or_default().matches('\n').count();
        format!("{}:{line}", self.document.file.name)
    }
}

/// Reads a test file, its workflow and its cassette. `find` leads from a name to the file of a workflow, or says why not.
/// With `anew`, the cassette is about to be recorded.
///
/// # Errors
/// Every finding, of the workflow too.
pub(crate) fn read(
    path: &Path,
    registry: &Registry,
    find: &dyn Fn(&str) -> Result<PathBuf, String>,
    anew: bool,
) -> Result<Suite, Vec<Diagnostic>> {
    let (document, mut findings) = source::read(path);
    let Some(document) = document else { return Err(findings) };
    let schema = super::schema();
    findings.extend(shape::walk(&schema, &document.value, "").findings.into_iter().map(|finding| {
        let span = if finding.on_key { document.key_span(&finding.pointer) } else { document.span(&finding.pointer) };
        let diagnostic = Diagnostic::error(finding.code, span, finding.message).label(finding.label);
        match finding.hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }));
    if has_errors(&findings) {
        return Err(findings);
    }
    let file: TestFile = match serde_json::from_value(without_free_keys(&document.value)) {
        Ok(file) => file,
        Err(error) => {
            findings.push(Diagnostic::error(codes::TEST_INVALID, document.span(""), error.to_string()));
            return Err(findings);
        }
    };
    let bundle = match workflow(path, &file, registry, find) {
        Ok(bundle) => bundle,
        Err(Missing::Broken(of_workflow)) => {
            findings.extend(of_workflow);
            return Err(findings);
        }
        Err(Missing::Nowhere(message)) => {
            let finding = Diagnostic::error(codes::TEST_WORKFLOW, document.span("/workflow"), message);
            findings.push(finding.hint("set `workflow` to the name of the workflow, or to its path: `./other.yaml`"));
            return Err(findings);
        }
    };
    findings.extend(check::file(&file, &document, Lookup::new(&bundle, registry)));
    let cassette = match Cassette::read(&Cassette::path(path), &uses(&file), anew) {
        Ok(cassette) => cassette,
        Err(of_cassette) => {
            findings.extend(of_cassette);
            Cassette::default()
        }
    };
    if has_errors(&findings) {
        Err(findings)
    } else {
        Ok(Suite { bundle: Arc::new(bundle), file, path: path.to_owned(), document, cassette })
    }
}

fn has_errors(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Keys that begin with `x-` hold anchors.
fn without_free_keys(value: &Json) -> Json {
    let mut value = value.clone();
    if let Some(members) = value.as_object_mut() {
        members.retain(|key, _| !key.starts_with("x-"));
    }
    value
}

/// Why there is no workflow to test.
enum Missing {
    Broken(Vec<Diagnostic>),
    Nowhere(String),
}

fn workflow(
    path: &Path,
    file: &TestFile,
    registry: &Registry,
    find: &dyn Fn(&str) -> Result<PathBuf, String>,
) -> Result<Bundle, Missing> {
    let found = match file.workflow.as_deref() {
        None => beside(path).ok_or_else(|| {
            Missing::Nowhere(format!("there is no workflow beside `{}` with the same name", path.display()))
        })?,
        Some(name) if name.starts_with("./") || name.starts_with("../") => {
            let found = path.parent().unwrap_or(Path::new("")).join(name);
            if !found.is_file() {
                return Err(Missing::Nowhere(format!("there is no file `{}`", found.display())));
            }
            found
        }
        Some(name) => find(name).map_err(Missing::Nowhere)?,
    };
    let loaded = load(&found, registry, &LoadOptions::default());
    loaded.bundle.ok_or_else(|| {
        let errors = loaded.diagnostics.into_iter().filter(|finding| finding.severity == Severity::Error);
        Missing::Broken(errors.collect())
    })
}

/// `NAME.yaml` beside `NAME.test.yaml`.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let (stem, _) = name.split_once(".test.")?;
    ["yaml", "yml", "json"]
        .iter()
        .map(|ending| path.with_file_name(format!("{stem}.{ending}")))
        .find(|path| path.is_file())
}
