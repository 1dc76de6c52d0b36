//! The vector store in SQLite and memory.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use liteagent_backends::database::{self, Database};
use rusqlite::params;

use super::{
    Collection, Embedded, damaged,
    edits::{self, Edited},
    there,
};
use crate::{
    catalog::Revision,
    error::Error,
    store::{Counts, Found, Put, PutChunk, Query, Settings, StoredChunk, VectorStore},
};

impl Embedded {
    /// Searches in memory what the file holds now. `None` when there is no such collection.
    fn search_now(&self, db: &Database, name: &str, query: &Query) -> Result<Option<Vec<Found>>, database::Error> {
        // Another thread may bring the memory to a state that this snapshot does not see; the next one does.
        loop {
            let outcome = db.snapshot(|db| match Self::collection(db, name)? {
                None => Ok(Outcome::Missing),
                Some(collection) => self.search_in(db, collection, query),
            })?;
            match outcome {
                Outcome::Found(found) => return Ok(Some(found)),
                Outcome::Missing => return Ok(None),
                Outcome::Again => {}
            }
        }
    }

    fn search_in(&self, db: &Database, collection: Collection, query: &Query) -> Result<Outcome, database::Error> {
        let held = self.0.cache.get(collection.id, collection.dimensions);
        {
            let loaded = held.read().unwrap_or_else(PoisonError::into_inner);
            if loaded.at == collection.changes {
                return loaded.search(db, query).map(Outcome::Found);
            }
        }
        let mut loaded = held.write().unwrap_or_else(PoisonError::into_inner);
        if loaded.at < collection.changes {
            loaded.refresh(db, collection)?;
            self.0.cache.grew(collection.id, loaded.bytes());
        }
        Ok(Outcome::Again)
    }
}

enum Outcome {
    Found(Vec<Found>),
    Missing,
    Again,
}

fn chunks_of(
    db: &Database,
    collection: i64,
    document: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<StoredChunk>, database::Error> {
    let sql = "SELECT position, body FROM sources JOIN chunks ON chunks.source = sources.row \
               WHERE collection = ?1 AND document = ?2 AND position > ?3 ORDER BY position LIMIT ?4";
    let found = db.all(sql, params![collection, document, after, limit], |row| {
        Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?))
    })?;
    let read = |(position, body): (u32, String)| {
        let chunk = serde_json::from_str(&body).map_err(|error| damaged(document, error))?;
        Ok(StoredChunk { position, chunk })
    };
    found.into_iter().map(read).collect()
}

#[async_trait]
impl VectorStore for Embedded {
    async fn create(&self, collection: &str, dimensions: u32) -> Result<(), Error> {
        let name = collection.to_owned();
        Ok(self.write(move |db| edits::create(db, &name, dimensions)).await?)
    }

    async fn drop_collection(&self, collection: &str) -> Result<(), Error> {
        let name = collection.to_owned();
        if let Some(id) = self.write(move |db| edits::drop_collection(db, &name)).await? {
            self.0.cache.forget(id);
        }
        Ok(())
    }

    async fn put(&self, collection: &str, put: Arc<Put>) -> Result<(), Error> {
        let name = collection.to_owned();
        there(self.write(move |db| edits::put(db, &name, &put)).await?)
    }

    async fn describe(&self, collection: &str, document: &str, settings: &Settings) -> Result<(), Error> {
        let (name, document, settings) = (collection.to_owned(), document.to_owned(), settings.clone());
        there(self.write(move |db| edits::describe(db, &name, &document, &settings)).await?)
    }

    async fn delete(&self, collection: &str, documents: &[(String, Revision)]) -> Result<(), Error> {
        let (name, documents) = (collection.to_owned(), documents.to_owned());
        there(self.write(move |db| edits::delete(db, &name, &documents)).await?)
    }

    async fn chunks(
        &self,
        collection: &str,
        document: &str,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<StoredChunk>, Error> {
        let (name, document) = (collection.to_owned(), document.to_owned());
        let (after, limit) = (after.map_or(-1, i64::from), i64::try_from(limit).unwrap_or(i64::MAX));
        let found = self.read(move |db| match Self::collection(db, &name)? {
            Some(collection) => chunks_of(db, collection.id, &document, after, limit).map(Some),
            None => Ok(None),
        });
        there(found.await?)
    }

    async fn edit(
        &self,
        collection: &str,
        document: &str,
        position: u32,
        chunk: Option<PutChunk>,
    ) -> Result<Option<Counts>, Error> {
        let (name, document) = (collection.to_owned(), document.to_owned());
        match self.write(move |db| edits::edit(db, &name, &document, position, chunk.as_ref())).await? {
            Edited::NoCollection => Err(Error::NoCollection),
            Edited::NoChunk => Ok(None),
            Edited::Done(counts) => Ok(Some(counts)),
        }
    }

    async fn count(&self, collection: &str) -> Result<u64, Error> {
        let name = collection.to_owned();
        let sql = "SELECT count(*) FROM sources JOIN chunks ON chunks.source = sources.row WHERE collection = ?1";
        let count = self.read(move |db| match Self::collection(db, &name)? {
            Some(collection) => db.first(sql, [collection.id], |row| row.get::<_, i64>(0)),
            None => Ok(None),
        });
        there(count.await?.map(|count| count as u64))
    }

    async fn search(&self, collection: &str, query: &Query) -> Result<Vec<Found>, Error> {
        let (store, name, query) = (self.clone(), collection.to_owned(), query.clone());
        there(self.read(move |db| store.search_now(db, &name, &query)).await?)
    }
}
