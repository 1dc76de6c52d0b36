//! Stores of LiteAgent: runs in SQLite or PostgreSQL, large values and files in a folder. [`database`] is for other stores
//! in SQLite too, and [`postgres`] for others in PostgreSQL.

use std::{path::Path, sync::Arc};

use liteagent_engine::{
    store::{Blobs, Files, Journal, Kv, OutputCache, StoreError, Stores},
    time::SystemClock,
};
use url::Url;

use self::files::FileRows;

pub use self::{
    blobs::FsBlobs,
    clean::{Cleaned, clean},
    disk::{Reserve, Room},
    files::FileStore,
    postgres::{LeaseClock, PostgresOptions, PostgresStore, RUNS},
    sqlite::{FILE, Restored, SqliteOptions, SqliteStore, begin_epoch},
};

pub mod archive;
mod blobs;
mod clean;
pub mod database;
mod disk;
mod files;
pub mod postgres;
mod row;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;

/// Every store of a data folder.
#[derive(Clone)]
pub struct Backends {
    /// Runs, large values and cached outputs.
    pub stores: Stores,
    /// Files of runs.
    pub files: Arc<dyn Files>,
    /// State between runs.
    pub kv: Arc<dyn Kv>,
    /// The PostgreSQL database that the rows are in, for rows of others; `None` when it is another.
    pub database: Option<postgres::Pool>,
}

/// Opens the stores in a data folder; what is not there is made. Several processes may use the same folder.
///
/// # Errors
/// [`StoreError::ReadOnly`] when the folder cannot be written, [`StoreError::Newer`] when a newer release wrote the
/// database, [`StoreError::Damaged`] when it cannot be understood.
pub async fn open(folder: &Path, options: SqliteOptions) -> Result<Backends, StoreError> {
    Ok(together(SqliteStore::open(folder, options).await?, FsBlobs::open(folder.join("blobs"))?))
}

/// Opens the stores in a PostgreSQL database, with large values and files in a folder that every process reaches.
///
/// # Errors
/// Those of [`PostgresStore::open`]; [`StoreError::ReadOnly`] when the folder cannot be written.
pub async fn open_postgres(url: &Url, folder: &Path, options: PostgresOptions) -> Result<Backends, StoreError> {
    let database = postgres::Pool::open(url, options.readers, options.patience)?;
    let rows = PostgresStore::over(database.clone(), options).await?;
    Ok(Backends { database: Some(database), ..together(rows, FsBlobs::open(folder.join("blobs"))?) })
}

/// Opens the stores in a data folder that this user, or this disk, only lets be read: runs can be looked at, and every
/// write is refused.
///
/// # Errors
/// When there are no stores, or they cannot be read.
pub async fn open_read_only(folder: &Path) -> Result<Backends, StoreError> {
    Ok(together(SqliteStore::open_read_only(folder).await?, FsBlobs::at(folder.join("blobs"))))
}

fn together<S>(rows: S, blobs: FsBlobs) -> Backends
where
    S: FileRows + Journal + Kv + OutputCache + 'static,
{
    let blobs: Arc<dyn Blobs> = Arc::new(blobs);
    let store = Arc::new(rows);
    let files = Arc::new(FileStore::new(store.clone(), blobs.clone(), Arc::new(SystemClock)));
    let stores = Stores { journal: store.clone(), blobs, cache: store.clone() };
    Backends { stores, files, kv: store, database: None }
}
