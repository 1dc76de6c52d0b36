//! Lists of runs, and their deletion.

use super::samples::{Owned, child_of, consumed, ended, idempotency, message, new_run, open};
use crate::{
    event::RunStatus,
    id::{Digest, RunId},
    store::{Append, Backlog, Created, DEFAULT_LEASE, Journal, NewRun, Release, RunFilter, RunPhase},
    units::Millis,
};

async fn list(journal: &dyn Journal, filter: RunFilter) -> Vec<RunId> {
    journal.runs(filter).await.unwrap().into_iter().map(|row| row.id).collect()
}

pub async fn runs_are_listed_newest_first_in_pages(journal: &dyn Journal) {
    let mut newest_first = Vec::new();
    for i in 0..120 {
        let new = if i % 2 == 0 { new_run("a", i) } else { child_of(RunId::random(), i) };
        newest_first.insert(0, new.id);
        journal.create(new).await.unwrap();
    }
    assert_eq!(list(journal, RunFilter::default()).await, newest_first[..100]);
    let page = |before| RunFilter { before, limit: 50, ..RunFilter::default() };
    assert_eq!(list(journal, page(None)).await, newest_first[..50]);
    assert_eq!(list(journal, page(Some(newest_first[49]))).await, newest_first[50..100]);
    assert_eq!(list(journal, page(Some(newest_first[99]))).await, newest_first[100..]);
    assert_eq!(list(journal, page(Some(newest_first[119]))).await, []);
    assert_eq!(list(journal, page(Some(RunId::random()))).await, []);
}

pub async fn runs_are_filtered(journal: &dyn Journal) {
    let (failed, waiting) = (Owned::create(journal, 1).await, Owned::create(journal, 1).await);
    journal.append(failed.release(ended(RunStatus::Failed))).await.unwrap();
    let child = child_of(waiting.run, 2);
    let end = waiting.release(Release::Waiting { wake_at: None });
    journal.append(Append { children: vec![child.clone()], ..end }).await.unwrap();

    let filter = RunFilter::default;
    let workflow = |name: &str| RunFilter { workflow: Some(name.to_owned()), ..filter() };
    assert_eq!(list(journal, workflow("support/answer")).await, [waiting.run, failed.run]);
    assert_eq!(list(journal, workflow("nothing")).await, []);
    let phase = |phase| RunFilter { phase: Some(phase), ..filter() };
    assert_eq!(list(journal, phase(RunPhase::Waiting)).await, [waiting.run]);
    assert_eq!(list(journal, phase(RunPhase::Queued)).await, [child.id]);
    assert_eq!(list(journal, phase(RunPhase::Ended)).await, [failed.run]);
    assert_eq!(list(journal, phase(RunPhase::Running)).await, []);
    let status = |status| RunFilter { status: Some(status), ..filter() };
    assert_eq!(list(journal, status(RunStatus::Failed)).await, [failed.run]);
    assert_eq!(list(journal, status(RunStatus::Succeeded)).await, []);
    assert_eq!(list(journal, RunFilter { parent: Some(waiting.run), ..filter() }).await, [child.id]);
    assert_eq!(list(journal, RunFilter { subject: Some("ann".to_owned()), ..filter() }).await, []);
    let ann = NewRun { subject: Some("ann".to_owned()), ..child_of(failed.run, 3) };
    journal.create(ann.clone()).await.unwrap();
    assert_eq!(list(journal, RunFilter { subject: ann.subject.clone(), ..filter() }).await, [ann.id]);
    let both = RunFilter { phase: Some(RunPhase::Ended), limit: 1, ..workflow("support/answer") };
    assert_eq!(list(journal, both).await, [failed.run]);
}

pub async fn queued_runs_are_runnable_oldest_first(journal: &dyn Journal) {
    let mut oldest_first = Vec::new();
    for at in 0..5 {
        let new = new_run("a", at);
        oldest_first.push(new.id);
        journal.create(new).await.unwrap();
    }
    assert_eq!(journal.runnable(0, 10).await.unwrap(), oldest_first);
    assert_eq!(journal.runnable(0, 3).await.unwrap(), oldest_first[..3]);
    let session = open(journal, 1).await;
    Owned::take(journal, oldest_first[0], session, 1).await;
    assert_eq!(journal.runnable(1, 10).await.unwrap(), oldest_first[1..]);
}

pub async fn runs_of_dead_sessions_are_runnable(journal: &dyn Journal) {
    let lease = DEFAULT_LEASE.as_millis() as Millis;
    let closed = Owned::create(journal, 1).await;
    let silent = Owned::create(journal, 1).await;
    let alive = Owned::create(journal, 1).await;
    assert_eq!(journal.runnable(1, 10).await.unwrap(), []);
    journal.close_session(closed.session).await.unwrap();
    assert_eq!(journal.runnable(1, 10).await.unwrap(), [closed.run]);
    journal.heartbeat(alive.session, 2).await.unwrap();
    assert_eq!(journal.runnable(1 + lease, 10).await.unwrap(), [closed.run]);
    assert_eq!(journal.runnable(2 + lease, 10).await.unwrap(), [closed.run, silent.run]);
}

