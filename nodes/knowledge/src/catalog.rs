//! What is known of knowledge bases and of their documents, apart from the chunks.
//!
//! Catalog and vector store are two systems, and a process may die between them. So a document has three numbers, all drawn
//! from one counter of its base:
//!
//! * `revision`: of the newest write that began. The store refuses chunks of an older one; only the newest can finish.
//! * `settings`: of its metadata and of whether it is enabled, so that the store never goes back to older ones.
//! * `changed`: of the newest change of anything that a collection holds. `built` is what of it the next collection has.
//!
//! A write that begins takes the hash away, and one that finishes brings it: whoever sees a hash finds these chunks.

use async_trait::async_trait;
use liteagent_engine::{
    capability::knowledge::{Base, Document, DocumentStatus, Mark, NewBase},
    units::Millis,
    value::Object,
};

use crate::{error::Error, store::Counts};

/// A number that orders writes; see the module.
pub type Revision = i64;

/// Identifies a knowledge base, also after another took its name.
pub type BaseId = i64;

/// A knowledge base, and where its chunks are.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseRow {
    /// Its identity.
    pub id: BaseId,
    /// What is known of it.
    pub base: Base,
    /// The collection that searches look through.
    pub collection: String,
    /// What it is being rebuilt to.
    pub next: Option<NextCollection>,
}

/// The collection that a base will have when its model is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextCollection {
    /// Its name.
    pub collection: String,
    /// The embedding model, `provider/model`.
    pub model: String,
    /// The length of its vectors.
    pub dimensions: u32,
}

/// A document, and its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentRow {
    /// What is known of it.
    pub document: Document,
    /// See the module.
    pub revision: Revision,
    /// See the module.
    pub settings: Revision,
    /// See the module.
    pub changed: Revision,
}

/// Which documents of a base are listed, in the order of the bytes of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentQuery {
    /// How the ids begin; empty for all.
    pub prefix: String,
    /// Only those that stand there.
    pub status: Option<DocumentStatus>,
    /// Only ids after this one: the last of the page before.
    pub after: Option<String>,
    /// How many at most. Default: 100.
    pub limit: usize,
}

impl Default for DocumentQuery {
    fn default() -> Self {
        Self { prefix: String::new(), status: None, after: None, limit: 100 }
    }
}

/// A write of a document that begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// The document.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Where it can be read.
    pub url: Option<String>,
    /// What filters see.
    pub metadata: Object,
}

/// A write of a document whose chunks are in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The document.
    pub id: String,
    /// The revision that the write began with.
    pub revision: Revision,
    /// The settings that the store was told.
    pub settings: Revision,
    /// The collection that has the chunks.
    pub collection: String,
    /// The hash of what the chunks were made of.
    pub hash: String,
    /// How many chunks there are.
    pub chunks: u32,
    /// How many tokens they have.
    pub tokens: u64,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Finished {
    /// The document is ready, with its hash.
    Done,
    /// A newer write began: it will say what the document is.
    Overtaken,
    /// The document was deleted meanwhile. The store must be told again.
    Gone,
    /// Its settings changed meanwhile: tell the store these, then finish again.
    Settings(Box<DocumentRow>),
    /// The base has another collection now.
    Moved,
}

/// A change of what people set.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// Whether searches find it.
    Enabled(bool),
    /// What filters see.
    Metadata(Object),
}

/// Knowledge bases and their documents.
///
/// # Contract
/// Each call is one transaction: what it did is durable when it returns, and seen by every process. Calls that write name a
/// base by its identity, and fail with [`Error::NoBase`] when it was deleted.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The base of a name.
    async fn base(&self, name: &str) -> Result<Option<BaseRow>, Error>;

    /// Every base, by name.
    async fn bases(&self) -> Result<Vec<BaseRow>, Error>;

    /// Makes a base and chooses the name of its collection; `None` when the name is taken.
    async fn create(&self, base: &NewBase, at: Millis) -> Result<Option<BaseRow>, Error>;

    /// Removes a base with its documents. Its collections become [`Self::leftovers`].
    async fn remove(&self, base: BaseId) -> Result<(), Error>;

    /// Collections that no base has any more, and that may still be in the store.
    async fn leftovers(&self) -> Result<Vec<String>, Error>;

    /// A leftover is not in the store any more.
    async fn forget_leftover(&self, collection: &str) -> Result<(), Error>;

    /// The documents with these ids; `None` where there is none.
    async fn documents(&self, base: BaseId, ids: &[String]) -> Result<Vec<Option<DocumentRow>>, Error>;

    /// A page of documents.
    async fn list(&self, base: BaseId, query: &DocumentQuery) -> Result<Vec<DocumentRow>, Error>;

    /// Says where documents stand, and makes those that are not there.
    async fn mark(&self, base: BaseId, marks: &[Mark], at: Millis) -> Result<(), Error>;

    /// Begins a write: makes the document where it is not there, takes its hash away, and sets what people call it and what
    /// filters see.
    async fn begin(&self, base: BaseId, begin: &Begin, at: Millis) -> Result<DocumentRow, Error>;

    /// Finishes a write.
    async fn finish(&self, base: BaseId, finish: &Finish, at: Millis) -> Result<Finished, Error>;

    /// Changes a setting; `None` when there is no such document.
    async fn set(&self, base: BaseId, id: &str, setting: &Setting, at: Millis) -> Result<Option<DocumentRow>, Error>;

    /// Says how many chunks and tokens a document has after one of its chunks was edited in the collection of a base; false
    /// when the base has another one now.
    async fn edited(&self, base: &BaseRow, id: &str, counts: Counts, at: Millis) -> Result<bool, Error>;

    /// Takes away the hashes of documents that are about to be deleted; the revision of each that is there.
    async fn withdraw(&self, base: BaseId, ids: &[String], at: Millis) -> Result<Vec<(String, Revision)>, Error>;

    /// Removes documents, unless a newer write began; how many there were.
    async fn remove_documents(&self, base: BaseId, documents: &[(String, Revision)]) -> Result<u64, Error>;

    /// Begins to rebuild a base for another model, or goes on where it is being rebuilt for the same: the collection. What it
    /// was being rebuilt to before becomes a leftover.
    async fn begin_rebuild(&self, base: BaseId, model: &str, dimensions: u32) -> Result<NextCollection, Error>;

    /// Gives up rebuilding a base: its next collection becomes a leftover.
    async fn cancel_rebuild(&self, base: BaseId) -> Result<(), Error>;

    /// The next documents after an id that the next collection does not have as they are.
    async fn unbuilt(&self, base: BaseId, after: Option<&str>, limit: usize) -> Result<Vec<DocumentRow>, Error>;

    /// The next collection has a document as it was at `changed`; false when it was deleted meanwhile.
    async fn built(&self, base: BaseId, id: &str, changed: Revision) -> Result<bool, Error>;

    /// Makes the next collection the one that searches look through, if it has every document as it is; else false. The
    /// one before becomes a leftover.
    async fn switch(&self, base: BaseId, next: &NextCollection) -> Result<bool, Error>;
}
