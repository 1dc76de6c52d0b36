//! `vector-search`: the passages whose meaning is nearest to a question.

use liteagent_engine::{capability::knowledge::SearchMode, node::prelude::*};

use super::{base::Bases, found::FoundOutput, search::Asked};

/// Finds the passages whose meaning is nearest to a question; with `search: hybrid` those that share words with it, too.
///
/// The question is embedded with the model of the knowledge base. Several knowledge bases are asked at once, and what they
/// give is joined by its score.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorSearchConfig {
    /// The knowledge base, or a list of several.
    #[schemars(extend("x-liteagent-allow" = "allow"))]
    pub knowledge: TemplateTree,
    /// The knowledge bases that a template in `knowledge` may name; patterns such as `team-*` as well.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The question.
    pub query: Template<String>,
    /// How to look.
    #[serde(default)]
    pub search: SearchBy,
    /// How many passages there are at most, 1 to 1000; 4 when missing.
    pub top_k: Option<Template<u64>>,
    /// How near to the question a passage must be: the cosine of the two, from -1 to 1.
    pub score_threshold: Option<Template<Option<f64>>>,
    /// With `search: hybrid`: what the ranks by meaning and by words count.
    #[serde(default)]
    pub weights: Weights,
    /// Which documents are looked through, by their metadata: `{ department: hr, year: { ">=": 2024 } }`, and lists of such
    /// objects under `and` and `or`. `document` is the id of a document. Operators: `=`, `!=`, `<`, `<=`, `>`, `>=`,
    /// `contains`, `not contains`, `starts with`, `ends with`, `in`, `not in`, `empty`.
    pub filter: Option<TemplateTree>,
}

/// How to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchBy {
    /// By meaning.
    #[default]
    Vector,
    /// By meaning and by words, joined by their ranks.
    Hybrid,
}

/// What two ways to look count; only their proportion matters.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// By meaning.
    #[schemars(range(min = 0.0))]
    pub vector: f32,
    /// By words.
    #[schemars(range(min = 0.0))]
    pub keyword: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { vector: 0.5, keyword: 0.5 }
    }
}

impl Weights {
    /// At least one of them has to count.
    pub(super) fn check(self, field: &str) -> Result<(), ConfigError> {
        if self.vector + self.keyword > 0.0 && self.vector >= 0.0 && self.keyword >= 0.0 {
            return Ok(());
        }
        let message = "expected one weight above 0, found none";
        Err(ConfigError::new(codes::OUT_OF_RANGE, field, message).hint("write `{ vector: 0.7, keyword: 0.3 }`"))
    }
}

/// See [`VectorSearchConfig`].
pub struct VectorSearch {
    config: VectorSearchConfig,
}

impl Node for VectorSearch {
    const TYPE: &'static str = "vector-search";
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
    type Config = VectorSearchConfig;
    type Output = FoundOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Bases { names: &config.knowledge, allow: &config.allow }.check()?;
        config.weights.check("/weights")?;
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let config = &self.config;
        let asked = Asked {
            bases: Bases { names: &config.knowledge, allow: &config.allow },
            query: &config.query,
            mode: match config.search {
                SearchBy::Vector => SearchMode::Vector,
                SearchBy::Hybrid => SearchMode::Hybrid,
            },
            top_k: config.top_k.as_ref(),
            score_threshold: config.score_threshold.as_ref(),
            weights: (config.weights.vector, config.weights.keyword),
            filter: config.filter.as_ref(),
        };
        Ok(Outcome::Done(asked.search(ctx).await?))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "The nearest passage",
        yaml: "\
type: vector-search
knowledge: handbook
query: \"{{ inputs.question }}\"
top_k: 1
",
        scope: "\
inputs: { question: Where is the green tea? }
fakes:
  knowledge:
    handbook: { tea.md: [The green tea is in the kitchen.], cars.md: [Cars stand in the yard.] }
",
        gives: "\
output:
  documents: [{ content: The green tea is in the kitchen., document: tea.md, knowledge: handbook }]
  context: \"[1] tea.md\\nThe green tea is in the kitchen.\"
",
    },
    Example {
        title: "A knowledge base that is not there",
        yaml: "\
type: vector-search
knowledge: handbok
query: \"{{ inputs.question }}\"
",
        scope: "\
inputs: { question: Tea? }
fakes: { knowledge: { handbook: {} } }
",
        gives: "\
error: LA2601
message: expected one of the knowledge bases `handbook`, found `handbok`
",
    },
];
