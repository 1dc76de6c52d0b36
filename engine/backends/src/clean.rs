//! Retention: what nobody needs any more is deleted.

use std::time::Duration;

use liteagent_engine::{
    store::{StoreError, Stores},
    units::{self, Millis},
};

/// How long a blob may lie about without a run that names it: its run may be about to be stored, and what was uploaded waits
/// for one for a day.
const ORPHAN: Duration = Duration::from_hours(25);

/// So many runs are deleted in one transaction: others write in between.
const BATCH: u32 = 100;

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Whole runs.
    pub runs: u64,
    /// Blobs that no run named.
    pub blobs: u64,
}

/// Deletes the runs that ended longer than `keep` ago, and blobs that no run names and that are older than a day.
///
/// # Errors
/// Those of the stores; what was deleted before stays deleted.
pub async fn clean(stores: &Stores, at: Millis, keep: Duration) -> Result<Cleaned, StoreError> {
    let ago = |time| at.saturating_sub(units::Duration(time).millis());
    let journal = &stores.journal;
    let mut runs = 0;
    loop {
        let deleted = journal.delete_ended(ago(keep), BATCH).await?;
        runs += deleted;
        if deleted < u64::from(BATCH) {
            break;
        }
    }
    let blobs = stores
        .blobs
        .sweep(ago(ORPHAN), &|digest| {
            let journal = journal.clone();
            Box::pin(async move { journal.has_blob_rows(digest).await })
        })
        .await?;
    Ok(Cleaned { runs, blobs })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use liteagent_engine::{
        event::RunStatus,
        id::Digest,
        store::{Append, NewRun},
        testing::conformance::samples::{Owned, ended, new_run, open},
    };

    use super::*;
    use crate::tests::options;

    const DAY: Duration = ORPHAN;

    #[tokio::test]
    async fn old_runs_and_their_blobs_go_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let backends = crate::open(folder.path(), options()).await.unwrap();
        let (journal, blobs) = (&backends.stores.journal, &backends.stores.blobs);
        let session = open(&**journal, 1).await;
        let blob = async |text: &'static str| blobs.put(Bytes::from_static(text.as_bytes())).await.unwrap();
        let (old, shared, orphan) = (blob("old").await, blob("shared").await, blob("orphan").await);

        let run = NewRun { blobs: vec![old.clone(), shared.clone()], ..new_run("a", 1) };
        journal.create(run.clone()).await.unwrap();
        let file = backends.files.create(run.id, "a.txt", "text/plain", Bytes::from_static(b"content")).await.unwrap();
        let inherited =
            backends.files.create(run.id, "b.txt", "text/plain", Bytes::from_static(b"kept")).await.unwrap();
        let owned = Owned::take(&**journal, run.id, session, 1).await;
        journal.append(owned.release(ended(RunStatus::Succeeded))).await.unwrap();
        let kept = Owned::create_in(&**journal, session, 1).await;
        backends.files.share(run.id, kept.run, vec![inherited.id.clone()]).await.unwrap();
        journal.append(Append { blobs: vec![shared.clone()], ..kept.append(1) }).await.unwrap();

        assert_eq!(clean(&backends.stores, 10, DAY).await.unwrap(), Cleaned::default());
        let far = 10 * i64::from(i32::MAX) * 1000;
        assert_eq!(clean(&backends.stores, far, DAY).await.unwrap(), Cleaned { runs: 1, blobs: 3 });
        for gone in [&old, &orphan, &file.sha256.parse().unwrap()] {
            assert_eq!(blobs.get(gone).await.unwrap(), None);
        }
        assert!(blobs.get(&shared).await.unwrap().is_some());
        assert_eq!(backends.files.open(run.id, &file.id).await.unwrap(), None);
        let (_, content) = backends.files.open(kept.run, &inherited.id).await.unwrap().unwrap();
        assert_eq!(content, Bytes::from_static(b"kept"), "a fork keeps what it may open");
        assert!(journal.run(kept.run).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_subject_leaves_no_file_no_blob_and_no_cached_output() {
        let folder = tempfile::tempdir().unwrap();
        let backends = crate::open(folder.path(), options()).await.unwrap();
        let (stores, at) = (&backends.stores, 2);
        let (journal, blobs) = (&stores.journal, &stores.blobs);
        let session = open(&**journal, 1).await;
        let blob = async |text: &'static str| blobs.put(Bytes::from_static(text.as_bytes())).await.unwrap();
        let (own, shared) = (blob("what ann said").await, blob("shared").await);
        let about = |subject: &str, blobs: &[&Digest]| NewRun {
            subject: Some(subject.to_owned()),
            blobs: blobs.iter().copied().cloned().collect(),
            ..new_run("a", 1)
        };
        let (ann, bob) = (about("ann", &[&own, &shared]), about("bob", &[&shared]));
        let key = |name: &str| Digest::of(name.as_bytes());
        for run in [&ann, &bob] {
            journal.create(run.clone()).await.unwrap();
            stores.cache.fill(&key(&run.id.to_string()), &"cached".into(), 100, run.id).await.unwrap();
        }
        let file = backends.files.create(ann.id, "a.txt", "text/plain", Bytes::from_static(b"a letter")).await.unwrap();
        assert_eq!(stores.forget("ann").await.unwrap(), Err(vec![ann.id]));
        let owned = Owned::take(&**journal, ann.id, session, at).await;
        journal.append(owned.release(ended(RunStatus::Succeeded))).await.unwrap();

        let forgotten = stores.forget("ann").await.unwrap().unwrap();
        assert_eq!((forgotten.runs, forgotten.outputs, forgotten.blobs.len()), (1, 1, 2));
        for gone in [&own, &file.sha256.parse().unwrap()] {
            assert_eq!(blobs.get(gone).await.unwrap(), None);
        }
        assert!(blobs.get(&shared).await.unwrap().is_some());
        assert_eq!(backends.files.open(ann.id, &file.id).await.unwrap(), None);
        assert_eq!(stores.cache.lookup(&key(&ann.id.to_string()), at).await.unwrap(), None);
        assert!(stores.cache.lookup(&key(&bob.id.to_string()), at).await.unwrap().is_some());
    }
}
