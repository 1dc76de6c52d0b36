//! Several processes on one database, and groups of works that meet.

use futures::future::join_all;
use liteagent_backends::{PostgresOptions, PostgresStore};
use liteagent_engine::{
    definition::WhenFull,
    event::RunStatus,
    id::RunId,
    store::{Append, AppendError, Created, Hold, Journal, NewRun, NewTurn, Release, RunPhase, StoreError, Take},
    testing::conformance::{
        holds::counted,
        samples::{Owned, child_of, consumed, idempotency, left, message, new_run, open, records, used},
    },
    value::Value,
};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::Fresh;

#[tokio::test]
async fn two_processes_fence_each_other() {
    let fresh = Fresh::new().await;
    // By the clock of the database.
    let (first, second) =
        (fresh.again(PostgresOptions::default()).await, fresh.again(PostgresOptions::default()).await);
    let owned = Owned::create(&first, 1).await;
    let other = open(&second, 1).await;
    let take = second.take(owned.run, other, i64::MAX).await.unwrap();
    assert!(matches!(take, Take::Owned(owner) if owner == owned.session), "{take:?}");
    assert_eq!(second.runnable(1, 10).await.unwrap(), []);

    fresh.execute(&format!("UPDATE sessions SET heartbeat = heartbeat - 31000 WHERE id = '{}'", owned.session));
    assert_eq!(second.runnable(1, 10).await.unwrap(), [owned.run]);
    let taken = Owned::take(&second, owned.run, other, 1).await;
    first.heartbeat(owned.session, 1).await.unwrap();
    let (stale, good) = tokio::join!(first.append(owned.append(2)), second.append(taken.append(1)));
    assert!(matches!(stale, Err(AppendError::Fenced)), "{stale:?}");
    good.unwrap();
    assert_eq!(first.read(owned.run, 0, 10).await.unwrap(), records(1..=2));
    let back = first.take(owned.run, owned.session, 1).await.unwrap();
    assert!(matches!(back, Take::Owned(owner) if owner == other), "{back:?}");
}

#[tokio::test]
async fn what_the_server_refuses_takes_no_neighbour_with_it() {
    let fresh = Fresh::new().await;
    let session = open(&*fresh, 1).await;
    let runs = join_all((0..6).map(|_| Owned::create_in(&*fresh, session, 1))).await;
    // No index takes a text of this length that cannot be compressed.
    let long: String = (0..20_000_u32)
        .map(|i| char::from(b'!' + (i.wrapping_mul(i).wrapping_mul(2_654_435_761) >> 25) as u8 % 90))
        .collect();
    let appends = runs.iter().enumerate().map(|(i, run)| {
        let send = if i == 3 { vec![(runs[0].run, message(&long))] } else { Vec::new() };
        fresh.append(Append { send, ..run.append(2) })
    });
    for (i, outcome) in join_all(appends).await.into_iter().enumerate() {
        let seq = fresh.run(runs[i].run).await.unwrap().unwrap().seq;
        if i == 3 {
            assert!(matches!(outcome, Err(AppendError::Store(StoreError::Failed(_)))), "{outcome:?}");
            assert_eq!(seq, 1);
        } else {
            outcome.unwrap();
            assert_eq!(seq, 3);
        }
    }
}

#[tokio::test]
async fn of_two_processes_one_gets_the_room() {
    let fresh = Fresh::new().await;
    let (first, second) = (fresh.again(crate::options()).await, fresh.again(crate::options()).await);
    let sessions = [open(&first, 1).await, open(&second, 1).await];
    for _ in 0..10 {
        let reject = || counted(&["k"], WhenFull::Reject, 1);
        let (one, two) = tokio::join!(first.create(reject()), second.create(reject()));
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
            tokio::join!(first.take(waits[0].id, sessions[0], 2), second.take(waits[1].id, sessions[1], 2));
        assert!(matches!(older.unwrap(), Take::Taken(_)));
        assert!(matches!(younger.unwrap(), Take::Full(_)));
        Owned::take(&first, waits[0].id, sessions[0], 2).await.end(&first, 3).await;
        Owned::take(&second, waits[1].id, sessions[1], 2).await.end(&second, 3).await;
    }
}

#[tokio::test]
async fn one_key_gives_one_run_whoever_comes_at_once() {
    let fresh = Fresh::new().await;
    let stores = join_all((0..3).map(|_| fresh.again(crate::options()))).await;
    let new = || NewRun { idempotency: Some(idempotency("ann", "order-1", "x")), ..new_run("a", 1) };
    let starts: Vec<_> = (0..12).map(|_| new()).collect();
    let created =
        join_all(starts.iter().zip(stores.iter().cycle()).map(|(new, store)| store.create(new.clone()))).await;
    let created: Vec<_> = created.into_iter().map(Result::unwrap).collect();
    let first = starts.iter().zip(&created).find(|(_, created)| **created == Created::New).unwrap().0.id;
    assert_eq!(created.iter().filter(|created| **created == Created::New).count(), 1);
    assert!(created.iter().all(|created| matches!(created, Created::New) || *created == Created::Existing(first)));

    // And the same id, without a key.
    let same = new_run("a", 1);
    let created = join_all(stores.iter().map(|store| store.create(same.clone()))).await;
    let fresh_ones = created.into_iter().filter(|created| *created.as_ref().unwrap() == Created::New);
    assert_eq!(fresh_ones.count(), 1);
    assert_eq!(fresh.read(same.id, 0, 10).await.unwrap().len(), 1);
}

