//! `file-write`: a file in a folder.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use cap_std::fs::{Dir, OpenOptions};
use liteagent_engine::{node::prelude::*, store::FileValue};

use super::{
    file_read::read,
    file_value,
    folder::{Place, Stop, blocking},
};

/// How large a file that is appended to may become: all of it becomes the file value.
const LARGEST_APPENDED: Size = Size(64 << 20);

/// Writes a file below a folder that is open for writing; folders on the way are created.
///
/// The file appears whole or not at all: it is written beside its place and then moved there. Writing the same again
/// changes nothing, except with `mode: append`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileWriteConfig {
    /// The path, below a folder that is open for writing.
    pub path: Template<String>,
    /// A text as the content.
    pub content: Option<Template<String>>,
    /// JSON as the content, with templates at any depth; written on several lines.
    pub json: Option<TemplateTree>,
    /// A file value whose content is written: an input of type `file`, or the `file` of another node.
    pub file: Option<Template<Value>>,
    /// What happens when the file is there.
    #[serde(default)]
    pub mode: WriteMode,
    /// Whether names that begin with a dot may stand in the path.
    #[serde(default)]
    pub hidden: bool,
}

/// What happens when the file is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WriteMode {
    /// It is replaced.
    #[default]
    Overwrite,
    /// The content is added at its end. Another attempt may add it again.
    Append,
    /// The node fails with the class `conflict`, unless the file has this content already.
    Create,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileWriteOutput {
    /// The file.
    pub file: WrittenFile,
}

/// A file value, and where the file lies.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WrittenFile {
    /// What it is opened by.
    pub id: String,
    /// Its name, without folders.
    pub name: String,
    /// Its media type, by its name.
    pub mime: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content.
    pub sha256: String,
    /// Its path, as `file-read` takes it.
    pub path: String,
}

/// See [`FileWriteConfig`].
pub struct FileWrite {
    path: Template<String>,
    content: Content,
    mode: WriteMode,
    hidden: bool,
}

enum Content {
    Text(Template<String>),
    Json(TemplateTree),
    File(Template<Value>),
}

impl Node for FileWrite {
    const TYPE: &'static str = "file-write";
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
    type Config = FileWriteConfig;
    type Output = FileWriteOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let content = match (config.content, config.json, config.file) {
            (Some(text), None, None) => Content::Text(text),
            (None, Some(json), None) => Content::Json(json),
            (None, None, Some(file)) => Content::File(file),
            _ => {
                let message = "expected exactly one of `content`, `json` and `file`";
                return Err(ConfigError::new(codes::FILES_CONFIG, "", message)
                    .hint("say `content: \"{{ NODE.text }}\"` for a text, or `json` for a value"));
            }
        };
        Ok(Self { path: config.path, content, mode: config.mode, hidden: config.hidden })
    }

    fn effect(&self) -> Effect {
        match self.mode {
            WriteMode::Append => Effect::AtLeastOnce,
            WriteMode::Overwrite | WriteMode::Create => Effect::Idempotent,
        }
    }

    fn acts(&self) -> bool {
        true
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let place = Place::find(&ctx.caps.roots, &ctx.render(&self.path)?, self.hidden)?.for_writing()?;
        let (name, path) = (place.name(), place.shown.clone());
        let content = self.content(ctx).await?;
        let draft = PathBuf::from(format!(".{}.tmp", ctx.idempotency_key()));
        let mode = self.mode;
        let content = blocking(move |stop| match mode {
            WriteMode::Overwrite => Target::open(&place)?.replace(&draft, &content, stop).map(|()| content),
            WriteMode::Create => Target::open(&place)?.create(&draft, &content, stop).map(|()| content),
            WriteMode::Append => Target::open(&place)?.append(&content),
        })
        .await?;
        let file = file_value::create(ctx, &name, &file_value::mime_of(&name), content).await?;
        Ok(Outcome::Done(FileWriteOutput { file: WrittenFile::new(file, path) }))
    }
}

impl FileWrite {
    async fn content(&self, ctx: &NodeCtx) -> Result<Bytes, NodeError> {
        match &self.content {
            Content::Text(text) => Ok(ctx.render(text)?.into()),
            Content::Json(json) => {
                let mut text = serde_json::to_string_pretty(&ctx.render_tree(json)?)
                    .map_err(|error| NodeError::internal(format!("a value has no JSON form: {error}")))?;
                text.push('\n');
                Ok(text.into())
            }
            Content::File(file) => Ok(file_value::open(ctx, &ctx.render(file)?, "file").await?.1),
        }
    }
}

