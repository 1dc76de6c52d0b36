//! Blobs, files, keys and cached outputs.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::join_all, stream};

use crate::{
    id::{Digest, RunId},
    store::{Blobs, Expect, FileValue, Files, Kv, OutputCache, StoreError},
    units::Millis,
    value::Value,
};

pub async fn a_blob_is_read_back_by_its_digest(blobs: &dyn Blobs) {
    for bytes in [Bytes::new(), Bytes::from_static(b"\0\xff"), Bytes::from(vec![7; 1 << 20])] {
        let digest = blobs.put(bytes.clone()).await.unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(blobs.get(&digest).await.unwrap(), Some(bytes));
    }
    assert_eq!(blobs.get(&Digest::of(b"nothing")).await.unwrap(), None);
}

pub async fn the_same_bytes_are_one_blob(blobs: &dyn Blobs) {
    let digests = join_all((0..8).map(|_| blobs.put(Bytes::from_static(b"same")))).await;
    assert!(digests.iter().all(|digest| *digest.as_ref().unwrap() == Digest::of(b"same")));
    let swept = blobs.sweep(Millis::MAX, &|_| Box::pin(async { Ok(false) })).await.unwrap();
    assert_eq!(swept, 1);
}

pub async fn a_blob_is_deleted_at_once(blobs: &dyn Blobs) {
    let (gone, kept) = (blobs.put("gone".into()).await.unwrap(), blobs.put("kept".into()).await.unwrap());
    assert!(blobs.delete(&gone).await.unwrap());
    assert!(!blobs.delete(&gone).await.unwrap());
    assert_eq!(blobs.get(&gone).await.unwrap(), None);
    assert!(blobs.get(&kept).await.unwrap().is_some());
}

pub async fn old_blobs_that_nobody_keeps_are_swept(blobs: &dyn Blobs) {
    let kept = blobs.put(Bytes::from_static(b"kept")).await.unwrap();
    let gone = blobs.put(Bytes::from_static(b"gone")).await.unwrap();

    assert_eq!(blobs.sweep(0, &|_| Box::pin(async { Ok(false) })).await.unwrap(), 0);
    let broken = blobs.sweep(Millis::MAX, &|_| Box::pin(async { Err(StoreError::Failed("down".to_owned())) })).await;
    assert!(broken.is_err());
    assert!(blobs.get(&gone).await.unwrap().is_some());

    let swept = blobs.sweep(Millis::MAX, &|digest| Box::pin(std::future::ready(Ok(*digest == kept)))).await.unwrap();
    assert_eq!(swept, 1);
    assert_eq!(blobs.get(&gone).await.unwrap(), None);
    assert_eq!(blobs.get(&kept).await.unwrap(), Some(Bytes::from_static(b"kept")));
}

pub async fn a_blob_comes_and_goes_in_pieces(blobs: &dyn Blobs) {
    let pieces = [Bytes::from(vec![1; 300_000]), Bytes::new(), Bytes::from(vec![2; 700_001])];
    let whole = pieces.concat();
    let (digest, size) = blobs.put_pieces(stream::iter(pieces.map(Ok)).boxed()).await.unwrap();
    assert_eq!((digest.clone(), size), (Digest::of(&whole), whole.len() as u64));
    assert_eq!(blobs.get(&digest).await.unwrap().unwrap(), whole);
    assert_eq!(blobs.put(whole.clone().into()).await.unwrap(), digest);
    for (range, expected) in [
        (0..size, &whole[..]),
        (299_999..300_001, &[1, 2][..]),
        (size - 1..size + 10, &[2][..]),
        (5..5, &[][..]),
        (size + 5..size + 9, &[][..]),
    ] {
        let pieces = blobs.get_pieces(&digest, range.clone()).await.unwrap().unwrap();
        let found: Vec<Bytes> = pieces.try_collect().await.unwrap();
        assert!(found.concat() == expected, "{range:?}");
    }
    assert!(blobs.get_pieces(&Digest::of(b"nothing"), 0..1).await.unwrap().is_none());
    let (empty, size) = blobs.put_pieces(stream::empty().boxed()).await.unwrap();
    assert_eq!((empty, size), (Digest::of(b""), 0));
}

pub async fn nothing_is_left_of_pieces_that_fail(blobs: &dyn Blobs) {
    let pieces = [Ok(Bytes::from_static(b"half")), Err(StoreError::Failed("gone".to_owned()))];
    assert!(blobs.put_pieces(stream::iter(pieces).boxed()).await.is_err());
    assert_eq!(blobs.get(&Digest::of(b"half")).await.unwrap(), None);
    let swept = blobs.sweep(Millis::MAX, &|_| Box::pin(async { Ok(false) })).await.unwrap();
    assert_eq!(swept, 0);
}

async fn create(files: &dyn Files, run: RunId, content: &'static [u8]) -> FileValue {
    files.create(run, "report.md", "text/markdown", Bytes::from_static(content)).await.unwrap()
}

pub async fn a_file_is_opened_by_its_run_and_id(files: &dyn Files) {
    let run = RunId::random();
    let file = create(files, run, b"# Hi").await;
    assert_eq!((file.name.as_str(), file.mime.as_str(), file.size), ("report.md", "text/markdown", 4));
    assert_eq!(file.sha256, Digest::of(b"# Hi").to_string());
    let (found, content) = files.open(run, &file.id).await.unwrap().unwrap();
    assert_eq!((found, content), (file, Bytes::from_static(b"# Hi")));
}

