//! How runs and bundles begin to exist.

use super::samples::{Owned, ended, idempotency, left, new_run, records};
use crate::{
    event::RunStatus,
    id::{Digest, RunId, SessionId},
    store::{Created, IDEMPOTENCY_WINDOW, Journal, NewRun, Parent, Release, RunPhase, Take},
    units::Millis,
    value::Value,
};

pub async fn a_run_begins_queued_with_its_records(journal: &dyn Journal) {
    let parent = Parent { run: RunId::random(), node: "each[3].call".to_owned(), attempt: 2 };
    let blob = Digest::of(b"large");
    let new = NewRun {
        records: records(1..=3),
        parent: Some(parent.clone()),
        conversation: Some("c1".to_owned()),
        blobs: vec![blob.clone()],
        ..new_run("support/answer", 7)
    };
    assert_eq!(journal.create(new.clone()).await.unwrap(), Created::New);

    let row = journal.run(new.id).await.unwrap().unwrap();
    assert_eq!((row.id, row.workflow.as_str(), &row.digest), (new.id, "support/answer", &new.digest));
    assert_eq!((row.phase, row.status, row.owner, row.wake_at), (RunPhase::Queued, None, None, None));
    assert_eq!((row.epoch, row.seq, row.created_at, row.updated_at), (0, 3, 7, 7));
    assert_eq!((row.parent, row.trigger.as_str(), row.conversation.as_deref()), (Some(parent), "api", Some("c1")));
    assert_eq!(row.error, None);
    assert_eq!(journal.read(new.id, 0, 10).await.unwrap(), new.records);
    assert!(journal.has_blob_rows(&blob).await.unwrap());
    assert!(!journal.has_blob_rows(&Digest::of(b"other")).await.unwrap());
    assert_eq!(journal.run(RunId::random()).await.unwrap(), None);
}

pub async fn creating_the_same_id_again_changes_nothing(journal: &dyn Journal) {
    let first = new_run("a", 1);
    let again = NewRun { id: first.id, records: records(1..=2), ..new_run("b", 2) };
    assert_eq!(journal.create(first.clone()).await.unwrap(), Created::New);
    assert_eq!(journal.create(again).await.unwrap(), Created::Existing(first.id));
    assert_eq!(journal.run(first.id).await.unwrap().unwrap().workflow, "a");
    assert_eq!(journal.read(first.id, 0, 10).await.unwrap().len(), 1);
}

pub async fn a_run_can_begin_taken(journal: &dyn Journal) {
    let session = SessionId::random();
    journal.open_session(session, 1).await.unwrap();
    let new = new_run("a", 1);
    let Ok(Take::Taken(taken)) = journal.create_taken(new.clone(), session).await.unwrap() else {
        panic!("expected a run that was taken")
    };
    assert_eq!((taken.epoch, taken.row.epoch, taken.row.seq, taken.row.owner), (1, 0, 1, None));
    let row = journal.run(new.id).await.unwrap().unwrap();
    assert_eq!((row.phase, row.epoch, row.owner), (RunPhase::Running, 1, Some(session)));
    assert_eq!(journal.runnable(1, 10).await.unwrap(), []);

    let again = journal.create_taken(new.clone(), session).await.unwrap();
    assert_eq!(again.err(), Some(Created::Existing(new.id)));
    assert_eq!(journal.run(new.id).await.unwrap().unwrap().epoch, 1);
}

fn with_key(workflow: &str, caller: &str, body: &str, at: Millis) -> NewRun {
    NewRun { idempotency: Some(idempotency(caller, "order-1", body)), ..new_run(workflow, at) }
}

pub async fn an_idempotency_key_gives_the_same_run(journal: &dyn Journal) {
    let first = with_key("a", "ann", "x", 1);
    let again = with_key("a", "ann", "x", 2);
    assert_eq!(journal.create(first.clone()).await.unwrap(), Created::New);
    assert_eq!(journal.create(again.clone()).await.unwrap(), Created::Existing(first.id));
    assert_eq!(journal.run(again.id).await.unwrap(), None);
}

pub async fn an_idempotency_key_with_another_body_is_a_conflict(journal: &dyn Journal) {
    let first = with_key("a", "ann", "x", 1);
    let other = with_key("a", "ann", "y", 2);
    journal.create(first.clone()).await.unwrap();
    assert_eq!(journal.create(other.clone()).await.unwrap(), Created::Conflict(first.id));
    assert_eq!(journal.run(other.id).await.unwrap(), None);
}

pub async fn an_idempotency_key_expires_after_a_day(journal: &dyn Journal) {
    let first = with_key("a", "ann", "x", 1);
    let within = with_key("a", "ann", "x", IDEMPOTENCY_WINDOW);
    let after = with_key("a", "ann", "y", IDEMPOTENCY_WINDOW + 1);
    let next = with_key("a", "ann", "y", IDEMPOTENCY_WINDOW + 2);
    journal.create(first.clone()).await.unwrap();
    assert_eq!(journal.create(within).await.unwrap(), Created::Existing(first.id));
    assert_eq!(journal.create(after.clone()).await.unwrap(), Created::New);
    assert_eq!(journal.create(next).await.unwrap(), Created::Existing(after.id));
}

pub async fn an_idempotency_key_belongs_to_a_caller_and_a_workflow(journal: &dyn Journal) {
    for run in [with_key("a", "ann", "x", 1), with_key("a", "bob", "y", 1), with_key("b", "ann", "z", 1)] {
        assert_eq!(journal.create(run).await.unwrap(), Created::New);
    }
}

pub async fn a_run_can_be_created_with_its_end(journal: &dyn Journal) {
    let new = NewRun { records: records(1..=4), conversation: Some("c9".to_owned()), ..new_run("quick", 3) };
    let conversation = Some(left("c9", "kept"));
    let end = Release::Ended { status: RunStatus::Succeeded, error: None, conversation, usage: Box::default() };
    assert_eq!(journal.create_ended(new.clone(), end).await.unwrap(), Created::New);

    let row = journal.run(new.id).await.unwrap().unwrap();
    assert_eq!((row.phase, row.status, row.seq), (RunPhase::Ended, Some(RunStatus::Succeeded), 4));
    assert_eq!(journal.read(new.id, 0, 10).await.unwrap(), new.records);
    assert_eq!(journal.conversation("c9").await.unwrap(), Some(Value::from("kept")));
    assert_eq!(journal.runnable(1000, 10).await.unwrap(), []);
    let again = journal.create_ended(new.clone(), ended(RunStatus::Failed)).await.unwrap();
    assert_eq!(again, Created::Existing(new.id));
    assert_eq!(journal.run(new.id).await.unwrap().unwrap().status, Some(RunStatus::Succeeded));

    let open = Owned::create(journal, 1).await;
    let again = NewRun { id: open.run, ..new_run("quick", 3) };
    assert_eq!(journal.create_ended(again, ended(RunStatus::Failed)).await.unwrap(), Created::Existing(open.run));
    journal.append(open.append(1)).await.unwrap();
}

pub async fn a_bundle_never_changes(journal: &dyn Journal) {
    let text = "{\"format\":1}";
    let digest = Digest::of(text.as_bytes());
    assert_eq!(journal.bundle(&digest).await.unwrap(), None);
    journal.put_bundle(&digest, text.into()).await.unwrap();
    journal.put_bundle(&digest, "something else".into()).await.unwrap();
    assert_eq!(journal.bundle(&digest).await.unwrap().as_deref(), Some(text));
}
