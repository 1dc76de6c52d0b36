//! What was said in conversations.

use super::samples::{Owned, child_of, ended, left, new_run, open};
use crate::{
    event::RunStatus,
    id::{RunId, SessionId},
    store::{
        Append, ConversationEnd, ConversationFilter, Forget, Journal, NewRun, NewTurn, Rating, Release, RunFilter,
        Speaker, TurnPage,
    },
    units::Millis,
    value::Value,
};

/// A run with something said in a conversation.
fn says(conversation: &str, message: &str, at: Millis) -> NewRun {
    let turn = NewTurn { message: message.to_owned(), files: Value::from(Vec::new()), beside: None, speaker: None };
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
    assert_eq!(journal.conversations(&ConversationFilter::default()).await.unwrap(), []);
}

pub async fn conversations_are_listed_the_newest_first(journal: &dyn Journal) {
    create(journal, says("c1", "What is due?\nSoon?", 1)).await;
    create(journal, says("c2", "Hello", 2)).await;
    create(journal, NewRun { workflow: "other".to_owned(), ..says("c3", "Hi", 3) }).await;
    let head = create(journal, says("c1", "And now?", 4)).await;

    let list = async |filter| journal.conversations(&filter).await.unwrap();
    let all = ConversationFilter::default;
    let rows = list(all()).await;
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["c1", "c3", "c2"]);
    let first = &rows[0];
    assert_eq!((first.title.as_str(), first.created_at, first.updated_at), ("What is due?", 1, 4));
    assert_eq!((first.last.run, first.last.message.as_str(), first.turns), (head, "And now?", 2));
    let of = |name: &str| ConversationFilter { workflow: Some(name.to_owned()), ..all() };
    assert_eq!(list(of("support/answer")).await.len(), 2);
    assert_eq!(list(ConversationFilter { limit: 1, ..of("support/answer") }).await[0].id, "c1");
    assert_eq!(list(of("none")).await, []);
    let next = list(ConversationFilter { before: Some(first.place()), ..all() }).await;
    assert_eq!(next, rows[1..]);
    assert_eq!(journal.conversation_row("c3").await.unwrap().as_ref(), Some(&rows[1]));
    assert_eq!(journal.conversation_row("c4").await.unwrap(), None);
    assert!(journal.rename_conversation("c3", "Hi there").await.unwrap());
    assert_eq!(journal.conversation_row("c3").await.unwrap().unwrap().title, "Hi there");
    assert!(!journal.rename_conversation("c4", "Nothing").await.unwrap());
}

pub async fn a_conversation_is_of_the_user_who_began_it(journal: &dyn Journal) {
    let speaker = |space: &str, user: &str| Some(Speaker { space: space.to_owned(), user: user.to_owned() });
    let said_by = |conversation: &str, at, speaker| {
        let mut new = says(conversation, "Hello", at);
        new.turn.as_mut().unwrap().speaker = speaker;
        new
    };
    create(journal, said_by("c1", 1, speaker("key:1", "ann"))).await;
    create(journal, said_by("c2", 2, speaker("key:2", "ann"))).await;
    create(journal, said_by("c3", 3, speaker("key:1", "bob"))).await;
    create(journal, said_by("c4", 4, None)).await;
    create(journal, said_by("c1", 5, speaker("key:2", "eve"))).await;

    let list = async |space: Option<&str>, user: Option<&str>| {
        let (space, user) = (space.map(str::to_owned), user.map(str::to_owned));
        let rows = journal.conversations(&ConversationFilter { space, user, ..ConversationFilter::default() }).await;
        rows.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Some("key:1"), Some("ann")).await, ["c1"]);
    assert_eq!(list(Some("key:1"), None).await, ["c1", "c3"]);
    assert_eq!(list(None, Some("ann")).await, ["c1", "c2"]);
    assert_eq!(list(Some("key:2"), Some("eve")).await, [""; 0]);
    assert_eq!(list(None, None).await, ["c1", "c4", "c3", "c2"]);
    assert_eq!(journal.conversation_row("c4").await.unwrap().unwrap().speaker, None);
}

pub async fn the_turns_of_a_conversation_are_read_from_both_ends(journal: &dyn Journal) {
    let first = create(journal, says("c1", "one", 1)).await;
    let second = create(journal, says("c1", "two", 2)).await;
    let mut edited = says("c1", "two, but better", 3);
    edited.turn.as_mut().unwrap().beside = Some(second);
    let edited = create(journal, edited).await;
    let third = create(journal, says("c1", "three", 4)).await;

    let read = async |newest_first, after, limit| {
        let turns = journal.turns("c1", TurnPage { newest_first, after, limit }).await.unwrap();
        turns.into_iter().map(|turn| turn.run).collect::<Vec<_>>()
    };
    assert_eq!(read(false, None, 9).await, [first, edited, third]);
    assert_eq!(read(true, None, 2).await, [third, edited]);
    assert_eq!(read(true, Some(edited), 2).await, [first]);
    assert_eq!(read(false, Some(first), 1).await, [edited]);
    assert_eq!(read(false, Some(third), 1).await, []);
    assert_eq!(read(false, Some(second), 9).await, [], "it does not lead to the newest any more");
    let page = TurnPage { newest_first: false, after: None, limit: 9 };
    assert_eq!(journal.turns("c2", page).await.unwrap(), []);

    assert!(journal.rate(third, Some(Rating::Down)).await.unwrap());
    assert_eq!(journal.turn(third).await.unwrap().unwrap().rating, Some(Rating::Down));
    assert!(journal.rate(third, None).await.unwrap());
    assert_eq!(journal.turn(third).await.unwrap().unwrap().rating, None);
    assert!(!journal.rate(RunId::random(), Some(Rating::Up)).await.unwrap());
}

pub async fn a_conversation_is_forgotten_with_its_runs_or_without(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let first = create(journal, says("c1", "one", 1)).await;
    assert_eq!(journal.forget_conversation("c1", false, 10).await.unwrap(), Forget::Open(vec![first]));
    answer(journal, first, session, "c1", "eins").await;
    let second = create(journal, says("c1", "two", 2)).await;
    let owned = Owned::take(journal, second, session, 2).await;
    let child = child_of(second, 2);
    journal.append(Append { children: vec![child.clone()], ..owned.append(0) }).await.unwrap();
    assert_eq!(journal.forget_conversation("c1", true, 10).await.unwrap(), Forget::Open(vec![second, child.id]));
    Owned::take(journal, child.id, session, 3).await.end(journal, 3).await;
    journal.append(owned.release(ended(RunStatus::Succeeded))).await.unwrap();
    let other = create(journal, says("c2", "else", 1)).await;

    for runs in [2, 1] {
        let Forget::Done(forgotten) = journal.forget_conversation("c1", true, 2).await.unwrap() else {
            panic!("all have ended")
        };
        assert_eq!(forgotten.runs, runs, "children first");
    }
    assert_eq!((journal.conversation("c1").await.unwrap(), journal.turn(first).await.unwrap()), (None, None));
    let left = journal.runs(RunFilter::default()).await.unwrap();
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [other]);

    answer(journal, other, session, "c2", "anders").await;
    let Forget::Done(forgotten) = journal.forget_conversation("c2", false, 10).await.unwrap() else {
        panic!("all have ended")
    };
    assert_eq!((forgotten.runs, forgotten.conversations), (0, 1));
    assert!(journal.run(other).await.unwrap().is_some());
    assert_eq!(journal.conversation("c2").await.unwrap(), None);
}
