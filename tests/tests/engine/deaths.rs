//! Runs whose processes die: who is to blame, and who is not. The processes are sessions of one store.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use liteagent_engine::{
    engine::{AttemptEnd, LossCause, Observer, Quarantine, RunTaken},
    event::{Event, Record},
    export::Export,
    store::MemoryStore,
    view::RunView,
};

use super::*;

/// A node that never ends: its process dies of it.
fn deadly(name: &str) -> Json {
    json!({
        "nodes": { "first": probe(&format!("{name}-first"), json!({})),
            "die": probe(name, json!({ "hangs": true, "needs": ["first"] })) },
        "on_failure": { "told": probe(&format!("{name}-told"), json!({ "gives": "{{ error.code }} at {{ error.node }}" })) },
    })
}

/// The deaths that each owner of a run was told of, and whether it was alone.
async fn owners(stores: &Stores, run: RunId) -> Vec<(u32, bool)> {
    let records = Export::of(stores, run).await.unwrap().unwrap().records;
    let events = records.into_iter().map(|record| serde_json::from_value::<Record>(record).unwrap().event);
    let taken = |event| match event {
        Event::RunTaken { deaths, alone, .. } => Some((deaths, alone)),
        _ => None,
    };
    events.filter_map(taken).collect()
}

#[tokio::test]
async fn a_run_that_is_given_back_again_and_again_is_no_suspect() {
    let stores = Stores::memory().0;
    let mut run = None;
    for _ in 0..7 {
        let shared = stores.clone();
        let world = world_with(|_| shared).await;
        match run {
            None => run = Some(world.start(deadly("handed-over")).await),
            Some(run) => world.engine.resume(run).await.unwrap(),
        }
        idle().await;
        world.engine.close().await.unwrap();
    }
    let run = run.unwrap();
    assert_eq!(owners(&stores, run).await, [(0, false); 7]);
    assert_eq!(probe::calls("handed-over"), 7);
    let row = stores.journal.run(run).await.unwrap().unwrap();
    assert_eq!(row.status, None, "it has not failed");
}

#[tokio::test]
async fn where_nothing_can_be_executed_alone_five_deaths_in_a_row_fail_a_run() {
    let (stores, memory) = Stores::memory();
    let shared = stores.clone();
    let first = world_with(|_| shared).await;
    let run = first.start(deadly("together")).await;
    let mut world = first;
    for _ in 0..5 {
        idle().await;
        memory.kill_session(world.engine.session());
        let shared = stores.clone();
        world = world_with(|_| shared).await;
        world.engine.resume(run).await.unwrap();
    }
    let end = world.end(run).await;
    assert_eq!(end.error.unwrap().code, "LA2020");
    // The first owner finished something, so its death was the first of the row.
    assert_eq!(owners(&stores, run).await, [0, 1, 2, 3, 4, 5].map(|deaths| (deaths, false)));
    assert_eq!((probe::calls("together"), probe::calls("together-told")), (5, 1));
}

/// Executes runs alone in a session that dies when they hang.
struct Ward {
    stores: Stores,
    memory: Arc<MemoryStore>,
    executed: AtomicU32,
}

#[async_trait]
impl Quarantine for Ward {
    async fn execute(&self, run: RunId) -> Result<(), String> {
        self.executed.fetch_add(1, Ordering::Relaxed);
        let engine = Engine::open_alone(config(self.stores.clone(), None), run).await.unwrap();
        engine.resume(run).await.unwrap();
        tokio::select! {
            settled = engine.settled(run) => {
                settled.unwrap();
                engine.close().await.unwrap();
            }
            () = idle() => self.memory.kill_session(engine.session()),
        }
        Ok(())
    }
}

fn config(stores: Stores, quarantine: Option<Arc<dyn Quarantine>>) -> EngineConfig {
    EngineConfig {
        registry: liteagent_nodes::registry().with::<Probe>(),
        stores,
        caps: Arc::default(),
        clock: Arc::new(VirtualClock::at(1_000_000)),
        observer: None,
        hold: Duration::from_secs(10),
        quarantine,
        fleet: None,
    }
}