pub async fn waiting_runs_are_runnable_when_their_time_has_come(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let mut runs = Vec::new();
    for wake_at in [Some(300), None, Some(200)] {
        let owned = Owned::create_in(journal, session, 1).await;
        journal.append(owned.release(Release::Waiting { wake_at })).await.unwrap();
        runs.push(owned.run);
    }
    assert_eq!(journal.runnable(199, 10).await.unwrap(), []);
    assert_eq!(journal.runnable(200, 10).await.unwrap(), [runs[2]]);
    assert_eq!(journal.runnable(5000, 10).await.unwrap(), [runs[0], runs[2]]);
}

pub async fn the_backlog_says_how_much_waits_and_since_when(journal: &dyn Journal) {
    assert_eq!(journal.backlog(100).await.unwrap(), Backlog::default());
    let session = open(journal, 1).await;
    for wake_at in [Some(300), None, Some(200)] {
        let owned = Owned::create_in(journal, session, 1).await;
        journal.append(owned.release(Release::Waiting { wake_at })).await.unwrap();
    }
    let ended_run = Owned::create_in(journal, session, 1).await;
    journal.append(ended_run.release(ended(RunStatus::Failed))).await.unwrap();
    let rests = Backlog { waiting: 3, ..Backlog::default() };
    assert_eq!(journal.backlog(199).await.unwrap(), rests);
    let late = Backlog { runnable: 2, runnable_since: Some(200), overdue_since: Some(200), ..rests };
    assert_eq!(journal.backlog(400).await.unwrap(), late);
    Owned::create_in(journal, session, 2).await;
    journal.create(new_run("a", 150)).await.unwrap();
    let more = Backlog { queued: 1, running: 1, runnable: 3, runnable_since: Some(150), ..late };
    assert_eq!(journal.backlog(400).await.unwrap(), more);
}

pub async fn waiting_runs_with_messages_are_runnable(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let owned = Owned::create_in(journal, session, 1).await;
    journal.append(owned.release(Release::Waiting { wake_at: Some(300) })).await.unwrap();
    journal.send(owned.run, message("m1")).await.unwrap();
    journal.send(owned.run, message("m2")).await.unwrap();
    assert_eq!(journal.runnable(1, 10).await.unwrap(), [owned.run]);

    let again = Owned::take(journal, owned.run, session, 2).await;
    assert_eq!(journal.runnable(2, 10).await.unwrap(), []);
    let consumed = consumed(journal, owned.run).await;
    let wait = again.release(Release::Waiting { wake_at: None });
    journal.append(Append { consumed, ..wait }).await.unwrap();
    assert_eq!(journal.runnable(1000, 10).await.unwrap(), []);
}

pub async fn old_runs_are_deleted_whole(journal: &dyn Journal) {
    let (mine, shared) = (Digest::of(b"mine"), Digest::of(b"shared"));
    let session = open(journal, 1).await;
    let old = NewRun { idempotency: Some(idempotency("ann", "k", "x")), ..new_run("a", 1) };
    journal.create(old.clone()).await.unwrap();
    let ending = Owned::take(journal, old.id, session, 1).await;
    let end = Append { at: 5, blobs: vec![mine.clone(), shared.clone()], ..ending.release(ended(RunStatus::Failed)) };
    journal.append(end).await.unwrap();
    let recent = Owned::create_in(journal, session, 1).await;
    journal.append(Append { blobs: vec![shared.clone()], ..recent.append(0) }).await.unwrap();
    recent.end(journal, 10).await;
    let open = Owned::create_in(journal, session, 1).await;

    assert_eq!(journal.delete_ended(5, 10).await.unwrap(), 0);
    assert_eq!(journal.delete_ended(10, 10).await.unwrap(), 1);
    assert_eq!(journal.run(old.id).await.unwrap(), None);
    assert_eq!(journal.read(old.id, 0, 10).await.unwrap(), []);
    assert!(!journal.has_blob_rows(&mine).await.unwrap());
    assert!(journal.has_blob_rows(&shared).await.unwrap());
    assert_eq!(list(journal, RunFilter::default()).await, [open.run, recent.run]);
    assert_eq!(journal.read(recent.run, 0, 10).await.unwrap().len(), 1);
    assert_eq!(journal.create(old).await.unwrap(), Created::New);
}

pub async fn as_many_old_runs_are_deleted_as_asked(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let mut runs = Vec::new();
    for at in 2..7 {
        let owned = Owned::create_in(journal, session, 1).await;
        owned.end(journal, at).await;
        runs.insert(0, owned.run);
    }
    assert_eq!(journal.delete_ended(100, 2).await.unwrap(), 2);
    assert_eq!(list(journal, RunFilter::default()).await, runs[..3]);
    assert_eq!(journal.delete_ended(100, 10).await.unwrap(), 3);
    assert_eq!(list(journal, RunFilter::default()).await, []);
}
