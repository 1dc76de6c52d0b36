//! `chunk`: cuts a text into pieces that a knowledge base can find.

use liteagent_engine::{capability::knowledge::Chunk as Piece, node::prelude::*};

use self::{
    clean::Clean,
    cut::{Rules, cut, units},
    text::Marked,
};

use super::vectors::embed_alias;

mod clean;
mod cut;
mod pairs;
mod text;

/// How many tokens a chunk may have: the small embedding models read 256, of which some are for the headings above it.
const SIZE: u32 = 200;
const LARGEST: u32 = 100_000;

/// Cuts a text into pieces that a knowledge base can find.
///
/// Pieces end where the text does: at headings, blank lines, ends of lines or sentences, whichever is the strongest near
/// the size that is wanted. Each knows the headings above it and its page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChunkConfig {
    /// The text, or an object with `text`, `headings` and `pages` as `document-extractor` gives it. In a text alone, lines
    /// as `# Heading` are its headings. With `by: pairs` also a list of `{ question, answer }`.
    pub text: TemplateTree,
    /// Where pieces end.
    #[serde(default)]
    pub by: CutBy,
    /// With `by: separator`: the text between pieces.
    #[schemars(length(min = 1))]
    pub separator: Option<String>,
    /// What `size`, `overlap` and `passage_size` count.
    #[serde(default)]
    pub unit: Unit,
    /// The size of a piece at most.
    #[serde(default = "size")]
    #[schemars(range(min = 8, max = 100_000))]
    pub size: u32,
    /// How much of the end of a piece the next one repeats, where a text is cut that belongs together. Pieces that end where
    /// sentences do need none.
    #[serde(default)]
    #[schemars(range(max = 50_000))]
    pub overlap: u32,
    /// Small pieces are found, and what is around them is read: pieces are cut out of passages of this size, and a search
    /// gives the passage.
    #[schemars(range(min = 16, max = 100_000))]
    pub passage_size: Option<u32>,
    /// What is removed first.
    #[serde(default = "whitespace")]
    pub clean: Vec<Clean>,
    /// The embedding model whose tokens are counted: `provider/model`, or an alias.
    #[serde(default = "embed_alias")]
    pub embedding_model: String,
}

/// Where pieces end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CutBy {
    /// At headings, so that no piece goes on in another section; small sections stay together. What is still too large is
    /// cut as `text`.
    #[default]
    Sections,
    /// At blank lines, ends of lines, ends of sentences or spaces: the strongest near the size.
    Text,
    /// At the size, whatever stands there.
    Fixed,
    /// At `separator`. What is still too large is cut as `text`.
    Separator,
    /// Questions with their answers: `Q:` and `A:` at the beginning of lines, or a table with the columns `question` and
    /// `answer`. The question is searched, and both are found.
    Pairs,
}

/// What sizes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Tokens of the embedding model.
    #[default]
    Tokens,
    /// Characters.
    Characters,
}

/// The pieces.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChunkOutput {
    /// The pieces in the order of the text, as `vector-upsert` takes them.
    pub chunks: Vec<Piece>,
    /// How many they are.
    pub count: u64,
    /// How many tokens of the embedding model they have together.
    pub tokens: u64,
}

/// See [`ChunkConfig`].
pub struct Chunk {
    config: ChunkConfig,
}

const fn size() -> u32 {
    SIZE
}

fn whitespace() -> Vec<Clean> {
    vec![Clean::Whitespace]
}

impl Node for Chunk {
    const TYPE: &'static str = "chunk";
    const META: NodeMeta =
        NodeMeta { inline: false, requires: &[Capability::Models], ..NodeMeta::pure(Family::Retrieval, EXAMPLES) };
    const QUEUE: Option<Group> = Some(Group::Indexing);
    type Config = ChunkConfig;
    type Output = ChunkOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let wrong = |field: &str, message: String, hint: &str| {
            Err(ConfigError::new(codes::CHUNK_CONFIG, field, message).hint(hint.to_owned()))
        };
        if config.separator.is_some() != (config.by == CutBy::Separator) {
            let message = "expected `separator` with `by: separator`, and only there".to_owned();
            return wrong("/separator", message, "write `by: separator` and `separator: \"---\"`");
        }
        if config.overlap > config.size / 2 {
            let message = format!("expected half of `size` at most, {}, found {}", config.size / 2, config.overlap);
            return wrong("/overlap", message, "a tenth of `size` is usual");
        }
        if config.passage_size.is_some_and(|passage| passage < config.size) {
            let message = format!("expected more than `size`, which is {}", config.size);
            return wrong("/passage_size", message, "a passage holds several pieces: four times `size` is usual");
        }
        if config.passage_size.is_some() && config.by == CutBy::Pairs {
            let message = "`by: pairs` has no passages: a question is found with its answer".to_owned();
            return wrong("/passage_size", message, "remove `passage_size`");
        }
        debug_assert!(config.size <= LARGEST);
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let value = ctx.render_tree(&self.config.text)?;
        let chunks = match self.config.by {
            CutBy::Pairs => self.counted(ctx, pairs::read(&value)?).await?,
            _ => self.cut(ctx, Marked::read(&value)?).await?,
        };
        let tokens = chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum();
        Ok(Outcome::Done(ChunkOutput { count: chunks.len() as u64, tokens, chunks }))
    }
}

