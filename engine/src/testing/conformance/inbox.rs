//! Messages to runs.

use super::samples::{Owned, consumed, ended, message, open, phase};
use crate::{
    error::{ErrorClass, ErrorReport},
    event::{Payload, RunStatus, SignalTo, Write},
    id::{Digest, JobId, RunId},
    store::{Append, AppendError, Journal, Message, MessageBody, Release, RunPhase, StepResult},
    usage::Spent,
    value::Value,
};

async fn ids(journal: &dyn Journal, run: RunId) -> Vec<String> {
    journal.inbox(run).await.unwrap().into_iter().map(|message| message.message.id).collect()
}

pub async fn messages_come_in_order_until_they_are_consumed(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    for id in ["m3", "m1", "m2"] {
        assert!(journal.send(owned.run, message(id)).await.unwrap());
    }
    assert_eq!(ids(journal, owned.run).await, ["m3", "m1", "m2"]);

    let rows = consumed(journal, owned.run).await;
    assert!(rows.is_sorted());
    journal.append(Append { consumed: vec![rows[0], rows[2]], ..owned.append(1) }).await.unwrap();
    assert_eq!(ids(journal, owned.run).await, ["m1"]);
}

pub async fn a_message_is_taken_once_also_after_it_was_consumed(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    let other = Message { at: 77, ..message("m1") };
    assert!(journal.send(owned.run, message("m1")).await.unwrap());
    assert!(journal.send(owned.run, other.clone()).await.unwrap());
    assert_eq!(journal.inbox(owned.run).await.unwrap()[0].message, message("m1"));

    let consumed = consumed(journal, owned.run).await;
    assert_eq!(consumed.len(), 1);
    journal.append(Append { consumed, ..owned.append(1) }).await.unwrap();
    assert!(journal.send(owned.run, other).await.unwrap());
    assert_eq!(journal.inbox(owned.run).await.unwrap(), []);
}

pub async fn the_same_id_may_go_to_another_run(journal: &dyn Journal) {
    let (first, second) = (Owned::create(journal, 1).await, Owned::create(journal, 1).await);
    journal.send(first.run, message("m1")).await.unwrap();
    journal.send(second.run, message("m1")).await.unwrap();
    let theirs = consumed(journal, second.run).await;
    journal.append(Append { consumed: theirs, ..first.append(1) }).await.unwrap();
    assert_eq!((ids(journal, first.run).await.len(), ids(journal, second.run).await.len()), (1, 1));
}

pub async fn a_run_rests_only_with_an_empty_inbox(journal: &dyn Journal) {
    for rest in [Release::Waiting { wake_at: Some(50) }, ended(RunStatus::Succeeded)] {
        let owned = Owned::create(journal, 1).await;
        journal.send(owned.run, message("m1")).await.unwrap();
        let rest = Append { release: Some(rest), ..owned.append(1) };
        let outcome = journal.append(rest.clone()).await;
        assert!(matches!(outcome, Err(AppendError::InboxNotEmpty)), "{outcome:?}");
        assert_eq!(phase(journal, owned.run).await, RunPhase::Running);

        let consumed = consumed(journal, owned.run).await;
        journal.append(Append { consumed, ..rest }).await.unwrap();
        assert_ne!(phase(journal, owned.run).await, RunPhase::Running);
    }
}

pub async fn mail_is_what_others_sent_to_running_runs(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let (first, second) = (Owned::create_in(journal, session, 1).await, Owned::create_in(journal, session, 1).await);
    let other = Owned::create(journal, 1).await;
    assert_eq!(journal.mail(session).await.unwrap(), []);
    for (run, id) in [(first.run, "m1"), (first.run, "m2"), (other.run, "m1")] {
        journal.send(run, message(id)).await.unwrap();
    }
    assert_eq!(journal.mail(session).await.unwrap(), [first.run]);
    assert_eq!(journal.mail(other.session).await.unwrap(), [other.run]);
    journal.send(second.run, message("m1")).await.unwrap();
    journal.append(second.release(Release::Queued)).await.unwrap();
    let consumed = consumed(journal, first.run).await;
    journal.append(Append { consumed, ..first.append(1) }).await.unwrap();
    assert_eq!(journal.mail(session).await.unwrap(), []);
}

pub async fn a_run_with_messages_may_be_queued(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    journal.send(owned.run, message("m1")).await.unwrap();
    journal.append(owned.release(Release::Queued)).await.unwrap();
    assert_eq!(phase(journal, owned.run).await, RunPhase::Queued);
    assert_eq!(ids(journal, owned.run).await, ["m1"]);
}

pub async fn a_run_that_ended_takes_no_messages(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    owned.end(journal, 2).await;
    assert!(!journal.send(owned.run, message("m1")).await.unwrap());
    assert!(!journal.send(RunId::random(), message("m1")).await.unwrap());
    assert_eq!(journal.inbox(owned.run).await.unwrap(), []);
}

pub async fn every_kind_of_message_is_read_back(journal: &dyn Journal) {
    let owned = Owned::create(journal, 1).await;
    let error = ErrorReport {
        code: "LA2201".to_owned(),
        class: ErrorClass::Timeout,
        message: "too slow".to_owned(),
        hint: Some("wait".to_owned()),
        node: None,
    };
    let ended = |result| {
        let (usage, log) = (Spent { nodes: 1, ..Spent::default() }, Some("said".to_owned()));
        MessageBody::StepEnded { node: "each[3].embed".to_owned(), attempt: 2, result, usage, log }
    };
    let bodies = [
        MessageBody::Signal {
            to: SignalTo::Node("each[3].ask".to_owned()),
            payload: Value::from_pairs([("action", Value::from("approve"))]),
            by: Some("ann".to_owned()),
        },
        MessageBody::Cancel { by: None },
        MessageBody::ChildEnded {
            node: "call".to_owned(),
            attempt: 2,
            status: RunStatus::Failed,
            outputs: Value::Null,
            error: Some(error.clone()),
            usage: Spent { nodes: 3, ..Spent::default() },
        },
        MessageBody::JobTaken { node: "embed".to_owned(), job: JobId::random(), session: owned.session },
        MessageBody::JobGivenBack {
            node: "embed".to_owned(),
            job: JobId::random(),
            session: owned.session,
            usage: Spent::default(),
        },
        ended(StepResult::Failed { error, retry_after: Some(1500) }),
        ended(StepResult::Done {
            port: Some("left".to_owned()),
            output: Payload::Blob(Digest::of(b"large")),
            writes: vec![Write::Set { name: "seen".to_owned(), value: Value::from(true) }],
        }),
    ];
    let mut sent = Vec::new();
    for (at, body) in (1..).zip(bodies) {
        let message = Message { id: format!("m{at}"), at, body };
        journal.send(owned.run, message.clone()).await.unwrap();
        sent.push(message);
    }
    let inbox = journal.inbox(owned.run).await.unwrap();
    assert_eq!(inbox.into_iter().map(|row| row.message).collect::<Vec<_>>(), sent);
}
