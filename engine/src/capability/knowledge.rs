//! Knowledge bases as nodes see them: documents in chunks, and the search over them.
//!
//! Who implements [`Knowledge`] stores and searches; vectors are made by the nodes, with the model of the base.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::filter::{DOCUMENT, Filter, FilterOperator};
use crate::{error::NodeError, units::Millis, value::Object};

mod filter;

/// Knowledge bases by name.
#[async_trait]
pub trait Knowledge: Send + Sync {
    /// What is known of a knowledge base.
    ///
    /// # Errors
    /// LA2601 when there is none of the name.
    async fn base(&self, name: &str) -> Result<Base, NodeError>;

    /// Makes a knowledge base, unless there is one of the name: then that one, however it was made.
    ///
    /// # Errors
    /// LA2606 when the name has the wrong form.
    async fn ensure(&self, base: NewBase) -> Result<Base, NodeError>;

    /// The documents with these ids; `None` where there is none.
    ///
    /// # Errors
    /// LA2601.
    async fn documents(&self, base: &str, ids: &[String]) -> Result<Vec<Option<Document>>, NodeError>;

    /// The next ids of documents after one, in the order of their bytes, that begin with a text.
    ///
    /// # Errors
    /// LA2601.
    async fn ids(&self, base: &str, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>, NodeError>;

    /// Says where documents stand. A document that is not there is made, without chunks; one that is there keeps those it
    /// has, and they are found until [`Self::write`] replaces them.
    ///
    /// # Errors
    /// LA2601, LA2606.
    async fn mark(&self, base: &str, marks: &[Mark]) -> Result<(), NodeError>;

    /// Puts a document with all its chunks in the place of what it was before, at once, and makes it ready. Searches find
    /// either the old chunks or the new ones. Doing it again changes nothing more.
    ///
    /// # Errors
    /// LA2601; LA2603 when the vectors are not those of the model of the base; LA2606.
    async fn write(&self, base: &str, document: WriteDocument) -> Result<(), NodeError>;

    /// Deletes documents with their chunks; how many there were.
    ///
    /// # Errors
    /// LA2601.
    async fn delete(&self, base: &str, ids: &[String]) -> Result<u64, NodeError>;

    /// The best chunks, best first. Documents that are disabled are left out.
    ///
    /// # Errors
    /// LA2601; LA2603 when the vector is not one of the model of the base.
    async fn search(&self, base: &str, search: &Search) -> Result<Vec<Hit>, NodeError>;
}

/// A knowledge base that is about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBase {
    /// Its name: letters, digits, `-`, `_`, `.`, up to 100 bytes.
    pub name: String,
    /// The embedding model, `provider/model`, never an alias.
    pub model: String,
    /// The length of its vectors.
    pub dimensions: u32,
    /// The language of stop words and word stems, as ISO 639-1 has it (`en`).
    pub language: String,
}

/// A knowledge base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its name.
    pub name: String,
    /// The embedding model, `provider/model`.
    pub model: String,
    /// The length of its vectors.
    pub dimensions: u32,
    /// See [`NewBase::language`].
    pub language: String,
    /// How many documents it has.
    pub documents: u64,
    /// How many chunks they have.
    pub chunks: u64,
    /// When it was made.
    pub created_at: Millis,
}

/// Where a document stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentStatus {
    /// It waits for its turn.
    #[default]
    Queued,
    /// Its text is read.
    Parsing,
    /// Its text is cut into chunks.
    Chunking,
    /// Its chunks become vectors.
    Embedding,
    /// It is found.
    Ready,
    /// It could not be indexed. What it was before is still found.
    Failed,
}

impl DocumentStatus {
    /// Every one of them, in the order in which a document goes through them.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Parsing, Self::Chunking, Self::Embedding, Self::Ready, Self::Failed];

    /// The name in stores and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Parsing => "parsing",
            Self::Chunking => "chunking",
            Self::Embedding => "embedding",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// A document of a knowledge base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Unique in its base: a path or a URL, up to 1,024 bytes.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Where it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The hash of what its chunks were made of; empty while it has none, and while they are being replaced or deleted.
    pub hash: String,
    /// Where it stands.
    pub status: DocumentStatus,
    /// Why it could not be indexed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether searches find it.
    pub enabled: bool,
    /// What filters see.
    pub metadata: Object,
    /// How many chunks it has.
    pub chunks: u32,
    /// How many tokens of the embedding model they have.
    pub tokens: u64,
    /// When it last changed.
    pub updated_at: Millis,
}

/// Where a document stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The document.
    pub id: String,
    /// Its title, for one that is not there yet; its id when missing.
    pub title: Option<String>,
    /// Where it stands: never [`DocumentStatus::Ready`], which [`Knowledge::write`] alone says.
    pub status: DocumentStatus,
    /// Why it failed.
    pub error: Option<String>,
}

