//! `document-extractor`: the text of a document.

use bytes::Bytes;
use liteagent_engine::{
    capability::documents::{DocumentText, FileToRead, Heading},
    node::prelude::*,
};

use crate::io::{
    file_read::{check_size, read},
    file_value,
    folder::{Place, blocking},
};

/// Reads the text of a document: PDF, DOCX, PPTX, XLSX, ODS, EPUB, HTML, Markdown, CSV, JSON, source code, text.
///
/// Headings, lists and tables become Markdown. What a file is says its content, not its name. It is read in a process of
/// its own, against limits: a file that is made to harm its reader fails this node and nothing else.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentExtractorConfig {
    /// The document: a file value, such as an input of type `file`; a file of `file-list`; or a path below the folders that
    /// are open to file nodes. One document only: for a list, put the node into an `iteration` over it, where each file that
    /// cannot be read can be dropped or kept by itself.
    pub file: Option<Template<Value>>,
    /// The document as a text, where `file` is missing or `null`: the `body` of an `http-request`.
    pub content: Option<Template<String>>,
    /// With `content`: its name or address. Where the content does not say what it is, its ending does.
    pub name: Option<Template<String>>,
    /// How large the file may be.
    #[serde(default = "hundred_mib")]
    pub max_size: Size,
    /// Whether names that begin with a dot may stand in the path.
    #[serde(default)]
    pub hidden: bool,
}

/// The document.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DocumentExtractorOutput {
    /// The text. Tables are Markdown; headings and lists too, where the format has them.
    pub text: String,
    /// The title that the document gives itself; `null` when it has none.
    pub title: Option<String>,
    /// What it was read as: `text`, `code`, `markdown`, `json`, `csv`, `html`, `pdf`, `docx`, `pptx`, `xlsx`, `ods`, `epub`.
    pub format: String,
    /// The headings, in order.
    pub headings: Vec<Heading>,
    /// Where each page, slide or sheet begins, in characters of `text`, in order; empty where the format has none.
    pub pages: Vec<u64>,
    /// What could not be read although the rest could, such as a page.
    pub warnings: Vec<String>,
    /// The name of the file, without folders.
    pub name: String,
}

/// See [`DocumentExtractorConfig`].
pub struct DocumentExtractor {
    config: DocumentExtractorConfig,
}

const fn hundred_mib() -> Size {
    Size(100 << 20)
}

impl Node for DocumentExtractor {
    const TYPE: &'static str = "document-extractor";
    const META: NodeMeta = NodeMeta {
        family: Family::Retrieval,
        effect: Effect::Idempotent,
        inline: false,
        container: None,
        streams: false,
        requires: &[Capability::Documents, Capability::Files],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    const QUEUE: Option<Group> = Some(Group::Indexing);
    type Config = DocumentExtractorConfig;
    type Output = DocumentExtractorOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if config.file.is_none() && config.content.is_none() {
            return Err(ConfigError::new(codes::FILES_CONFIG, "", "expected `file` or `content`, found neither")
                .hint("write `file: \"{{ inputs.document }}\"`, or `content: \"{{ fetch.body }}\"`"));
        }
        if config.content.is_some() != config.name.is_some() {
            return Err(ConfigError::new(
                codes::FILES_CONFIG,
                "",
                "expected `content` and `name` together, found one of them",
            )
            .hint("write `content: \"{{ fetch.body }}\"` and `name: page.html`"));
        }
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let documents = ctx.documents()?;
        let (name, shown, content) = self.open(ctx).await?;
        let DocumentText { text, title, format, headings, pages, warnings } =
            documents.read(FileToRead { name: shown, content }).await?;
        Ok(Outcome::Done(DocumentExtractorOutput { text, title, format, headings, pages, warnings, name }))
    }
}

impl DocumentExtractor {
    /// The name of the file, the name by which messages call it, and its content.
    async fn open(&self, ctx: &NodeCtx) -> Result<(String, String, Bytes), NodeError> {
        let config = &self.config;
        let file = config.file.as_ref().map(|file| ctx.render(file)).transpose()?.unwrap_or_default();
        if let (Value::Null, Some(content), Some(name)) = (&file, &config.content, &config.name) {
            let (content, name) = (ctx.render(content)?, ctx.render(name)?);
            check_size(&name, content.len() as u64, config.max_size)?;
            return Ok((name.rsplit('/').next().unwrap_or(&name).to_owned(), name, content.into()));
        }
        let path = match &file {
            Value::String(path) => Some(&**path),
            // A file value is known by its id, whatever else it says.
            file if file.get("id").is_some() => None,
            file => file.get("path").and_then(Value::as_str),
        };
        let Some(path) = path else {
            let (file, content) = file_value::open(ctx, &file, "file").await?;
            check_size(&file.name, content.len() as u64, config.max_size)?;
            return Ok((file.name.clone(), file.name, content));
        };
        let place = Place::find(&ctx.caps.roots, path, config.hidden)?;
        let (name, shown, limit) = (place.name(), place.shown.clone(), config.max_size);
        let content = blocking(move |_| read(&place, limit)).await?;
        Ok((name, shown, content))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "The text of a web page",
        yaml: "\
type: document-extractor
file: docs/{{ inputs.name }}
",
        scope: "\
inputs: { name: tea.html }
fakes:
  files: { docs/tea.html: \"<title>Tea</title><nav>Home</nav><h1>Tea</h1><p>Hot <b>water</b>.<ul><li>green<li>black</ul>\" }
",
        gives: "\
output:
  text: \"# Tea\\n\\nHot water.\\n\\n- green\\n- black\"
  title: Tea
  format: html
  headings: [{ start: 0, level: 1, text: Tea }]
  pages: []
  warnings: []
  name: tea.html
",
    },
    Example {
        title: "A file of `file-list`",
        yaml: "\
type: document-extractor
file: \"{{ item }}\"
",
        scope: "\
item: { name: prices.csv, path: data/prices.csv, size: 27, mime: text/csv }
fakes: { files: { data/prices.csv: \"tea;price\\ngreen;4.50\\n\" } }
",
        gives: "\
output: { text: \"| tea | price |\\n|---|---|\\n| green | 4.50 |\", format: csv, name: prices.csv }
",
    },
    Example {
        title: "A page that was fetched",
        yaml: "\
type: document-extractor
content: \"{{ fetch.body }}\"
name: https://example.org/tea.html
",
        scope: "\
fetch: { body: \"<h1>Tea</h1><p>Hot water.\" }
fakes: { files: {} }
",
        gives: "output: { text: \"# Tea\\n\\nHot water.\", format: html, name: tea.html }",
    },
    Example {
        title: "A format that is not read",
        yaml: "\
type: document-extractor
file: letter.txt
",
        scope: "fakes: { files: { letter.txt: \"{\\\\rtf1 Dear all}\" } }",
        gives: "error: LA2653",
    },
];
