//! Stores of LiteAgent: runs in SQLite or PostgreSQL, large values and files in a folder or an object store. [`database`] is
//! for other stores in SQLite too, and [`postgres`] for others in PostgreSQL.

use std::{path::Path, sync::Arc};

use liteagent_engine::{
    store::{Blobs, Files, Journal, Kv, OutputCache, StoreError, Stores},
    time::SystemClock,
};
use url::Url;

use self::{files::FileRows, objects::BesideFolder};

pub use self::{
    blobs::FsBlobs,
    clean::{Cleaned, clean},
    disk::{Reserve, Room},
    files::FileStore,
    objects::{OBJECT_VARIABLES, ObjectBlobs, ObjectOptions},
    postgres::{LeaseClock, PostgresOptions, PostgresStore, RUNS},
    sqlite::{FILE, Restored, SqliteOptions, SqliteStore, begin_epoch},
};

pub mod archive;
mod blobs;
mod clean;
pub mod database;
mod disk;
mod files;
mod objects;
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
    open_with(folder, options, None).await
}

/// The same, with large values and files in an object store where one is given. What the folder holds of them from before is
/// read there.
///
/// # Errors
/// Those of [`open`]. Nothing is asked of the object store yet.
pub async fn open_with(
    folder: &Path,
    options: SqliteOptions,
    objects: Option<ObjectBlobs>,
) -> Result<Backends, StoreError> {
    Ok(together(SqliteStore::open(folder, options).await?, blobs(folder, objects)?))
}

/// Opens the stores in a PostgreSQL database, with large values and files in a folder that every process reaches, or in an
/// object store where one is given.
///
/// # Errors
/// Those of [`PostgresStore::open`]; [`StoreError::ReadOnly`] when the folder cannot be written.
pub async fn open_postgres(
    url: &Url,
    folder: &Path,
    options: PostgresOptions,
    objects: Option<ObjectBlobs>,
) -> Result<Backends, StoreError> {
    let database = postgres::Pool::open(url, options.readers, options.patience)?;
    let rows = PostgresStore::over(database.clone(), options).await?;
    Ok(Backends { database: Some(database), ..together(rows, blobs(folder, objects)?) })
}

/// Opens the stores in a data folder that this user, or this disk, only lets be read: runs can be looked at, and every
/// write is refused.
///
/// # Errors
/// When there are no stores, or they cannot be read.
pub async fn open_read_only(folder: &Path, objects: Option<ObjectBlobs>) -> Result<Backends, StoreError> {
    let rows = SqliteStore::open_read_only(folder).await?;
    let folder = FsBlobs::at(folder.join("blobs"));
    Ok(together(
        rows,
        match objects {
            Some(objects) => Arc::new(BesideFolder { objects, folder }),
            None => Arc::new(folder),
        },
    ))
}

/// Where large values and files are.
fn blobs(folder: &Path, objects: Option<ObjectBlobs>) -> Result<Arc<dyn Blobs>, StoreError> {
    let folder = folder.join("blobs");
    Ok(match objects {
        None => Arc::new(FsBlobs::open(folder)?),
        Some(objects) if folder.is_dir() => Arc::new(BesideFolder { objects, folder: FsBlobs::at(folder) }),
        Some(objects) => Arc::new(objects),
    })
}

fn together<S>(rows: S, blobs: Arc<dyn Blobs>) -> Backends
where
    S: FileRows + Journal + Kv + OutputCache + 'static,
{
    let store = Arc::new(rows);
    let files = Arc::new(FileStore::new(store.clone(), blobs.clone(), Arc::new(SystemClock)));
    let stores = Stores { journal: store.clone(), blobs, cache: store.clone() };
    Backends { stores, files, kv: store, database: None }
}
