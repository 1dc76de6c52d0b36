//! A catalog and a vector store that are cut off at a chosen step, as by the death of their process.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use liteagent_engine::{
    capability::knowledge::{Mark, NewBase},
    store::StoreError,
    units::Millis,
};

use crate::{
    catalog::{
        BaseId, BaseRow, Begin, Catalog, DocumentQuery, DocumentRow, Finish, Finished, NextCollection, Revision,
        Setting,
    },
    error::Error,
    store::{Counts, Found, Put, PutChunk, Query, Settings, StoredChunk, VectorStore},
};

/// Both, with one fault. Every call that writes is a step.
pub struct Faulty {
    catalog: Arc<dyn Catalog>,
    store: Arc<dyn VectorStore>,
    steps: AtomicU64,
    last: u64,
    is_done: bool,
}

impl Faulty {
    /// Cut off at a step, from 1: after it was done, or before. Every later call fails too.
    pub fn at(catalog: Arc<dyn Catalog>, store: Arc<dyn VectorStore>, step: u64, is_done: bool) -> Arc<Self> {
        Arc::new(Self { catalog, store, steps: AtomicU64::new(0), last: step, is_done })
    }

    /// Whether it was cut off.
    pub fn is_cut(&self) -> bool {
        self.steps.load(Ordering::SeqCst) >= self.last
    }

    async fn step<T>(&self, call: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        let step = self.steps.fetch_add(1, Ordering::SeqCst) + 1;
        if step < self.last {
            return call.await;
        }
        if step == self.last && self.is_done {
            call.await?;
        }
        Err(cut())
    }

    async fn look<T>(&self, call: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        if self.is_cut() { Err(cut()) } else { call.await }
    }
}

fn cut() -> Error {
    Error::Store(StoreError::Failed("cut off by the test".to_owned()))
}

#[async_trait]
impl Catalog for Faulty {
    async fn base(&self, name: &str) -> Result<Option<BaseRow>, Error> {
        self.look(self.catalog.base(name)).await
    }

    async fn bases(&self) -> Result<Vec<BaseRow>, Error> {
        self.look(self.catalog.bases()).await
    }

    async fn create(&self, base: &NewBase, at: Millis) -> Result<Option<BaseRow>, Error> {
        self.step(self.catalog.create(base, at)).await
    }

    async fn remove(&self, base: BaseId) -> Result<(), Error> {
        self.step(self.catalog.remove(base)).await
    }

    async fn leftovers(&self) -> Result<Vec<String>, Error> {
        self.look(self.catalog.leftovers()).await
    }

    async fn forget_leftover(&self, collection: &str) -> Result<(), Error> {
        self.step(self.catalog.forget_leftover(collection)).await
    }

    async fn documents(&self, base: BaseId, ids: &[String]) -> Result<Vec<Option<DocumentRow>>, Error> {
        self.look(self.catalog.documents(base, ids)).await
    }

    async fn list(&self, base: BaseId, query: &DocumentQuery) -> Result<Vec<DocumentRow>, Error> {
        self.look(self.catalog.list(base, query)).await
    }

    async fn mark(&self, base: BaseId, marks: &[Mark], at: Millis) -> Result<(), Error> {
        self.step(self.catalog.mark(base, marks, at)).await
    }

    async fn begin(&self, base: BaseId, begin: &Begin, at: Millis) -> Result<DocumentRow, Error> {
        self.step(self.catalog.begin(base, begin, at)).await
    }

    async fn finish(&self, base: BaseId, finish: &Finish, at: Millis) -> Result<Finished, Error> {
        self.step(self.catalog.finish(base, finish, at)).await
    }

    async fn set(&self, base: BaseId, id: &str, setting: &Setting, at: Millis) -> Result<Option<DocumentRow>, Error> {
        self.step(self.catalog.set(base, id, setting, at)).await
    }

    async fn edited(&self, base: &BaseRow, id: &str, counts: Counts, at: Millis) -> Result<bool, Error> {
        self.step(self.catalog.edited(base, id, counts, at)).await
    }

    async fn withdraw(&self, base: BaseId, ids: &[String], at: Millis) -> Result<Vec<(String, Revision)>, Error> {
        self.step(self.catalog.withdraw(base, ids, at)).await
    }

    async fn remove_documents(&self, base: BaseId, documents: &[(String, Revision)]) -> Result<u64, Error> {
        self.step(self.catalog.remove_documents(base, documents)).await
    }

    async fn begin_rebuild(&self, base: BaseId, model: &str, dimensions: u32) -> Result<NextCollection, Error> {
        self.step(self.catalog.begin_rebuild(base, model, dimensions)).await
    }

    async fn cancel_rebuild(&self, base: BaseId) -> Result<(), Error> {
        self.step(self.catalog.cancel_rebuild(base)).await
    }

    async fn unbuilt(&self, base: BaseId, after: Option<&str>, limit: usize) -> Result<Vec<DocumentRow>, Error> {
        self.look(self.catalog.unbuilt(base, after, limit)).await
    }

    async fn built(&self, base: BaseId, id: &str, changed: Revision) -> Result<bool, Error> {
        self.step(self.catalog.built(base, id, changed)).await
    }

    async fn switch(&self, base: BaseId, next: &NextCollection) -> Result<bool, Error> {
        self.step(self.catalog.switch(base, next)).await
    }
}

#[async_trait]
impl VectorStore for Faulty {
    async fn create(&self, collection: &str, dimensions: u32) -> Result<(), Error> {
        self.step(self.store.create(collection, dimensions)).await
    }

    async fn drop_collection(&self, collection: &str) -> Result<(), Error> {
        self.step(self.store.drop_collection(collection)).await
    }

    async fn put(&self, collection: &str, put: Arc<Put>) -> Result<(), Error> {
        self.step(self.store.put(collection, put)).await
    }

    async fn describe(&self, collection: &str, document: &str, settings: &Settings) -> Result<(), Error> {
        self.step(self.store.describe(collection, document, settings)).await
    }

    async fn delete(&self, collection: &str, documents: &[(String, Revision)]) -> Result<(), Error> {
        self.step(self.store.delete(collection, documents)).await
    }

    async fn chunks(
        &self,
        collection: &str,
        document: &str,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<StoredChunk>, Error> {
        self.look(self.store.chunks(collection, document, after, limit)).await
    }

    async fn edit(
        &self,
        collection: &str,
        document: &str,
        position: u32,
        chunk: Option<PutChunk>,
    ) -> Result<Option<Counts>, Error> {
        self.step(self.store.edit(collection, document, position, chunk)).await
    }

    async fn count(&self, collection: &str) -> Result<u64, Error> {
        self.look(self.store.count(collection)).await
    }

    async fn search(&self, collection: &str, query: &Query) -> Result<Vec<Found>, Error> {
        self.look(self.store.search(collection, query)).await
    }
}
