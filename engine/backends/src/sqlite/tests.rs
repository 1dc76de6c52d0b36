//! What only SQLite shows: full and read-only disks, several processes on one file, how much room runs take.

use std::{path::Path, time::Duration};

use futures::future::join_all;
use liteagent_engine::{
    definition::WhenFull,
    event::RunStatus,
    id::{Digest, RunId},
    store::{Append, AppendError, Created, Expect, Journal, Kv, OutputCache, Release, StoreError, StoredRecord, Take},
    testing::conformance::holds::counted,
    testing::conformance::samples::{Owned, ended, message, new_run, open, record, records, sight},
    value::Value,
};

use super::{Db, FILE, SqliteOptions, SqliteStore};
use crate::database::Error;
use crate::{
    Reserve,
    files::FileRows,
    tests::{Temporary, options, sqlite},
};

/// Does something on the writing thread.
async fn write<T: Send + 'static>(
    store: &SqliteStore,
    work: impl FnMut(&Db) -> Result<T, Error> + Send + 'static,
) -> Result<T, StoreError> {
    store.0.writer.write(work).await
}

async fn pragma(store: &SqliteStore, pragma: &'static str) -> Result<(), StoreError> {
    write(store, move |db| db.all(pragma, (), |_| Ok(())).map(drop)).await
}

async fn reopen(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, options()).await.unwrap()
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_loses_nothing() {
    let store = sqlite().await;
    let mut owned = Owned::create(&*store, 1).await;
    let small = Owned::create(&*store, 1).await;
    pragma(&store, "PRAGMA max_page_count = 120").await.unwrap();

    let large = |owned: &Owned| {
        let body = "x".repeat(40_000).into();
        Append { records: vec![StoredRecord { body, ..record(owned.seq + 1) }], ..owned.append(0) }
    };
    let refused = loop {
        match store.append(large(&owned)).await {
            Ok(()) => owned.seq += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::Store(StoreError::Full(_))), "{refused:?}");

    // One that does not fit takes no neighbour with it.
    let (large, fits) = futures::join!(store.append(large(&owned)), store.append(small.append(1)));
    assert!(matches!(large, Err(AppendError::Store(StoreError::Full(_)))), "{large:?}");
    fits.unwrap();

    pragma(&store, "PRAGMA max_page_count = 100000").await.unwrap();
    assert_eq!(store.run(owned.run).await.unwrap().unwrap().seq, owned.seq);
    assert_eq!(store.read(owned.run, 0, 1000).await.unwrap().len() as u64, owned.seq);
    store.append(owned.append(1)).await.unwrap();
}

#[tokio::test]
async fn a_read_only_database_can_be_read() {
    let store = sqlite().await;
    let owned = Owned::create(&*store, 1).await;
    let before = sight(&*store, owned.run).await;
    pragma(&store, "PRAGMA query_only = 1").await.unwrap();

    let is_refused = |error: StoreError| assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
    match store.append(owned.append(1)).await.unwrap_err() {
        AppendError::Store(error) => is_refused(error),
        other => panic!("{other:?}"),
    }
    is_refused(store.create(new_run("a", 1)).await.unwrap_err());
    is_refused(store.send(owned.run, message("m1")).await.unwrap_err());
    is_refused(store.take(owned.run, owned.session, 2).await.unwrap_err());
    is_refused(store.heartbeat(owned.session, 2).await.unwrap_err());
    is_refused(store.set("n", "k", Value::Null, Expect::Any).await.unwrap_err());
    is_refused(store.fill(&Digest::of(b"k"), &Value::Null, 9, owned.run).await.unwrap_err());
    assert_eq!(sight(&*store, owned.run).await, before);
}

#[tokio::test]
async fn a_disk_without_reserve_takes_no_new_runs_but_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let owned = Owned::create(&reopen(folder.path()).await, 1).await;
    let reserve = Reserve { bytes: u64::MAX, percent: 0 };
    let store = SqliteStore::open(folder.path(), SqliteOptions { reserve, ..options() }).await.unwrap();
    let refused = store.create(new_run("a", 1)).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    store.append(owned.append(1)).await.unwrap();
}

