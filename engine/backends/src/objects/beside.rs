//! Blobs in a bucket, for an installation that kept them in a folder before: what the folder holds stays there, and is read
//! there, until nobody names it any more.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use liteagent_engine::{
    id::Digest,
    store::{Blobs, Pieces, StoreError},
    units::Millis,
};

use crate::{FsBlobs, ObjectBlobs};

/// A bucket for what is new, and the folder of before.
pub(crate) struct BesideFolder {
    pub(crate) objects: ObjectBlobs,
    pub(crate) folder: FsBlobs,
}

#[async_trait]
impl Blobs for BesideFolder {
    async fn put(&self, bytes: Bytes) -> Result<Digest, StoreError> {
        self.objects.put(bytes).await
    }

    async fn put_pieces(&self, pieces: Pieces<'_>) -> Result<(Digest, u64), StoreError> {
        self.objects.put_pieces(pieces).await
    }

    async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        match self.folder.get(digest).await? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.objects.get(digest).await,
        }
    }

    async fn get_pieces(&self, digest: &Digest, range: Range<u64>) -> Result<Option<Pieces<'static>>, StoreError> {
        match self.folder.get_pieces(digest, range.clone()).await? {
            Some(pieces) => Ok(Some(pieces)),
            None => self.objects.get_pieces(digest, range).await,
        }
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        let in_folder = self.folder.delete(digest).await?;
        Ok(self.objects.delete(digest).await? || in_folder)
    }

    async fn sweep(
        &self,
        before: Millis,
        keep: &(dyn for<'a> Fn(&'a Digest) -> BoxFuture<'a, Result<bool, StoreError>> + Sync),
    ) -> Result<u64, StoreError> {
        let in_folder = self.folder.sweep(before, keep).await?;
        Ok(in_folder + self.objects.sweep(before, keep).await?)
    }
}
