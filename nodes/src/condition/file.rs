//! Comparisons of the files of a list.

use liteagent_engine::node::prelude::*;

use super::Operator;

/// Comparisons of each file: exactly one of `all` and `any`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileTests {
    /// Every one of these must hold.
    #[serde(default)]
    pub all: Option<Vec<FileTest>>,
    /// One of these must hold.
    #[serde(default)]
    pub any: Option<Vec<FileTest>>,
}

/// One comparison. It holds when it does for any file; with an operator that begins with `not`, when it does for all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileTest {
    /// What of the file is looked at.
    pub key: FileKey,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with.
    #[serde(default)]
    pub to: Option<TemplateTree>,
}

/// What of a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKey {
    /// Its name.
    Name,
    /// Its size in bytes.
    Size,
    /// Its media type, `application/pdf`.
    MimeType,
    /// The end of its name with the dot, `.pdf`. The other side may be without the dot.
    Extension,
    /// `image`, `audio`, `video`, `document` or `custom`, from its name and media type.
    Type,
    /// Its id.
    RelatedId,
}

impl FileTests {
    pub(super) fn check(&self, field: &str) -> Result<(), ConfigError> {
        let (key, tests) = match (&self.all, &self.any) {
            (Some(tests), None) => ("all", tests),
            (None, Some(tests)) => ("any", tests),
            _ => {
                return Err(ConfigError::new(codes::CONDITION_SHAPE, field, "expected exactly one of `all` and `any`")
                    .hint("write `all: [...]` when every comparison must hold, else `any: [...]`"));
            }
        };
        for (index, test) in tests.iter().enumerate() {
            if test.operator.is_binary() != test.to.is_some() {
                let message = format!("the operator `{}` and `to` do not go together", test.operator.as_str());
                let hint = if test.to.is_some() { "remove `to`" } else { "add `to`" };
                let field = format!("{field}/{key}/{index}");
                return Err(ConfigError::new(codes::CONDITION_SHAPE, field, message).hint(hint));
            }
        }
        Ok(())
    }

    pub(super) fn hold(&self, files: &Value, ctx: &NodeCtx) -> Result<bool, NodeError> {
        let list = files.as_list().ok_or_else(|| {
            let message = format!("expected a list of files for `files`, found {}", files.kind());
            NodeError::new(codes::COMPARISON, ErrorClass::Invalid, message).hint("give a list of files as `value`")
        })?;
        let (tests, all) = match (&self.all, &self.any) {
            (Some(tests), _) => (tests, true),
            (None, Some(tests)) => (tests, false),
            (None, None) => return Ok(false),
        };
        // Unlike the comparisons around them, these are all evaluated: an error in any of them shows.
        let results = tests.iter().map(|test| test.holds(list, ctx)).collect::<Result<Vec<bool>, _>>()?;
        Ok(if all { results.into_iter().all(|held| held) } else { results.into_iter().any(|held| held) })
    }
}

impl FileTest {
    fn holds(&self, files: &[Value], ctx: &NodeCtx) -> Result<bool, NodeError> {
        let mut to = self.to.as_ref().map(|to| ctx.render_tree(to)).transpose()?.unwrap_or_default();
        if self.key == FileKey::Extension
            && let Some(text) = to.as_str()
        {
            to = with_dot(text);
        }
        let results =
            files.iter().map(|file| self.operator.holds(&self.key.of(file), &to)).collect::<Result<Vec<bool>, _>>()?;
        Ok(if self.operator.is_negative() {
            results.into_iter().all(|held| held)
        } else {
            results.into_iter().any(|held| held)
        })
    }
}

impl FileKey {
    fn of(self, file: &Value) -> Value {
        let member = |key: &str| file.get(key).cloned().unwrap_or_default();
        match self {
            Self::Name => member("name"),
            Self::Size => member("size"),
            Self::MimeType => member("mime"),
            Self::RelatedId => member("id"),
            Self::Extension => extension(file).map(with_dot).unwrap_or_default(),
            Self::Type => {
                Value::from(kind(extension(file).unwrap_or_default(), member("mime").as_str().unwrap_or_default()))
            }
        }
    }
}

fn extension(file: &Value) -> Option<&str> {
    file.get("name")?.as_str()?.rsplit_once('.').map(|(_, extension)| extension).filter(|found| !found.is_empty())
}

fn with_dot(extension: &str) -> Value {
    if extension.is_empty() || extension.starts_with('.') {
        return Value::from(extension);
    }
    Value::from(format!(".{extension}"))
}

const KINDS: [(&str, &[&str]); 4] = [
    ("image", &["jpg", "jpeg", "png", "webp", "gif", "svg"]),
    ("audio", &["mp3", "m4a", "wav", "amr", "mpga"]),
    ("video", &["mp4", "mov", "mpeg", "webm"]),
    (
        "document",
        &[
            "txt",
            "markdown",
            "md",
            "mdx",
            "pdf",
            "html",
            "htm",
            "xlsx",
            "xls",
            "vtt",
            "properties",
            "doc",
            "docx",
            "csv",
            "eml",
            "msg",
            "ppt",
            "pptx",
            "xml",
            "epub",
        ],
    ),
];

/// The name decides; the media type where the name says nothing.
fn kind(extension: &str, mime: &str) -> &'static str {
    let extension = extension.to_ascii_lowercase();
    if let Some((kind, _)) = KINDS.iter().find(|(_, known)| known.contains(&extension.as_str())) {
        return kind;
    }
    match mime.split_once('/').map_or(mime, |(family, _)| family) {
        "image" => "image",
        "audio" => "audio",
        "video" => "video",
        _ if mime.contains("text") || mime.contains("pdf") => "document",
        _ => "custom",
    }
}
