//! The stores in a folder do what every store must do.

use std::{ops::Deref, sync::Arc};

use liteagent_engine::{
    blobs_conformance, cache_conformance, files_conformance, journal_conformance, kv_conformance,
    testing::{VirtualClock, conformance::model::a_journal_follows_the_model},
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{Backends, FileStore, FsBlobs, Reserve, SqliteOptions, SqliteStore};

/// A store in a folder that goes away with it.
pub(crate) struct Temporary<S>(pub(crate) S, pub(crate) TempDir);

impl<S> Deref for Temporary<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

pub(crate) async fn sqlite() -> Temporary<SqliteStore> {
    let folder = tempfile::tempdir().unwrap();
    Temporary(SqliteStore::open(folder.path(), options()).await.unwrap(), folder)
}

/// However full the disk of the tests is.
pub(crate) fn options() -> SqliteOptions {
    SqliteOptions { reserve: Reserve::NONE, ..SqliteOptions::default() }
}

fn blobs() -> Temporary<FsBlobs> {
    let folder = tempfile::tempdir().unwrap();
    Temporary(FsBlobs::open(folder.path().join("blobs")).unwrap(), folder)
}

async fn files() -> Temporary<FileStore> {
    let Temporary(rows, folder) = sqlite().await;
    let blobs = FsBlobs::open(folder.path().join("blobs")).unwrap();
    Temporary(FileStore::new(Arc::new(rows), Arc::new(blobs), Arc::new(VirtualClock::default())), folder)
}

mod journal {
    super::journal_conformance!(super::sqlite().await);
}
mod blobs {
    super::blobs_conformance!(super::blobs());
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
    let Backends { stores, .. } = crate::open(&folder.path().join("data"), SqliteOptions::default()).await.unwrap();
    assert_eq!(stores.journal.runnable(1, 10).await.unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_interleaving_follows_the_model(script in prop::collection::vec(any::<[u8; 3]>(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { a_journal_follows_the_model(&*sqlite().await, &script).await });
    }
}
