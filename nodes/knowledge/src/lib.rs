//! Knowledge bases: documents in chunks, and the search over them by meaning and by words.
//!
//! # Layout
//! * [`KnowledgeBases`]: what nodes, commands and servers use; `bases/` has one concern per file
//! * [`catalog`]: the trait of what is known of bases and documents
//! * [`store`]: the trait of what is searched: collections of chunks with vectors
//! * `terms`: words of texts as every store searches them; `fuse`: two rankings become one
//! * `embedded`: both traits in one SQLite file, searched in memory
//! * `qdrant`: the store in Qdrant
//! * `postgres`: the catalog in PostgreSQL
//! * `testing`: with the feature of this name, what every catalog and store must do
//!
//! # Example
//! ```
//! use liteagent_engine::capability::knowledge::{Chunk, Knowledge, NewBase, Search, SearchMode, WriteDocument};
//! use liteagent_knowledge::{KnowledgeBases, Options};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let bases = KnowledgeBases::open(folder.path(), Options::default()).await?;
//! let model = "openai/text-embedding-3-small".to_owned();
//! bases.create(NewBase { name: "handbook".into(), model: model.clone(), dimensions: 2, language: "en".into() }).await?;
//! let chunk = Chunk { text: "The guarantee lasts two years.".into(), ..Chunk::default() };
//! let document = WriteDocument {
//!     id: "guarantee.md".into(),
//!     title: "Guarantee".into(),
//!     url: None,
//!     hash: "1".into(),
//!     metadata: [("year".into(), 2026_i64.into())].into_iter().collect(),
//!     model: model.clone(),
//!     chunks: vec![chunk],
//!     vectors: vec![vec![0.6, 0.8]],
//! };
//! bases.write("handbook", document).await?;
//!
//! let question = Search {
//!     mode: SearchMode::Hybrid,
//!     text: "How long are guarantees?".into(),
//!     vector: Some((model, vec![0.8, 0.6])),
//!     top_k: 5,
//!     score_threshold: None,
//!     weights: (1.0, 1.0),
//!     filter: None,
//! };
//! let hits = bases.search("handbook", &question).await?;
//! assert_eq!(hits[0].chunk.text, "The guarantee lasts two years.");
//! # Ok(())
//! # }
//! ```

pub use self::{
    bases::{ChunkEdit, DocumentQuery, KnowledgeBases, Options, RebuildProgress},
    embedded::FILE,
    error::Error,
    postgres::KNOWLEDGE,
    qdrant::QdrantOptions,
    store::StoredChunk,
};

mod bases;
pub mod catalog;
mod embedded;
mod error;
mod fuse;
mod postgres;
mod qdrant;
pub mod store;
mod terms;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
