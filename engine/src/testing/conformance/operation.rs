//! What whoever operates an installation asks.

use super::samples::{Owned, child_of, ended, message, new_run, open, used};
use crate::{
    event::RunStatus,
    id::RunId,
    store::{
        Append, AppendError, DAY, Journal, Message, MessageBody, NewRun, Release, ReleaseHeld, RunFilter, RunPhase,
        Spending, Take,
    },
    units::Millis,
};

const ALL: ReleaseHeld = ReleaseHeld::All { workflow: None };

async fn phase(journal: &dyn Journal, run: RunId) -> RunPhase {
    journal.run(run).await.unwrap().unwrap().phase
}

pub async fn nobody_takes_a_held_run_before_it_is_released(journal: &dyn Journal) {
    let running = Owned::create(journal, 1).await;
    let waiting = Owned::create_in(journal, running.session, 1).await;
    journal.append(waiting.release(Release::Waiting { wake_at: Some(5) })).await.unwrap();
    let over = Owned::create_in(journal, running.session, 1).await;
    over.end(journal, 2).await;
    let queued = new_run("queued", 1);
    journal.create(queued.clone()).await.unwrap();

    assert_eq!(journal.hold_runs().await.unwrap(), 3);
    assert_eq!(journal.hold_runs().await.unwrap(), 0);
    let held = [running.run, waiting.run, queued.id];
    let cancel = Message { id: "stop".to_owned(), at: 6, body: MessageBody::Cancel { by: None } };
    for run in held {
        assert_eq!(phase(journal, run).await, RunPhase::Held);
        assert!(journal.send(run, message("m")).await.unwrap(), "a signal is kept");
        assert!(journal.send(run, cancel.clone()).await.unwrap());
        assert!(matches!(journal.take(run, running.session, 9).await.unwrap(), Take::Held));
    }
    assert_eq!(phase(journal, over.run).await, RunPhase::Ended);
    assert_eq!(journal.runnable(1_000, 10).await.unwrap(), []);
    let refused = journal.append(running.append(1)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Fenced), "{refused}");
    journal.close_session(running.session).await.unwrap();
    let list = journal.runs(RunFilter { phase: Some(RunPhase::Held), ..RunFilter::default() }).await.unwrap();
    assert_eq!(list.iter().map(|row| row.id).collect::<Vec<_>>(), [queued.id, waiting.run, running.run]);

    assert_eq!(journal.release_held(&ALL, 2).await.unwrap(), held[..2]);
    assert_eq!(journal.release_held(&ALL, 2).await.unwrap(), held[2..]);
    assert_eq!(journal.release_held(&ALL, 2).await.unwrap(), []);
    assert_eq!(journal.runnable(10, 10).await.unwrap(), held);
    let session = open(journal, 10).await;
    let Take::Taken(taken) = journal.take(running.run, session, 10).await.unwrap() else { panic!("it was released") };
    assert_eq!((taken.row.phase, taken.epoch), (RunPhase::Queued, running.epoch + 1), "nobody died");
    assert_eq!(journal.inbox(running.run).await.unwrap().len(), 2);
}

pub async fn held_runs_are_released_with_those_that_they_started(journal: &dyn Journal) {
    let parent = Owned::create(journal, 1).await;
    let child = child_of(parent.run, 1);
    journal.append(Append { children: vec![child.clone()], ..parent.append(1) }).await.unwrap();
    let grandchild = child_of(child.id, 2);
    journal.create(grandchild.clone()).await.unwrap();
    let other = new_run("other", 3);
    journal.create(other.clone()).await.unwrap();
    journal.hold_runs().await.unwrap();

    let one = ReleaseHeld::Runs(vec![parent.run, RunId::random()]);
    assert_eq!(journal.release_held(&one, 10).await.unwrap(), [parent.run, child.id, grandchild.id]);
    assert_eq!(phase(journal, other.id).await, RunPhase::Held);
    let of = |workflow: &str| ReleaseHeld::All { workflow: Some(workflow.to_owned()) };
    assert_eq!(journal.release_held(&of("child"), 10).await.unwrap(), []);
    assert_eq!(journal.release_held(&of("other"), 10).await.unwrap(), [other.id]);
}

async fn spend(journal: &dyn Journal, new: NewRun, at: Millis, tokens: u64) {
    let session = open(journal, 1).await;
    journal.create(new.clone()).await.unwrap();
    let owned = Owned::take(journal, new.id, session, 1).await;
    let usage = Box::new(used([("a/b", tokens)]));
    let end = Release::Ended { status: RunStatus::Succeeded, error: None, conversation: None, usage };
    journal.append(Append { at, ..owned.release(end) }).await.unwrap();
}

pub async fn what_is_spent_adds_up_by_account_and_in_all(journal: &dyn Journal) {
    let of = |account: &str| NewRun { account: Some(account.to_owned()), ..new_run("a", 1) };
    let parent = of("key:1");
    spend(journal, child_of(parent.id, 1), 5, 40).await;
    spend(journal, parent, 6, 100).await;
    spend(journal, of("key:2"), 7, 10).await;
    spend(journal, new_run("a", 1), 8, 1).await;
    spend(journal, of("key:1"), DAY, 1_000).await;

    let spending = |tokens| Spending { tokens, cost: 7 * tokens };
    for (account, from, until, tokens) in [
        (Some("key:1"), 0, 9, 100),
        (Some("key:1"), 0, DAY, 1_100),
        (Some("key:2"), 0, 9 * DAY, 10),
        (Some("key:3"), 0, 9 * DAY, 0),
        (None, 1, 2, 111),
        (None, DAY, DAY, 1_000),
    ] {
        assert_eq!(journal.spent(account, from, until).await.unwrap(), spending(tokens), "{account:?} {from}..{until}");
    }
    journal.delete_ended(2 * DAY, 10).await.unwrap();
    assert_eq!(journal.spent(None, 0, DAY).await.unwrap(), spending(1_111), "it outlives the runs");
    journal.forget_usage(DAY + 1).await.unwrap();
    assert_eq!(journal.spent(None, 0, DAY).await.unwrap(), spending(1_000));
    assert_eq!(journal.usage(0, DAY).await.unwrap().len(), 1);
}

pub async fn queued_runs_are_counted(journal: &dyn Journal) {
    for _ in 0..3 {
        journal.create(new_run("a", 1)).await.unwrap();
    }
    let owned = Owned::create(journal, 1).await;
    journal.append(owned.release(ended(RunStatus::Failed))).await.unwrap();
    assert_eq!((journal.queued(10).await.unwrap(), journal.queued(2).await.unwrap()), (3, 2));
    journal.check_room().await.unwrap();
}

pub async fn an_installation_keeps_when_it_was_backed_up(journal: &dyn Journal) {
    let first = journal.installation().await.unwrap();
    assert_eq!((first.id.len(), first.epoch, first.restored_at, first.backup_at), (32, 1, None, None));
    journal.backed_up(7).await.unwrap();
    let later = journal.installation().await.unwrap();
    assert_eq!((later.id, later.backup_at), (first.id, Some(7)));
}
