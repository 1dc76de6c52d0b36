//! Stores of LiteAgent: runs in SQLite, large values and files in a folder. [`database`] is for other stores in SQLite too.

use std::{path::Path, sync::Arc};

use liteagent_engine::{
    store::{Files, Kv, StoreError, Stores},
    time::SystemClock,
};

pub use self::{
    blobs::FsBlobs,
    clean::{Cleaned, clean},
    disk::{Reserve, Room},
    files::FileStore,
    sqlite::{FILE, Restored, SqliteOptions, SqliteStore, begin_epoch},
};

pub mod archive;
mod blobs;
mod clean;
pub mod database;
mod disk;
mod files;
mod sqlite;
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
}

/// Opens the stores in a data folder; what is not there is made. Several processes may use the same folder.
///
/// # Errors
/// [`StoreError::ReadOnly`] when the folder cannot be written, [`StoreError::Newer`] when a newer release wrote the
/// database, [`StoreError::Damaged`] when it cannot be understood.
pub async fn open(folder: &Path, options: SqliteOptions) -> Result<Backends, StoreError> {
    Ok(together(SqliteStore::open(folder, options).await?, FsBlobs::open(folder.join("blobs"))?))
}

/// Opens the stores in a data folder that this user, or this disk, only lets be read: runs can be looked at, and every
/// write is refused.
///
/// # Errors
/// When there are no stores, or they cannot be read.
pub async fn open_read_only(folder: &Path) -> Result<Backends, StoreError> {
    Ok(together(SqliteStore::open_read_only(folder).await?, FsBlobs::at(folder.join("blobs"))))
}

fn together(sqlite: SqliteStore, blobs: FsBlobs) -> Backends {
    let blobs: Arc<dyn liteagent_engine::store::Blobs> = Arc::new(blobs);
    let files = Arc::new(FileStore::new(sqlite.clone(), blobs.clone(), Arc::new(SystemClock)));
    let store = Arc::new(sqlite);
    let stores = Stores { journal: store.clone(), blobs, cache: store.clone() };
    Backends { stores, files, kv: store }
}
