//! `document-status`: says where a document stands.

use liteagent_engine::{
    capability::knowledge::{self, Mark},
    node::prelude::*,
};

/// Says where a document of a knowledge base stands, for people who wait for it: it is read, it is cut, or it failed.
///
/// `vector-upsert` says by itself when it embeds and when the document is ready. Until then searches find what the document
/// was before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentStatusConfig {
    /// The knowledge base.
    pub knowledge: Template<String>,
    /// The id of the document.
    pub document: Template<String>,
    /// Where it stands.
    pub status: Stands,
    /// With `status: failed`: why.
    pub error: Option<Template<String>>,
}

/// Where a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// It waits for its turn.
    Queued,
    /// Its text is read.
    Parsing,
    /// Its text is cut into chunks.
    Chunking,
    /// It could not be indexed.
    Failed,
}

/// The document.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DocumentStatusOutput {
    /// Its id.
    pub document: String,
}

/// See [`DocumentStatusConfig`].
pub struct DocumentStatus {
    config: DocumentStatusConfig,
}

impl Node for DocumentStatus {
    const TYPE: &'static str = "document-status";
    const META: NodeMeta = NodeMeta {
        family: Family::Retrieval,
        effect: Effect::Idempotent,
        inline: false,
        container: None,
        streams: false,
        requires: &[Capability::Knowledge],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    type Config = DocumentStatusConfig;
    type Output = DocumentStatusOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if config.error.is_some() != (config.status == Stands::Failed) {
            let message = "expected `error` with `status: failed`, and only there";
            return Err(ConfigError::new(codes::KNOWLEDGE_INVALID, "/error", message)
                .hint("write `status: failed` and `error: \"{{ NODE.error.message }}\"`"));
        }
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let name = ctx.render(&self.config.knowledge)?;
        let id = ctx.render(&self.config.document)?;
        let error = self.config.error.as_ref().map(|error| ctx.render(error)).transpose()?;
        let status = match self.config.status {
            Stands::Queued => knowledge::DocumentStatus::Queued,
            Stands::Parsing => knowledge::DocumentStatus::Parsing,
            Stands::Chunking => knowledge::DocumentStatus::Chunking,
            Stands::Failed => knowledge::DocumentStatus::Failed,
        };
        let mark = Mark { id: id.clone(), title: None, status, error };
        ctx.knowledge()?.mark(&name, &[mark]).await?;
        Ok(Outcome::Done(DocumentStatusOutput { document: id }))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A file that nobody can read",
        yaml: "\
type: document-status
knowledge: handbook
document: docs/scan.pdf
status: failed
error: \"{{ inputs.why }}\"
",
        scope: "\
inputs: { why: It holds no text. }
fakes: { knowledge: { handbook: {} } }
",
        gives: "output: { document: docs/scan.pdf }",
    },
    Example {
        title: "A knowledge base that is not there",
        yaml: "\
type: document-status
knowledge: handbok
document: docs/tea.md
status: parsing
",
        scope: "fakes: { knowledge: { handbook: {} } }",
        gives: "error: LA2601",
    },
];