/// A document with its chunks.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteDocument {
    /// See [`Document::id`].
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Where it can be read.
    pub url: Option<String>,
    /// The hash of what the chunks were made of.
    pub hash: String,
    /// What filters see: texts, numbers, booleans, and lists of texts.
    pub metadata: Object,
    /// The model that made the vectors, `provider/model`.
    pub model: String,
    /// The chunks in the order of the document.
    pub chunks: Vec<Chunk>,
    /// One vector a chunk, of length 1.
    pub vectors: Vec<Vec<f32>>,
}

/// A piece of a document. Nodes pass it on as a value of this form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chunk {
    /// Its text. It is searched, by its words and its vector, with what it stands under: see [`Chunk::searched`].
    pub text: String,
    /// What is found instead of `text`: the passage around a small chunk, or a question with its answer. Chunks of a
    /// document with the same `passage` are one result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passage: Option<Arc<str>>,
    /// The headings above it, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
    /// The page it begins on, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// How many tokens of the embedding model `text` has.
    #[serde(default)]
    pub tokens: u32,
}

impl Chunk {
    /// What is searched of a chunk, by words and by its vector: the title of its document and the headings above it often say
    /// what it is about when its text does not.
    pub fn searched(&self, title: &str) -> String {
        let above = [title].into_iter().chain(self.headings.iter().map(String::as_str));
        let first = self.text.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
        let mut path: Vec<&str> = Vec::new();
        for part in above.filter(|part| !part.is_empty() && *part != first) {
            if path.last() != Some(&part) {
                path.push(part);
            }
        }
        if path.is_empty() { self.text.clone() } else { format!("{}\n{}", path.join(" > "), self.text) }
    }
}

/// How chunks are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// By meaning: the nearest vectors.
    Vector,
    /// By words: BM25 over the words of the question, without stop words.
    Keyword,
    /// Both, joined by reciprocal rank.
    #[default]
    Hybrid,
}

/// A question to one knowledge base.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// How to look.
    pub mode: SearchMode,
    /// The words; not read by [`SearchMode::Vector`].
    pub text: String,
    /// The vector of the question, of length 1, and the model that made it; not read by [`SearchMode::Keyword`].
    pub vector: Option<(String, Vec<f32>)>,
    /// How many results at most.
    pub top_k: usize,
    /// The least cosine of a result, where there is a vector.
    pub score_threshold: Option<f32>,
    /// What the ranks by meaning and by words count in a hybrid search; only their proportion matters.
    pub weights: (f32, f32),
    /// Which documents are looked through; all when missing.
    pub filter: Option<Filter>,
}

impl Search {
    /// How many ranks of each list a hybrid search joins, at least.
    pub const CANDIDATES: usize = 50;
    /// The constant of reciprocal rank fusion: a rank counts `weight / (RRF + rank)`, ranks from 1 (Cormack et al. 2009).
    pub const RRF: f32 = 60.0;
}

/// A chunk that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The document.
    pub document: String,
    /// Its title.
    pub title: String,
    /// Where it can be read.
    pub url: Option<String>,
    /// Its metadata.
    pub metadata: Object,
    /// The position of the chunk in the document, from 0.
    pub position: u32,
    /// The chunk.
    pub chunk: Chunk,
    /// What the results are sorted by, from 0 to 1: the cosine (0 where it is negative); of a hybrid search the share of
    /// the best that ranks could give; of a search by words the share of the best result's.
    pub score: f32,
    /// The scores of the stages.
    pub scores: Scores,
}

/// What each stage of a search said of a chunk; `None` where it did not find it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scores {
    /// The cosine of its vector and the question's, -1 to 1.
    #[serde(default, serialize_with = "rounded", skip_serializing_if = "Option::is_none")]
    pub vector: Option<f32>,
    /// BM25, from 0.
    #[serde(default, serialize_with = "rounded", skip_serializing_if = "Option::is_none")]
    pub keyword: Option<f32>,
    /// What their ranks together give, 0 to 1.
    #[serde(default, serialize_with = "rounded", skip_serializing_if = "Option::is_none")]
    pub fused: Option<f32>,
    /// What a reranking model said.
    #[serde(default, serialize_with = "rounded", skip_serializing_if = "Option::is_none")]
    pub rerank: Option<f32>,
}

/// Four places: people read them, and what is a single precision number here is a double one elsewhere.
#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde gives the field by reference")]
fn rounded<S: serde::Serializer>(score: &Option<f32>, serializer: S) -> Result<S::Ok, S::Error> {
    score.map(|score| (f64::from(score) * 1e4).round() / 1e4).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_searched_with_what_it_stands_under_once() {
        let chunk = |text: &str, headings: &[&str]| Chunk {
            text: text.to_owned(),
            headings: headings.iter().map(|heading| (*heading).to_owned()).collect(),
            ..Chunk::default()
        };
        assert_eq!(chunk("# Tea\ngreen", &["Guide", "Tea"]).searched("Guide"), "Guide\n# Tea\ngreen");
        assert_eq!(chunk("text", &[]).searched("a.txt"), "a.txt\ntext");
        assert_eq!(chunk("text", &["A", "B"]).searched(""), "A > B\ntext");
    }
}
