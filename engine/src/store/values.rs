//! What is stored beside runs: blobs, files, keys, cached outputs.

use std::{ops::Range, sync::LazyLock};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::{
    id::{Digest, RunId},
    units::Millis,
    value::Value,
};

/// Bytes that come piece by piece.
pub type Pieces<'a> = BoxStream<'a, Result<Bytes, StoreError>>;

/// Large values and the content of files, by digest.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Stores bytes durably.
    async fn put(&self, bytes: Bytes) -> Result<Digest, StoreError>;
    /// Stores bytes durably that come piece by piece; gives their digest and number. After a piece that fails nothing is
    /// stored. Stores outside of memory hold no more than a few pieces there.
    async fn put_pieces(&self, mut pieces: Pieces<'_>) -> Result<(Digest, u64), StoreError> {
        let mut all = BytesMut::new();
        while let Some(piece) = pieces.try_next().await? {
            all.extend_from_slice(&piece);
        }
        let size = all.len() as u64;
        Ok((self.put(all.freeze()).await?, size))
    }
    /// The bytes.
    async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError>;
    /// Some of the bytes, piece by piece; those of the range that are there. Stores outside of memory hold no more than a few
    /// pieces there.
    async fn get_pieces(&self, digest: &Digest, range: Range<u64>) -> Result<Option<Pieces<'static>>, StoreError> {
        let Some(bytes) = self.get(digest).await? else { return Ok(None) };
        let place = |at: u64| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
        let (start, end) = (place(range.start), place(range.end));
        let part = bytes.slice(start..end.max(start));
        Ok(Some(futures::stream::iter([Ok(part)]).boxed()))
    }
    /// Deletes a blob, whatever its age; `false` when it was not there.
    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError>;
    /// Deletes blobs that are older than `before` and for which `keep` says no; returns how many.
    async fn sweep(
        &self,
        before: Millis,
        keep: &(dyn for<'a> Fn(&'a Digest) -> futures::future::BoxFuture<'a, Result<bool, StoreError>> + Sync),
    ) -> Result<u64, StoreError>;
}

/// A file value: what templates and outputs hold. Nothing but its unguessable `id` is believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FileValue {
    /// What it is opened by.
    pub id: String,
    /// Its name, without folders.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content.
    pub sha256: String,
}

/// A fresh id of a file, which nobody can guess.
pub fn file_id() -> String {
    format!("file_{:032x}", rand::random::<u128>())
}

/// The ids of files that stand in a text: the JSON of values that are passed on.
pub(crate) fn file_ids(text: &str) -> impl Iterator<Item = String> {
    static ID: LazyLock<Regex> = LazyLock::new(|| Regex::new("file_[0-9a-f]{32}").expect("the pattern is well-formed"));
    ID.find_iter(text).map(|id| id.as_str().to_owned())
}

/// Files of runs: capabilities that only the platform makes.
#[async_trait]
pub trait Files: Send + Sync {
    /// Stores a file for a run.
    async fn create(&self, run: RunId, name: &str, mime: &str, content: Bytes) -> Result<FileValue, StoreError>;
    /// Lets a run open files of another one, as long as it lives: those of the ids that are files which the other may
    /// open itself. What else is asked for changes nothing.
    async fn share(&self, from: RunId, to: RunId, ids: Vec<String>) -> Result<(), StoreError>;
    /// Opens a file that belongs to a run; `None` when the id is not one of its files.
    async fn open(&self, run: RunId, id: &str) -> Result<Option<(FileValue, Bytes)>, StoreError>;
    /// What is known of a file that belongs to a run, without its content.
    async fn find(&self, run: RunId, id: &str) -> Result<Option<FileValue>, StoreError>;
    /// Gives a run that is about to begin a file that the platform made elsewhere, and whose content is stored: its id stays
    /// the same.
    async fn give(&self, run: RunId, file: &FileValue) -> Result<(), StoreError>;
    /// Takes everything back that was given to a run which did not begin. One that is stored keeps what it has.
    async fn take_back(&self, run: RunId) -> Result<(), StoreError>;
}

/// An entry of the key-value store.
#[derive(Clone, Debug, PartialEq)]
pub struct KvEntry {
    /// The value.
    pub value: Value,
    /// Counts its changes, from 1.
    pub version: u64,
}

/// What must hold for a value to be set.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// Anything.
    Any,
    /// The key is not there.
    Absent,
    /// It has this version.
    Version(u64),
}

impl Expect {
    /// Whether it holds for what is there.
    pub fn fits(&self, found: Option<&KvEntry>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Version(version) => found.is_some_and(|entry| entry.version == *version),
        }
    }
}

/// State between runs, with compare-and-set.
#[async_trait]
pub trait Kv: Send + Sync {
    /// The entry under a key.
    async fn get(&self, namespace: &str, key: &str) -> Result<Option<KvEntry>, StoreError>;
    /// Sets a value. `Err` inside holds the entry that did not fit the expectation.
    async fn set(
        &self,
        namespace: &str,
        key: &str,
        value: Value,
        expect: Expect,
    ) -> Result<Result<KvEntry, Option<KvEntry>>, StoreError>;
    /// Removes a key; `false` when it was not there.
    async fn delete(&self, namespace: &str, key: &str) -> Result<bool, StoreError>;
}

/// Outputs of nodes that say `cache`.
#[async_trait]
pub trait OutputCache: Send + Sync {
    /// The output under a key, if it has not expired.
    async fn lookup(&self, key: &Digest, at: Millis) -> Result<Option<Value>, StoreError>;
    /// Keeps an output of a run until a time.
    async fn fill(&self, key: &Digest, output: &Value, until: Millis, run: RunId) -> Result<(), StoreError>;
}