/// A run whose process dies of it, to its end: where it lies, and how often it was executed alone.
pub(super) async fn suspect(name: &str) -> (Stores, RunId, u32) {
    let (stores, memory) = Stores::memory();
    let ward = Arc::new(Ward { stores: stores.clone(), memory: memory.clone(), executed: AtomicU32::new(0) });
    let open = async || Engine::open(config(stores.clone(), Some(ward.clone()))).await.unwrap();
    let mut engine = open().await;
    let start = Start::new(bundle(&[("test", deadly(name))]), Value::object(), value!({ "type": "test" }));
    let run = engine.start(start).await.unwrap();
    for _ in 0..2 {
        idle().await;
        memory.kill_session(engine.session());
        engine = open().await;
        engine.resume(run).await.unwrap();
    }
    assert!(matches!(engine.settled(run).await.unwrap(), Settled::Ended(_)));
    (stores, run, ward.executed.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_suspect_is_executed_alone_and_fails_after_two_deaths_there() {
    let (stores, run, executed) = suspect("suspect").await;
    let end = RunView::load(&stores, run).await.unwrap().end.unwrap();
    let error = end.error.unwrap();
    assert_eq!((error.code.as_ref(), error.node.as_deref()), ("LA2020", Some("die")), "{error}");
    assert_eq!(executed, 3, "twice to see, once to fail it and run its handler");
    let (together, alone) = (false, true);
    let expected =
        [(0, together), (1, together), (2, together), (2, alone), (3, together), (3, alone), (4, together), (4, alone)];
    assert_eq!(owners(&stores, run).await, expected);
    assert_eq!((probe::calls("suspect-first"), probe::calls("suspect"), probe::calls("suspect-told")), (1, 4, 1));
}

/// Writes down what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Observer for Told {
    fn record(&self, _: RunId, _: &Record) {}

    fn taken(&self, _: RunId, taken: &RunTaken<'_>) {
        self.note(format!("taken {}", taken.workflow));
    }

    fn attempted(&self, _: RunId, attempt: &AttemptEnd<'_>) {
        self.note(format!("{} of {}", attempt.path, attempt.kind));
    }

    fn lost(&self, _: RunId, cause: LossCause) {
        self.note(format!("lost by {}", cause.as_str()));
    }

    fn left(&self, _: RunId, _: std::time::Duration) {
        self.note("left".to_owned());
    }
}

#[tokio::test]
async fn whoever_watches_is_told_of_takes_and_attempts_and_why_nodes_are_lost() {
    let (stores, memory) = Stores::memory();
    let told = Arc::new(Told::default());
    let open = async || {
        let config = EngineConfig { observer: Some(told.clone()), ..config(stores.clone(), None) };
        Engine::open(config).await.unwrap()
    };
    let first = open().await;
    let start = Start::new(bundle(&[("test", deadly("watched"))]), Value::object(), value!({ "type": "test" }));
    let run = first.start(start).await.unwrap();
    idle().await;
    memory.kill_session(first.session());
    let second = open().await;
    second.resume(run).await.unwrap();
    idle().await;
    second.close().await.unwrap();
    let third = open().await;
    third.resume(run).await.unwrap();
    idle().await;
    let told = told.0.lock().unwrap().clone();
    let begun = ["taken test", "first of probe"];
    let after_death = ["lost by death", "taken test", "left"];
    let handed_over = ["lost by hand_over", "taken test"];
    assert_eq!(told, [&begun[..], &after_death, &handed_over].concat());
}

#[tokio::test]
async fn who_was_believed_dead_while_it_took_a_run_lets_others_have_it() {
    let (stores, memory) = Stores::memory();
    let faulty = Arc::new(FaultyStore::new(stores.journal.clone()));
    let slow = Stores { journal: faulty.clone(), ..stores.clone() };
    let slow = world_with(|_| slow).await;
    let run = slow.start(json!({ "nodes": { "rest": { "type": "wait", "for": "1h" } } })).await;
    assert!(matches!(slow.engine.settled(run).await.unwrap(), Settled::Waiting(_)));

    let stall = faulty.stall_read();
    slow.clock.advance_to(1_000_000 + HOUR);
    slow.engine.poll().await.unwrap();
    stall.reached.notified().await;
    memory.kill_session(slow.engine.session());
    let shared = stores.clone();
    let other = world_with(|_| shared).await;
    other.clock.advance_to(1_000_000 + HOUR);
    other.engine.resume(run).await.unwrap();
    other.end(run).await;

    stall.go_on.notify_one();
    let end = slow.end(run).await;
    assert_eq!(end.status, RunStatus::Succeeded);
    let ends = Export::of(&stores, run).await.unwrap().unwrap().records;
    let ends = ends.iter().filter(|record| record["type"] == "run_ended").count();
    assert_eq!(ends, 1);
}
