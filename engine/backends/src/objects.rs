//! Blobs in a bucket of an object store that speaks S3: `PREFIX/SHA256/DAY`, where a day is a number since 1970.
//!
//! * `settings.rs`: which bucket, where, and with which key;
//! * `link.rs`: the requests to it;
//! * `send.rs`: content on its way there, in parts when it is large;
//! * `failure.rs`: what its errors are called;
//! * `beside.rs`: blobs that a folder still holds from before.
//!
//! An object store has no lock that a put and a sweep could share, and it cannot delete an object on the condition that nobody
//! has written it again. So no put relies on an object that a sweep may delete: it relies on the one of its own day
//! alone, and writes it when only those of earlier days are there. A sweep counts the age of an object from the end of its
//! day. What was put stays for the whole time that a sweep leaves to new blobs, whoever sweeps meanwhile; of several
//! objects of one blob, a sweep leaves the newest. Clocks must be right to less than an hour: signatures demand a quarter of one.

use std::{ops::Range, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use liteagent_engine::{
    id::Digest,
    store::{Blobs, DAY, Pieces, StoreError},
    time::Clock,
    units::Millis,
};
use object_store::{
    GetOptions, GetRange, GetResult, ObjectMeta, ObjectStoreExt as _,
    list::{PaginatedListOptions, PaginatedListStore as _},
    path::Path,
};

use self::{link::Link, send::Content};

pub(crate) use self::beside::BesideFolder;
pub use self::settings::{OBJECT_VARIABLES, ObjectOptions};

mod beside;
mod failure;
mod link;
mod send;
mod settings;

/// So many deletions of a sweep go on at once.
const DELETIONS: usize = 16;

/// Blobs in a bucket that every process of an installation reaches.
#[derive(Clone)]
pub struct ObjectBlobs(Arc<Inner>);

struct Inner {
    link: Link,
    prefix: String,
    /// Where content waits whose digest is not known yet.
    spool: PathBuf,
    clock: Arc<dyn Clock>,
    /// So many objects are listed at once.
    page: usize,
}

impl ObjectBlobs {
    /// Blobs in the bucket that the options name. Content that comes piece by piece waits in the folder `spool`, in a file
    /// without a name, until its digest is known. Nothing is asked of the object store yet.
    ///
    /// # Errors
    /// [`StoreError::Objects`] when the options do not go together.
    pub fn open(options: &ObjectOptions, spool: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let link = Link::open(options)?;
        Ok(Self(Arc::new(Inner { link, prefix: options.prefix().to_owned(), spool, clock, page: options.page })))
    }

    /// Whether the bucket can be used now: one request, which is not repeated.
    ///
    /// # Errors
    /// [`StoreError::Objects`] says why not.
    pub async fn check(&self) -> Result<(), StoreError> {
        let Inner { link, prefix, .. } = &*self.0;
        let options = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let listed = link.once.list_paginated(Some(&format!("{prefix}/")), options).await;
        listed.map(drop).map_err(|error| link.failed(&error))
    }

    fn key(&self, digest: &Digest, day: i64) -> Path {
        Path::from(format!("{}/{digest}/{day:06}", self.0.prefix))
    }

    /// The blob and the day of an object; `None` for what is not one of ours.
    fn read_key(&self, key: &Path) -> Option<(Digest, i64)> {
        let (digest, day) = key.as_ref().strip_prefix(&self.0.prefix)?.strip_prefix('/')?.split_once('/')?;
        let (digest, day) = (digest.parse().ok()?, day.parse().ok()?);
        (self.key(&digest, day) == *key).then_some((digest, day))
    }

    /// What is listed below a prefix, page by page.
    fn pages(&self, below: String) -> impl futures::Stream<Item = Result<Vec<ObjectMeta>, StoreError>> {
        stream::try_unfold(Some(None), move |token: Option<Option<String>>| {
            let (this, below) = (self.clone(), below.clone());
            async move {
                let Some(page_token) = token else { return Ok(None) };
                let Inner { link, page, .. } = &*this.0;
                let options =
                    PaginatedListOptions { page_token, max_keys: Some(*page), ..PaginatedListOptions::default() };
                let listed = link.store.list_paginated(Some(&below), options).await;
                let listed = listed.map_err(|error| link.failed(&error))?;
                Ok(Some((listed.result.objects, listed.page_token.map(Some))))
            }
        })
    }

    /// The objects of a blob, oldest first.
    async fn copies(&self, digest: &Digest) -> Result<Vec<ObjectMeta>, StoreError> {
        let pages = self.pages(format!("{}/{digest}/", self.0.prefix));
        let mut copies: Vec<ObjectMeta> =
            pages.try_fold(Vec::new(), |all, page| std::future::ready(Ok([all, page].concat()))).await?;
        copies.retain(|copy| self.read_key(&copy.location).is_some());
        copies.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(copies)
    }

    /// Opens the newest object of a blob for some of its bytes; without a result, the blob ends before them.
    async fn read(&self, digest: &Digest, range: &Range<u64>) -> Result<Option<Option<GetResult>>, StoreError> {
        let link = &self.0.link;
        // Between the list and the answer a sweep may have taken it: then there is a newer one, or none.
        for _ in 0..3 {
            let Some(newest) = self.copies(digest).await?.pop() else { return Ok(None) };
            let range = range.start..range.end.min(newest.size);
            if range.start >= range.end {
                return Ok(Some(None));
            }
            let options = GetOptions::new().with_range(Some(GetRange::Bounded(range)));
            match object_store::ObjectStore::get_opts(&link.store, &newest.location, options).await {
                Ok(opened) => return Ok(Some(Some(opened))),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(link.failed(&error)),
            }
        }
        Ok(None)
    }

    /// Makes sure that the object of today is there.
    async fn keep(&self, digest: &Digest, content: Content) -> Result<(), StoreError> {
        let today = self.key(digest, self.0.clock.now().div_euclid(DAY));
        let link = &self.0.link;
        match link.store.head(&today).await {
            Ok(found) if found.size == content.size() => Ok(()),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => link.send(&today, content).await,
            Err(error) => Err(link.failed(&error)),
        }
    }

    async fn remove(&self, keys: Vec<Path>) -> Result<(), StoreError> {
        let link = &self.0.link;
        stream::iter(keys.into_iter().map(Ok))
            .try_for_each_concurrent(DELETIONS, |key| async move {
                match link.store.delete(&key).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(link.failed(&error)),
                }
            })
            .await
    }

    /// Deletes what nobody needs of the objects of one blob; `true` when nothing of it is left.
    async fn settle(&self, blob: Listed, before: Millis, keep: Keep<'_>) -> Result<bool, StoreError> {
        let is_old = |day: &i64| day.saturating_add(1).saturating_mul(DAY) < before;
        let (mut old, young): (Vec<i64>, Vec<i64>) = blob.days.into_iter().partition(is_old);
        old.sort_unstable();
        let has_young = !young.is_empty();
        let is_kept = has_young || old.is_empty() || keep(&blob.digest).await?;
        if is_kept && !has_young {
            old.pop();
        }
        self.remove(old.iter().map(|day| self.key(&blob.digest, *day)).collect()).await?;
        Ok(!is_kept)
    }
}

