//! Who may take a run.

use futures::future::join_all;

use super::samples::{Owned, ended, new_run, open, phase, sight};
use crate::{
    event::RunStatus,
    id::{RunId, SessionId},
    store::{AppendError, DEFAULT_LEASE, Journal, Release, RunPhase, StoreError, Take},
    units::Millis,
};

const LEASE: Millis = DEFAULT_LEASE.as_millis() as Millis;

pub async fn a_run_is_taken_by_one_of_many(journal: &dyn Journal) {
    let new = new_run("a", 1);
    journal.create(new.clone()).await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(open(journal, 1).await);
    }
    let takes = join_all(sessions.iter().map(|session| journal.take(new.id, *session, 2))).await;
    let epochs = takes.iter().filter_map(|take| match take.as_ref().unwrap() {
        Take::Taken(taken) => Some(taken.epoch),
        Take::Owned(_) => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(epochs.collect::<Vec<_>>(), [1]);
}

pub async fn a_run_of_a_living_session_cannot_be_taken(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    let other = open(journal, 1).await;
    let before = sight(journal, owned.run).await;
    let take = journal.take(owned.run, other, 2).await.unwrap();
    assert!(matches!(take, Take::Owned(owner) if owner == owned.session), "{take:?}");
    assert_eq!(sight(journal, owned.run).await, before);
}

pub async fn a_session_may_take_its_own_run_again(journal: &dyn Journal) {
    let first = Owned::create(journal, 1).await;
    let again = Owned::take(journal, first.run, first.session, 2).await;
    assert_eq!((first.epoch, again.epoch), (1, 2));
    let outcome = journal.append(first.append(1)).await;
    assert!(matches!(outcome, Err(AppendError::Fenced)), "{outcome:?}");
    journal.append(again.append(1)).await.unwrap();
}

pub async fn a_closed_session_gives_up_its_runs(journal: &dyn Journal) {
    let first = Owned::create(journal, 1).await;
    let other = open(journal, 1).await;
    journal.close_session(first.session).await.unwrap();
    assert_eq!(phase(journal, first.run).await, RunPhase::Queued, "nobody died");
    let second = Owned::take(journal, first.run, other, 2).await;
    assert_eq!(second.epoch, 2);
    let outcome = journal.append(first.append(1)).await;
    assert!(matches!(outcome, Err(AppendError::Fenced)), "{outcome:?}");
    journal.append(second.append(1)).await.unwrap();
}

pub async fn a_silent_session_gives_up_its_runs(journal: &dyn Journal) {
    let first = Owned::create(journal, 1).await;
    journal.heartbeat(first.session, 100).await.unwrap();
    let late = 100 + LEASE + 1;
    let other = open(journal, late).await;
    let take = journal.take(first.run, other, late - 1).await.unwrap();
    assert!(matches!(take, Take::Owned(_)), "{take:?}");
    assert!(journal.is_alive(first.session, late - 1).await.unwrap());
    assert!(!journal.is_alive(first.session, late).await.unwrap());
    let second = Owned::take(journal, first.run, other, late).await;

    journal.heartbeat(first.session, late).await.unwrap();
    let outcome = journal.append(first.append(1)).await;
    assert!(matches!(outcome, Err(AppendError::Fenced)), "{outcome:?}");
    let take = journal.take(first.run, first.session, late).await.unwrap();
    assert!(matches!(take, Take::Owned(_)), "{take:?}");
    journal.append(second.append(1)).await.unwrap();
}

pub async fn only_an_open_session_takes_runs(journal: &dyn Journal) {
    let new = new_run("a", 1);
    journal.create(new.clone()).await.unwrap();
    let closed = open(journal, 1).await;
    journal.close_session(closed).await.unwrap();
    for session in [closed, SessionId::random()] {
        let take = journal.take(new.id, session, 2).await;
        assert!(matches!(take, Err(StoreError::Failed(_))), "{take:?}");
        let beat = journal.heartbeat(session, 2).await;
        assert!(matches!(beat, Err(StoreError::Failed(_))), "{beat:?}");
        assert!(!journal.is_alive(session, 2).await.unwrap());
    }
}

pub async fn a_released_run_can_be_taken_by_anyone(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    for (release, phase, wake_at) in [
        (Release::Queued, RunPhase::Queued, None),
        (Release::Waiting { wake_at: None }, RunPhase::Waiting, None),
        (Release::Waiting { wake_at: Some(99) }, RunPhase::Waiting, Some(99)),
    ] {
        let owned = Owned::create(journal, 1).await;
        journal.append(owned.release(release)).await.unwrap();
        let row = journal.run(owned.run).await.unwrap().unwrap();
        assert_eq!((row.phase, row.owner, row.wake_at), (phase, None, wake_at));

        let Take::Taken(taken) = journal.take(owned.run, session, 2).await.unwrap() else { panic!("not taken") };
        assert_eq!((taken.epoch, &taken.row), (2, &row));
        let row = journal.run(owned.run).await.unwrap().unwrap();
        assert_eq!((row.phase, row.owner, row.wake_at), (RunPhase::Running, Some(session), None));
    }
}

pub async fn what_ended_or_is_unknown_cannot_be_taken(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    journal.append(owned.release(ended(RunStatus::Cancelled))).await.unwrap();
    let take = journal.take(owned.run, owned.session, 2).await.unwrap();
    assert!(matches!(take, Take::Ended), "{take:?}");
    let take = journal.take(RunId::random(), owned.session, 2).await.unwrap();
    assert!(matches!(take, Take::Unknown), "{take:?}");
}
