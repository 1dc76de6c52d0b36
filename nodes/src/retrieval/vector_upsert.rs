//! `vector-upsert`: puts the chunks of a document into a knowledge base.

use liteagent_engine::{
    capability::knowledge::{Chunk, DocumentStatus, Mark, WriteDocument},
    node::prelude::*,
    value::Object,
};

use super::{
    document::GivenDocument,
    vectors::{self, Use, base, embed},
};

/// Puts the chunks of a document into a knowledge base, in the place of those that it had.
///
/// The chunks are embedded with the model of the knowledge base. One that is not there yet is made. Searches find the old
/// chunks until all new ones are there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorUpsertConfig {
    /// The knowledge base.
    pub knowledge: Template<String>,
    /// The document: `{ id, title, url, hash, metadata }`; `text`, `headings` and `pages` may stand there too.
    pub document: TemplateTree,
    /// Its chunks, as `chunk` gives them.
    pub chunks: TemplateTree,
    /// Metadata besides that of the document, which counts more.
    pub metadata: Option<TemplateTree>,
    /// The embedding model of a knowledge base that is made: `provider/model`, or an alias.
    #[serde(default = "vectors::embed_alias")]
    pub embedding_model: String,
    /// The language of a knowledge base that is made, for its stop words and word stems: `en`, `de` and so on.
    #[serde(default = "vectors::english")]
    #[schemars(length(min = 2, max = 8))]
    pub language: String,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VectorUpsertOutput {
    /// The id of the document.
    pub document: String,
    /// How many chunks it has.
    pub chunks: u64,
    /// How many tokens they have.
    pub tokens: u64,
}

/// See [`VectorUpsertConfig`].
pub struct VectorUpsert {
    config: VectorUpsertConfig,
}

impl Node for VectorUpsert {
    const TYPE: &'static str = "vector-upsert";
    const META: NodeMeta = NodeMeta {
        family: Family::Retrieval,
        effect: Effect::Idempotent,
        inline: false,
        container: None,
        streams: false,
        requires: &[Capability::Models, Capability::Knowledge],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    type Config = VectorUpsertConfig;
    type Output = VectorUpsertOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    fn acts(&self) -> bool {
        true
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let knowledge = ctx.knowledge()?;
        let name = ctx.render(&self.config.knowledge)?;
        let document = GivenDocument::read(&ctx.render_tree(&self.config.document)?, "document")?;
        let chunks = self.chunks(ctx)?;
        let metadata = self.metadata(ctx, &document)?;
        let model = base(ctx, &name, &self.config.embedding_model, &self.config.language).await?.model;
        let mark = |status, error| Mark { id: document.id.clone(), title: Some(document.title()), status, error };
        knowledge.mark(&name, &[mark(DocumentStatus::Embedding, None)]).await?;

        let title = document.title();
        let texts = chunks.iter().map(|chunk| chunk.searched(&title)).collect();
        let written = match embed(ctx, &model, texts, Use::Passages).await {
            Ok((model, vectors)) => {
                let write = WriteDocument {
                    id: document.id.clone(),
                    title,
                    url: document.url.clone(),
                    hash: document.hash(),
                    metadata,
                    model,
                    chunks: chunks.clone(),
                    vectors,
                };
                knowledge.write(&name, write).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            knowledge.mark(&name, &[mark(DocumentStatus::Failed, Some(error.to_string()))]).await?;
            return Err(error);
        }
        let tokens = chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum();
        Ok(Outcome::Done(VectorUpsertOutput { document: document.id, chunks: chunks.len() as u64, tokens }))
    }
}

impl VectorUpsert {
    fn chunks(&self, ctx: &NodeCtx) -> Result<Vec<Chunk>, NodeError> {
        let value = ctx.render_tree(&self.config.chunks)?;
        value.to_typed().map_err(|error| {
            let message = format!("expected chunks in `chunks`, found {}: {error}", value.kind());
            NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message)
                .hint("give it the `chunks` of a `chunk`, or a list of `{ text }`")
        })
    }

    fn metadata(&self, ctx: &NodeCtx, document: &GivenDocument) -> Result<Object, NodeError> {
        let mut metadata = match &self.config.metadata {
            None => Object::default(),
            Some(tree) => match ctx.render_tree(tree)? {
                Value::Object(members) => (*members).clone(),
                other => {
                    let message = format!("expected an object in `metadata`, found {}", other.kind());
                    return Err(NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message)
                        .hint("write `metadata: { department: hr }`"));
                }
            },
        };
        metadata.extend(document.metadata.clone().unwrap_or_default());
        Ok(metadata)
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "The chunks of one document",
        yaml: "\
type: vector-upsert
knowledge: handbook
document: { id: tea.md, title: Tea, hash: \"1\", metadata: { room: kitchen } }
chunks: \"{{ cut.chunks }}\"
",
        scope: "\
cut: { chunks: [{ text: Green tea., tokens: 3 }, { text: Black tea., tokens: 3 }] }
fakes: { knowledge: {} }
",
        gives: "output: { document: tea.md, chunks: 2, tokens: 6 }",
    },
    Example {
        title: "Something that is no document",
        yaml: "\
type: vector-upsert
knowledge: handbook
document: tea.md
chunks: []
",
        scope: "fakes: { knowledge: {} }",
        gives: "error: LA2606",
    },
];
