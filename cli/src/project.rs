//! The folder that a command works in: that of the nearest `liteagent.toml`, else the current one.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use liteagent_engine::{
    codes,
    node::{Known, Registry},
    source::MAX_BYTES,
};
use walkdir::{DirEntry, WalkDir};

use crate::{
    config::{self, Config},
    failure::Failure,
    sandbox,
};

/// Endings of workflow files.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Files beside a workflow: its tests and what they recorded, its place on a canvas, schemas.
const OTHERS: [&str; 4] = [".test", ".cassette", ".layout", ".schema"];

/// Folders that never hold definitions.
const LEFT_OUT: [&str; 3] = ["target", "node_modules", "out"];

/// The folder that a command works in, and its configuration.
#[derive(Debug)]
pub(crate) struct Project {
    /// The root of the definitions.
    pub(crate) root: PathBuf,
    /// What `liteagent.toml` says.
    pub(crate) config: Config,
}

impl Project {
    /// The project around the current folder.
    pub(crate) fn here() -> Result<Self, Failure> {
        let current = std::env::current_dir().map_err(|error| {
            Failure::usage(codes::CONFIG, format!("the current folder cannot be used: {error}"))
                .hint("change to a folder that exists: `cd ~`")
        })?;
        Self::around(&current)
    }

    /// The project around a folder.
    pub(crate) fn around(folder: &Path) -> Result<Self, Failure> {
        let root = folder.ancestors().find(|folder| folder.join(config::FILE).is_file()).unwrap_or(folder).to_owned();
        let config = Config::read(&root)?;
        Ok(Self { root, config })
    }

    /// Where runs, blobs and state are kept: `LITEAGENT_DATA`, else `.liteagent` in the root.
    pub(crate) fn data(&self) -> PathBuf {
        config::setting("LITEAGENT_DATA").map_or_else(|| self.root.join(".liteagent"), PathBuf::from)
    }

    /// The file of a workflow, given as a path or as a name below the root.
    pub(crate) fn find(&self, workflow: &str) -> Result<PathBuf, Failure> {
        let path = Path::new(workflow);
        if path.is_file() {
            return Ok(path.to_owned());
        }
        let known = self.workflows(&self.root);
        let by_name = |(_, name): &&(PathBuf, String)| name == workflow;
        if let Some((path, _)) = known.iter().find(by_name) {
            return Ok(shown(path));
        }
        if path.symlink_metadata().is_ok() {
            // It cannot be read as a file; whoever tries says why.
            return Ok(path.to_owned());
        }
        let names = known.iter().map(|(_, name)| name.as_str());
        let failure = Failure::usage(codes::NO_WORKFLOW, format!("there is no file and no workflow `{workflow}`"));
        Err(failure.near(workflow, names.clone(), &listed(&names.collect::<Vec<_>>())))
    }

    /// The node types, and what checks know of this installation.
    pub(crate) fn node_types(&self) -> Registry {
        let registry = liteagent_nodes::registry();
        let mcp = Some(self.config.mcp.keys().cloned().collect());
        registry.knowing(Known { python: sandbox::modules(self), mcp })
    }

    /// The files that arguments name: files, folders, names of workflows; without one, everything below the root.
    pub(crate) fn definitions(&self, paths: &[String]) -> Result<Vec<PathBuf>, Failure> {
        if paths.is_empty() {
            return Ok(self.workflows(&self.root).iter().map(|(path, _)| shown(path)).collect());
        }
        let mut found = Vec::new();
        for path in paths {
            if Path::new(path).is_dir() {
                found.extend(self.workflows(Path::new(path)).into_iter().map(|(path, _)| path));
            } else {
                found.push(self.find(path)?);
            }
        }
        Ok(found)
    }

    /// Every workflow file below a folder with its name, sorted by path.
    pub(crate) fn workflows(&self, folder: &Path) -> Vec<(PathBuf, String)> {
        let shown = |entry: &DirEntry| entry.depth() == 0 || !is_left_out(entry);
        WalkDir::new(folder)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(shown)
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file() && is_definition(entry.path()))
            .filter_map(|entry| {
                // One that cannot be read is none that can be left out in silence: whoever loads it says why.
                let text = begin_of(entry.path());
                let is_workflow = text.as_deref().is_none_or(looks_like_a_workflow);
                let name = text.as_deref().and_then(name_in).unwrap_or_else(|| self.name_by_path(entry.path()));
                is_workflow.then(|| (entry.into_path(), name))
            })
            .collect()
    }

    fn name_by_path(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        below.with_extension("").to_string_lossy().replace('\\', "/")
    }
}

/// A path as people write it: relative to the current folder where it lies below it.
pub(crate) fn shown(path: &Path) -> PathBuf {
    let current = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&current).unwrap_or(path).to_owned()
}

/// What could have been meant instead.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 8;
    if names.is_empty() {
        return "there is none here; `liteagent new hello` writes one".to_owned();
    }
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > MOST { format!(", and {} more", names.len() - MOST) } else { String::new() };
    format!("the workflows of this folder are {}{more}", shown.join(", "))
}

/// As much of a file as a workflow may have, whatever its bytes are.
fn begin_of(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(MAX_BYTES as u64).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_left_out(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    name.starts_with('.') || entry.file_type().is_dir() && LEFT_OUT.contains(&&*name)
}

fn is_definition(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
    ENDINGS.contains(&ending) && !OTHERS.iter().any(|other| stem.ends_with(other))
}

/// Other YAML may lie beside workflows; one that has a top-level `nodes` or our modeline is meant to be a workflow.
fn looks_like_a_workflow(text: &str) -> bool {
    let top_level =
        |line: &str| line.starts_with("nodes:") || line.starts_with("\"nodes\"") || line.starts_with("  \"nodes\":");
    if json(text).is_some_and(|object| object.contains_key("nodes")) {
        return true;
    }
    text.lines().any(|line| {
        top_level(line) || line.starts_with("# yaml-language-server:") && line.ends_with("workflow.schema.json")
    })
}

/// The object of a JSON file; a program may have written it in one line.
fn json(text: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    if text.starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

/// The name that a file gives itself, found without reading the whole where it is YAML.
fn name_in(text: &str) -> Option<String> {
    if let Some(object) = json(text) {
        return object.get("name")?.as_str().map(str::to_owned);
    }
    let value = text.lines().find_map(|line| line.strip_prefix("name:"))?;
    let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}