/// What a process does: any four numbers mean something.
type Step = [u8; 4];

/// Runs that everyone writes to.
const SHARED: usize = 4;

/// One process: runs its own runs, and writes to those of all.
async fn process(store: PostgresStore, shared: Vec<RunId>, steps: Vec<Step>) {
    let session = open(&store, 1).await;
    let mut owned: Vec<Owned> = Vec::new();
    for [what, first, second, third] in steps {
        let other = |pick: u8| shared[usize::from(pick) % SHARED];
        let key = |pick: u8| format!("k{}", pick % 3);
        let talk = |pick: u8| format!("c{}", pick % 3);
        match what % 8 {
            0 | 1 => {
                let whens = [WhenFull::Queue, WhenFull::Reject, WhenFull::Replace];
                let hold = |pick: u8| Hold { key: key(pick), limit: 2, when_full: whens[usize::from(third) % 3] };
                let mut holds = vec![hold(first), hold(second)];
                holds.dedup_by(|one, other| one.key == other.key);
                let turn =
                    NewTurn { message: "Hi".to_owned(), files: Value::from(Vec::new()), beside: None, speaker: None };
                let mut new = new_run("a", 1);
                if what % 2 == 0 {
                    new = NewRun { holds, conversation: Some(talk(third)), turn: Some(turn), ..new };
                }
                let run = new.id;
                if let Ok(Take::Taken(taken)) = store.create_taken(new, session).await.unwrap() {
                    owned.push(Owned { run, session, epoch: taken.epoch, seq: 1 });
                }
            }
            2 => drop(store.send(other(first), message(&format!("m{second}"))).await.unwrap()),
            3 => {
                if let Take::Taken(taken) = store.take(other(first), session, 40_000).await.unwrap() {
                    owned.push(Owned { run: other(first), session, epoch: taken.epoch, seq: taken.row.seq });
                }
            }
            4 | 5 => {
                let Some(run) = owned.last_mut() else { continue };
                let mut append = run.append(2);
                if third % 2 == 0 {
                    append.send = [first, second].map(|pick| (other(pick), message(&format!("m{third}")))).into();
                    append.children = vec![child_of(run.run, 1)];
                }
                if store.append(append).await.is_ok() {
                    run.seq += 2;
                }
            }
            6 => drop(store.delete_ended(i64::MAX, 2).await.unwrap()),
            _ => {
                let Some(run) = owned.pop() else { continue };
                let consumed = consumed(&store, run.run).await;
                let end = Release::Ended {
                    status: RunStatus::Succeeded,
                    error: None,
                    conversation: Some(left(&talk(first), "v")),
                    usage: Box::new(used([("a", 1), ("b", 2)])),
                };
                let release = if shared.contains(&run.run) { Release::Queued } else { end };
                match store.append(Append { consumed, ..run.release(release) }).await {
                    Ok(()) | Err(AppendError::Fenced | AppendError::InboxNotEmpty) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    store.close_session(session).await.unwrap();
}

#[test]
fn processes_that_meet_never_lock_each_other_out() {
    const PROCESSES: usize = 8;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fresh = runtime.block_on(Fresh::new());
    let stores: Vec<_> = (0..PROCESSES).map(|_| runtime.block_on(fresh.again(crate::options()))).collect();
    let steps = prop::collection::vec(any::<[u8; 4]>(), 20..40);
    let scripts = prop::collection::vec(steps, PROCESSES);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() });
    let played = runner.run(&scripts, |scripts| {
        runtime.block_on(async {
            let mut shared = Vec::new();
            for _ in 0..SHARED {
                let new = new_run("shared", 1);
                shared.push(new.id);
                fresh.create(new).await.unwrap();
            }
            let processes = stores.iter().zip(scripts);
            let processes = processes.map(|(store, steps)| tokio::spawn(process(store.clone(), shared.clone(), steps)));
            for process in join_all(processes).await {
                process.unwrap();
            }
            check(&fresh).await;
        });
        Ok(())
    });
    played.unwrap();
    let deadlocks = fresh.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
    assert_eq!(deadlocks, "0");
}

/// Journals have no gaps, nobody holds more than there is room for, and every session is closed.
async fn check(fresh: &Fresh) {
    let gaps = "SELECT count(*) FROM runs WHERE seq <> (SELECT count(*) FROM records WHERE run = number) \
                OR seq <> (SELECT max(seq) FROM records WHERE run = number)";
    assert_eq!(fresh.execute(gaps), "0");
    let full =
        "SELECT count(*) FROM (SELECT FROM holds WHERE held GROUP BY key HAVING count(*) > min(room)) AS full_keys";
    assert_eq!(fresh.execute(full), "0");
    let rows = fresh.runs(liteagent_engine::store::RunFilter { phase: Some(RunPhase::Running), ..Default::default() });
    assert_eq!(rows.await.unwrap(), []);
}