#[tokio::test]
async fn a_failing_write_leaves_its_group_alone() {
    let store = sqlite().await;
    let fails = |_: &Db| Err::<(), _>(Error::from(StoreError::Damaged("a row".to_owned())));
    let key = |key: &'static str| store.set("n", key, Value::Null, Expect::Absent);
    let (first, bad, second) = futures::join!(key("a"), write(&store, fails), key("b"));
    assert!(matches!(bad, Err(StoreError::Damaged(_))), "{bad:?}");
    assert!(first.unwrap().is_ok() && second.unwrap().is_ok());
    assert_eq!(store.get("n", "a").await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn two_processes_on_one_file_fence_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (reopen(folder.path()).await, reopen(folder.path()).await);
    let owned = Owned::create(&first, 1).await;
    let other = open(&second, 1).await;
    let take = second.take(owned.run, other, 2).await.unwrap();
    assert!(matches!(take, Take::Owned(owner) if owner == owned.session), "{take:?}");

    let late = 40_000;
    second.heartbeat(other, late).await.unwrap();
    let taken = Owned::take(&second, owned.run, other, late).await;
    let (stale, good) = futures::join!(first.append(owned.append(2)), second.append(taken.append(1)));
    assert!(matches!(stale, Err(AppendError::Fenced)), "{stale:?}");
    good.unwrap();
    assert_eq!(first.read(owned.run, 0, 10).await.unwrap(), records(1..=2));
}

#[tokio::test]
async fn a_process_that_died_is_known_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (reopen(folder.path()).await, reopen(folder.path()).await);
    let owned = Owned::create(&first, 1).await;
    assert_eq!(second.runnable(2, 10).await.unwrap(), []);
    drop(first);
    assert_eq!(second.runnable(2, 10).await.unwrap(), [owned.run]);

    let other = open(&second, 2).await;
    let taken = Owned::take(&second, owned.run, other, 2).await;
    assert_eq!((taken.epoch, taken.seq), (2, 1));
    assert!(!folder.path().join(format!("sessions/{}.lock", owned.session)).exists());
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(folder.path()).await;
    let session = open(&store, 1).await;
    let runs = join_all((0..8).map(|_| Owned::create_in(&store, session, 1))).await;
    join_all(runs.iter().map(|run| store.append(run.append(3)))).await;
    drop(store);

    let store = reopen(folder.path()).await;
    for run in runs {
        assert_eq!(store.read(run.run, 0, 10).await.unwrap(), records(1..=4));
    }
}

#[tokio::test]
async fn the_files_of_an_older_schema_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    old.execute_batch(include_str!("../../migrations/0001_runs.sql")).unwrap();
    old.execute_batch("CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (1)")
        .unwrap();
    let run = RunId::random();
    let digest = super::row::hash(&Digest::of(b"old"));
    let sql = "INSERT INTO files (id, run, name, mime, size, digest, created_at) VALUES ('f', ?1, 'a', 'b', 3, ?2, 1)";
    old.execute(sql, rusqlite::params![run.0.as_bytes(), digest]).unwrap();
    drop(old);

    let (file, digest) = reopen(folder.path()).await.file(run, "f").await.unwrap().unwrap();
    assert_eq!((file.name.as_str(), file.mime.as_str(), file.size), ("a", "b", 3));
    assert_eq!(digest, Digest::of(b"old"));
}

#[tokio::test]
async fn files_of_newer_releases_and_other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(reopen(folder.path()).await);
    let file = folder.path().join(FILE);
    rusqlite::Connection::open(&file).unwrap().execute("UPDATE schema_version SET version = 99", ()).unwrap();
    let newer = SqliteStore::open(folder.path(), options()).await.err().unwrap();
    assert!(matches!(newer, StoreError::Newer { found: 99, known: 4.. }), "{newer:?}");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "not a database, and long enough to be looked at".repeat(100)).unwrap();
    let damaged = SqliteStore::open(folder.path(), options()).await.err().unwrap();
    assert!(matches!(damaged, StoreError::Damaged(_)), "{damaged:?}");
}

#[tokio::test]
async fn many_processes_may_open_a_new_folder_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let stores = join_all((0..6).map(|_| SqliteStore::open(folder.path(), options()))).await;
    let created = join_all(stores.iter().map(|store| store.as_ref().unwrap().create(new_run("a", 1)))).await;
    assert!(created.into_iter().all(|created| created.unwrap() == Created::New));
}

