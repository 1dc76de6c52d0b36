//! `file-list`: the files of a folder.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use cap_std::fs::Dir;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use liteagent_engine::node::prelude::*;
use sha2::{Digest, Sha256};

use super::{
    file_value::mime_of,
    folder::{Place, Stop, admit, blocking},
};

/// How many files a list holds at most.
const MOST_FILES: usize = 10_000;
/// How many entries are looked at.
const MOST_ENTRIES: usize = 1_000_000;
/// How deep folders are followed.
const DEEPEST: usize = 64;
const PIECE: usize = 256 << 10;

/// Lists the files of a folder and the folders below it, sorted by path.
///
/// The content is not in the list: `file-read` takes a `path` of it. Names that begin with a dot are left out unless
/// `hidden` is set. A link to a folder is not followed, and a link out of the folder is left out. A list holds 10,000
/// files at most.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileListConfig {
    /// The folder, below the folders that are open to file nodes.
    #[serde(default)]
    pub path: Option<Template<String>>,
    /// Patterns of paths below the folder, such as `**/*.md`; a file must match one of them. Every file when missing.
    #[serde(default)]
    pub include: Vec<String>,
    /// Patterns of what is left out, such as `**/node_modules/**`.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Whether names that begin with a dot are listed as well.
    #[serde(default)]
    pub hidden: bool,
}

/// The files.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileListOutput {
    /// The files, sorted by path.
    pub files: Vec<ListedFile>,
}

/// A file in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedFile {
    /// Its name, without folders.
    pub name: String,
    /// Its path, as `file-read` takes it.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type, by its name.
    pub mime: String,
    /// The SHA-256 of its content.
    pub sha256: String,
}

/// See [`FileListConfig`].
pub struct FileList {
    path: Option<Template<String>>,
    filter: Filter,
}

impl Node for FileList {
    const TYPE: &'static str = "file-list";
    const META: NodeMeta = NodeMeta {
        family: Family::Io,
        effect: Effect::Idempotent,
        inline: false,
        container: None,
        streams: false,
        requires: &[Capability::Files],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    type Config = FileListConfig;
    type Output = FileListOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let filter = Filter::new(&config)?;
        Ok(Self { path: config.path, filter })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let path = match &self.path {
            Some(path) => ctx.render(path)?,
            None => ".".to_owned(),
        };
        let place = Place::find(&ctx.caps.roots, &path, self.filter.hidden)?;
        let filter = self.filter.clone();
        let files = blocking(move |stop| list(&place, filter, stop)).await?;
        Ok(Outcome::Done(FileListOutput { files }))
    }
}

/// Which files belong in the list.
#[derive(Clone)]
struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
    /// Folders that `exclude` leaves out whole: the patterns that end in `/**`, without that end.
    prune: GlobSet,
    hidden: bool,
}

impl Filter {
    fn new(config: &FileListConfig) -> Result<Self, ConfigError> {
        let whole = config.exclude.iter().filter_map(|pattern| pattern.strip_suffix("/**").map(str::to_owned));
        Ok(Self {
            include: if config.include.is_empty() { None } else { Some(globs("include", &config.include)?) },
            exclude: globs("exclude", &config.exclude)?,
            prune: globs("exclude", &whole.collect::<Vec<_>>())?,
            hidden: config.hidden,
        })
    }

    fn takes(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(path)) && !self.exclude.is_match(path)
    }
}

fn globs(field: &str, patterns: &[String]) -> Result<GlobSet, ConfigError> {
    let wrong = |index: usize, error: globset::Error| {
        ConfigError::new(
            codes::FILES_CONFIG,
            format!("/{field}/{index}"),
            format!("expected a pattern of paths: {}", error.kind()),
        )
        .hint("write a pattern such as `**/*.md` or `notes/*.{txt,md}`")
    };
    let mut set = GlobSetBuilder::new();
    for (index, pattern) in patterns.iter().enumerate() {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.map_err(|error| wrong(index, error))?);
    }
    set.build().map_err(|error| wrong(0, error))
}