type Keep<'a> = &'a (dyn for<'b> Fn(&'b Digest) -> BoxFuture<'b, Result<bool, StoreError>> + Sync);

/// The objects of one blob, as a sweep meets them.
struct Listed {
    digest: Digest,
    days: Vec<i64>,
}

#[async_trait]
impl Blobs for ObjectBlobs {
    async fn put(&self, bytes: Bytes) -> Result<Digest, StoreError> {
        let digest = Digest::of(&bytes);
        self.keep(&digest, Content::Memory(bytes)).await?;
        Ok(digest)
    }

    async fn put_pieces(&self, pieces: Pieces<'_>) -> Result<(Digest, u64), StoreError> {
        let (digest, content) = Content::take(pieces, &self.0.spool).await?;
        let size = content.size();
        self.keep(&digest, content).await?;
        Ok((digest, size))
    }

    async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        let Some(opened) = self.read(digest, &(0..u64::MAX)).await? else { return Ok(None) };
        let link = &self.0.link;
        let bytes = match opened {
            Some(opened) => opened.bytes().await.map_err(|error| link.failed(&error))?,
            None => Bytes::new(),
        };
        if Digest::of(&bytes) != *digest {
            return Err(StoreError::Damaged(format!(
                "{digest} in {} has other content than its name says",
                link.place
            )));
        }
        Ok(Some(bytes))
    }

    async fn get_pieces(&self, digest: &Digest, range: Range<u64>) -> Result<Option<Pieces<'static>>, StoreError> {
        let Some(opened) = self.read(digest, &range).await? else { return Ok(None) };
        let Some(opened) = opened else { return Ok(Some(stream::empty().boxed())) };
        let this = self.clone();
        Ok(Some(opened.into_stream().map_err(move |error| this.0.link.failed(&error)).boxed()))
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        let copies = self.copies(digest).await?;
        let was_there = !copies.is_empty();
        self.remove(copies.into_iter().map(|copy| copy.location).collect()).await?;
        Ok(was_there)
    }

    async fn sweep(&self, before: Millis, keep: Keep<'_>) -> Result<u64, StoreError> {
        let mut swept = 0;
        let mut met: Option<Listed> = None;
        let mut pages = std::pin::pin!(self.pages(format!("{}/", self.0.prefix)));
        while let Some(page) = pages.try_next().await? {
            let ours = page.iter().filter_map(|object| self.read_key(&object.location));
            for (digest, day) in ours {
                match &mut met {
                    Some(blob) if blob.digest == digest => blob.days.push(day),
                    _ => {
                        if let Some(blob) = met.replace(Listed { digest, days: vec![day] }) {
                            swept += u64::from(self.settle(blob, before, keep).await?);
                        }
                    }
                }
            }
        }
        if let Some(blob) = met {
            swept += u64::from(self.settle(blob, before, keep).await?);
        }
        Ok(swept)
    }
}
