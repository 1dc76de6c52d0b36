//! What a store of schedules promises, for every implementation.

#![allow(clippy::tests_outside_test_module, reason = "integration tests are test modules")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use liteagent_backends::{postgres::Pool, testing::PostgresServer};
use liteagent_engine::id::RunId;
use liteagent_server::store::{
    Cause, Firing, FiringOutcome, PostgresStore, ScheduleId, ScheduleRow, ScheduleStore, SqliteStore,
};

#[tokio::test]
async fn sqlite_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let open = async || SqliteStore::open(folder.path()).await.unwrap();
    suite(&open().await, &open().await).await;
}

#[tokio::test]
async fn postgresql_keeps_the_promises() {
    let server = PostgresServer::shared();
    let url = server.database();
    let open = async || PostgresStore::over(Pool::open(&url, 4, Duration::from_secs(10)).unwrap()).await.unwrap();
    suite(&open().await, &open().await).await;
}

fn id(name: &str) -> ScheduleId {
    ScheduleId { workflow: "a/b".to_owned(), name: name.to_owned() }
}

fn firing(due_at: i64, outcome: FiringOutcome, run: Option<RunId>) -> Firing {
    Firing { id: id("x"), due_at, fired_at: due_at + 1, cause: Cause::Time, outcome, run, message: None }
}

/// `other` is the same store in another process.
async fn suite(store: &dyn ScheduleStore, other: &dyn ScheduleStore) {
    schedules(store, other).await;
    states(store).await;
    firings(store).await;
    lease(store, other).await;
}

async fn schedules(store: &dyn ScheduleStore, other: &dyn ScheduleStore) {
    let row = ScheduleRow { id: id("x"), definition: "{}".to_owned(), created_by: "ada".to_owned(), updated_at: 1 };
    assert!(store.add_schedule(row.clone()).await.unwrap());
    assert!(!other.add_schedule(ScheduleRow { updated_at: 9, ..row.clone() }).await.unwrap());
    assert_eq!(other.schedules().await.unwrap(), std::slice::from_ref(&row));
    assert!(store.change_schedule(&id("x"), "[]".to_owned(), 2).await.unwrap());
    assert!(!store.change_schedule(&id("y"), "[]".to_owned(), 2).await.unwrap());
    let changed = ScheduleRow { definition: "[]".to_owned(), updated_at: 2, ..row };
    assert_eq!(other.schedules().await.unwrap(), [changed]);
    assert!(store.delete_schedule(&id("x")).await.unwrap() && !store.delete_schedule(&id("x")).await.unwrap());
}

async fn states(store: &dyn ScheduleStore) {
    let state = async || {
        let all = store.schedule_states().await.unwrap();
        all.into_iter().map(|state| (state.timing, state.handled_at, state.paused)).collect::<Vec<_>>()
    };
    store.begin_schedule(&id("x"), "hourly", 100).await.unwrap();
    store.begin_schedule(&id("x"), "hourly", 200).await.unwrap();
    assert_eq!(state().await, [("hourly".to_owned(), 100, None)], "the same timing goes on");
    store.pause_schedule(&id("x"), "ada", 150).await.unwrap();
    store.pause_schedule(&id("x"), "eve", 160).await.unwrap();
    store.begin_schedule(&id("x"), "daily", 170).await.unwrap();
    assert_eq!(state().await, [("daily".to_owned(), 170, Some(("ada".to_owned(), 150)))], "a pause stays");
    assert!(
        store.resume_schedule(&id("x"), 300).await.unwrap() && !store.resume_schedule(&id("x"), 400).await.unwrap()
    );
    assert_eq!(state().await, [("daily".to_owned(), 300, None)]);

    let missed = |due_at| firing(due_at, FiringOutcome::Missed, None);
    store.record_firing(missed(400), Some(400)).await.unwrap();
    store.record_firing(missed(350), Some(350)).await.unwrap();
    store.record_firing(missed(450), None).await.unwrap();
    assert_eq!(state().await, [("daily".to_owned(), 400, None)], "what was handled stays handled");
}

async fn firings(store: &dyn ScheduleStore) {
    let newest = async || store.firings(&id("x"), i64::MAX, 1).await.unwrap().pop().unwrap();
    let run = RunId::random();
    store.record_firing(firing(1_000, FiringOutcome::Skipped, None), None).await.unwrap();
    store.record_firing(firing(1_000, FiringOutcome::Started, Some(run)), None).await.unwrap();
    assert_eq!(newest().await, firing(1_000, FiringOutcome::Started, Some(run)), "one without a run may get one");
    store.record_firing(firing(1_000, FiringOutcome::Refused, None), None).await.unwrap();
    assert_eq!(newest().await.run, Some(run), "one that has a run keeps it");
    assert_eq!(store.open_firings(10).await.unwrap(), [newest().await]);
    assert_eq!(store.last_success(&id("x"), i64::MAX).await.unwrap(), None);

    store.settle_firing(&id("x"), 1_000, FiringOutcome::Succeeded, None).await.unwrap();
    store.settle_firing(&id("x"), 1_000, FiringOutcome::Failed, None).await.unwrap();
    assert_eq!(newest().await.outcome, FiringOutcome::Succeeded, "an end is the end");
    store.record_firing(firing(2_000, FiringOutcome::Failed, Some(RunId::random())), None).await.unwrap();
    assert_eq!(store.last_success(&id("x"), i64::MAX).await.unwrap(), Some(1_000));
    assert_eq!(store.last_success(&id("x"), 1_000).await.unwrap(), None, "only those before");
    let due: Vec<_> = store.firings(&id("x"), 2_000, 2).await.unwrap().iter().map(|firing| firing.due_at).collect();
    assert_eq!(due, [1_000, 450], "newest first, from a place on");

    store.record_firing(firing(1_500, FiringOutcome::Started, Some(RunId::random())), None).await.unwrap();
    store.forget_firings(5_000).await.unwrap();
    let left: Vec<_> = store.firings(&id("x"), i64::MAX, 9).await.unwrap().iter().map(|firing| firing.due_at).collect();
    assert_eq!(left, [2_000, 1_500, 1_000], "the newest, the one that goes on, and the newest that succeeded");
    assert_eq!(store.forget_firings(5_000).await.unwrap(), 0);
}

async fn lease(store: &dyn ScheduleStore, other: &dyn ScheduleStore) {
    assert!(store.hold_scheduler("one", 1_000, 2_000).await.unwrap());
    assert!(!other.hold_scheduler("two", 1_999, 2_999).await.unwrap());
    assert!(store.hold_scheduler("one", 1_100, 2_100).await.unwrap(), "its holder goes on");
    assert!(store.hold_scheduler("one", 1_900, 2_900).await.unwrap(), "and renews it");
    assert!(!other.hold_scheduler("two", 2_500, 3_500).await.unwrap());
    assert!(other.hold_scheduler("two", 2_900, 3_900).await.unwrap(), "when it is over, another one takes it");
    assert!(!store.hold_scheduler("one", 3_000, 4_000).await.unwrap());
    let (one, two) =
        tokio::join!(store.hold_scheduler("one", 5_000, 6_000), other.hold_scheduler("three", 5_000, 6_000));
    assert!(one.unwrap() != two.unwrap(), "one of two gets it");
}
