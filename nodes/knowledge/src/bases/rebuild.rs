//! Another embedding model for a base: a second collection is filled from the texts of the first, beside it, and takes its
//! place when it has every document as it is. Searches see the first until then, and so do writes: what they change is
//! copied again, until nothing is left.

use std::sync::Arc;

use liteagent_engine::{
    capability::{
        knowledge::Base,
        model::{EmbedRequest, Models},
    },
    error::NodeError,
};

use super::{
    KnowledgeBases, checks,
    documents::{prepared, settings},
};
use crate::{
    catalog::{BaseRow, DocumentRow, NextCollection},
    error::{Error, failed},
    store::{Put, PutChunk, StoredChunk},
};

/// How many texts are embedded at once.
const BATCH: usize = 64;
/// How many documents are asked for at once.
const PAGE: usize = 100;
/// How many chunks are read at once.
const CHUNKS: usize = 500;

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Documents that were copied since it was begun or went on; one that changed meanwhile counts again.
    pub documents: u64,
    /// Chunks that were embedded for them.
    pub chunks: u64,
}

impl KnowledgeBases {
    /// Gives a base another embedding model. Called again after it was cut off, it goes on where it was; called with another
    /// model, it begins anew. `told` hears of each document.
    ///
    /// # Errors
    /// LA2601; what the model says.
    pub async fn rebuild(
        &self,
        base: &str,
        model: &str,
        models: Arc<dyn Models>,
        mut told: impl FnMut(RebuildProgress) + Send,
    ) -> Result<RebuildProgress, NodeError> {
        let base = self.row(base).await?;
        // The model alone knows what it is called and how long its vectors are.
        let probe = embed(&*models, model, vec!["a".to_owned()]).await?;
        let dimensions = probe.1.first().map_or(0, Vec::len) as u32;
        checks::dimensions(dimensions)?;
        let next = self.catalog.begin_rebuild(base.id, &probe.0, dimensions).await.map_err(failed)?;
        self.drop_leftovers().await.map_err(failed)?;
        self.store.create(&next.collection, dimensions).await.map_err(failed)?;

        let mut progress = RebuildProgress::default();
        let copy = Copy { bases: self, base: &base, next: &next, models: &*models };
        loop {
            copy.all(&mut progress, &mut told).await?;
            if self.catalog.switch(base.id, &next).await.map_err(failed)? {
                break;
            }
            // Either a write came between, or somebody gave up this rebuild.
            let now = self.row(&base.base.name).await?;
            if now.id != base.id || now.next.as_ref() != Some(&next) {
                return if now.collection == next.collection {
                    Ok(progress)
                } else {
                    Err(checks::moved(&base.base.name))
                };
            }
        }
        self.drop_leftovers().await.map_err(failed)?;
        Ok(progress)
    }

    /// Gives up a rebuild: the base stays as it is.
    ///
    /// # Errors
    /// LA2601.
    pub async fn cancel_rebuild(&self, base: &str) -> Result<(), NodeError> {
        let base = self.row(base).await?;
        self.catalog.cancel_rebuild(base.id).await.map_err(failed)?;
        self.drop_leftovers().await.map_err(failed)
    }
}

struct Copy<'a> {
    bases: &'a KnowledgeBases,
    base: &'a BaseRow,
    next: &'a NextCollection,
    models: &'a dyn Models,
}

impl Copy<'_> {
    /// Copies every document that the next collection does not have as it is.
    async fn all(
        &self,
        progress: &mut RebuildProgress,
        told: &mut (impl FnMut(RebuildProgress) + Send),
    ) -> Result<(), NodeError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.bases.catalog.unbuilt(self.base.id, after.as_deref(), PAGE).await.map_err(failed)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.document.id.clone());
            for row in &page {
                progress.chunks += self.one(row).await?;
                progress.documents += 1;
                told(*progress);
            }
        }
    }

    /// Copies a document; how many chunks it has.
    async fn one(&self, row: &DocumentRow) -> Result<u64, NodeError> {
        let id = &row.document.id;
        let KnowledgeBases { catalog, store, .. } = self.bases;
        let mut chunks: Vec<StoredChunk> = Vec::new();
        let mut after = None;
        loop {
            let page = store.chunks(&self.base.collection, id, after, CHUNKS).await.map_err(failed)?;
            after = page.last().map(|last| last.position);
            chunks.extend(page);
            if after.is_none() {
                break;
            }
        }
        let count = chunks.len() as u64;
        let put = Put {
            document: id.clone(),
            // Not that of the write, which may be the same when it was copied half way and changed again.
            revision: row.changed,
            settings: settings(row),
            chunks: self.embedded(&row.document.title, chunks).await?,
        };
        match store.put(&self.next.collection, Arc::new(put)).await {
            Err(Error::NoCollection) => return Err(checks::moved(&self.base.base.name)),
            done => done.map_err(failed)?,
        }
        if !catalog.built(self.base.id, id, row.changed).await.map_err(failed)? {
            let gone = [(id.clone(), row.changed)];
            KnowledgeBases::if_there(store.delete(&self.next.collection, &gone).await)?;
        }
        Ok(count)
    }

    async fn embedded(&self, title: &str, chunks: Vec<StoredChunk>) -> Result<Vec<PutChunk>, NodeError> {
        let mut vectors = Vec::with_capacity(chunks.len());
        for batch in chunks.chunks(BATCH) {
            let texts = batch.iter().map(|stored| stored.chunk.searched(title)).collect();
            vectors.extend(embed(self.models, &self.next.model, texts).await?.1);
        }
        let NextCollection { model, dimensions, .. } = self.next.clone();
        let next = Base { model, dimensions, ..self.base.base.clone() };
        vectors.iter().try_for_each(|vector| checks::vector(&next, vector))?;
        prepared(&next.language, title, chunks, vectors).await
    }
}

async fn embed(models: &dyn Models, model: &str, texts: Vec<String>) -> Result<(String, Vec<Vec<f32>>), NodeError> {
    let expected = texts.len();
    let request = EmbedRequest { model: model.to_owned(), texts, questions: false, run: None, node: String::new() };
    let embeddings = models.embed(request).await?;
    if embeddings.vectors.len() != expected {
        let found = embeddings.vectors.len();
        return Err(NodeError::internal(format!("the model made {found} vectors of {expected} texts")));
    }
    Ok((embeddings.model, embeddings.vectors))
}
