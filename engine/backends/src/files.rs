//! Files of runs: their content is a blob, their rights are a row.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use liteagent_engine::{
    id::{Digest, RunId},
    store::{Blobs, FileValue, Files, StoreError, file_id},
    time::Clock,
    units::Millis,
};

/// Who may open which file.
#[async_trait]
pub(crate) trait FileRows: Send + Sync {
    /// Records that a run has a file, and that it names the blob; one that it has already changes nothing.
    async fn put_file(&self, run: RunId, file: &FileValue, at: Millis) -> Result<(), StoreError>;
    /// Records that a run has files which another one has.
    async fn share_files(&self, from: RunId, to: RunId, ids: Vec<String>, at: Millis) -> Result<(), StoreError>;
    /// Forgets the files of a run that is not there.
    async fn drop_files(&self, run: RunId) -> Result<(), StoreError>;
    /// A file of a run.
    async fn file(&self, run: RunId, id: &str) -> Result<Option<(FileValue, Digest)>, StoreError>;
}

/// Files over a blob store and a table.
#[derive(Clone)]
pub struct FileStore {
    rows: Arc<dyn FileRows>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
}

impl FileStore {
    /// Files whose content lies in `blobs`.
    pub(crate) fn new(rows: Arc<dyn FileRows>, blobs: Arc<dyn Blobs>, clock: Arc<dyn Clock>) -> Self {
        Self { rows, blobs, clock }
    }
}

#[async_trait]
impl Files for FileStore {
    async fn create(&self, run: RunId, name: &str, mime: &str, content: Bytes) -> Result<FileValue, StoreError> {
        let size = content.len() as u64;
        let sha256 = self.blobs.put(content).await?.to_string();
        let file = FileValue { id: file_id(), name: name.to_owned(), mime: mime.to_owned(), size, sha256 };
        self.rows.put_file(run, &file, self.clock.now()).await?;
        Ok(file)
    }

    async fn share(&self, from: RunId, to: RunId, ids: Vec<String>) -> Result<(), StoreError> {
        self.rows.share_files(from, to, ids, self.clock.now()).await
    }

    async fn open(&self, run: RunId, id: &str) -> Result<Option<(FileValue, Bytes)>, StoreError> {
        let Some((file, digest)) = self.rows.file(run, id).await? else { return Ok(None) };
        let content = self.blobs.get(&digest).await?;
        let content = content.ok_or_else(|| StoreError::Damaged(format!("the content of `{}` is gone", file.name)))?;
        Ok(Some((file, content)))
    }

    async fn find(&self, run: RunId, id: &str) -> Result<Option<FileValue>, StoreError> {
        Ok(self.rows.file(run, id).await?.map(|(file, _)| file))
    }

    async fn give(&self, run: RunId, file: &FileValue) -> Result<(), StoreError> {
        self.rows.put_file(run, file, self.clock.now()).await
    }

    async fn take_back(&self, run: RunId) -> Result<(), StoreError> {
        self.rows.drop_files(run).await
    }
}
