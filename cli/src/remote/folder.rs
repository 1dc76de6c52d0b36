//! The workflows of a folder beside those that a server has published.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Component, Path, PathBuf},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use liteagent_engine::{
    codes,
    diagnostic::{Diagnostic, Severity, render},
    id::Digest,
    load::{LoadOptions, load},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use similar::TextDiff;

use super::{
    Address, Client,
    api::{Version, WorkflowPage},
    segment,
};
use crate::{failure::Failure, output, project::Project, shell::Shell};

/// So many workflows are asked for at once.
const AT_ONCE: usize = 8;
/// Folders of the root whose files every definition may include.
const SHARED: [&str; 3] = ["prompts", "code", "assets"];
/// Where it is kept what a folder had in common with a server.
const KNOWN: &str = ".liteagent/deployed.json";

/// The texts of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Texts {
    /// The definition, byte for byte.
    pub(crate) source: String,
    /// The files that it includes, by their paths below the root.
    pub(crate) files: BTreeMap<String, String>,
}

/// A workflow of a folder.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    /// Its path below the root.
    pub(crate) path: String,
    pub(crate) texts: Texts,
}

/// A folder of workflows.
pub(crate) struct Folder {
    /// The root: names of workflows are paths below it.
    pub(crate) root: PathBuf,
    /// The workflows without errors, by name.
    pub(crate) workflows: BTreeMap<String, Local>,
    /// The paths of those with errors, and their names as far as they are known.
    pub(crate) broken: BTreeMap<String, String>,
}

impl Folder {
    /// Reads and checks a folder; errors are shown on stderr.
    pub(crate) fn read(folder: &Path, shell: &Shell) -> Result<Self, Failure> {
        let folder = folder.canonicalize().map_err(|error| {
            Failure::usage(codes::FILE_UNREADABLE, format!("the folder `{}` cannot be read: {error}", folder.display()))
                .hint("name a folder with workflows")
        })?;
        let project = Project::around(&folder)?;
        let (registry, root) = (project.node_types(), project.root.clone());
        let options = LoadOptions { root: Some(root.clone()), ..LoadOptions::default() };
        let mut read = Self { root, workflows: BTreeMap::new(), broken: BTreeMap::new() };
        let mut errors = Vec::new();
        for (path, name) in project.workflows(&folder) {
            let loaded = load(&path, &registry, &options);
            if loaded.composite.is_some() {
                continue;
            }
            let shown = below(&path, &read.root);
            let Some(bundle) = loaded.bundle else {
                errors.extend(loaded.diagnostics.into_iter().filter(is_error));
                read.broken.insert(shown, name);
                continue;
            };
            let texts = texts(&path, &loaded.files, &read.root)?;
            check_place(&shown, &bundle.entry, &texts)?;
            if let Some(other) = read.workflows.get(&bundle.entry) {
                let message = format!("`{}` and `{shown}` are both called `{}`", other.path, bundle.entry);
                return Err(
                    Failure::usage(codes::DEPLOY_REFUSED, message).hint("rename one of them, or name another folder")
                );
            }
            read.workflows.insert(bundle.entry.clone(), Local { path: shown, texts });
        }
        if !errors.is_empty() {
            shell.note(render::text(&errors, shell.colors_err()).trim_end());
        }
        Ok(read)
    }
}

fn is_error(finding: &Diagnostic) -> bool {
    finding.severity == Severity::Error
}

fn texts(path: &Path, files: &[PathBuf], root: &Path) -> Result<Texts, Failure> {
    let text = |path: &Path| {
        fs::read_to_string(path).map_err(|error| {
            Failure::usage(codes::FILE_UNREADABLE, format!("cannot read `{}`: {error}", path.display()))
        })
    };
    let own = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let is_other = |file: &&PathBuf| *file != path && file.canonicalize().is_ok_and(|file| file != own);
    let others = files.iter().filter(is_other).map(|file| Ok((below(file, root), text(file)?)));
    Ok(Texts { source: text(path)?, files: others.collect::<Result<_, Failure>>()? })
}

/// On the server a definition stands at the path of its name: what it includes from its own folder must be found from there.
fn check_place(path: &str, name: &str, texts: &Texts) -> Result<(), Failure> {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let is_shared = |file: &str| SHARED.contains(&file.split('/').next().unwrap_or_default());
    if stem == name || texts.files.keys().all(|file| is_shared(file)) {
        return Ok(());
    }
    Err(Failure::usage(codes::DEPLOY_REFUSED, format!("`{path}` is called `{name}`, and includes files beside it"))
        .hint(format!("move it to `{name}.yaml`, or its files to `prompts/`, `code/` or `assets/` of the root")))
}

/// The published workflows of a server, with their texts.
pub(crate) async fn published(client: &Client) -> Result<BTreeMap<String, Texts>, Failure> {
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page: WorkflowPage = client.get(&format!("/api/workflows?limit=1000{after}")).await?;
        names.extend(page.workflows.into_iter().filter_map(|workflow| Some((workflow.name, workflow.published?))));
        let Some(next) = page.next else { break };
        after = format!("&after={}", segment(&next));
    }
    let texts = async |(name, version): (String, u32)| {
        let path = format!("/api/workflows/{}/versions/{version}", segment(&name));
        let Version { source, files, .. } = client.get(&path).await?;
        Ok::<_, Failure>((name, Texts { source, files }))
    };
    stream::iter(names).map(texts).buffer_unordered(AT_ONCE).try_collect().await
}