impl Chunk {
    /// Chunks with the number of their tokens.
    async fn counted(&self, ctx: &NodeCtx, mut chunks: Vec<Piece>) -> Result<Vec<Piece>, NodeError> {
        let texts = chunks.iter().map(|chunk| chunk.text.clone()).collect();
        let ends = ctx.models()?.tokenizer(&self.config.embedding_model)?.ends(texts).await?;
        for (chunk, ends) in chunks.iter_mut().zip(ends) {
            chunk.tokens = ends.len() as u32;
        }
        Ok(chunks)
    }

    async fn cut(&self, ctx: &NodeCtx, text: Marked) -> Result<Vec<Piece>, NodeError> {
        let config = &self.config;
        let text = clean::clean(text, &config.clean);
        let ends = match config.unit {
            Unit::Tokens => {
                let tokenizer = ctx.models()?.tokenizer(&config.embedding_model)?;
                tokenizer.ends(vec![text.text.clone()]).await?.pop().unwrap_or_default()
            }
            Unit::Characters => text.text.char_indices().map(|(at, letter)| at + letter.len_utf8()).collect(),
        };
        let rules = |size, overlap| Rules { by: config.by, separator: config.separator.as_deref(), size, overlap };
        let small = rules(config.size, config.overlap);
        let piece = |range: &std::ops::Range<usize>, passage: Option<&Arc<str>>| Piece {
            text: text.text[range.clone()].trim().to_owned(),
            passage: passage.cloned(),
            headings: text.headings_at(range.start),
            page: text.page_at(range.start),
            tokens: if config.unit == Unit::Tokens { units(&ends, range) as u32 } else { 0 },
        };
        let whole = 0..text.text.len();
        let mut chunks = Vec::new();
        let Some(passage_size) = config.passage_size else {
            chunks.extend(cut(&text, &ends, whole, &small).iter().map(|range| piece(range, None)));
            return self.finished(ctx, chunks).await;
        };
        for passage in cut(&text, &ends, whole, &rules(passage_size, 0)) {
            let around: Arc<str> = text.text[passage.clone()].trim().into();
            // What is no smaller than its passage needs none.
            let parts = cut(&text, &ends, passage, &Rules { by: CutBy::Text, ..small });
            let around = (parts.len() > 1).then_some(&around);
            chunks.extend(parts.iter().map(|range| piece(range, around)));
        }
        self.finished(ctx, chunks).await
    }

    async fn finished(&self, ctx: &NodeCtx, chunks: Vec<Piece>) -> Result<Vec<Piece>, NodeError> {
        if self.config.unit == Unit::Tokens { Ok(chunks) } else { self.counted(ctx, chunks).await }
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "The sections of a text",
        yaml: "\
type: chunk
text: \"{{ inputs.text }}\"
size: 9
",
        scope: "\
inputs: { text: \"# Tea\\nGreen or black tea.\\n\\n# Coffee\\nOnly in the morning, please.\" }
fakes: { models: [] }
",
        gives: "\
output:
  chunks:
    - { text: \"# Tea\\nGreen or black tea.\", headings: [Tea], tokens: 9 }
    - { text: \"# Coffee\\nOnly in the\", headings: [Coffee] }
    - { text: \"morning, please.\", headings: [Coffee] }
  count: 3
",
    },
    Example {
        title: "Questions with their answers",
        yaml: "\
type: chunk
text: \"{{ inputs.text }}\"
by: pairs
",
        scope: "\
inputs: { text: \"Q: When do you open?\\nA: At nine.\\n\\nQ: And on Sundays?\\nA: Never.\" }
fakes: { models: [] }
",
        gives: "\
output: { chunks: [{ text: \"When do you open?\", passage: \"When do you open?\\nAt nine.\" }, { text: \"And on Sundays?\" }], count: 2 }
",
    },
    Example {
        title: "Something that is no text",
        yaml: "\
type: chunk
text: \"{{ inputs.number }}\"
",
        scope: "\
inputs: { number: 5 }
fakes: { models: [] }
",
        gives: "error: LA2609",
    },
];