#[tokio::test]
async fn ten_thousand_waiting_runs_take_less_than_4_kb_each() {
    const RUNS: u64 = 10_000;
    let Temporary(store, folder) = sqlite().await;
    let session = open(&store, 1).await;
    for _ in 0..RUNS / 500 {
        join_all((0..500).map(|_| async {
            let owned = Owned::create_in(&store, session, 1).await;
            store.append(owned.append(4)).await.unwrap();
            let owned = Owned { seq: 5, ..owned };
            store.append(owned.release(Release::Waiting { wake_at: None })).await.unwrap();
        }))
        .await;
    }
    let file = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
    drop(store);
    let store = reopen(folder.path()).await;
    assert_eq!(store.runnable(i64::MAX, 10).await.unwrap(), []);

    let bytes: u64 =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!("a waiting run with five records of 300 bytes takes {} bytes on disk", bytes / RUNS);
    assert!(bytes / RUNS < 4_000, "{} bytes", bytes / RUNS);
}

#[tokio::test]
async fn deleted_runs_give_their_room_back() {
    let store = sqlite().await;
    let owned = Owned::create(&*store, 1).await;
    let body = "x".repeat(2 << 20).into();
    store.append(Append { records: vec![StoredRecord { body, ..record(2) }], ..owned.append(0) }).await.unwrap();
    let owned = Owned { seq: 2, ..owned };
    store.append(Append { at: 5, ..owned.release(ended(RunStatus::Succeeded)) }).await.unwrap();
    let pages = async || {
        let pages = |db: &Db| db.first("PRAGMA page_count", (), |row| row.get::<_, i64>(0));
        write(&store, pages).await.unwrap().unwrap()
    };
    let before = pages().await;
    assert_eq!(store.delete_ended(6, 10).await.unwrap(), 1);
    assert!(pages().await < before - 400, "{before} pages before");
}

#[tokio::test]
async fn a_short_lease_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let lease = Duration::from_millis(5);
    let store = SqliteStore::open(folder.path(), SqliteOptions { lease, ..options() }).await.unwrap();
    let owned = Owned::create(&store, 1).await;
    let other = open(&store, 6).await;
    assert!(matches!(store.take(owned.run, other, 6).await.unwrap(), Take::Owned(_)));
    assert!(matches!(store.take(owned.run, other, 7).await.unwrap(), Take::Taken(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_process_lets_another_one_write() {
    const CHAINS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let (busy, other) = (reopen(folder.path()).await, reopen(folder.path()).await);
    let mut mine = Owned::create(&other, 1).await;
    let session = open(&busy, 1).await;
    let (begun, mut begins) = tokio::sync::mpsc::channel(CHAINS);
    let mut chains = tokio::task::JoinSet::new();
    for _ in 0..CHAINS {
        let (busy, begun) = (busy.clone(), begun.clone());
        chains.spawn(async move {
            let mut owned = Owned::create_in(&busy, session, 1).await;
            begun.send(()).await.unwrap();
            loop {
                busy.append(owned.append(2)).await.unwrap();
                owned.seq += 2;
            }
        });
    }
    for _ in 0..CHAINS {
        begins.recv().await.unwrap();
    }
    for _ in 0..50 {
        other.append(mine.append(1)).await.unwrap();
        mine.seq += 1;
    }
    assert!(chains.try_join_next().is_none(), "a chain of the busy process failed");
}

#[tokio::test]
async fn of_two_processes_one_gets_the_room() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (reopen(folder.path()).await, reopen(folder.path()).await);
    let sessions = [open(&first, 1).await, open(&second, 1).await];
    for _ in 0..20 {
        let reject = || counted(&["k"], WhenFull::Reject, 1);
        let (one, two) = futures::join!(first.create(reject()), second.create(reject()));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(
            matches!((&one, &two), (Created::New, Created::Full(_)) | (Created::Full(_), Created::New)),
            "{one:?} {two:?}"
        );

        let waits: Vec<_> = (0..2).map(|_| counted(&["k"], WhenFull::Queue, 1)).collect();
        for run in &waits {
            first.create(run.clone()).await.unwrap();
        }
        let held = first.runnable(2, 10).await.unwrap();
        let [held] = held[..] else { panic!("{held:?}") };
        Owned::take(&first, held, sessions[0], 2).await.end(&first, 3).await;
        let (older, younger) =
            futures::join!(first.take(waits[0].id, sessions[0], 2), second.take(waits[1].id, sessions[1], 2));
        assert!(matches!(older.unwrap(), Take::Taken(_)));
        assert!(matches!(younger.unwrap(), Take::Full(_)));
        let older = Owned::take(&first, waits[0].id, sessions[0], 2).await;
        older.end(&first, 3).await;
        Owned::take(&second, waits[1].id, sessions[1], 2).await.end(&second, 3).await;
    }
}
