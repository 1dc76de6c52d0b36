//! Who may append, and what an append carries.

use futures::future::join_all;

use super::samples::{
    Owned, child_of, consumed, ended, left, message, new_run, open, phase, record, records, sight, used,
};
use crate::{
    error::{ErrorClass, ErrorReport},
    event::RunStatus,
    id::{Digest, RunId},
    store::{Append, AppendError, Journal, Release, RunPhase},
    value::Value,
};

async fn is_fenced(journal: &dyn Journal, append: Append) {
    let outcome = journal.append(append).await;
    assert!(matches!(outcome, Err(AppendError::Fenced)), "{outcome:?}");
}

pub async fn an_append_advances_the_run(journal: &dyn Journal) {
    let mut owned = Owned::create(journal, 1).await;
    let blob = Digest::of(b"large");
    journal.append(Append { blobs: vec![blob.clone()], ..owned.append(2) }).await.unwrap();
    owned.seq += 2;
    journal.append(Append { blobs: vec![blob.clone()], ..owned.append(1) }).await.unwrap();

    let row = journal.run(owned.run).await.unwrap().unwrap();
    assert_eq!((row.phase, row.seq, row.updated_at), (RunPhase::Running, 4, 10));
    assert_eq!(row.owner, Some(owned.session));
    assert!(journal.has_blob_rows(&blob).await.unwrap());
}

pub async fn records_are_read_in_pieces(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    let other = Owned::create(journal, 1).await;
    journal.append(owned.append(9)).await.unwrap();
    journal.append(other.append(3)).await.unwrap();

    assert_eq!(journal.read(owned.run, 0, 4).await.unwrap(), records(1..=4));
    assert_eq!(journal.read(owned.run, 4, 4).await.unwrap(), records(5..=8));
    assert_eq!(journal.read(owned.run, 8, usize::MAX).await.unwrap(), records(9..=10));
    assert_eq!(journal.read(owned.run, 10, 4).await.unwrap(), []);
    assert_eq!(journal.read(RunId::random(), 0, 4).await.unwrap(), []);
}

pub async fn an_append_needs_epoch_session_and_seq(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    let other = open(journal, 1).await;
    let before = sight(journal, owned.run).await;
    is_fenced(journal, Append { epoch: owned.epoch + 1, ..owned.append(1) }).await;
    is_fenced(journal, Append { epoch: owned.epoch - 1, ..owned.append(1) }).await;
    is_fenced(journal, Append { session: other, ..owned.append(1) }).await;
    is_fenced(journal, Append { expected: 0, records: records([1]), ..owned.append(0) }).await;
    is_fenced(journal, Append { expected: 2, records: records([3]), ..owned.append(0) }).await;
    is_fenced(journal, Append { records: records([3]), ..owned.append(0) }).await;
    is_fenced(journal, Append { records: vec![record(2), record(4)], ..owned.append(0) }).await;
    is_fenced(journal, Append { run: RunId::random(), ..owned.append(1) }).await;
    assert_eq!(sight(journal, owned.run).await, before);
    journal.append(owned.append(1)).await.unwrap();
}

pub async fn a_run_that_is_not_owned_takes_no_records(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let new = new_run("a", 1);
    journal.create(new.clone()).await.unwrap();
    let nobody = Owned { run: new.id, session, epoch: 0, seq: 1 };
    is_fenced(journal, nobody.append(1)).await;

    for release in [Release::Queued, Release::Waiting { wake_at: None }, ended(RunStatus::Succeeded)] {
        let owned = Owned::create_in(journal, session, 1).await;
        journal.append(owned.release(release.clone())).await.unwrap();
        is_fenced(journal, owned.append(1)).await;
        is_fenced(journal, owned.release(release)).await;
    }
}

