//! Several processes over the same stores: one starts runs and watches them, others execute them.

use std::collections::BTreeSet;

use liteagent_engine::{
    engine::{Capacity, Fleet},
    event::Event,
    queue::{Group, LocalWakes, MemoryQueue, Queue as _, QueueRules, Wakes},
    store::{MemoryStore, RunPhase},
    view::RunView,
};
use liteagent_tests::speaker::{Speak, Speaker};
use tokio::task::JoinHandle;

use super::{streams::Reader, *};

/// So long may it take until something happens that another process does.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// What the processes share.
struct Shared {
    stores: Stores,
    memory: Arc<MemoryStore>,
    queue: Arc<MemoryQueue>,
    wakes: Arc<LocalWakes>,
    clock: Arc<VirtualClock>,
}

impl Shared {
    fn new() -> Self {
        let (stores, memory) = Stores::memory();
        let clock = Arc::new(VirtualClock::at(1_000_000));
        let queue = Arc::new(MemoryQueue::with(QueueRules::default(), clock.clone()));
        Self { stores, memory, queue, wakes: Arc::default(), clock }
    }

    async fn process(&self, serves: &[Group]) -> World {
        let fleet = Fleet {
            queue: self.queue.clone(),
            wakes: self.wakes.clone() as Arc<dyn Wakes>,
            serves: serves.iter().copied().collect::<BTreeSet<_>>(),
        };
        let engine = Engine::open(EngineConfig {
            registry: liteagent_nodes::registry().with::<Probe>().with::<Speak>(),
            stores: self.stores.clone(),
            caps: Arc::default(),
            clock: self.clock.clone(),
            observer: None,
            hold: Duration::from_secs(10),
            quarantine: None,
            fleet: Some(fleet),
        })
        .await
        .unwrap();
        World { engine, stores: self.stores.clone(), clock: self.clock.clone() }
    }

    /// A process that starts and watches runs.
    async fn server(&self) -> World {
        self.process(&[]).await
    }

    /// A process that executes what is in the queue, at most so many runs at once.
    async fn worker(&self, at_once: usize) -> Worker {
        let world = self.process(&Group::ALL).await;
        world.engine.limit(Capacity { at_once, waiting: 1_000 });
        let (engine, queue) = (world.engine.clone(), self.queue.clone());
        let takes = tokio::spawn(async move {
            let room = Arc::new(tokio::sync::Semaphore::new(at_once));
            loop {
                let place = room.clone().acquire_owned().await.unwrap();
                let jobs = queue.pop(Group::Workflow, "worker", 1, std::time::Duration::from_hours(1_000)).await;
                for leased in jobs.unwrap() {
                    let liteagent_engine::queue::Pointer::Run(run) = leased.job.pointer else {
                        panic!("only runs are pushed")
                    };
                    let (engine, queue) = (engine.clone(), queue.clone());
                    let room = room.clone();
                    // The place is for one job.
                    let place = room.try_acquire_owned().ok();
                    tokio::spawn(async move {
                        engine.work(run).await.unwrap();
                        queue.ack(Group::Workflow, &[leased]).await.unwrap();
                        drop(place);
                    });
                }
                drop(place);
            }
        });
        Worker { world, takes }
    }

    async fn depth(&self) -> u64 {
        let depth = self.queue.depth(Group::Workflow).await.unwrap();
        depth.ready + depth.delayed
    }

    /// The sessions that have owned a run.
    async fn owners(&self, run: RunId) -> Vec<liteagent_engine::id::SessionId> {
        let records = self.stores.journal.read(run, 0, 1_000).await.unwrap();
        let events = records.iter().map(|record| {
            let record: liteagent_engine::event::Record = serde_json::from_str(&record.body).unwrap();
            record.event
        });
        events.filter_map(|event| if let Event::RunTaken { owner, .. } = event { Some(owner) } else { None }).collect()
    }

    async fn phase(&self, run: RunId) -> RunPhase {
        self.stores.journal.run(run).await.unwrap().unwrap().phase
    }
}

struct Worker {
    world: World,
    takes: JoinHandle<()>,
}

impl Worker {
    /// It dies: it takes nothing any more, and its session counts as dead.
    fn dies(self, shared: &Shared) {
        self.takes.abort();
        shared.memory.kill_session(self.world.engine.session());
    }
}

