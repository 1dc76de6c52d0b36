//! What is searched: collections of chunks with vectors.

use std::sync::Arc;

use async_trait::async_trait;
use liteagent_engine::{
    capability::knowledge::{Chunk, Filter, Scores, SearchMode},
    value::Object,
};

pub use crate::terms::{Question, Terms};
use crate::{catalog::Revision, error::Error};

/// A document as it is put into a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// The document.
    pub document: String,
    /// The revision of these chunks.
    pub revision: Revision,
    /// What filters see of it.
    pub settings: Settings,
    /// Its chunks, in the order of their positions.
    pub chunks: Vec<PutChunk>,
}

/// A chunk as it is put into a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct PutChunk {
    /// Its position in the document, from 0.
    pub position: u32,
    /// The chunk.
    pub chunk: Chunk,
    /// Its words.
    pub terms: Terms,
    /// Its vector, of the length of the collection's.
    pub vector: Vec<f32>,
}

/// What decides whether a search looks through a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Orders them: older ones never replace newer ones.
    pub revision: Revision,
    /// Whether searches find it.
    pub enabled: bool,
    /// What filters see.
    pub metadata: Object,
}

/// A chunk as it stands in a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredChunk {
    /// Its position in the document, from 0.
    pub position: u32,
    /// The chunk.
    pub chunk: Chunk,
}

/// How many chunks and tokens a document has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Chunks.
    pub chunks: u32,
    /// Their tokens.
    pub tokens: u64,
}

/// A question to a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// How to look.
    pub mode: SearchMode,
    /// The words; not read by [`SearchMode::Vector`].
    pub question: Question,
    /// The vector; not read by [`SearchMode::Keyword`].
    pub vector: Option<Vec<f32>>,
    /// How many results at most.
    pub top_k: usize,
    /// The least cosine of a result, where there is a vector.
    pub score_threshold: Option<f32>,
    /// What the ranks by meaning and by words count in a hybrid search.
    pub weights: (f32, f32),
    /// Which documents are looked through.
    pub filter: Option<Filter>,
}

/// A chunk that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The document.
    pub document: String,
    /// The position of the chunk in it.
    pub position: u32,
    /// The chunk.
    pub chunk: Chunk,
    /// What the results are sorted by, from 0 to 1.
    pub score: f32,
    /// The scores of the stages.
    pub scores: Scores,
}

/// Collections of chunks with vectors.
///
/// # Contract
/// * What a call wrote is found by every search that begins after it returned, from whichever process.
/// * A search sees each document either as it was before a write or as it is after it.
/// * Results are the same for the same content, whatever the order in which it was written: equal scores are sorted by
///   document and position. Chunks of one document with the same `passage` are one result.
/// * Words count by BM25 with k1 = 1.2 and b = 0.75, over the whole collection, and `ln(1 + (N - n + 0.5) / (n + 0.5))`.
/// * Every call but `create` and `drop_collection` fails with [`Error::NoCollection`] when there is no such collection.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Makes a collection, unless it is there.
    async fn create(&self, collection: &str, dimensions: u32) -> Result<(), Error>;

    /// Drops a collection with all that is in it, if it is there.
    async fn drop_collection(&self, collection: &str) -> Result<(), Error>;

    /// Puts a document in the place of what it was before, at once; nothing happens when a newer revision is there, or was
    /// deleted.
    async fn put(&self, collection: &str, put: Arc<Put>) -> Result<(), Error>;

    /// Changes the settings of a document that is there, unless it has newer ones.
    async fn describe(&self, collection: &str, document: &str, settings: &Settings) -> Result<(), Error>;

    /// Deletes documents, unless a newer revision is there.
    async fn delete(&self, collection: &str, documents: &[(String, Revision)]) -> Result<(), Error>;

    /// The next chunks of a document after a position.
    async fn chunks(
        &self,
        collection: &str,
        document: &str,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<StoredChunk>, Error>;

    /// Replaces a chunk, or deletes it; what the document has then, or `None` when there is no such chunk.
    async fn edit(
        &self,
        collection: &str,
        document: &str,
        position: u32,
        chunk: Option<PutChunk>,
    ) -> Result<Option<Counts>, Error>;

    /// How many chunks there are.
    async fn count(&self, collection: &str) -> Result<u64, Error>;

    /// The best chunks, best first.
    async fn search(&self, collection: &str, query: &Query) -> Result<Vec<Found>, Error>;
}