fn list(place: &Place, filter: Filter, stop: &Stop) -> Result<Vec<ListedFile>, NodeError> {
    let root = place.open_root()?;
    let real = place.real_path(&root)?;
    if !root.metadata(&real).map_err(|error| place.failed(&error))?.is_dir() {
        let message = format!("expected a folder, found the file `{}`", place.shown);
        return Err(NodeError::new(codes::FILES_NOT_FOUND, ErrorClass::NotFound, message)
            .hint("read one file with `file-read`, or list the folder around it"));
    }
    let folder = root.open_dir(&real).map_err(|error| place.failed(&error))?;
    let mut walk = Walk { place, filter, stop, folder, found: Vec::new(), seen: 0 };
    walk.visit(Path::new(""), 0)?;
    walk.found.sort();
    walk.found.iter().map(|path| walk.describe(path)).collect()
}

struct Walk<'a> {
    place: &'a Place,
    filter: Filter,
    stop: &'a Stop,
    folder: Dir,
    /// Paths below the folder, with `/`.
    found: Vec<String>,
    seen: usize,
}

impl Walk<'_> {
    fn visit(&mut self, below: &Path, depth: usize) -> Result<(), NodeError> {
        self.stop.check()?;
        let here = if depth == 0 { PathBuf::from(".") } else { below.to_path_buf() };
        let entries = self.folder.read_dir(here).map_err(|error| self.place.failed(&error))?;
        for entry in entries {
            let entry = entry.map_err(|error| self.place.failed(&error))?;
            self.seen += 1;
            if self.seen > MOST_ENTRIES {
                return Err(self.too_many(MOST_ENTRIES, "entries"));
            }
            // A name that is no UTF-8 has no form in a template.
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if admit(&name, self.filter.hidden).is_err() {
                continue;
            }
            let path = below.join(&name);
            let text = path.to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(|error| self.place.failed(&error))?;
            if kind.is_dir() {
                if depth < DEEPEST && !self.filter.prune.is_match(&text) {
                    self.visit(&path, depth + 1)?;
                }
            } else if self.filter.takes(&text) && (kind.is_file() || self.is_link_to_file(&path)) {
                if self.found.len() == MOST_FILES {
                    return Err(self.too_many(MOST_FILES, "files"));
                }
                self.found.push(text);
            }
        }
        Ok(())
    }

    /// Whether a link leads to a file in the folder that `file-read` would open.
    fn is_link_to_file(&self, path: &Path) -> bool {
        let Ok(real) = self.folder.canonicalize(path) else { return false };
        let names_are_open =
            real.components().all(|part| admit(&part.as_os_str().to_string_lossy(), self.filter.hidden).is_ok());
        names_are_open && self.folder.metadata(&real).is_ok_and(|metadata| metadata.is_file())
    }

    fn describe(&self, path: &str) -> Result<ListedFile, NodeError> {
        let failed = |error: std::io::Error| self.place.failed(&error);
        let mut file = self.folder.open(path).map_err(failed)?;
        let (mut hash, mut size, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
        loop {
            self.stop.check()?;
            let read = file.read(&mut piece).map_err(failed)?;
            if read == 0 {
                break;
            }
            hash.update(&piece[..read]);
            size += read as u64;
        }
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let shown = if self.place.shown == "." { path.to_owned() } else { format!("{}/{path}", self.place.shown) };
        Ok(ListedFile { mime: mime_of(&name), name, path: shown, size, sha256: format!("{:x}", hash.finalize()) })
    }

    fn too_many(&self, limit: usize, what: &str) -> NodeError {
        let message = format!("`{}` holds more than {limit} {what}", self.place.shown);
        NodeError::new(codes::FILES_LIMIT, ErrorClass::LimitExceeded, message)
            .hint("list a folder below it, or narrow `include` and `exclude`")
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Every Markdown file below a folder",
        yaml: "\
type: file-list
path: \"{{ inputs.folder }}\"
include: [\"**/*.md\"]
exclude: [\"**/node_modules/**\"]
",
        scope: "\
inputs: { folder: docs }
fakes:
  files: { docs/a.md: \"# A\", docs/deep/b.md: \"# B\", docs/node_modules/c.md: \"# C\", docs/d.txt: D, other.md: \"# O\" }
",
        gives: "\
output: { files: [{ name: a.md, path: docs/a.md, size: 3, mime: text/markdown }, { path: docs/deep/b.md }] }
",
    },
    Example {
        title: "A folder that is not there",
        yaml: "\
type: file-list
path: missing
",
        scope: "fakes: { files: { a.md: A } }",
        gives: "error: LA2221",
    },
];