/// Waits for a run of another process, in the time of the machine.
async fn end_of(world: &World, run: RunId) -> RunEnd {
    match tokio::time::timeout(PATIENCE, world.engine.settled(run)).await.expect("the run rests").unwrap() {
        Settled::Ended(end) => end,
        other => panic!("it has not ended: {other:?}"),
    }
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect(what);
}

fn waits_for_a_signal() -> Json {
    json!({
        "nodes": {
            "ask": { "type": "wait", "signal": "go" },
            "done": { "type": "template-transform", "needs": ["ask"], "template": "done" },
        },
        "outputs": { "said": "{{ done.text }}" },
    })
}

#[tokio::test]
async fn a_run_is_started_here_executed_there_and_watched_from_here() {
    let shared = Shared::new();
    let (server, worker) = (shared.server().await, shared.worker(4).await);
    let reply = Speaker::of("fleet-watch");
    let run = server
        .start(json!({
            "nodes": {
                "reply": streams::speak("fleet-watch", json!({})),
                "say": streams::answer("> {{ reply.text }}"),
            },
            "outputs": { "text": "{{ say.text }}" },
        }))
        .await;
    assert_eq!(server.engine.active_runs(), 0);
    let mut early = Reader::of(&server, run, None).await;
    reply.say("one ");
    early.sees("> one ").await;
    let mut late = Reader::of(&server, run, None).await;
    late.sees("> one ").await;
    reply.say("two");
    late.sees("> one two").await;
    early.sees("> one two").await;
    reply.end();
    assert_eq!((early.ends().await, late.ends().await), ("> one two".to_owned(), "> one two".to_owned()));
    assert!(early.resets.is_empty() && late.resets.is_empty(), "nothing was missed");
    assert_eq!(end_of(&server, run).await.outputs, value!({ "text": "> one two" }));
    assert_eq!(shared.owners(run).await, [worker.world.engine.session()]);
    until("the pointer is done", async || shared.queue.depth(Group::Workflow).await.unwrap().leased == 0).await;
}

#[tokio::test]
async fn readers_follow_a_run_from_a_process_that_dies_to_the_next() {
    let shared = Shared::new();
    let (server, first) = (shared.server().await, shared.worker(4).await);
    let reply = Speaker::of("fleet-move");
    let run = server
        .start(json!({ "nodes": { "reply": streams::speak("fleet-move", json!({})), "say": streams::answer("{{ reply.text }}") } }))
        .await;
    let mut reader = Reader::of(&server, run, None).await;
    reply.say("lost");
    reader.sees("lost").await;
    first.dies(&shared);
    let second = shared.worker(4).await;
    shared.clock.advance_to(1_002_000);
    assert_eq!(server.engine.poll().await.unwrap(), 1, "the pointer to a run of a dead process is pushed");
    until("another process takes it", async || shared.owners(run).await.len() == 2).await;
    // The speaker of the dead process still listens, and what it gives counts for nothing.
    reply.end().say("kept").end();
    assert_eq!(reader.ends().await, "kept");
    assert_eq!(shared.owners(run).await[1], second.world.engine.session());
}

#[tokio::test]
async fn signals_cancels_and_children_reach_other_processes() {
    let shared = Shared::new();
    let (server, _worker) = (shared.server().await, shared.worker(4).await);
    let asked = server.start(waits_for_a_signal()).await;
    let stopped =
        server.start(json!({ "nodes": { "hang": { "type": "probe", "name": "fleet-hang", "hangs": true } } })).await;
    until("it hangs", async || probe::calls("fleet-hang") == 1).await;
    server.engine.cancel(stopped, None).await.unwrap();
    assert_eq!(end_of(&server, stopped).await.status, RunStatus::Cancelled);

    until("it was taken", async || shared.phase(asked).await != RunPhase::Queued).await;
    shared.clock.advance_to(1_011_000);
    until("it waits, and nobody owns it", async || shared.phase(asked).await == RunPhase::Waiting).await;
    server.engine.signal(asked, SignalTo::Name("go".to_owned()), Value::Null, None).await.unwrap();
    assert_eq!(end_of(&server, asked).await.outputs, value!({ "said": "done" }));

    let child = json!({ "nodes": { "one": { "type": "template-transform", "template": "of the child" } },
                        "outputs": { "said": "{{ one.text }}" } });
    let parent = json!({ "nodes": { "run": { "type": "workflow", "workflow": "child" } },
                         "outputs": { "said": "{{ run.said }}" } });
    let run = server.start_bundle(bundle(&[("parent", parent), ("child", child)]), Value::object()).await;
    assert_eq!(end_of(&server, run).await.outputs, value!({ "said": "of the child" }));
}