pub async fn a_file_of_another_run_is_not_opened(files: &dyn Files) {
    let run = RunId::random();
    let file = create(files, run, b"secret").await;
    assert_eq!(files.open(RunId::random(), &file.id).await.unwrap(), None);
    for id in ["", "../../etc/passwd", file.sha256.as_str()] {
        assert_eq!(files.open(run, id).await.unwrap(), None);
    }
}

pub async fn a_file_is_shared_with_another_run_and_no_other_one_is(files: &dyn Files) {
    let [owner, fork, other] = [(); 3].map(|()| RunId::random());
    let file = create(files, owner, b"shared").await;
    let kept_back = create(files, owner, b"kept back").await;
    let foreign = create(files, other, b"foreign").await;
    let ids = vec![file.id.clone(), foreign.id.clone(), "file_nothing".to_owned()];
    for _ in 0..2 {
        files.share(owner, fork, ids.clone()).await.unwrap();
    }
    let found = files.open(fork, &file.id).await.unwrap();
    assert_eq!(found, Some((file.clone(), Bytes::from_static(b"shared"))));
    assert!(files.open(owner, &file.id).await.unwrap().is_some());
    for refused in [&kept_back, &foreign] {
        assert_eq!(files.open(fork, &refused.id).await.unwrap(), None, "only what the other run has, and was named");
    }
    files.share(fork, other, vec![file.id.clone()]).await.unwrap();
    assert!(files.open(other, &file.id).await.unwrap().is_some(), "a fork of a fork");
}

pub async fn a_file_that_was_uploaded_is_given_to_a_run_and_taken_back(files: &dyn Files) {
    let [source, run, other] = [(); 3].map(|()| RunId::random());
    let file = FileValue { id: crate::store::file_id(), ..create(files, source, b"uploaded").await };
    assert_eq!(files.find(run, &file.id).await.unwrap(), None);
    for run in [run, other, other] {
        files.give(run, &file).await.unwrap();
    }
    assert_eq!(files.find(run, &file.id).await.unwrap(), Some(file.clone()));
    let found = files.open(run, &file.id).await.unwrap();
    assert_eq!(found, Some((file.clone(), Bytes::from_static(b"uploaded"))));
    files.take_back(run).await.unwrap();
    assert_eq!(files.find(run, &file.id).await.unwrap(), None);
    assert!(files.open(other, &file.id).await.unwrap().is_some(), "others keep theirs");
}

pub async fn every_file_has_an_id_of_its_own(files: &dyn Files) {
    let run = RunId::random();
    let (first, second) = (create(files, run, b"same").await, create(files, run, b"same").await);
    assert_ne!(first.id, second.id);
    assert_eq!(first.sha256, second.sha256);
}

pub async fn a_value_is_set_read_and_removed(kv: &dyn Kv) {
    assert_eq!(kv.get("a", "k").await.unwrap(), None);
    let first = kv.set("a", "k", Value::from("one"), Expect::Any).await.unwrap().unwrap();
    assert_eq!((first.value.clone(), first.version), (Value::from("one"), 1));
    assert_eq!(kv.get("a", "k").await.unwrap(), Some(first));
    assert_eq!(kv.get("b", "k").await.unwrap(), None);

    let second = kv.set("a", "k", Value::Null, Expect::Any).await.unwrap().unwrap();
    assert_eq!((second.value, second.version), (Value::Null, 2));
    assert!(!kv.delete("b", "k").await.unwrap());
    assert!(kv.delete("a", "k").await.unwrap());
    assert!(!kv.delete("a", "k").await.unwrap());
    assert_eq!(kv.get("a", "k").await.unwrap(), None);
    assert_eq!(kv.set("a", "k", Value::Null, Expect::Absent).await.unwrap().unwrap().version, 1);
}

pub async fn a_value_is_set_only_as_expected(kv: &dyn Kv) {
    let absent = kv.set("a", "k", Value::from("x"), Expect::Version(1)).await.unwrap();
    assert_eq!(absent, Err(None));
    let first = kv.set("a", "k", Value::from("x"), Expect::Absent).await.unwrap().unwrap();
    for expect in [Expect::Absent, Expect::Version(2)] {
        assert_eq!(kv.set("a", "k", Value::from("y"), expect).await.unwrap(), Err(Some(first.clone())));
    }
    assert_eq!(kv.get("a", "k").await.unwrap(), Some(first));
    assert_eq!(kv.set("a", "k", Value::from("y"), Expect::Version(1)).await.unwrap().unwrap().version, 2);
}

pub async fn one_of_many_sets_a_version(kv: &dyn Kv) {
    let sets = join_all((0..8_i64).map(|i| kv.set("a", "k", Value::from(i), Expect::Absent))).await;
    assert_eq!(sets.into_iter().filter(|set| set.as_ref().unwrap().is_ok()).count(), 1);
}

pub async fn an_output_is_found_until_its_time(cache: &dyn OutputCache) {
    let key = Digest::of(b"key");
    assert_eq!(cache.lookup(&key, 1).await.unwrap(), None);
    cache.fill(&key, &Value::from("text"), 100, RunId::random()).await.unwrap();
    assert_eq!(cache.lookup(&key, 99).await.unwrap(), Some(Value::from("text")));
    assert_eq!(cache.lookup(&key, 100).await.unwrap(), None);
    assert_eq!(cache.lookup(&Digest::of(b"other"), 1).await.unwrap(), None);
}

pub async fn an_output_is_replaced(cache: &dyn OutputCache) {
    let key = Digest::of(b"key");
    cache.fill(&key, &Value::from("old"), 100, RunId::random()).await.unwrap();
    cache.fill(&key, &Value::from("new"), 200, RunId::random()).await.unwrap();
    assert_eq!(cache.lookup(&key, 150).await.unwrap(), Some(Value::from("new")));
}
