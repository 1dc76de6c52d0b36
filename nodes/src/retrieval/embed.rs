//! `embed`: turns texts into vectors.

use liteagent_engine::node::prelude::*;

use super::vectors::{self, Use, embed};

/// Turns texts into vectors of length 1.
///
/// A knowledge base needs no such node: `vector-upsert` and `vector-search` embed with its model by themselves, so that
/// vectors do not stand in the journal of a run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbedConfig {
    /// A text, or a list of texts.
    pub texts: TemplateTree,
    /// The embedding model: `provider/model`, or an alias.
    #[serde(default = "vectors::embed_alias")]
    pub embedding_model: String,
    /// Whether the texts are questions; some models treat them otherwise than passages.
    #[serde(default)]
    pub questions: bool,
}

/// The vectors.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EmbedOutput {
    /// One vector a text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// The model that made them, `provider/model`.
    pub model: String,
    /// The length of a vector; 0 when there was no text.
    pub dimensions: u32,
}

/// See [`EmbedConfig`].
pub struct Embed {
    config: EmbedConfig,
}

impl Node for Embed {
    const TYPE: &'static str = "embed";
    const META: NodeMeta = NodeMeta {
        family: Family::Retrieval,
        effect: Effect::Idempotent,
        inline: false,
        container: None,
        streams: false,
        requires: &[Capability::Models],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    const QUEUE: Option<Group> = Some(Group::Embedding);
    type Config = EmbedConfig;
    type Output = EmbedOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let value = ctx.render_tree(&self.config.texts)?;
        let text = |value: &Value| {
            value.as_str().map(str::to_owned).ok_or_else(|| {
                let message = format!("expected a text or a list of texts in `texts`, found {}", value.kind());
                NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message)
                    .hint("give it texts: \"{{ NODE.chunks | map(attribute='text') | list }}\"")
            })
        };
        let texts = match &value {
            Value::List(texts) => texts.iter().map(text).collect::<Result<Vec<_>, _>>()?,
            one => vec![text(one)?],
        };
        let what = if self.config.questions { Use::Questions } else { Use::Passages };
        let (model, vectors) = embed(ctx, &self.config.embedding_model, texts, what).await?;
        let dimensions = vectors.first().map_or(0, |vector| vector.len() as u32);
        Ok(Outcome::Done(EmbedOutput { vectors, model, dimensions }))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Two texts",
        yaml: "\
type: embed
texts: [\"{{ inputs.a }}\", \"{{ inputs.b }}\"]
",
        scope: "\
inputs: { a: tea, b: coffee }
fakes: { models: [] }
",
        gives: "output: { model: test/embed, dimensions: 676 }",
    },
    Example {
        title: "Something that is no text",
        yaml: "\
type: embed
texts: [\"{{ inputs.number }}\"]
",
        scope: "inputs: { number: 5 }\nfakes: { models: [] }",
        gives: "error: LA2606",
    },
];
