//! The folder of definitions: names of workflows to files, and files to names.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Component, Path, PathBuf},
};

use crate::{codes, error::Code, suggest};

/// The file that marks the definitions root.
pub(super) const MARKER: &str = "liteagent.toml";
/// Folders of the root that files may be included from.
pub(super) const SHARED: [&str; 3] = ["prompts", "code", "assets"];
const SUFFIXES: [&str; 3] = [".yaml", ".yml", ".json"];
const NO_DEFINITIONS: [&str; 6] =
    [".test.yaml", ".test.yml", ".test.json", ".layout.json", ".schema.json", "package.json"];
const MOST_FILES: usize = 10_000;
/// The name of a workflow stands near its top.
const HEAD: u64 = 64 << 10;

/// The definitions below one root.
pub(super) struct Project {
    pub(super) root: PathBuf,
    /// Every named workflow, once it was needed.
    index: Option<BTreeMap<String, Vec<PathBuf>>>,
}

/// Why a workflow is not found.
pub(super) struct Missing {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) label: String,
    pub(super) hint: String,
}

impl Missing {
    pub(super) fn no_files() -> Self {
        Self {
            code: codes::UNKNOWN_WORKFLOW,
            message: "a definition that is no file names another workflow".to_owned(),
            label: "no other workflow is in sight".to_owned(),
            hint: "save the definition in a folder of definitions and load it from there".to_owned(),
        }
    }

    fn unknown(named: &str, label: &str, hint: String) -> Self {
        Self {
            code: codes::UNKNOWN_WORKFLOW,
            message: format!("unknown workflow `{named}`"),
            label: label.to_owned(),
            hint,
        }
    }
}

impl Project {
    /// The project that a file belongs to.
    pub(super) fn around(file: &Path, root: Option<&Path>) -> Self {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let marked = || folder.ancestors().find(|folder| folder.join(MARKER).is_file()).map(Path::to_owned);
        let root = root.map(|root| root.canonicalize().unwrap_or_else(|_| root.to_owned())).or_else(marked);
        Self { root: root.unwrap_or(folder), index: None }
    }

    /// The name that a file has unless it says otherwise: its path below the root, in lower case.
    pub(super) fn name_of(&self, file: &Path) -> Option<String> {
        let file = file.canonicalize().ok()?;
        let below =
            file.strip_prefix(&self.root).ok().map(Path::to_owned).or_else(|| Some(file.file_name()?.into()))?;
        let name = below.to_string_lossy().replace('\\', "/");
        let name = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name).to_lowercase();
        Some(
            name.chars()
                .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || "_-/".contains(c) { c } else { '-' })
                .collect(),
        )
    }

    /// The file of a workflow that a definition names: by name, or by a path that begins with `./`.
    pub(super) fn find(&mut self, from: &Path, named: &str) -> Result<PathBuf, Missing> {
        if named.starts_with("./") || named.starts_with("../") {
            return self.at_path(from, named);
        }
        let root = self.root.clone();
        let index = self.index.get_or_insert_with(|| index(&root));
        match index.get(named).map(Vec::as_slice) {
            Some([path]) => Ok(path.clone()),
            Some([first, second, ..]) => Err(Missing {
                code: codes::WORKFLOW_TWICE,
                message: format!("two workflows are called `{named}`"),
                label: format!("`{}` or `{}`?", shown(first, &root), shown(second, &root)),
                hint: format!("give one of them another `name` than `{named}`"),
            }),
            _ => {
                let hint = match suggest::nearest(named, index.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        "name a workflow of this folder of definitions, or a file with a path that begins with `./`"
                            .to_owned()
                    }
                };
                Err(Missing::unknown(named, "no workflow has this name", hint))
            }
        }
    }

    fn at_path(&self, from: &Path, named: &str) -> Result<PathBuf, Missing> {
        let path = from.parent().unwrap_or(Path::new("")).join(named.trim_start_matches("./"));
        let inside = path.canonicalize().is_ok_and(|path| path.starts_with(&self.root));
        if path.is_file() && inside {
            return Ok(path);
        }
        let (label, hint) = if path.is_file() {
            ("this file lies outside the definitions", "move the file below the folder with `liteagent.toml`")
        } else {
            (
                "there is no such file",
                "write the path from the folder of this file, with its ending: `./parts/clean.yaml`",
            )
        };
        Err(Missing::unknown(named, label, hint.to_owned()))
    }
}

fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Every workflow below the root by its name.
fn index(root: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let project = Project { root: root.to_owned(), index: None };
    let mut index: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    let mut left = MOST_FILES;
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            if left == 0 || is_hidden(&path) || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                // Those make node types, and are no workflows.
                if folder != root || path.file_name().is_none_or(|name| name != super::composites::FOLDER) {
                    open.push(path);
                }
            } else if is_definition(&path) {
                left -= 1;
                let name = written_name(&path).or_else(|| project.name_of(&path));
                index.entry(name.unwrap_or_default()).or_default().push(path);
            }
        }
    }
    index
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || name == "node_modules" || name == "target"
}

fn is_definition(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) && !NO_DEFINITIONS.iter().any(|suffix| name.ends_with(suffix))
}

/// The `name:` of a definition, read off its top without parsing the whole.
fn written_name(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    fs::File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    if path.extension().is_some_and(|ending| ending == "json") {
        let value: serde_json::Value = serde_json::from_str(&head).ok()?;
        return value.get("name")?.as_str().map(str::to_owned);
    }
    let line = head.lines().find_map(|line| line.strip_prefix("name:"))?;
    let line = line.split(" #").next().unwrap_or_default().trim();
    Some(line.trim_matches(['"', '\'']).to_owned()).filter(|name| !name.is_empty())
}

/// Whether a path has a component that begins with a dot, `..` aside.
pub(super) fn has_dot_file(path: &Path) -> bool {
    path.components().any(|part| matches!(part, Component::Normal(name) if name.to_string_lossy().starts_with('.')))
}
