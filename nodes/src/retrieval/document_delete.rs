//! `document-delete`: takes documents out of a knowledge base.

use liteagent_engine::node::prelude::*;

/// Deletes documents of a knowledge base, with their chunks. Ids that are not there are passed over.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentDeleteConfig {
    /// The knowledge base.
    pub knowledge: Template<String>,
    /// The ids of the documents.
    pub documents: Template<Vec<String>>,
}

/// What was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DocumentDeleteOutput {
    /// How many documents were there.
    pub deleted: u64,
}

/// See [`DocumentDeleteConfig`].
pub struct DocumentDelete {
    config: DocumentDeleteConfig,
}

impl Node for DocumentDelete {
    const TYPE: &'static str = "document-delete";
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
    type Config = DocumentDeleteConfig;
    type Output = DocumentDeleteOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    fn acts(&self) -> bool {
        true
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let name = ctx.render(&self.config.knowledge)?;
        let documents = ctx.render(&self.config.documents)?;
        let deleted = if documents.is_empty() { 0 } else { ctx.knowledge()?.delete(&name, &documents).await? };
        Ok(Outcome::Done(DocumentDeleteOutput { deleted }))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "What is no longer in a folder",
        yaml: "\
type: document-delete
knowledge: handbook
documents: \"{{ changes.gone }}\"
",
        scope: "\
changes: { gone: [docs/old.md, docs/older.md] }
fakes: { knowledge: { handbook: { docs/old.md: [Old.] } } }
",
        gives: "output: { deleted: 1 }",
    },
    Example {
        title: "A knowledge base that is not there",
        yaml: "\
type: document-delete
knowledge: handbok
documents: [docs/old.md]
",
        scope: "fakes: { knowledge: { handbook: {} } }",
        gives: "error: LA2601",
    },
];
