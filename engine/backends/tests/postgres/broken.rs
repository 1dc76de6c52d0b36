//! Connections that break, and a server that goes away.

use std::collections::BTreeMap;

use futures::future::join_all;
use liteagent_backends::{PostgresOptions, PostgresStore, testing::PostgresServer};
use liteagent_engine::{
    event::RunStatus,
    id::SessionId,
    store::{Append, AppendError, Journal, NewRun, NewTurn, Release, StoreError, Take},
    testing::conformance::samples::{Owned, child_of, consumed, left, message, new_run, open, records, used},
    value::Value,
};

use crate::{
    Fresh, options,
    proxy::{Cut, Proxy},
};

/// A run that was begun, and what is known of it.
struct Known {
    run: Owned,
    /// Whether the last append is known to be there.
    is_sure: bool,
}

/// Does everything once: creates and takes a run, sends, appends with a child and a message, ends. What fails is not done
/// again. The runs, as far as they came.
async fn work(store: &PostgresStore, session: SessionId, friend: &Owned) -> Vec<Known> {
    let turn = NewTurn { message: "Hi".to_owned(), files: Value::from(Vec::new()), beside: None, speaker: None };
    let new = NewRun { conversation: Some("c".to_owned()), turn: Some(turn), ..new_run("a", 1) };
    let Ok(Ok(Take::Taken(taken))) = store.create_taken(new.clone(), session).await else { return Vec::new() };
    let mut run = Owned { run: new.id, session, epoch: taken.epoch, seq: 1 };
    store.send(run.run, message("m")).await.ok();
    let first = Append {
        children: vec![child_of(run.run, 1)],
        send: vec![(friend.run, message(&run.run.to_string()))],
        ..run.append(2)
    };
    if store.append(first).await.is_err() {
        return vec![Known { run, is_sure: false }];
    }
    run.seq += 2;
    let end = Release::Ended {
        status: RunStatus::Succeeded,
        error: None,
        conversation: Some(left("c", "v")),
        usage: Box::new(used([("m", 3)])),
    };
    let messages = match store.inbox(run.run).await {
        Ok(messages) => messages.iter().map(|message| message.row).collect(),
        Err(_) => return vec![Known { run, is_sure: true }],
    };
    let last = Append { consumed: messages, release: Some(end), ..run.append(1) };
    let is_sure = store.append(last).await.is_ok();
    if is_sure {
        run.seq += 1;
    }
    vec![Known { run, is_sure }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_break_at_any_statement() {
    let fresh = Fresh::new().await;
    let proxy = Proxy::before(&PostgresServer::shared());
    // One writer, and nothing else but the inbox is read: every message of the client is one step of a transaction.
    let settings = PostgresOptions { writers: 1, ..options() };
    let store = PostgresStore::open(&proxy.url(fresh.url()), settings).await.unwrap();
    let session = open(&*fresh, 1).await;
    let friend = Owned::create_in(&*fresh, session, 1).await;
    // The first time statements are prepared.
    work(&store, session, &friend).await;

    let (mut unsure, mut cuts) = (BTreeMap::new(), 0);
    for cut in [Cut::Before, Cut::After] {
        for step in 0.. {
            proxy.cut_after(step, cut);
            let known = work(&store, session, &friend).await;
            if !proxy.was_cut() {
                break;
            }
            cuts += 1;
            for Known { run, is_sure } in known {
                let row = fresh.run(run.run).await.unwrap().unwrap();
                let found = fresh.read(run.run, 0, 100).await.unwrap();
                assert_eq!(found, records(1..=row.seq), "{cut:?} at {step}: no gap, and nothing twice");
                if is_sure {
                    assert_eq!(row.seq, run.seq, "{cut:?} at {step}: what was acknowledged is there, and no more");
                } else {
                    *unsure.entry(format!("{cut:?}")).or_insert(0) += 1;
                    let child = fresh.run(child_of(run.run, 1).id).await.unwrap();
                    assert_eq!(child.is_some(), row.seq > 1, "{cut:?} at {step}: all or nothing");
                }
                if row.phase != liteagent_engine::store::RunPhase::Ended {
                    let again = Owned::take(&*fresh, run.run, session, 2).await;
                    assert_eq!((again.epoch, again.seq), (run.epoch + 1, row.seq));
                    let stale = store.append(Owned { seq: row.seq, ..run.clone() }.append(1)).await;
                    assert!(matches!(stale, Err(AppendError::Fenced)), "{stale:?}");
                    let consumed = consumed(&*fresh, run.run).await;
                    let end = Append { consumed, ..again.release(Release::Queued) };
                    fresh.append(end).await.unwrap();
                }
            }
        }
    }
    assert!(cuts > 30, "{cuts} cuts");
    assert!(unsure.get("Before").is_none_or(|unsure| *unsure <= 2), "only the commit is not known: {unsure:?}");
    assert!(unsure.get("After").is_some_and(|unsure| *unsure <= 4), "only the commit is not known: {unsure:?}");
    let used = fresh.execute("SELECT sum(runs) = (SELECT count(*) FROM runs WHERE phase = 3) FROM usage");
    assert_eq!(used, "t", "every end was counted once");
}

/// Takes a run again, as often as it must.
async fn take(store: &PostgresStore, run: &Owned) -> Owned {
    loop {
        match store.take(run.run, run.session, 2).await {
            Ok(Take::Taken(taken)) => return Owned { epoch: taken.epoch, seq: taken.row.seq, ..run.clone() },
            Ok(other) => panic!("{other:?}"),
            Err(StoreError::Failed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed_lose_nothing() {
    let fresh = Fresh::new().await;
    let session = open(&*fresh, 1).await;
    let mut runs = Vec::new();
    for _ in 0..8 {
        runs.push(Owned::create_in(&*fresh, session, 1).await);
    }
    let appends = runs.into_iter().map(|mut run| {
        let store = (*fresh).clone();
        tokio::spawn(async move {
            for _ in 0..60 {
                match store.append(run.append(1)).await {
                    Ok(()) => run.seq += 1,
                    Err(AppendError::Store(StoreError::Failed(_))) => {
                        let seq = run.seq;
                        run = take(&store, &run).await;
                        assert!(run.seq == seq || run.seq == seq + 1, "{} after {seq}", run.seq);
                    }
                    other => panic!("{other:?}"),
                }
            }
            run
        })
    });
    let appends: Vec<_> = appends.collect();
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while !appends.iter().all(tokio::task::JoinHandle::is_finished) {
        fresh.execute(kill);
    }
    for run in join_all(appends).await {
        let run = run.unwrap();
        assert_eq!(fresh.read(run.run, 0, 100).await.unwrap(), records(1..=run.seq));
        assert!(run.seq > 1);
    }
}

#[tokio::test]
async fn a_server_may_be_restarted() {
    let server = PostgresServer::start();
    let store = crate::open(&server.database()).await;
    let mut run = Owned::create(&store, 1).await;
    store.append(run.append(1)).await.unwrap();
    run.seq += 1;
    server.stop();
    let late = PostgresOptions { patience: std::time::Duration::from_millis(100), ..options() };
    let unreachable = PostgresStore::open(&server.url("test0"), late).await;
    assert!(matches!(unreachable, Err(StoreError::Failed(_))));
    // Longer ago than a connection is believed to be there.
    tokio::time::timeout(std::time::Duration::from_millis(101), std::future::pending::<()>()).await.unwrap_err();
    let (waits, ()) = tokio::join!(store.append(run.append(1)), async {
        tokio::task::yield_now().await;
        server.go_on();
    });
    waits.unwrap();
    assert_eq!(store.read(run.run, 0, 10).await.unwrap(), records(1..=3));
}

#[tokio::test]
async fn another_timeline_makes_owners_drop_their_state() {
    let server = PostgresServer::start();
    let store = crate::open(&server.database()).await;
    let run = Owned::create(&store, 1).await;
    server.change_timeline();
    let stale = store.append(run.append(1)).await;
    assert!(matches!(stale, Err(AppendError::Fenced)), "{stale:?}");
    let again = Owned::take(&store, run.run, run.session, 2).await;
    store.append(again.append(1)).await.unwrap();
}
