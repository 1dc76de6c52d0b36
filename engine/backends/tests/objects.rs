//! Blobs in a bucket do what all do, and what only they must.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use liteagent_backends::{
    FsBlobs, ObjectBlobs, ObjectOptions, Reserve, SqliteOptions, open_with, testing::ObjectServer,
};
use liteagent_engine::{
    blobs_conformance, codes,
    error::Code,
    id::Digest,
    store::{Blobs, DAY, StoreError},
    testing::VirtualClock,
    time::Clock as _,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Blobs on a server of their own.
struct Bucket {
    blobs: ObjectBlobs,
    server: ObjectServer,
    clock: Arc<VirtualClock>,
    spool: TempDir,
}

impl Deref for Bucket {
    type Target = ObjectBlobs;
    fn deref(&self) -> &ObjectBlobs {
        &self.blobs
    }
}

impl Bucket {
    fn new() -> Self {
        let (server, clock, spool) = (ObjectServer::start(), Arc::new(VirtualClock::at(0)), TempDir::new().unwrap());
        // Of two objects a page: every list of more is made of several.
        let mut options = server.options();
        options.page = 2;
        let blobs = ObjectBlobs::open(&options, spool.path().to_owned(), clock.clone()).unwrap();
        Self { blobs, server, clock, spool }
    }

    fn with(&self, options: &ObjectOptions) -> ObjectBlobs {
        ObjectBlobs::open(options, self.spool.path().to_owned(), self.clock.clone()).unwrap()
    }

    /// A sweep that a server would do now, of what nobody names.
    async fn sweep_now(&self) -> u64 {
        self.blobs.sweep(self.clock.now() - 25 * DAY / 24, &|_| Box::pin(async { Ok(false) })).await.unwrap()
    }
}

blobs_conformance!(Bucket::new());

fn code<T>(result: Result<T, StoreError>) -> Code {
    result.err().unwrap().code()
}

/// 100 MiB, and pieces of it of which is known how many are alive.
struct Large {
    alive: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), SeqCst);
    }
}

impl Large {
    const PIECES: usize = 400;
    const PIECE: usize = 256 << 10;

    fn new() -> Self {
        Self { alive: Arc::default(), most: Arc::default() }
    }

    fn piece(&self, number: usize) -> Bytes {
        let now = self.alive.fetch_add(Self::PIECE, SeqCst) + Self::PIECE;
        self.most.fetch_max(now, SeqCst);
        Bytes::from_owner(Counted(vec![number as u8; Self::PIECE], self.alive.clone()))
    }

