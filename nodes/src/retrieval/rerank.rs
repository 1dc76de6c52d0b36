//! `rerank`: sorts passages anew.

use liteagent_engine::node::prelude::*;

use self::{endpoint::Endpoint, judge::Judge};
use super::{
    found::{Found, FoundOutput},
    search::top_k,
    vector_search::Weights,
};

mod endpoint;
mod judge;

/// Sorts passages by how well they answer a question, and keeps the best.
///
/// A search looks at each passage by itself; a reranking model reads question and passage together. Let the search find
/// three to ten times as many as are kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankConfig {
    /// The passages: `documents` of a search.
    pub documents: TemplateTree,
    /// The question.
    pub query: Template<String>,
    /// The chat model that says how well each passage answers, where neither `endpoint` nor `weights` is given:
    /// `provider/model`, or an alias; `default` when missing.
    pub judge: Option<String>,
    /// A reranking model that is served over HTTP, as Cohere, Jina, vLLM and Text Embeddings Inference offer it.
    pub endpoint: Option<Endpoint>,
    /// The scores that the search gave: a share of the cosine, and a share of BM25 in proportion to the best passage's.
    pub weights: Option<Weights>,
    /// How many passages are kept at most, 1 to 1000; 4 when missing.
    pub top_k: Option<Template<u64>>,
    /// The least score of a passage that is kept, from 0 to 1.
    pub score_threshold: Option<Template<Option<f64>>>,
}

/// See [`RerankConfig`].
pub struct Rerank {
    config: RerankConfig,
    by: Decides,
}

enum Decides {
    Endpoint(Endpoint),
    Model(Judge),
    Weights(Weights),
}

impl Node for Rerank {
    const TYPE: &'static str = "rerank";
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
    type Config = RerankConfig;
    type Output = FoundOutput;

    fn new(mut config: Self::Config) -> Result<Self, ConfigError> {
        let by = match (config.endpoint.take(), config.judge.take(), config.weights.take()) {
            (Some(endpoint), None, None) => {
                endpoint.check()?;
                Decides::Endpoint(endpoint)
            }
            (None, judge, None) => Decides::Model(Judge::new(judge.unwrap_or_else(|| "default".to_owned()))),
            (None, None, Some(weights)) => {
                weights.check("/weights")?;
                Decides::Weights(weights)
            }
            _ => {
                let message = "expected one of `judge`, `endpoint` and `weights`, found several";
                return Err(ConfigError::new(codes::KNOWLEDGE_INVALID, "", message)
                    .hint("write `judge: default`, or `weights: { vector: 0.7, keyword: 0.3 }`"));
            }
        };
        Ok(Self { config, by })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let config = &self.config;
        let mut documents = Found::read(&ctx.render_tree(&config.documents)?)?;
        let query = ctx.render(&config.query)?;
        let top_k = top_k(ctx, config.top_k.as_ref())?;
        let least = config.score_threshold.as_ref().map(|least| ctx.render(least)).transpose()?.flatten();
        if !documents.is_empty() {
            let texts: Vec<&str> = documents.iter().map(|document| document.content.as_str()).collect();
            let scores = match &self.by {
                Decides::Endpoint(endpoint) => endpoint.scores(ctx, &query, &texts).await?,
                Decides::Model(judge) => judge.scores(ctx, &query, &texts).await?,
                Decides::Weights(weights) => weighted(*weights, &documents),
            };
            for (document, score) in documents.iter_mut().zip(scores) {
                document.scores.rerank = Some(score as f32);
                document.score = score;
            }
        }
        documents.retain(|document| least.is_none_or(|least| document.score >= least));
        Ok(Outcome::Done(FoundOutput::best(documents, top_k)?))
    }
}

fn weighted(weights: Weights, documents: &[Found]) -> Vec<f64> {
    let keyword = |document: &Found| f64::from(document.scores.keyword.unwrap_or_default());
    let best = documents.iter().map(keyword).fold(f64::MIN_POSITIVE, f64::max);
    let (by_meaning, by_words) = (f64::from(weights.vector), f64::from(weights.keyword));
    let score = |document: &Found| {
        let cosine = f64::from(document.scores.vector.unwrap_or_default().max(0.0));
        let score = (by_meaning * cosine + by_words * keyword(document) / best) / (by_meaning + by_words);
        (score * 1e4).round() / 1e4
    };
    documents.iter().map(score).collect()
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A chat model decides",
        yaml: "\
type: rerank
documents: \"{{ search.documents }}\"
query: Where is the tea?
judge: default
top_k: 1
",
        scope: "\
search:
  documents:
    - { content: Cars stand in the yard., title: cars, url: null, knowledge: k, document: a, position: 0, headings: [], page: null, score: 0.9, scores: {}, metadata: {} }
    - { content: Tea is in the kitchen., title: tea, url: null, knowledge: k, document: b, position: 0, headings: [], page: null, score: 0.8, scores: {}, metadata: {} }
fakes: { models: [{ json: { scores: [1, 9] } }] }
",
        gives: "\
output: { documents: [{ document: b, score: 0.9, scores: { rerank: 0.9 } }], context: \"[1] tea\\nTea is in the kitchen.\" }
",
    },
    Example {
        title: "The scores of the search, weighed",
        yaml: "\
type: rerank
documents: \"{{ search.documents }}\"
query: tea
weights: { vector: 0.5, keyword: 0.5 }
",
        scope: "\
search:
  documents:
    - { content: A, title: a, url: null, knowledge: k, document: a, position: 0, headings: [], page: null, score: 0.9, scores: { vector: 0.6 }, metadata: {} }
    - { content: B, title: b, url: null, knowledge: k, document: b, position: 0, headings: [], page: null, score: 0.8, scores: { vector: 0.4, keyword: 3.0 }, metadata: {} }
",
        gives: "output: { documents: [{ document: b, score: 0.7 }, { document: a, score: 0.3 }] }",
    },
    Example {
        title: "A reranking model over HTTP",
        yaml: "\
type: rerank
documents: \"{{ search.documents }}\"
query: tea
endpoint:
  url: https://rerank.example.org/v1/rerank
  model: bge-reranker-v2-m3
",
        scope: "\
search:
  documents:
    - { content: A, title: a, url: null, knowledge: k, document: a, position: 0, headings: [], page: null, score: 0.9, scores: {}, metadata: {} }
    - { content: B, title: b, url: null, knowledge: k, document: b, position: 0, headings: [], page: null, score: 0.8, scores: {}, metadata: {} }
fakes:
  http: [{ json: { results: [{ index: 1, relevance_score: 0.9 }, { index: 0, relevance_score: 0.2 }] } }]
",
        gives: "output: { documents: [{ document: b, score: 0.9 }, { document: a, score: 0.2 }] }",
    },
    Example {
        title: "Something that is no passage",
        yaml: "\
type: rerank
documents: [\"{{ inputs.text }}\"]
query: tea
",
        scope: "inputs: { text: Tea. }\nfakes: { models: [] }",
        gives: "error: LA2606",
    },
];
