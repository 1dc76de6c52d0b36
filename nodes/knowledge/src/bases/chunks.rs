//! The chunks of a document: reading them, and editing one.

use liteagent_engine::{capability::knowledge::Chunk, error::NodeError};

use super::{KnowledgeBases, checks, documents::prepared};
use crate::{
    catalog::{BaseRow, DocumentRow},
    error::failed,
    store::{PutChunk, StoredChunk},
};

/// What stands in the place of a chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkEdit {
    /// The chunk.
    pub chunk: Chunk,
    /// The model that made the vector, `provider/model`.
    pub model: String,
    /// The vector of [`Chunk::searched`], of length 1.
    pub vector: Vec<f32>,
}

impl KnowledgeBases {
    /// The next chunks of a document after a position, in the order of the document.
    ///
    /// # Errors
    /// LA2601; LA2606 when there is no such document.
    pub async fn chunks(
        &self,
        base: &str,
        document: &str,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<StoredChunk>, NodeError> {
        let base = self.row(base).await?;
        self.document(&base, document).await?;
        self.in_store(&base, |collection| self.store.chunks(collection, document, after, limit)).await
    }

    /// Replaces one chunk, with its vector. The hash of the document stays: it is indexed again when its source changes, and
    /// the edit is lost then.
    ///
    /// # Errors
    /// LA2601; LA2603 when the vector is not one of the model of the base; LA2606 when there is no such document or chunk.
    pub async fn replace_chunk(
        &self,
        base: &str,
        document: &str,
        position: u32,
        edit: ChunkEdit,
    ) -> Result<(), NodeError> {
        let base = self.row(base).await?;
        checks::model(&base.base, &edit.model)?;
        checks::vector(&base.base, &edit.vector)?;
        let title = self.document(&base, document).await?.document.title;
        let chunk = StoredChunk { position, chunk: edit.chunk };
        let mut chunks = prepared(&base.base.language, &title, vec![chunk], vec![edit.vector]).await?;
        self.edit(&base, document, position, chunks.pop()).await
    }

    /// Deletes one chunk. The others keep their positions.
    ///
    /// # Errors
    /// LA2601; LA2606 when there is no such document or chunk.
    pub async fn remove_chunk(&self, base: &str, document: &str, position: u32) -> Result<(), NodeError> {
        let base = self.row(base).await?;
        self.edit(&base, document, position, None).await
    }

    async fn edit(
        &self,
        base: &BaseRow,
        document: &str,
        position: u32,
        chunk: Option<PutChunk>,
    ) -> Result<(), NodeError> {
        self.document(base, document).await?;
        let edited =
            self.in_store(base, |collection| self.store.edit(collection, document, position, chunk.clone())).await?;
        let counts = edited.ok_or_else(|| checks::no_chunk(document, position))?;
        let edited = self.catalog.edited(base, document, counts, self.clock.now()).await.map_err(failed)?;
        if edited { Ok(()) } else { Err(checks::moved(&base.base.name)) }
    }

    async fn document(&self, base: &BaseRow, id: &str) -> Result<DocumentRow, NodeError> {
        let found = self.catalog.documents(base.id, &[id.to_owned()]).await.map_err(failed)?;
        found.into_iter().flatten().next().ok_or_else(|| checks::no_document(&base.base.name, id))
    }
}
