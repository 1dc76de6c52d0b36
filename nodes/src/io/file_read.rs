//! `file-read`: the content of a file.

use std::io::Read;

use bytes::Bytes;
use liteagent_engine::{node::prelude::*, store::FileValue};
use sha2::{Digest, Sha256};

use super::{
    file_value,
    folder::{Place, blocking},
};

/// Reads a file: from a folder that is open to file nodes, or a file value.
///
/// The file has to be UTF-8 text unless `as` is `file`, which gives a file value that other nodes take, such as
/// `http-request` in `body_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileReadConfig {
    /// The path, below the folders that are open to file nodes.
    pub path: Option<Template<String>>,
    /// A file value: an input of type `file`, or the `file` of another node.
    pub file: Option<Template<Value>>,
    /// What to make of it.
    #[serde(default, rename = "as")]
    pub form: ReadAs,
    /// How large the file may be.
    #[serde(default = "ten_mib")]
    pub max_size: Size,
    /// Whether names that begin with a dot may stand in the path.
    #[serde(default)]
    pub hidden: bool,
}

/// What to make of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReadAs {
    /// Its text, in `text`.
    #[default]
    Text,
    /// A file value, in `file`.
    File,
}

/// The file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileReadOutput {
    /// The text, without a byte order mark; empty with `as: file`.
    pub text: String,
    /// The file value; `null` unless `as: file`.
    pub file: Option<FileValue>,
    /// Its name, without folders.
    pub name: String,
    /// Its path; `null` for a file value.
    pub path: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type, by its name.
    pub mime: String,
    /// The SHA-256 of its content.
    pub sha256: String,
}

/// See [`FileReadConfig`].
pub struct FileRead {
    source: Source,
    form: ReadAs,
    max_size: Size,
    hidden: bool,
}

enum Source {
    Path(Template<String>),
    File(Template<Value>),
}

const fn ten_mib() -> Size {
    Size(10 << 20)
}

impl Node for FileRead {
    const TYPE: &'static str = "file-read";
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
    type Config = FileReadConfig;
    type Output = FileReadOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let source = match (config.path, config.file) {
            (Some(path), None) => Source::Path(path),
            (None, Some(file)) => Source::File(file),
            _ => {
                return Err(ConfigError::new(codes::FILES_CONFIG, "", "expected exactly one of `path` and `file`")
                    .hint("say `path: docs/a.md`, or `file: \"{{ inputs.NAME }}\"` for a file value"));
            }
        };
        Ok(Self { source, form: config.form, max_size: config.max_size, hidden: config.hidden })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let (form, limit) = (self.form, self.max_size);
        let (name, mime, path, content) = match &self.source {
            Source::Path(path) => {
                let place = Place::find(&ctx.caps.roots, &ctx.render(path)?, self.hidden)?;
                let (name, shown) = (place.name(), place.shown.clone());
                let mime = file_value::mime_of(&name);
                (
                    name,
                    mime,
                    Some(shown),
                    blocking(move |_| Content::new(&place.name(), read(&place, limit)?, form)).await?,
                )
            }
            Source::File(file) => {
                let (file, bytes) = file_value::open(ctx, &ctx.render(file)?, "file").await?;
                check_size(&file.name, bytes.len() as u64, limit)?;
                let name = file.name.clone();
                (file.name, file.mime, None, blocking(move |_| Content::new(&name, bytes, form)).await?)
            }
        };
        let Content { text, bytes, sha256 } = content;
        let size = bytes.len() as u64;
        let file = match form {
            ReadAs::Text => None,
            ReadAs::File => Some(file_value::create(ctx, &name, &mime, bytes).await?),
        };
        Ok(Outcome::Done(FileReadOutput { text, file, name, path, size, mime, sha256 }))
    }
}

/// What was made of the bytes.
struct Content {
    text: String,
    bytes: Bytes,
    sha256: String,
}

impl Content {
    fn new(name: &str, bytes: Bytes, form: ReadAs) -> Result<Self, NodeError> {
        let text = if form == ReadAs::Text { text(name, &bytes)? } else { String::new() };
        Ok(Self { text, sha256: format!("{:x}", Sha256::digest(&bytes)), bytes })
    }
}

/// The whole content of a file, against a limit.
pub(crate) fn read(place: &Place, limit: Size) -> Result<Bytes, NodeError> {
    let root = place.open_root()?;
    let real = place.real_path(&root)?;
    let failed = |error: std::io::Error| place.failed(&error);
    // Before it is opened: opening a pipe would wait for its other end.
    let metadata = root.metadata(&real).map_err(failed)?;
    if !metadata.is_file() {
        let message = format!("expected a file, found a folder or device at `{}`", place.shown);
        return Err(
            NodeError::new(codes::FILES_NOT_FOUND, ErrorClass::NotFound, message).hint("list it with `file-list`")
        );
    }
    check_size(&place.shown, metadata.len(), limit)?;
    let mut content = Vec::new();
    root.open(&real).map_err(failed)?.take(limit.0.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
    check_size(&place.shown, content.len() as u64, limit)?;
    Ok(content.into())
}

/// Refuses a file that is too large.
pub(crate) fn check_size(name: &str, size: u64, limit: Size) -> Result<(), NodeError> {
    if size <= limit.0 {
        return Ok(());
    }
    let message = format!("`{name}` has {size} bytes, more than {limit}");
    Err(NodeError::new(codes::FILES_LIMIT, ErrorClass::LimitExceeded, message).hint("raise `max_size`"))
}

fn text(name: &str, content: &[u8]) -> Result<String, NodeError> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let text = std::str::from_utf8(content).map_err(|error| {
        let message = format!("expected UTF-8 text in `{name}`, found another byte at {}", error.valid_up_to());
        NodeError::new(codes::FILES_NOT_TEXT, ErrorClass::Invalid, message)
            .hint("save the file as UTF-8, or say `as: file` to pass it on as it is")
    })?;
    Ok(text.to_owned())
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "The text of a file",
        yaml: "\
type: file-read
path: docs/{{ inputs.name }}.md
",
        scope: "\
inputs: { name: a }
fakes: { files: { docs/a.md: \"# A\" } }
",
        gives: "\
output: { text: \"# A\", file: null, name: a.md, path: docs/a.md, size: 3, mime: text/markdown }
",
    },
    Example {
        title: "A path never leads out of the open folders",
        yaml: "\
type: file-read
path: docs/{{ inputs.name }}.md
",
        scope: "\
inputs: { name: ../../secret }
fakes: { files: { docs/a.md: \"# A\" } }
",
        gives: "error: LA2220",
    },
];