impl WrittenFile {
    fn new(file: FileValue, path: String) -> Self {
        let FileValue { id, name, mime, size, sha256 } = file;
        Self { id, name, mime, size, sha256, path }
    }
}

/// Where the file goes.
struct Target<'a> {
    place: &'a Place,
    root: Dir,
    path: PathBuf,
}

impl<'a> Target<'a> {
    fn open(place: &'a Place) -> Result<Self, NodeError> {
        let root = place.open_or_create_root()?;
        let path = place.real_path_of_new(&root)?;
        if root.metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            let message = format!("`{}` is a folder or device, not a file", place.shown);
            return Err(NodeError::new(codes::FILES_EXISTS, ErrorClass::Conflict, message).hint("choose another name"));
        }
        Ok(Self { place, root, path })
    }

    fn replace(&self, draft: &Path, content: &[u8], stop: &Stop) -> Result<(), NodeError> {
        let draft = self.path.with_file_name(draft);
        let written = self.write_draft(&draft, content).map_err(|error| self.place.failed(&error));
        let moved = written
            .and_then(|()| stop.check())
            .and_then(|()| self.root.rename(&draft, &self.root, &self.path).map_err(|error| self.place.failed(&error)));
        if moved.is_err() {
            // The reason of the failure says more than that the draft could not be removed either.
            let _ = self.root.remove_file(&draft);
        }
        moved
    }

    fn write_draft(&self, draft: &Path, content: &[u8]) -> std::io::Result<()> {
        let mut file = self.root.create(draft)?;
        if let Ok(old) = self.root.metadata(&self.path) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(content)?;
        file.sync_all()
    }

    fn create(&self, draft: &Path, content: &[u8], stop: &Stop) -> Result<(), NodeError> {
        if !self.root.exists(&self.path) {
            return self.replace(draft, content, stop);
        }
        // An earlier attempt of this node may have written it.
        if read(self.place, Size(content.len() as u64)).is_ok_and(|old| old == content) {
            return Ok(());
        }
        let message = format!("`{}` is already there, with another content", self.place.shown);
        Err(NodeError::new(codes::FILES_EXISTS, ErrorClass::Conflict, message)
            .hint("choose another name, or say `mode: overwrite`"))
    }

    /// Adds to the end, and gives the whole content.
    fn append(&self, content: &[u8]) -> Result<Bytes, NodeError> {
        let failed = |error: std::io::Error| self.place.failed(&error);
        let size = self.root.metadata(&self.path).map_or(0, |metadata| metadata.len()) + content.len() as u64;
        if size > LARGEST_APPENDED.0 {
            let message = format!("`{}` would grow beyond {LARGEST_APPENDED}", self.place.shown);
            return Err(NodeError::new(codes::FILES_LIMIT, ErrorClass::LimitExceeded, message)
                .hint("begin another file, for example one per day"));
        }
        let mut options = OpenOptions::new();
        let mut file = self.root.open_with(&self.path, options.append(true).create(true)).map_err(failed)?;
        file.write_all(content).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        read(self.place, LARGEST_APPENDED)
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A report",
        yaml: "\
type: file-write
path: out/report.md
content: |
  # {{ inputs.title }}
",
        scope: "\
inputs: { title: Orders }
fakes: { files: {} }
",
        gives: "\
output: { file: { name: report.md, path: out/report.md, size: 9, mime: text/markdown } }
",
    },
    Example {
        title: "A value as JSON",
        yaml: "\
type: file-write
path: out/orders.json
json: { orders: \"{{ inputs.orders }}\" }
",
        scope: "\
inputs: { orders: [{ id: 7 }] }
fakes: { files: {} }
",
        gives: "output: { file: { name: orders.json, mime: application/json } }",
    },
    Example {
        title: "A file that is there is kept with `mode: create`",
        yaml: "\
type: file-write
path: out/report.md
content: new
mode: create
",
        scope: "fakes: { files: { out/report.md: old } }",
        gives: "error: LA2224",
    },
];