    fn pieces(&self) -> impl futures::Stream<Item = Result<Bytes, StoreError>> + Send {
        stream::iter(0..Self::PIECES).map(|number| Ok(self.piece(number)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_comes_and_goes_with_a_few_pieces_in_memory() {
    let bucket = Bucket::new();
    let large = Large::new();
    let (digest, size) = bucket.put_pieces(large.pieces().boxed()).await.unwrap();
    assert_eq!(size, 100 << 20);
    assert_eq!(large.most.load(SeqCst), Large::PIECE, "each piece is on the disk before the next one comes");
    let parts = bucket.server.asked().iter().filter(|line| line.contains("partNumber=")).count();
    assert_eq!(parts, 13, "in parts of 8 MiB");

    let mut read = bucket.get_pieces(&digest, 0..size).await.unwrap().unwrap();
    let (mut hash, mut longest) = (Sha256::new(), 0);
    while let Some(piece) = read.try_next().await.unwrap() {
        longest = longest.max(piece.len());
        hash.update(&piece);
    }
    assert_eq!(Digest::from_hash(&hash.finalize()), digest);
    assert!(longest <= 1 << 20, "{longest}");

    bucket.server.asked();
    assert_eq!(bucket.put_pieces(large.pieces().boxed()).await.unwrap(), (digest, size));
    let asked = bucket.server.asked();
    assert!(asked.len() == 1 && asked[0].starts_with("HEAD "), "what is there is not sent again: {asked:?}");
}

#[tokio::test]
async fn what_is_put_again_while_sweeps_delete_it_stays() {
    let bucket = Bucket::new();
    bucket.clock.advance_to(100 * DAY);
    let bytes = Bytes::from_static(b"made every week");
    let digest = bucket.put(bytes.clone()).await.unwrap();
    bucket.clock.advance_to(107 * DAY);

    // Two sweeps have met the old object. Both have just asked, and nobody named it; then it is put again and a run names it.
    let before = bucket.clock.now() - DAY;
    let outer = bucket.blobs.clone();
    let swept = bucket
        .blobs
        .sweep(before, &|_| {
            let (blobs, bytes) = (outer.clone(), bytes.clone());
            Box::pin(async move {
                let inner = blobs.clone();
                let swept = blobs
                    .sweep(before, &|_| {
                        let (blobs, bytes) = (inner.clone(), bytes.clone());
                        Box::pin(async move { blobs.put(bytes).await.map(|_| false) })
                    })
                    .await;
                swept.map(|_| false)
            })
        })
        .await
        .unwrap();
    assert_eq!(swept, 1, "the object of before");
    assert_eq!(bucket.get(&digest).await.unwrap(), Some(bytes.clone()));

    // What relies on it has a day to name it, whenever on its day it was put.
    bucket.clock.advance_to(108 * DAY - 1);
    bucket.server.asked();
    bucket.put(bytes).await.unwrap();
    assert_eq!(bucket.server.asked().len(), 1, "that of the day is relied on");
    bucket.clock.advance_to(109 * DAY - 1);
    assert_eq!(bucket.sweep_now().await, 0);
    bucket.clock.advance_to(109 * DAY + DAY / 24 + 1);
    assert_eq!(bucket.sweep_now().await, 1);
    assert_eq!(bucket.get(&digest).await.unwrap(), None);
}

#[tokio::test]
async fn of_several_objects_of_a_blob_a_sweep_leaves_the_newest() {
    let bucket = Bucket::new();
    let bytes = Bytes::from_static(b"named all the time");
    let objects = |bucket: &Bucket| bucket.server.objects().len();
    for day in 10..15 {
        bucket.clock.advance_to(day * DAY);
        bucket.put(bytes.clone()).await.unwrap();
    }
    assert_eq!(objects(&bucket), 5);
    let swept = bucket.blobs.sweep(13 * DAY, &|_| Box::pin(std::future::ready(Ok(true)))).await.unwrap();
    assert_eq!(swept, 0);
    assert_eq!(objects(&bucket), 3);
    let swept = bucket.blobs.sweep(99 * DAY, &|_| Box::pin(std::future::ready(Ok(true)))).await.unwrap();
    assert_eq!(swept, 0);
    assert_eq!(objects(&bucket), 1);
    assert_eq!(bucket.get(&Digest::of(&bytes)).await.unwrap(), Some(bytes.clone()));
    bucket.put(bytes.clone()).await.unwrap();
    assert!(bucket.delete(&Digest::of(&bytes)).await.unwrap());
    assert_eq!(objects(&bucket), 0, "all of them at once");
}

#[tokio::test]
async fn another_prefix_of_the_bucket_is_never_touched() {
    let bucket = Bucket::new();
    let other = bucket.with(&bucket.server.options_with(&[("STORAGE_URL", "s3://values/prod-2/a")]));
    let digest = other.put(Bytes::from_static(b"theirs")).await.unwrap();
    bucket.put(Bytes::from_static(b"ours")).await.unwrap();
    bucket.server.put("prod/notes/2026.txt", "a person's");
    bucket.clock.advance_to(50 * DAY);
    assert_eq!(bucket.sweep_now().await, 1);
    assert!(other.get(&digest).await.unwrap().is_some());
    let left = bucket.server.objects();
    assert!(left.len() == 2 && left.contains(&"prod/notes/2026.txt".to_owned()), "{left:?}");
}

#[tokio::test]
async fn what_is_wrong_is_told_by_its_name() {
    let bucket = Bucket::new();
    bucket.check().await.unwrap();
    let put = async |blobs: &ObjectBlobs| blobs.put(Bytes::from_static(b"x")).await.map(drop);
    for (other, expected) in [
        (("AWS_SECRET_ACCESS_KEY", "guessed"), codes::OBJECTS_CREDENTIALS),
        (("AWS_ACCESS_KEY_ID", "unknown"), codes::OBJECTS_CREDENTIALS),
        (("STORAGE_URL", "s3://no-such-bucket/prod"), codes::OBJECTS_BUCKET),
        (("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), codes::OBJECTS_UNREACHABLE),
    ] {
        let blobs = bucket.with(&bucket.server.options_with(&[other]));
        // The server of the tests makes a bucket for whoever puts something into it.
        let put = if expected == codes::OBJECTS_BUCKET { blobs.check().await } else { put(&blobs).await };
        for failed in [put, blobs.check().await, blobs.get(&Digest::of(b"x")).await.map(drop)] {
            let error = failed.unwrap_err();
            assert_eq!(error.code(), expected, "{other:?}: {error}");
            let (said, secret) = (error.to_string(), "test-secret");
            assert!(said.contains("s3://") && !said.contains(secret) && !said.contains("guessed"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_server_that_goes_away_in_the_middle_loses_nothing() {
    let mut bucket = Bucket::new();
    let kept = bucket.put(Bytes::from_static(b"kept")).await.unwrap();
    let large = Large::new();
    let (read_to_its_end, size) = bucket.put_pieces(large.pieces().take(80).boxed()).await.unwrap();
    let mut half = bucket.get_pieces(&read_to_its_end, 0..size).await.unwrap().unwrap();
    half.try_next().await.unwrap().unwrap();

    bucket.server.stop();
    let rest = half.try_for_each(|_| async { Ok(()) }).await;
    assert_eq!(code(rest), codes::OBJECTS_UNREACHABLE, "a file that was cut off is no file that has ended");
    assert_eq!(code(bucket.put_pieces(large.pieces().take(90).boxed()).await), codes::OBJECTS_UNREACHABLE);
    assert_eq!(code(bucket.get(&kept).await), codes::OBJECTS_UNREACHABLE, "it is not known to be gone");
    let swept = bucket.blobs.sweep(i64::MAX, &|_| Box::pin(async { Ok(false) })).await;
    assert_eq!(code(swept), codes::OBJECTS_UNREACHABLE);

    bucket.server.go_on();
    assert_eq!(bucket.get(&kept).await.unwrap(), Some(Bytes::from_static(b"kept")));
    let (_, again) = bucket.put_pieces(large.pieces().take(90).boxed()).await.unwrap();
    assert_eq!(again, 90 * Large::PIECE as u64);
}

#[tokio::test]
async fn what_a_folder_held_before_is_read_there() {
    let bucket = Bucket::new();
    let data = TempDir::new().unwrap();
    let folder = FsBlobs::open(data.path().join("blobs")).unwrap();
    let (old, gone) = (folder.put(Bytes::from_static(b"old")).await.unwrap(), Bytes::from_static(b"nobody's"));
    folder.put(gone.clone()).await.unwrap();
    let options = SqliteOptions { reserve: Reserve::NONE, ..SqliteOptions::default() };
    let both = open_with(data.path(), options, Some(bucket.blobs.clone())).await.unwrap().stores.blobs;
    let new = both.put(Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(folder.get(&new).await.unwrap(), None);
    assert_eq!(both.get(&old).await.unwrap(), Some(Bytes::from_static(b"old")));
    let pieces = both.get_pieces(&new, 1..2).await.unwrap().unwrap();
    assert_eq!(pieces.try_collect::<Vec<_>>().await.unwrap().concat(), b"e");
    both.put(gone.clone()).await.unwrap();
    assert!(both.delete(&Digest::of(&gone)).await.unwrap());
    assert_eq!(both.get(&Digest::of(&gone)).await.unwrap(), None);
    let swept = both.sweep(i64::MAX, &|digest| Box::pin(std::future::ready(Ok(*digest == old)))).await.unwrap();
    assert_eq!((swept, both.get(&old).await.unwrap().is_some()), (1, true));
}