#[tokio::test]
async fn a_worker_without_room_gives_its_place_to_the_children_of_its_run() {
    let shared = Shared::new();
    let (server, _worker) = (shared.server().await, shared.worker(1).await);
    let child = json!({ "nodes": { "one": { "type": "template-transform", "template": "x" } } });
    let parent = json!({
        "nodes": { "each": { "type": "iteration", "items": "{{ [1, 2, 3] }}", "output": null,
            "nodes": { "run": { "type": "workflow", "workflow": "child" } } } },
    });
    let run = server.start_bundle(bundle(&[("parent", parent), ("child", child)]), Value::object()).await;
    assert_eq!(end_of(&server, run).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn runs_of_a_line_follow_each_other_whoever_executes_them() {
    let shared = Shared::new();
    let server = shared.server().await;
    let (_one, _two) = (shared.worker(4).await, shared.worker(4).await);
    let definition = json!({
        "concurrency": { "limit": 1, "when_full": "queue" },
        "nodes": { "wait": { "type": "wait", "signal": "go" } },
    });
    let bundle = bundle(&[("line", definition)]);
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(server.start_bundle(bundle.clone(), Value::object()).await);
    }
    for run in runs {
        until("its turn comes", async || shared.phase(run).await != RunPhase::Queued).await;
        server.engine.signal(run, SignalTo::Name("go".to_owned()), Value::Null, None).await.unwrap();
        end_of(&server, run).await;
    }
}

#[tokio::test]
async fn a_worker_that_stops_hands_its_runs_over() {
    let shared = Shared::new();
    let (server, first) = (shared.server().await, shared.worker(4).await);
    let definition = json!({ "nodes": { "say": streams::speak("fleet-drain", json!({})) }, "outputs": { "text": "{{ say.text }}" } });
    let run = server.start(definition).await;
    until("it runs", async || shared.phase(run).await == RunPhase::Running).await;
    first.takes.abort();
    first.world.engine.close().await.unwrap();
    assert_eq!(shared.phase(run).await, RunPhase::Queued);
    // Nobody has to look for it.
    let _second = shared.worker(4).await;
    Speaker::of("fleet-drain").say("again").end();
    assert_eq!(end_of(&server, run).await.outputs, value!({ "text": "again" }));
}

#[tokio::test]
async fn what_a_queue_loses_is_pushed_again_and_nothing_twice() {
    let shared = Shared::new();
    let server = shared.server().await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(server.start(json!({ "nodes": { "one": { "type": "template-transform", "template": "x" } } })).await);
    }
    until("they wait in the queue", async || shared.depth().await == 3).await;
    assert_eq!(server.engine.poll().await.unwrap(), 0);

    // The generation is another one: at once.
    shared.clock.advance_to(1_002_000);
    shared.queue.clear();
    assert_eq!(server.engine.poll().await.unwrap(), 3);
    assert_eq!((server.engine.poll().await.unwrap(), shared.depth().await), (0, 3));

    // Popped by somebody who died, and lost with him: the queue has passed them, after half a minute.
    let popped = shared.queue.pop(Group::Workflow, "dead", 3, std::time::Duration::ZERO).await.unwrap();
    shared.queue.ack(Group::Workflow, &popped).await.unwrap();
    shared.clock.advance_to(1_020_000);
    assert_eq!(server.engine.poll().await.unwrap(), 0);
    shared.clock.advance_to(1_033_000);
    // One process looks; another one that has heard of it does not.
    let other = shared.server().await;
    assert_eq!(server.engine.poll().await.unwrap(), 3);
    idle().await;
    assert_eq!(other.engine.poll().await.unwrap(), 0);
    shared.clock.advance_to(1_036_000);
    // It knows less, and pushes again what is there, which changes nothing.
    other.engine.poll().await.unwrap();
    assert_eq!(shared.depth().await, 3);

    let _worker = shared.worker(4).await;
    for run in runs {
        end_of(&server, run).await;
        assert_eq!(RunView::load(&shared.stores, run).await.unwrap().end.unwrap().status, RunStatus::Succeeded);
    }
}
