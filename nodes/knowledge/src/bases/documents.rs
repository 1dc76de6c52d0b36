//! What nodes do with documents.
//!
//! Between catalog and store a process may die after any step. A write takes the hash away, puts the chunks, and brings the
//! hash; a deletion takes the hash away, deletes the chunks, and removes the document. Whatever was cut off is seen by the
//! missing hash, and doing it again mends it.

use std::sync::Arc;

use async_trait::async_trait;
use liteagent_engine::{
    capability::knowledge::{Base, Document, DocumentStatus, Hit, Knowledge, Mark, NewBase, Search, WriteDocument},
    codes,
    error::{ErrorClass, NodeError},
};

use super::{KnowledgeBases, checks};
use crate::{
    catalog::{BaseRow, Begin, DocumentQuery, DocumentRow, Finish, Finished},
    error::{Error, failed},
    store::{Put, PutChunk, Settings, StoredChunk},
    terms::Analysis,
};

#[async_trait]
impl Knowledge for KnowledgeBases {
    async fn base(&self, name: &str) -> Result<Base, NodeError> {
        Ok(self.row(name).await?.base)
    }

    async fn ensure(&self, base: NewBase) -> Result<Base, NodeError> {
        checks::new_base(&base)?;
        if let Some(row) = self.catalog.base(&base.name).await.map_err(failed)? {
            return Ok(row.base);
        }
        match self.make(&base).await? {
            Some(made) => Ok(made),
            None => self.base(&base.name).await,
        }
    }

    async fn documents(&self, base: &str, ids: &[String]) -> Result<Vec<Option<Document>>, NodeError> {
        let base = self.row(base).await?;
        let rows = self.catalog.documents(base.id, ids).await.map_err(failed)?;
        Ok(rows.into_iter().map(|row| row.map(|row| row.document)).collect())
    }

    async fn ids(&self, base: &str, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>, NodeError> {
        let after = after.map(str::to_owned);
        let query = DocumentQuery { prefix: prefix.to_owned(), status: None, after, limit: most };
        Ok(self.list_documents(base, &query).await?.into_iter().map(|document| document.id).collect())
    }

    async fn mark(&self, base: &str, marks: &[Mark]) -> Result<(), NodeError> {
        for mark in marks {
            checks::id(&mark.id)?;
            if mark.status == DocumentStatus::Ready {
                let message = format!("expected a status other than `ready` for the document `{}`", mark.id);
                return Err(NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message)
                    .hint("write the document with its chunks: that alone makes it ready"));
            }
        }
        let base = self.row(base).await?;
        self.catalog.mark(base.id, marks, self.clock.now()).await.map_err(failed)
    }

    async fn write(&self, base: &str, document: WriteDocument) -> Result<(), NodeError> {
        checks::document(&document)?;
        let base = self.row(base).await?;
        checks::model(&base.base, &document.model)?;
        document.vectors.iter().try_for_each(|vector| checks::vector(&base.base, vector))?;
        self.put(&base, document).await
    }

    async fn delete(&self, base: &str, ids: &[String]) -> Result<u64, NodeError> {
        let base = self.row(base).await?;
        let gone = self.catalog.withdraw(base.id, ids, self.clock.now()).await.map_err(failed)?;
        if gone.is_empty() {
            return Ok(0);
        }
        self.in_store(&base, |collection| self.store.delete(collection, &gone)).await?;
        // A rebuild that began meanwhile may have copied what was just deleted.
        let now = self.catalog.base(&base.base.name).await.map_err(failed)?;
        if let Some(next) = now.filter(|now| now.id == base.id).and_then(|now| now.next) {
            Self::if_there(self.store.delete(&next.collection, &gone).await)?;
        }
        self.catalog.remove_documents(base.id, &gone).await.map_err(failed)
    }

    async fn search(&self, base: &str, search: &Search) -> Result<Vec<Hit>, NodeError> {
        self.search_base(base, search).await
    }
}

/// Chunks with their words and vectors. Words are found where it holds up nobody.
pub(super) async fn prepared(
    language: &str,
    title: &str,
    chunks: Vec<StoredChunk>,
    vectors: Vec<Vec<f32>>,
) -> Result<Vec<PutChunk>, NodeError> {
    let (language, title) = (language.to_owned(), title.to_owned());
    aside(move || {
        let analysis = Analysis::of(&language);
        let prepare = |(StoredChunk { position, chunk }, vector): (StoredChunk, Vec<f32>)| PutChunk {
            position,
            terms: analysis.terms(&chunk.searched(&title)),
            chunk,
            vector,
        };
        chunks.into_iter().zip(vectors).map(prepare).collect()
    })
    .await
}

/// Computes on another thread.
pub(super) async fn aside<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> Result<T, NodeError> {
    tokio::task::spawn_blocking(compute).await.map_err(|error| NodeError::internal(error.to_string()))
}

/// What filters see of a document.
pub(super) fn settings(row: &DocumentRow) -> Settings {
    Settings { revision: row.settings, enabled: row.document.enabled, metadata: row.document.metadata.clone() }
}

impl KnowledgeBases {
    async fn put(&self, base: &BaseRow, document: WriteDocument) -> Result<(), NodeError> {
        let WriteDocument { id, title, url, hash, metadata, chunks, vectors, .. } = document;
        let tokens = chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum();
        let count = chunks.len() as u32;
        let chunks = (0..).zip(chunks).map(|(position, chunk)| StoredChunk { position, chunk }).collect();
        let chunks = prepared(&base.base.language, &title, chunks, vectors).await?;

        let begin = Begin { id: id.clone(), title, url, metadata };
        let row = self.catalog.begin(base.id, &begin, self.clock.now()).await.map_err(failed)?;
        let mut told = settings(&row);
        let put = Arc::new(Put { document: id.clone(), revision: row.revision, settings: told.clone(), chunks });
        self.in_store(base, |collection| self.store.put(collection, put.clone())).await?;
        loop {
            let finish = Finish {
                id: id.clone(),
                revision: row.revision,
                settings: told.revision,
                collection: base.collection.clone(),
                hash: hash.clone(),
                chunks: count,
                tokens,
            };
            match self.catalog.finish(base.id, &finish, self.clock.now()).await.map_err(failed)? {
                Finished::Done | Finished::Overtaken => return Ok(()),
                Finished::Gone => {
                    let gone = [(id.clone(), row.revision)];
                    return Self::if_there(self.store.delete(&base.collection, &gone).await);
                }
                Finished::Settings(now) => {
                    told = settings(&now);
                    self.store.describe(&base.collection, &id, &told).await.map_err(failed)?;
                }
                Finished::Moved => return Err(checks::moved(&base.base.name)),
            }
        }
    }

    /// A collection that is not there any more needs nothing.
    pub(super) fn if_there(done: Result<(), Error>) -> Result<(), NodeError> {
        match done {
            Ok(()) | Err(Error::NoCollection) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}
