//! Runs that are counted together.

use futures::future::join_all;

use super::samples::{Owned, child_of, consumed, ended, message, new_run, open, sight};
use crate::{
    definition::WhenFull,
    event::RunStatus,
    id::{RunId, SessionId},
    store::{Append, Created, Hold, Journal, Message, MessageBody, NewRun, RunPhase, Take},
    units::Millis,
};

/// A run under these keys; each lets one run go on.
pub fn counted(keys: &[&str], when_full: WhenFull, at: Millis) -> NewRun {
    let holds = keys.iter().map(|key| Hold { key: (*key).to_owned(), limit: 1, when_full }).collect();
    NewRun { holds, ..new_run("counted", at) }
}

async fn create(journal: &dyn Journal, new: NewRun) -> RunId {
    assert_eq!(journal.create(new.clone()).await.unwrap(), Created::New);
    new.id
}

async fn queue(journal: &dyn Journal, keys: &[&str]) -> RunId {
    create(journal, counted(keys, WhenFull::Queue, 1)).await
}

/// Whom a run waits for, as every call says it.
async fn ahead(journal: &dyn Journal, run: RunId, session: SessionId) -> Vec<RunId> {
    let before = sight(journal, run).await;
    let Take::Full(ahead) = journal.take(run, session, 2).await.unwrap() else { panic!("{run} has room") };
    assert_eq!(journal.ahead(run).await.unwrap(), ahead);
    assert_eq!(sight(journal, run).await, before);
    ahead
}

async fn runnable(journal: &dyn Journal) -> Vec<RunId> {
    journal.runnable(2, 10).await.unwrap()
}

async fn cancels(journal: &dyn Journal, run: RunId) -> usize {
    let inbox = journal.inbox(run).await.unwrap();
    inbox.iter().filter(|message| matches!(message.message.body, MessageBody::Cancel { .. })).count()
}

pub async fn a_run_without_room_waits_and_the_oldest_goes_first(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let first = queue(journal, &["k"]).await;
    let (second, third) = (queue(journal, &["k"]).await, queue(journal, &["k"]).await);
    let other = queue(journal, &["other"]).await;
    assert_eq!(runnable(journal).await, [first, other]);
    assert_eq!((journal.ahead(first).await.unwrap(), journal.first_in_line("k").await.unwrap()), (vec![], None));

    let owned = Owned::take(journal, first, session, 2).await;
    assert_eq!(ahead(journal, second, session).await, [first]);
    assert_eq!(ahead(journal, third, session).await, [first]);
    assert_eq!(runnable(journal).await, [other]);

    owned.end(journal, 3).await;
    assert_eq!(ahead(journal, third, session).await, [second]);
    assert_eq!(journal.first_in_line("k").await.unwrap(), Some(second));
    assert_eq!(runnable(journal).await, [second, other]);
    Owned::take(journal, second, session, 2).await.end(journal, 4).await;
    Owned::take(journal, third, session, 2).await;
    assert_eq!(journal.first_in_line("k").await.unwrap(), None);
}

pub async fn a_run_keeps_its_room_while_it_waits_or_is_lost(journal: &dyn Journal) {
    let (session, other) = (open(journal, 1).await, open(journal, 1).await);
    let (first, second) = (queue(journal, &["k"]).await, queue(journal, &["k"]).await);
    let owned = Owned::take(journal, first, session, 2).await;
    journal.append(owned.release(crate::store::Release::Waiting { wake_at: None })).await.unwrap();
    assert_eq!(ahead(journal, second, session).await, [first]);
    Owned::take(journal, first, session, 2).await;
    journal.close_session(session).await.unwrap();
    assert_eq!(ahead(journal, second, other).await, [first]);
    assert_eq!(runnable(journal).await, [first]);
    Owned::take(journal, first, other, 2).await.end(journal, 3).await;
    Owned::take(journal, second, other, 2).await;
}

pub async fn a_run_that_does_not_wait_is_rejected(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let first = queue(journal, &["k"]).await;
    let key = super::samples::idempotency("ann", "order-1", "x");
    let rejected = NewRun { idempotency: Some(key), ..counted(&["k"], WhenFull::Reject, 1) };
    assert_eq!(journal.create(rejected.clone()).await.unwrap(), Created::Full(vec![first]));
    assert_eq!(journal.run(rejected.id).await.unwrap(), None);
    Owned::take(journal, first, session, 2).await.end(journal, 3).await;

    let waits = queue(journal, &["k"]).await;
    assert_eq!(journal.create(rejected.clone()).await.unwrap(), Created::Full(vec![waits]));
    Owned::take(journal, waits, session, 2).await.end(journal, 3).await;
    assert_eq!(journal.create(rejected.clone()).await.unwrap(), Created::New);
    let again = NewRun { id: RunId::random(), ..rejected.clone() };
    assert_eq!(journal.create(again).await.unwrap(), Created::Existing(rejected.id));
}