pub async fn a_refused_append_changes_nothing(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    let friend = Owned::create(journal, 1).await;
    journal.send(owned.run, message("m1")).await.unwrap();
    let (mine, theirs) = (sight(journal, owned.run).await, sight(journal, friend.run).await);
    let blob = Digest::of(b"large");
    let child = child_of(owned.run, 2);

    let stale = Append {
        epoch: owned.epoch + 1,
        consumed: consumed(journal, owned.run).await,
        blobs: vec![blob.clone()],
        children: vec![child.clone()],
        send: vec![(friend.run, message("m2"))],
        release: Some(Release::Ended {
            status: RunStatus::Succeeded,
            error: None,
            conversation: Some(left("c1", Value::Null)),
            usage: Box::new(used([("a/b", 5)])),
        }),
        ..owned.append(2)
    };
    let hasty = Append { epoch: owned.epoch, consumed: Vec::new(), ..stale.clone() };
    is_fenced(journal, stale).await;
    let outcome = journal.append(hasty).await;
    assert!(matches!(outcome, Err(AppendError::InboxNotEmpty)), "{outcome:?}");

    assert_eq!(sight(journal, owned.run).await, mine);
    assert_eq!(sight(journal, friend.run).await, theirs);
    assert_eq!(journal.run(child.id).await.unwrap(), None);
    assert!(!journal.has_blob_rows(&blob).await.unwrap());
    assert_eq!(journal.conversation("c1").await.unwrap(), None);
}

pub async fn a_refused_append_leaves_the_others_untouched(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(Owned::create_in(journal, session, 1).await);
    }
    let is_stale = |i: usize| i % 3 == 1;
    let appends = runs.iter().enumerate().map(|(i, owned)| {
        let epoch = owned.epoch + u64::from(is_stale(i));
        journal.append(Append { epoch, ..owned.append(2) })
    });
    for (i, outcome) in join_all(appends).await.into_iter().enumerate() {
        assert_eq!(matches!(outcome, Err(AppendError::Fenced)), is_stale(i), "{i}: {outcome:?}");
        let seq = journal.run(runs[i].run).await.unwrap().unwrap().seq;
        let stored = journal.read(runs[i].run, 0, 10).await.unwrap();
        assert_eq!((seq, stored.len()), if is_stale(i) { (1, 1) } else { (3, 3) });
    }
}

pub async fn children_and_messages_come_with_the_append(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    let friend = Owned::create(journal, 1).await;
    let gone = Owned::create(journal, 1).await;
    gone.end(journal, 2).await;
    let child = child_of(owned.run, 2);
    let append = Append {
        children: vec![child.clone()],
        send: vec![(friend.run, message("m1")), (gone.run, message("m1")), (RunId::random(), message("m1"))],
        ..owned.append(1)
    };
    journal.append(append).await.unwrap();

    let row = journal.run(child.id).await.unwrap().unwrap();
    assert_eq!((row.phase, &row.parent), (RunPhase::Queued, &child.parent));
    assert_eq!(journal.read(child.id, 0, 10).await.unwrap(), child.records);
    assert_eq!(journal.inbox(friend.run).await.unwrap()[0].message, message("m1"));
    assert_eq!(journal.inbox(gone.run).await.unwrap(), []);

    let taken = Owned::take(journal, child.id, owned.session, 3).await;
    journal.append(taken.append(1)).await.unwrap();
    let again = Owned { seq: owned.seq + 1, ..owned };
    journal.append(Append { children: vec![child.clone()], ..again.append(1) }).await.unwrap();
    assert_eq!(journal.run(child.id).await.unwrap().unwrap().seq, 2);
}

pub async fn a_conversation_is_stored_with_the_end(journal: &dyn Journal) {
    assert_eq!(journal.conversation("c1").await.unwrap(), None);
    for variables in ["first", "second"] {
        let owned = Owned::create(journal, 1).await;
        let conversation = Some(left("c1", variables));
        let end = Release::Ended { status: RunStatus::Succeeded, error: None, conversation, usage: Box::default() };
        journal.append(owned.release(end)).await.unwrap();
        assert_eq!(phase(journal, owned.run).await, RunPhase::Ended);
        assert_eq!(journal.conversation("c1").await.unwrap(), Some(Value::from(variables)));
    }
}

pub async fn an_error_is_listed_with_the_end(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    let error = ErrorReport {
        code: "LA2201".to_owned(),
        class: ErrorClass::Unavailable,
        message: "the host is down".to_owned(),
        hint: None,
        node: Some("fetch".to_owned()),
    };
    let end = Release::Ended {
        status: RunStatus::Failed,
        error: Some(error.clone()),
        conversation: None,
        usage: Box::default(),
    };
    journal.append(owned.release(end)).await.unwrap();

    let row = journal.run(owned.run).await.unwrap().unwrap();
    assert_eq!((row.status, row.error), (Some(RunStatus::Failed), Some(error.to_string())));
    assert_eq!((row.owner, row.wake_at), (None, None));
}
