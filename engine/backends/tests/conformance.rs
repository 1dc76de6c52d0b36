//! The stores in a folder do what every store must do.

use std::{ops::Deref, sync::Arc};

use liteagent_backends::{Backends, FileStore, FsBlobs, Reserve, SqliteOptions, SqliteStore};
use liteagent_engine::{
    blobs_conformance, cache_conformance, files_conformance, journal_conformance, kv_conformance, testing::VirtualClock,
};
use tempfile::TempDir;

/// A store in a folder that goes away with it.
struct Temporary<S>(S, TempDir);

impl<S> Deref for Temporary<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

async fn sqlite() -> Temporary<SqliteStore> {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { reserve: Reserve::NONE, ..SqliteOptions::default() };
    Temporary(SqliteStore::open(folder.path(), options).await.unwrap(), folder)
}

async fn blobs() -> Temporary<FsBlobs> {
    let folder = tempfile::tempdir().unwrap();
    Temporary(FsBlobs::open(folder.path().join("blobs")).unwrap(), folder)
}

async fn files() -> Temporary<FileStore> {
    let Temporary(rows, folder) = sqlite().await;
    let blobs = FsBlobs::open(folder.path().join("blobs")).unwrap();
    Temporary(FileStore::new(rows, Arc::new(blobs), Arc::new(VirtualClock::default())), folder)
}

mod journal {
    super::journal_conformance!(super::sqlite().await);
}
mod blobs {
    super::blobs_conformance!(super::blobs().await);
}
mod files {
    super::files_conformance!(super::files().await);
}
mod kv {
    super::kv_conformance!(super::sqlite().await);
}
mod cache {
    super::cache_conformance!(super::sqlite().await);
}

#[tokio::test]
async fn a_folder_is_opened_whole() {
    let folder = tempfile::tempdir().unwrap();
    let Backends { stores, .. } =
        liteagent_backends::open(&folder.path().join("data"), SqliteOptions::default()).await.unwrap();
    assert_eq!(stores.journal.runnable(1, 10).await.unwrap(), []);
}