pub async fn a_run_that_replaces_asks_the_oldest_to_stop(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let replace = || counted(&["k"], WhenFull::Replace, 1);
    let first = create(journal, replace()).await;
    let owned = Owned::take(journal, first, session, 2).await;
    let second = create(journal, replace()).await;
    let third = create(journal, replace()).await;
    // A second cancel would end its handlers, so it is asked once.
    assert_eq!(
        [cancels(journal, first).await, cancels(journal, second).await, cancels(journal, third).await],
        [1, 1, 0]
    );
    assert_eq!(ahead(journal, third, session).await, [first]);

    // Who has not begun can end without room.
    assert_eq!(runnable(journal).await, [second]);
    let stopped = Owned::take(journal, second, session, 2).await;
    for owned in [owned, stopped] {
        let consumed = consumed(journal, owned.run).await;
        journal.append(Append { consumed, ..owned.release(ended(RunStatus::Cancelled)) }).await.unwrap();
    }
    Owned::take(journal, third, session, 2).await;
}

pub async fn a_waiting_run_begins_without_room_only_to_stop(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let (first, second) = (queue(journal, &["k"]).await, queue(journal, &["k"]).await);
    assert!(journal.send(second, message("m1")).await.unwrap());
    assert_eq!(ahead(journal, second, session).await, [first]);
    assert_eq!(runnable(journal).await, [first]);
    let cancel = Message { id: "c".to_owned(), at: 5, body: MessageBody::Cancel { by: None } };
    assert!(journal.send(second, cancel).await.unwrap());
    assert_eq!(runnable(journal).await, [first, second]);
    // It holds nothing: the line goes on as if it were not there.
    let stopping = Owned::take(journal, second, session, 2).await;
    Owned::take(journal, first, session, 2).await;
    let again = Owned::take(journal, second, session, 2).await;
    assert_eq!(again.epoch, stopping.epoch + 1);
}

pub async fn a_run_takes_all_its_keys_or_none(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let first = queue(journal, &["a"]).await;
    let both = queue(journal, &["a", "b"]).await;
    // It waits for `a`, so it is not in the way of those who want `b`.
    let third = queue(journal, &["b"]).await;
    assert_eq!(ahead(journal, both, session).await, [first, third]);
    assert_eq!(runnable(journal).await, [first, third]);
    let third = Owned::take(journal, third, session, 2).await;
    Owned::take(journal, first, session, 2).await.end(journal, 3).await;
    assert_eq!(ahead(journal, both, session).await, [third.run]);
    third.end(journal, 3).await;
    assert_eq!(journal.first_in_line("b").await.unwrap(), Some(both));
    Owned::take(journal, both, session, 2).await;
    let late = queue(journal, &["a"]).await;
    assert_eq!(ahead(journal, late, session).await, [both]);
}

pub async fn a_run_below_one_that_holds_the_key_is_not_counted(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let first = Owned::take(journal, queue(journal, &["k"]).await, session, 2).await;
    let below = |parent: RunId, when_full| NewRun { holds: counted(&["k"], when_full, 1).holds, ..child_of(parent, 1) };
    let child = below(first.run, WhenFull::Reject);
    journal.append(Append { children: vec![child.clone()], ..first.append(0) }).await.unwrap();
    let child = Owned::take(journal, child.id, session, 2).await;
    let grandchild = below(child.run, WhenFull::Queue);
    journal.append(Append { children: vec![grandchild.clone()], ..child.append(0) }).await.unwrap();
    Owned::take(journal, grandchild.id, session, 2).await;

    // Below another run it is counted, and its parent is told at once.
    let other = Owned::create(journal, 1).await;
    let rejected = below(other.run, WhenFull::Reject);
    journal.append(Append { children: vec![rejected.clone()], ..other.append(0) }).await.unwrap();
    assert_eq!(journal.run(rejected.id).await.unwrap(), None);
    let inbox = journal.inbox(other.run).await.unwrap();
    let [told] = &inbox[..] else { panic!("{inbox:?}") };
    let MessageBody::ChildEnded { node, attempt: 1, status: RunStatus::Failed, error: Some(error), .. } =
        &told.message.body
    else {
        panic!("{told:?}")
    };
    assert_eq!((node.as_str(), error.code.as_str()), ("call", "LA2013"));
    assert!(error.message.contains(&first.run.to_string()), "{}", error.message);
}

pub async fn as_many_as_the_limit_go_on_whoever_comes_at_once(journal: &dyn Journal) {
    const LIMIT: u32 = 3;
    let session = open(journal, 1).await;
    let new = || NewRun {
        holds: vec![Hold { key: "k".to_owned(), limit: LIMIT, when_full: WhenFull::Queue }],
        ..new_run("counted", 1)
    };
    let runs: Vec<NewRun> = (0..20).map(|_| new()).collect();
    join_all(runs.iter().map(|run| journal.create(run.clone()))).await;
    let mut ended = 0;
    while ended < runs.len() {
        join_all(runs.iter().map(|run| journal.take(run.id, session, 2))).await;
        let mut going = Vec::new();
        for run in &runs {
            let row = journal.run(run.id).await.unwrap().unwrap();
            going.extend((row.phase == RunPhase::Running).then_some((row.id, row.epoch)));
        }
        assert!(!going.is_empty() && going.len() <= LIMIT as usize, "{going:?}");
        for (run, epoch) in going {
            ended += 1;
            Owned { run, session, epoch, seq: 1 }.end(journal, 3).await;
        }
    }
}
