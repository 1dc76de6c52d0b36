//! Stores of LiteAgent: runs in SQLite, large values and files in a folder.

use std::{path::Path, sync::Arc};

use liteagent_engine::{
    store::{Files, Kv, StoreError, Stores},
    time::SystemClock,
};

pub use self::{
    blobs::FsBlobs,
    clean::Cleaned,
    disk::Reserve,
    files::FileStore,
    sqlite::{FILE, SqliteOptions, SqliteStore},
};

mod blobs;
mod clean;
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
    let sqlite = SqliteStore::open(folder, options).await?;
    let blobs: Arc<dyn liteagent_engine::store::Blobs> = Arc::new(FsBlobs::open(folder.join("blobs"))?);
    let files = Arc::new(FileStore::new(sqlite.clone(), blobs.clone(), Arc::new(SystemClock)));
    let store = Arc::new(sqlite);
    let stores = Stores { journal: store.clone(), blobs, cache: store.clone() };
    Ok(Backends { stores, files, kv: store })
}
