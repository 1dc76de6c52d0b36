//! `keyword-search`: the passages that share words with a question.

use liteagent_engine::{capability::knowledge::SearchMode, node::prelude::*};

use super::{base::Bases, found::FoundOutput, search::Asked};

/// Finds the passages that share words with a question, those with its rare words first (BM25). No model is asked.
///
/// A passage needs one of the words; stop words of the language of the knowledge base do not count. A question of stop
/// words alone finds the passages that have all of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeywordSearchConfig {
    /// The knowledge base, or a list of several.
    #[schemars(extend("x-liteagent-allow" = "allow"))]
    pub knowledge: TemplateTree,
    /// The knowledge bases that a template in `knowledge` may name; patterns such as `team-*` as well.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The question.
    pub query: Template<String>,
    /// How many passages there are at most, 1 to 1000; 4 when missing.
    pub top_k: Option<Template<u64>>,
    /// Which documents are looked through, as of `vector-search`.
    pub filter: Option<TemplateTree>,
}

/// See [`KeywordSearchConfig`].
pub struct KeywordSearch {
    config: KeywordSearchConfig,
}

impl Node for KeywordSearch {
    const TYPE: &'static str = "keyword-search";
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
    type Config = KeywordSearchConfig;
    type Output = FoundOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Bases { names: &config.knowledge, allow: &config.allow }.check()?;
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let config = &self.config;
        let asked = Asked {
            bases: Bases { names: &config.knowledge, allow: &config.allow },
            query: &config.query,
            mode: SearchMode::Keyword,
            top_k: config.top_k.as_ref(),
            score_threshold: None,
            weights: (0.0, 1.0),
            filter: config.filter.as_ref(),
        };
        Ok(Outcome::Done(asked.search(ctx).await?))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Passages with a word",
        yaml: "\
type: keyword-search
knowledge: handbook
query: kitchen
",
        scope: "\
fakes:
  knowledge:
    handbook: { tea.md: [The green tea is in the kitchen.], cars.md: [Cars stand in the yard.] }
",
        gives: "output: { documents: [{ document: tea.md }] }",
    },
    Example {
        title: "A name that is not allowed",
        yaml: "\
type: keyword-search
knowledge: \"{{ inputs.knowledge }}\"
allow: [handbook]
query: salaries
",
        scope: "inputs: { knowledge: wages }\nfakes: { knowledge: { handbook: {}, wages: {} } }",
        gives: "error: LA2607",
    },
];
