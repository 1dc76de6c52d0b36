//! Catalog and vector store in one SQLite file: one thread writes, with a full sync per group of writes; searches go over
//! what is held in memory, brought up to date first. Several processes may use the same file.

use std::{path::Path, sync::Arc};

use liteagent_backends::database::{self, Database, Pool};
use liteagent_engine::store::StoreError;

use self::cache::Cache;
use crate::error::Error;

mod bases;
mod best;
mod cache;
mod documents;
mod edits;
mod kernel;
mod matrix;
mod memory;
mod postings;
mod search;
mod vectors;

/// Name of the file in the data folder.
pub const FILE: &str = "knowledge.db";

/// Every migration, oldest first.
const MIGRATIONS: [&str; 2] =
    [include_str!("../migrations/0001_knowledge.sql"), include_str!("../migrations/0002_installation.sql")];

/// Catalog and vector store in one file.
#[derive(Clone)]
pub(crate) struct Embedded(Arc<Shared>);

struct Shared {
    database: Pool,
    cache: Cache,
}

impl Embedded {
    /// Opens the file in a data folder; both are made when they are not there.
    pub(crate) async fn open(folder: &Path, memory: u64) -> Result<Self, StoreError> {
        Ok(Self::over(Pool::open(&folder.join(FILE), &MIGRATIONS).await?, memory))
    }

    /// Opens the file in a data folder that this user, or this disk, only lets be read. Every write is refused.
    pub(crate) async fn open_read_only(folder: &Path, memory: u64) -> Result<Self, StoreError> {
        Ok(Self::over(Pool::open_read_only(&folder.join(FILE), &MIGRATIONS).await?, memory))
    }

    fn over(database: Pool, memory: u64) -> Self {
        Self(Arc::new(Shared { database, cache: Cache::new(memory) }))
    }

    /// What tells this installation from others.
    pub(crate) async fn installation(&self) -> Result<String, StoreError> {
        let read = self.read(|db| db.first("SELECT id FROM installation", (), |row| row.get(0)));
        read.await?
            .ok_or_else(|| StoreError::Damaged("the knowledge bases have no id of their installation".to_owned()))
    }

    /// Reads on a thread where waiting is allowed.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, database::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        Ok(self.0.database.read(work).await?)
    }

    /// Writes on the one thread that does, in a transaction that others share.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Database) -> Result<T, database::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.database.write(work).await
    }
}

/// A list of numbers as SQLite keeps it.
fn bytes_of(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Damage of what was read, with its place.
fn damaged(what: &str, error: impl std::fmt::Display) -> database::Error {
    database::damaged(format!("{what}: {error}"))
}

impl Embedded {
    /// The number of a collection, and the count of its changes.
    fn collection(db: &Database, name: &str) -> Result<Option<Collection>, database::Error> {
        let sql = "SELECT id, dimensions, changes, purged FROM collections WHERE name = ?1";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Collection { id: row.get(0)?, dimensions: row.get(1)?, changes: row.get(2)?, purged: row.get(3)? })
        };
        db.first(sql, [name], read)
    }
}

/// A collection as its row has it.
#[derive(Clone, Copy)]
struct Collection {
    id: i64,
    dimensions: u32,
    changes: i64,
    purged: i64,
}

/// What is missing where the collection is.
fn there<T>(found: Option<T>) -> Result<T, Error> {
    found.ok_or(Error::NoCollection)
}