/// What differs between the server and the folder, as a unified diff; empty when nothing does.
pub(crate) fn difference(name: &str, there: Option<&Texts>, here: Option<&Texts>) -> String {
    let one = |path: &str, there: Option<&String>, here: Option<&String>| {
        if there == here {
            return String::new();
        }
        let (old, new) = (there.map(String::as_str).unwrap_or_default(), here.map(String::as_str).unwrap_or_default());
        let header = |side: &str, text: Option<&String>| match text {
            Some(_) => format!("{side}/{path}"),
            None => "/dev/null".to_owned(),
        };
        let diff = TextDiff::from_lines(old, new);
        diff.unified_diff().header(&header("server", there), &header("here", here)).to_string()
    };
    let source = |texts: Option<&'_ Texts>| texts.map(|texts| texts.source.clone());
    let file = |texts: Option<&'_ Texts>, path: &String| texts.and_then(|texts| texts.files.get(path).cloned());
    let mut diff = one(&format!("{name}.yaml"), source(there).as_ref(), source(here).as_ref());
    let paths: BTreeSet<&String> = [there, here].into_iter().flatten().flat_map(|texts| texts.files.keys()).collect();
    for path in paths {
        diff.push_str(&one(path, file(there, path).as_ref(), file(here, path).as_ref()));
    }
    diff
}

/// The body of a request that adds a version.
pub(crate) fn sent(texts: &Texts, note: Option<&str>) -> serde_json::Value {
    json!({ "source": texts.source, "files": texts.files, "note": note })
}

/// What a folder had in common with servers when it last dealt with them: who changed a file since.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Known(BTreeMap<String, BTreeMap<String, Digest>>);

impl Known {
    /// What is kept in a folder.
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let path = root.join(KNOWN);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| unusable(&path, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    /// A server and the folder have this text at a path.
    pub(crate) fn agree(&mut self, server: &Address, path: &str, text: &str) {
        let of = self.0.entry(server.to_string()).or_default();
        of.insert(path.to_owned(), Digest::of(text.as_bytes()));
    }

    /// Whether a text is what the server had when the folder last dealt with it.
    pub(crate) fn was_there(&self, server: &Address, path: &str, text: &str) -> bool {
        let known = self.0.get(&server.to_string()).and_then(|of| of.get(path));
        known.is_some_and(|known| *known == Digest::of(text.as_bytes()))
    }

    /// Keeps it.
    pub(crate) fn write(&self, root: &Path) -> Result<(), Failure> {
        let path = root.join(KNOWN);
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| unusable(&path, &error))?;
        output::write(&path, &(serde_json::to_string_pretty(self).unwrap_or_default() + "\n"))
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(codes::FILE_UNREADABLE, format!("`{}` cannot be used: {error}", path.display()))
        .hint("delete it: then every file that differs counts as changed here")
}

/// A file of a server in the folder: below the root, wherever links lead.
pub(crate) fn place(root: &Path, path: &str) -> Result<PathBuf, Failure> {
    let refused = || {
        Failure::usage(codes::PULL_REFUSED, format!("the server has the path `{path}`, which leads out of the folder"))
            .hint("look at what the workflow includes")
    };
    let is_plain =
        |part: Component<'_>| matches!(part, Component::Normal(name) if !name.to_string_lossy().starts_with('.'));
    if path.is_empty() || path.contains('\\') || !Path::new(path).components().all(is_plain) {
        return Err(refused());
    }
    let whole = root.join(path);
    let there = whole.ancestors().find(|folder| folder.exists()).and_then(|folder| folder.canonicalize().ok());
    let is_inside = there.zip(root.canonicalize().ok()).is_some_and(|(there, root)| there.starts_with(root));
    if is_inside { Ok(whole) } else { Err(refused()) }
}

fn below(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_names_stays_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::os::unix::fs::symlink("/tmp", root.join("out")).unwrap();
        assert_eq!(place(root, "team/a.yaml").unwrap(), root.join("team/a.yaml"));
        for path in ["../a.yaml", "/etc/passwd", "a/../../b", ".ssh/config", "a/.git/hooks", "out/a.yaml", "", "a\\b"] {
            assert!(place(root, path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_difference_names_both_sides() {
        let texts = |source: &str, file: &str| Texts {
            source: source.to_owned(),
            files: BTreeMap::from([("prompts/a.md".to_owned(), file.to_owned())]),
        };
        let (there, here) = (texts("a\nb\n", "same"), texts("a\nc\n", "same"));
        let diff = difference("team/x", Some(&there), Some(&here));
        assert!(diff.contains("--- server/team/x.yaml\n+++ here/team/x.yaml\n") && diff.contains("-b\n+c\n"), "{diff}");
        assert!(!diff.contains("prompts"), "{diff}");
        assert_eq!(difference("x", Some(&here), Some(&here)), "");
        assert!(difference("x", None, Some(&here)).contains("--- /dev/null\n+++ here/x.yaml"));
    }
}
