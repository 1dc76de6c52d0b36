//! Files that were uploaded.

use async_trait::async_trait;
use liteagent_engine::{
    id::Digest,
    store::{FileValue, StoreError},
    units::Millis,
};

/// A file that was uploaded. Its content is a blob.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadRow {
    /// The file value: what runs are given.
    pub file: FileValue,
    /// Whose it is: the space of a caller.
    pub owner: String,
    /// What was corrected of what its sender said.
    pub note: Option<String>,
    /// When it came.
    pub created_at: Millis,
}

/// What makes the same request the same uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadKey {
    /// The key that the caller chose.
    pub key: String,
    /// The digest of what was sent.
    pub body: Digest,
}

/// What became of uploads.
#[derive(Clone, Debug, PartialEq)]
pub enum Uploaded {
    /// They are kept.
    New,
    /// The same request came before, and gave these; those that are gone since are left out.
    Before(Vec<UploadRow>),
    /// The key came before, with something else.
    Conflict,
}

/// Files that were uploaded.
///
/// # Contract
/// * Everything is asked for in the name of an owner: what is somebody else's is not there.
/// * A key and the uploads of its request are durable together.
#[async_trait]
pub trait UploadStore: Send + Sync {
    /// Keeps uploads of one owner. `since` is the time from which keys count.
    async fn add_uploads(
        &self,
        owner: &str,
        rows: Vec<UploadRow>,
        key: Option<UploadKey>,
        since: Millis,
    ) -> Result<Uploaded, StoreError>;
    /// One upload.
    async fn upload(&self, owner: &str, id: &str) -> Result<Option<UploadRow>, StoreError>;
    /// Uploads, newest first; those that stand after `before`, by time and id.
    async fn uploads(
        &self,
        owner: &str,
        before: Option<(Millis, String)>,
        limit: u32,
    ) -> Result<Vec<UploadRow>, StoreError>;
    /// Deletes an upload; `false` when it is not there.
    async fn delete_upload(&self, owner: &str, id: &str) -> Result<bool, StoreError>;
    /// Deletes the uploads and keys that came before a time; says how many uploads.
    async fn forget_uploads(&self, before: Millis) -> Result<u64, StoreError>;
}
