//! What was said in conversations.

use super::samples::{Owned, left, new_run, open};
use crate::{
    event::RunStatus,
    id::{RunId, SessionId},
    store::{Append, ConversationEnd, Forget, Journal, NewRun, NewTurn, Release},
    units::Millis,
    value::Value,
};

/// A run with something said in a conversation.
fn says(conversation: &str, message: &str, at: Millis) -> NewRun {
    let turn = NewTurn { message: message.to_owned(), files: Value::from(Vec::new()), beside: None };
    NewRun { conversation: Some(conversation.to_owned()), turn: Some(turn), ..new_run("support/answer", at) }
}

async fn create(journal: &dyn Journal, new: NewRun) -> RunId {
    let run = new.id;
    journal.create(new).await.unwrap();
    run
}

async fn answer(journal: &dyn Journal, run: RunId, session: SessionId, conversation: &str, text: &str) {
    let owned = Owned::take(journal, run, session, 5).await;
    let conversation = Some(ConversationEnd { answer: Some(text.to_owned()), ..left(conversation, "v") });
    let end = Release::Ended { status: RunStatus::Succeeded, error: None, conversation, usage: Box::default() };
    journal.append(Append { at: 9, ..owned.release(end) }).await.unwrap();
}

/// What stands before a run: message and answer.
async fn before(journal: &dyn Journal, run: RunId, most: usize) -> Vec<(String, Option<String>)> {
    let turns = journal.turns_before(run, most).await.unwrap();
    turns.into_iter().map(|turn| (turn.message, turn.answer)).collect()
}

fn said(message: &str, answer: Option<&str>) -> (String, Option<String>) {
    (message.to_owned(), answer.map(str::to_owned))
}

pub async fn turns_follow_each_other_and_get_their_answers(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let first = create(journal, says("c1", "one", 1)).await;
    let elsewhere = create(journal, says("c2", "else", 1)).await;
    assert_eq!(journal.conversation("c1").await.unwrap(), None, "it has no variables before its first end");
    answer(journal, first, session, "c1", "eins").await;
    let second = create(journal, says("c1", "two", 2)).await;
    let third = create(journal, says("c1", "three", 3)).await;

    assert_eq!(before(journal, first, 9).await, []);
    assert_eq!(before(journal, elsewhere, 9).await, []);
    assert_eq!(before(journal, third, 9).await, [said("one", Some("eins")), said("two", None)]);
    assert_eq!(before(journal, third, 1).await, [said("two", None)]);
    assert_eq!(before(journal, RunId::random(), 9).await, []);
    let turn = journal.turn(second).await.unwrap().unwrap();
    assert_eq!((turn.run, turn.after, turn.at), (second, Some(first), 2));
    assert_eq!(journal.conversation("c1").await.unwrap(), Some(Value::from("v")));
}

pub async fn a_turn_beside_another_leaves_that_one_as_it_was(journal: &dyn Journal) {
    let first = create(journal, says("c1", "one", 1)).await;
    let second = create(journal, says("c1", "two", 2)).await;
    let mut edited = says("c1", "two, but better", 3);
    edited.turn.as_mut().unwrap().beside = Some(second);
    let edited = create(journal, edited).await;
    let next = create(journal, says("c1", "three", 4)).await;

    assert_eq!(before(journal, edited, 9).await, [said("one", None)]);
    assert_eq!(before(journal, next, 9).await, [said("one", None), said("two, but better", None)]);
    assert_eq!(journal.turn(second).await.unwrap().unwrap().after, Some(first));
    // The first of a conversation can be edited, too.
    let mut again = says("c1", "one, but better", 5);
    again.turn.as_mut().unwrap().beside = Some(first);
    let again = create(journal, again).await;
    assert_eq!(before(journal, again, 9).await, []);
}

pub async fn what_was_said_outlives_the_run_but_not_its_subject(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let first = create(journal, NewRun { subject: Some("ann".to_owned()), ..says("c1", "one", 1) }).await;
    answer(journal, first, session, "c1", "eins").await;
    let second = create(journal, says("c1", "two", 2)).await;
    assert_eq!(journal.delete_ended(1_000, 10).await.unwrap(), 1);
    assert_eq!(before(journal, second, 9).await, [said("one", Some("eins"))]);

    let last = create(journal, NewRun { subject: Some("ann".to_owned()), ..says("c1", "three", 3) }).await;
    answer(journal, last, session, "c1", "drei").await;
    assert!(matches!(journal.forget("ann", 10).await.unwrap(), Forget::Done(_)));
    assert_eq!(journal.turn(first).await.unwrap(), None);
    assert_eq!(journal.conversations(None, 10).await.unwrap(), []);
}

pub async fn conversations_are_listed_the_newest_first(journal: &dyn Journal) {
    create(journal, says("c1", "What is due?\nSoon?", 1)).await;
    create(journal, says("c2", "Hello", 2)).await;
    create(journal, NewRun { workflow: "other".to_owned(), ..says("c3", "Hi", 3) }).await;
    let head = create(journal, says("c1", "And now?", 4)).await;

    let rows = journal.conversations(None, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["c1", "c3", "c2"]);
    let first = &rows[0];
    assert_eq!((first.title.as_str(), first.head, first.created_at, first.updated_at), ("What is due?", head, 1, 4));
    let of = |name, limit| journal.conversations(Some(name), limit);
    assert_eq!(of("support/answer", 10).await.unwrap().len(), 2);
    assert_eq!(of("support/answer", 1).await.unwrap()[0].id, "c1");
    assert_eq!(of("none", 10).await.unwrap(), []);
}
