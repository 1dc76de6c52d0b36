//! Forgetting what is kept about a subject.

use super::samples::{Owned, child_of, ended, idempotency, left, new_run, open};
use crate::{
    event::RunStatus,
    id::{Digest, RunId, SessionId},
    store::{Append, Created, Forget, Journal, NewRun, Release, RunFilter},
    value::Value,
};

fn about(subject: &str, conversation: &str) -> NewRun {
    let key = idempotency("caller", &RunId::random().to_string(), "x");
    NewRun {
        subject: Some(subject.to_owned()),
        conversation: Some(conversation.to_owned()),
        blobs: vec![Digest::of(subject.as_bytes()), Digest::of(b"shared")],
        idempotency: Some(key),
        ..new_run("support/answer", 1)
    }
}

async fn end(journal: &dyn Journal, new: &NewRun, session: SessionId) {
    assert_eq!(journal.create(new.clone()).await.unwrap(), Created::New);
    let owned = Owned::take(journal, new.id, session, 2).await;
    let conversation = new.conversation.as_deref().map(|id| left(id, "said"));
    let release = Release::Ended { status: RunStatus::Succeeded, error: None, conversation, usage: Box::default() };
    journal.append(Append { at: 3, ..owned.release(release) }).await.unwrap();
}

pub async fn a_subject_is_forgotten_whole_and_others_stay(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let (first, second, other) = (about("ann", "c1"), about("ann", "c2"), about("bob", "c3"));
    for run in [&first, &second, &other] {
        end(journal, run, session).await;
    }
    assert_eq!(journal.run(first.id).await.unwrap().unwrap().subject.as_deref(), Some("ann"));
    assert_eq!(journal.run(other.id).await.unwrap().unwrap().subject.as_deref(), Some("bob"));

    for gone in [first.id, second.id] {
        let Forget::Done(forgotten) = journal.forget("ann", 1).await.unwrap() else { panic!("all have ended") };
        assert_eq!((forgotten.runs, forgotten.conversations), (1, 1));
        assert_eq!(forgotten.blobs.len(), 2);
        assert_eq!((journal.run(gone).await.unwrap(), journal.read(gone, 0, 10).await.unwrap()), (None, vec![]));
    }
    for (id, kept) in [("c1", None), ("c2", None), ("c3", Some(Value::from("said")))] {
        assert_eq!(journal.conversation(id).await.unwrap(), kept, "{id}");
    }
    assert!(!journal.has_blob_rows(&Digest::of(b"ann")).await.unwrap());
    assert!(journal.has_blob_rows(&Digest::of(b"shared")).await.unwrap());
    let left = journal.runs(RunFilter::default()).await.unwrap();
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [other.id]);
    assert_eq!(journal.forget("ann", 10).await.unwrap(), Forget::Done(crate::store::Forgotten::default()));
    // The key of a forgotten run is free again.
    let again = NewRun { id: RunId::random(), ..first };
    assert_eq!(journal.create(again).await.unwrap(), Created::New);
}

pub async fn nothing_is_forgotten_while_a_run_of_the_subject_goes_on(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let done = about("ann", "c1");
    end(journal, &done, session).await;
    let parent = about("ann", "c2");
    journal.create(parent.clone()).await.unwrap();
    let owned = Owned::take(journal, parent.id, session, 2).await;
    let child = NewRun { subject: Some("ann".to_owned()), ..child_of(parent.id, 2) };
    journal.append(Append { children: vec![child.clone()], ..owned.append(0) }).await.unwrap();
    assert_eq!(journal.forget("ann", 10).await.unwrap(), Forget::Open(vec![parent.id, child.id]));
    assert!(journal.run(done.id).await.unwrap().is_some());

    Owned::take(journal, child.id, session, 2).await.end(journal, 3).await;
    journal.append(owned.release(ended(RunStatus::Cancelled))).await.unwrap();
    let Forget::Done(forgotten) = journal.forget("ann", 10).await.unwrap() else { panic!("all have ended") };
    assert_eq!(forgotten.runs, 3);
}
