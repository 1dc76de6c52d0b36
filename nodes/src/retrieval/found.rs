//! What searches give.

use liteagent_engine::{
    capability::knowledge::{Hit, Scores},
    node::prelude::*,
    value::Object,
};

use crate::passages;

/// The passages that were found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FoundOutput {
    /// The passages, best first.
    pub documents: Vec<Found>,
    /// The passages with their numbers, ready for a question to a model, which names them as `[1]`.
    pub context: String,
}

/// A passage of a document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Its number in `context`, from 1.
    #[serde(default)]
    pub number: u32,
    /// Its text.
    pub content: String,
    /// What people call the document.
    pub title: String,
    /// Where the document can be read.
    pub url: Option<String>,
    /// The knowledge base.
    pub knowledge: String,
    /// The id of the document.
    pub document: String,
    /// The position of the chunk in the document, from 0.
    pub position: u32,
    /// The headings above it, the outermost first.
    pub headings: Vec<String>,
    /// The page it begins on, from 1.
    pub page: Option<u32>,
    /// What passages are sorted by: from 0 to 1.
    pub score: f64,
    /// What each stage said of it.
    pub scores: Scores,
    /// The metadata of the document.
    #[schemars(with = "std::collections::BTreeMap<String, Value>")]
    pub metadata: Object,
}

impl Found {
    pub(super) fn new(knowledge: &str, hit: Hit) -> Self {
        Self {
            number: 0,
            content: hit.chunk.passage.map_or(hit.chunk.text, |passage| passage.to_string()),
            title: hit.title,
            url: hit.url,
            knowledge: knowledge.to_owned(),
            document: hit.document,
            position: hit.position,
            headings: hit.chunk.headings,
            page: hit.chunk.page,
            score: rounded(hit.score),
            scores: hit.scores,
            metadata: hit.metadata,
        }
    }

    /// Reads what another node found.
    pub(super) fn read(value: &Value) -> Result<Vec<Self>, NodeError> {
        value.to_typed().map_err(|error| {
            let message = format!("expected the `documents` of a search, found {}: {error}", value.kind());
            NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message)
                .hint("pass on `documents` of a `knowledge-retrieval`, `vector-search` or `keyword-search`")
        })
    }
}

/// Scores in journals are read by people.
pub(super) fn rounded(score: f32) -> f64 {
    (f64::from(score) * 1e4).round() / 1e4
}

impl FoundOutput {
    /// The best of passages, best first.
    pub(super) fn best(mut documents: Vec<Found>, top_k: usize) -> Result<Self, NodeError> {
        documents.sort_by(|a, b| b.score.total_cmp(&a.score));
        documents.truncate(top_k);
        for (number, document) in (1..).zip(&mut documents) {
            document.number = number;
        }
        let values = Value::from_serialize(&documents).map_err(|error| NodeError::internal(error.to_string()))?;
        Ok(Self { context: passages::numbered(values.as_list().unwrap_or_default()), documents })
    }
}
