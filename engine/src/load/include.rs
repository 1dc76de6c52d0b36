//! `{ file: path }`: texts that stand in files of their own.

use std::{
    collections::HashMap,
    fs,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use serde_json::Value as Json;

use super::project::{MARKER, Project, SHARED, has_dot_file};
use crate::{
    check::Included,
    codes,
    diagnostic::{Diagnostic, SourceFile},
    graph::WorkflowGraph,
    node::Registry,
    shape::FileSite,
    source::Document,
};

/// The largest text that is included, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The value of a definition with the texts of files in their place.
pub(super) struct Includes {
    pub(super) value: Json,
    /// The files, by the pointer of the text that each holds.
    pub(super) files: HashMap<String, Included>,
    pub(super) paths: Vec<PathBuf>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Why a file is not included.
struct Refused {
    code: crate::error::Code,
    message: String,
    hint: &'static str,
}

impl Includes {
    /// Reads the files that a definition includes.
    pub(super) fn of(document: &Document, from: &Path, project: Option<&Project>, registry: &Registry) -> Self {
        let mut includes =
            Self { value: document.value.clone(), files: HashMap::new(), paths: Vec::new(), diagnostics: Vec::new() };
        if !document.file.text.contains("file") {
            return includes;
        }
        for site in WorkflowGraph::files(&document.value, registry) {
            includes.include(document, from, project, site);
        }
        includes
    }

    fn include(&mut self, document: &Document, from: &Path, project: Option<&Project>, site: FileSite) {
        let FileSite { path: at, text: pointer } = site;
        let Some(named) = document.value.pointer(&at).and_then(Json::as_str) else { return };
        // A node with both the text and its file is for its type to refuse.
        let stands_beside = !at.starts_with(&format!("{pointer}/"));
        if stands_beside && document.has(&pointer) {
            return;
        }
        let (text, file) = match find(named, from, project).and_then(|path| Ok((read(&path, named)?, path))) {
            Ok((text, path)) => {
                self.paths.push(path.clone());
                let name = path.to_string_lossy().into_owned();
                (text.clone(), Some(Arc::new(SourceFile { name, text })))
            }
            Err(Refused { code, message, hint }) => {
                let finding = Diagnostic::error(code, document.span(&at), message).label("not included").hint(hint);
                self.diagnostics.push(finding);
                (String::new(), None)
            }
        };
        if stands_beside {
            self.replace_path(&at, &pointer, text);
        } else if let Some(place) = self.value.pointer_mut(&pointer) {
            *place = Json::String(text);
        }
        self.files.insert(pointer, Included { written: at, file });
    }

    /// Puts a text in the place of the path that stands beside it.
    fn replace_path(&mut self, path: &str, text_at: &str, text: String) {
        let around = path.rsplit_once('/').and_then(|(around, key)| Some((self.value.pointer_mut(around)?, key)));
        let Some((Json::Object(fields), key)) = around else { return };
        fields.shift_remove(key);
        let name = text_at.rsplit_once('/').map_or(text_at, |(_, name)| name);
        fields.insert(name.to_owned(), Json::String(text));
    }
}

fn find(named: &str, from: &Path, project: Option<&Project>) -> Result<PathBuf, Refused> {
    let project = project.ok_or_else(|| {
        refused(format!("`{named}` cannot be read: this definition is no file"), "write the text itself")
    })?;
    let path = Path::new(named);
    let steps_out = path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if steps_out || has_dot_file(path) || path.file_name().is_some_and(|name| name == MARKER) {
        let message = format!("`{named}` may not be included: no `..`, no file with a leading dot, no `{MARKER}`");
        return Err(refused(
            message,
            "move the text beside the definition, or into `prompts`, `code` or `assets` of the root",
        ));
    }
    let own = from.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let is_shared =
        path.components().next().is_some_and(|first| SHARED.iter().any(|shared| first.as_os_str() == *shared));
    let folders = [Some(own), is_shared.then(|| project.root.clone())];
    for folder in folders.into_iter().flatten() {
        let file = folder.join(path);
        if file.is_file() {
            return inside(&file, &folder).then_some(file).ok_or_else(|| {
                refused(
                    format!("`{named}` is a link that leads out of its folder"),
                    "copy the file to where the link is",
                )
            });
        }
    }
    Err(Refused {
        code: codes::INCLUDE_UNREADABLE,
        message: format!("`{named}` is not there"),
        hint: "write the path from the folder of this definition, or below `prompts`, `code` or `assets` of the root",
    })
}

fn inside(file: &Path, folder: &Path) -> bool {
    match (file.canonicalize(), folder.canonicalize()) {
        (Ok(file), Ok(folder)) => file.strip_prefix(folder).is_ok_and(|below| !has_dot_file(below)),
        _ => false,
    }
}

fn read(path: &Path, named: &str) -> Result<String, Refused> {
    let unreadable = |message: String, hint| Refused { code: codes::INCLUDE_UNREADABLE, message, hint };
    let size = fs::metadata(path).map(|data| data.len()).unwrap_or_default();
    if size > MAX_BYTES {
        return Err(unreadable(
            format!("`{named}` has {size} bytes, more than 1 MiB"),
            "read large files with a `file-read` node",
        ));
    }
    let bytes = fs::read(path).map_err(|error| {
        unreadable(format!("`{named}` cannot be read: {error}"), "allow this user to read the file")
    })?;
    String::from_utf8(bytes).map_err(|_| unreadable(format!("`{named}` is not UTF-8 text"), "save the file as UTF-8"))
}

fn refused(message: String, hint: &'static str) -> Refused {
    Refused { code: codes::INCLUDE_REFUSED, message, hint }
}
