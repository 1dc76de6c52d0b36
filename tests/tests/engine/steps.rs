//! Nodes that run in other processes than their runs. The processes are engines over one store, one queue and one clock.

use std::sync::Mutex;

use liteagent_engine::{
    engine::{Fleet, StepDone},
    error::ErrorClass,
    event::{Event, Place, Record},
    export::Export,
    queue::{Group, LocalWakes, MemoryQueue, Pointer, Queue, QueueRules, Wake, Wakes},
    store::MemoryStore,
    stream::{Cause, StreamEvent},
    time::Clock as _,
};
use liteagent_tests::speaker::{Speak, Speaker};
use tokio::task::{AbortHandle, JoinHandle};

use super::{
    streams::{Reader, answer, speak},
    *,
};

/// What several processes share.
pub(super) struct Many {
    pub(super) stores: Stores,
    pub(super) memory: Arc<MemoryStore>,
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) wakes: Arc<LocalWakes>,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) living: Mutex<Vec<Engine>>,
}

/// One of them.
pub(super) struct Process {
    pub(super) engine: Engine,
    pub(super) store: Arc<FaultyStore>,
    serving: Mutex<Vec<AbortHandle>>,
}

impl Many {
    pub(super) fn new() -> Self {
        let (stores, memory) = Stores::memory();
        let clock = Arc::new(VirtualClock::at(1_000_000));
        let queue = Arc::new(MemoryQueue::with(QueueRules::default(), clock.clone()));
        Self { stores, memory, queue, wakes: Arc::default(), clock, living: Mutex::default() }
    }

    pub(super) async fn process(&self, serves: &[Group]) -> Process {
        self.open(Some(Fleet {
            queue: self.queue.clone(),
            wakes: self.wakes.clone(),
            serves: serves.iter().copied().collect(),
        }))
        .await
    }

    pub(super) async fn open(&self, fleet: Option<Fleet>) -> Process {
        let store = Arc::new(FaultyStore::new(self.stores.journal.clone()));
        let secrets = Secrets::new([("TOKEN".to_owned(), "hush-hush-hush".to_owned())]);
        let engine = Engine::open(EngineConfig {
            registry: liteagent_nodes::registry().with::<Probe>().with::<ModelProbe>().with::<Speak>(),
            stores: Stores { journal: store.clone(), ..self.stores.clone() },
            caps: Arc::new(Capabilities { secrets: Arc::new(secrets), ..Capabilities::default() }),
            clock: self.clock.clone(),
            observer: None,
            hold: Duration::from_secs(10),
            quarantine: None,
            fleet,
        });
        let engine = engine.await.unwrap();
        self.living.lock().unwrap().push(engine.clone());
        Process { engine, store, serving: Mutex::default() }
    }

    /// A process that owns runs, and one that runs steps.
    pub(super) async fn pair(&self) -> (Process, Process) {
        (self.process(&[Group::Workflow]).await, self.process(&[Group::Embedding]).await)
    }

    /// It reaches nothing any more, and what it was doing stops where it is.
    pub(super) fn kill(&self, process: &Process) {
        process.store.cut();
        process.serving.lock().unwrap().iter().for_each(AbortHandle::abort);
        self.die(process);
    }

    /// It is taken for dead, and does not know.
    pub(super) fn die(&self, process: &Process) {
        self.memory.kill_session(process.engine.session());
        self.living.lock().unwrap().retain(|engine| engine.session() != process.engine.session());
    }

    /// The next pointer to a step, as soon as there is one; time passes when nothing else happens.
    pub(super) async fn next_step(&self) -> Pointer {
        loop {
            if let Some(leased) = self.queue.pop(Group::Embedding, "test", 1, ZERO).await.unwrap().pop() {
                return leased.job.pointer;
            }
            self.pass().await;
        }
    }

    /// Runs steps in a process for as long as the test goes on.
    pub(super) fn serve(&self, process: &Process, group: Group) {
        let (queue, engine) = (self.queue.clone(), process.engine.clone());
        let serving = tokio::spawn(async move {
            loop {
                for leased in queue.pop(group, &engine.session().to_string(), 8, ZERO).await.unwrap() {
                    let (queue, engine) = (queue.clone(), engine.clone());
                    tokio::spawn(async move {
                        // One that fails comes again: its process is gone.
                        if engine.run_step(&leased.job.pointer).await.is_ok() {
                            queue.ack(group, &[leased]).await.unwrap();
                        }
                    });
                }
                tokio::task::yield_now().await;
            }
        });
        process.serving.lock().unwrap().push(serving.abort_handle());
    }

    /// Lets everything happen that can, and then time pass until something else can.
    pub(super) async fn pass(&self) {
        idle().await;
        if let Some(next) = self.clock.next_wake() {
            self.clock.advance_to(next);
        }
        let living = self.living.lock().unwrap().clone();
        for engine in living {
            engine.heartbeat().await.unwrap();
        }
        // Owners look into their inboxes now and then, by a clock that is not this one.
        self.wakes.publish(Wake::Missed).await.unwrap();
        idle().await;
    }

    /// Lets time pass until something holds.
    pub(super) async fn until(&self, holds: impl AsyncFn() -> bool) {
        for _ in 0..10_000 {
            if holds().await {
                return;
            }
            self.pass().await;
        }
        panic!("it never held");
    }

    pub(super) async fn end(&self, owner: &Process, run: RunId) -> RunEnd {
        loop {
            tokio::select! {
                biased;
                settled = owner.engine.settled(run) => match settled.unwrap() {
                    Settled::Ended(end) => return end,
                    other => panic!("it has not ended: {other:?}"),
                },
                () = self.pass() => {}
            }
        }
    }

    /// What became of a step; time passes until that is known.
    pub(super) async fn finish(&self, mut step: JoinHandle<StepDone>) -> StepDone {
        loop {
            tokio::select! {
                biased;
                done = &mut step => return done.unwrap(),
                () = self.pass() => {}
            }
        }
    }

    pub(super) async fn events(&self, run: RunId) -> Vec<Event> {
        let records = Export::of(&self.stores, run).await.unwrap().unwrap().records;
        records.into_iter().map(|record| serde_json::from_value::<Record>(record).unwrap().event).collect()
    }

    /// How many records of a run are like this.
    pub(super) async fn count(&self, run: RunId, is: impl Fn(&Event) -> bool) -> usize {
        self.events(run).await.iter().filter(|event| is(event)).count()
    }
}

pub(super) const ZERO: std::time::Duration = std::time::Duration::ZERO;

impl Process {
    pub(super) async fn start(&self, definition: Json) -> RunId {
        let start = Start::new(bundle(&[("test", definition)]), Value::object(), value!({ "type": "test" }));
        self.engine.start(start).await.unwrap()
    }

    pub(super) fn run(&self, step: &Pointer) -> JoinHandle<StepDone> {
        let (engine, step) = (self.engine.clone(), step.clone());
        tokio::spawn(async move { engine.run_step(&step).await.unwrap() })
    }
}

/// A model that runs as a step, and uses five tokens each time.
pub(super) fn away(name: &str, more: Json) -> Json {
    let mut node = probe(name, json!({ "queue": "embedding", "uses": { "a/b": { "input_tokens": 5 } } }));
    node["type"] = "model-probe".into();
    for (key, value) in more.as_object().unwrap() {
        node[key] = value.clone();
    }
    node
}

pub(super) fn alone(name: &str, more: Json) -> Json {
    json!({ "nodes": { "away": away(name, more) }, "outputs": { "call": "{{ away.call }}" } })
}

pub(super) const fn is_dispatch(event: &Event) -> bool {
    matches!(event, Event::NodeStarted { place: Place::Job { queue: Group::Embedding, .. }, .. })
}

pub(super) const fn is_loss(event: &Event) -> bool {
    matches!(event, Event::NodeLost { .. })
}

#[tokio::test]
async fn a_result_comes_back_with_what_it_used_and_printed() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    many.serve(&worker, Group::Embedding);
    let run = owner
        .start(json!({
            "secrets": ["TOKEN"],
            "budget": { "tokens": 7 },
            "nodes": {
                "near": { "type": "template-transform", "template": "near" },
                "away": away("step-back", json!({ "says": "said hush-hush-hush",
                    "gives": "{{ near.text }} {{ sys.now }} {{ range(9000) | join(',') }}" })),
                "again": away("step-again", json!({ "needs": ["away"], "gives": "{{ sys.usage.tokens }}" })),
                "over": away("step-over", json!({ "needs": ["again"] })),
            },
        }))
        .await;
    let end = many.end(&owner, run).await;
    assert_eq!(end.error.unwrap().code, "LA2010", "5 of 7 tokens, then 10");
    assert_eq!((end.usage.total().tokens(), probe::calls("step-over")), (10, 0));

    let view = owner.engine.view(run).await.unwrap().unwrap();
    let ViewStatus::Succeeded { output, .. } = &view.nodes["away"].status else { panic!("{:?}", view.nodes) };
    let text = output.get("value").and_then(Value::as_str).unwrap();
    assert!(text.starts_with("near 1970-01-01T00:16:40") && text.ends_with(",8999"), "{}", &text[..40]);
    assert_eq!(view.nodes["away"].logs, [(1, "said [secret TOKEN]\n".to_owned())]);
    let ViewStatus::Succeeded { output, .. } = &view.nodes["again"].status else { panic!("{:?}", view.nodes) };
    assert_eq!(output.get("value"), Some(&Value::from(5_i64)), "it sees what was used when it was dispatched");
    assert_eq!(many.count(run, is_dispatch).await, 2);
}

#[tokio::test]
async fn the_text_of_a_step_is_shown_as_it_comes() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    many.serve(&worker, Group::Embedding);
    let retry = json!({ "queue": "embedding", "retry": { "attempts": 2, "backoff": "1s", "jitter": 0.0 } });
    let run = owner
        .start(json!({
            "secrets": ["TOKEN"],
            "nodes": { "reply": speak("step-text", retry), "say": answer("Hi: {{ reply.text }}") },
        }))
        .await;
    let world = World { engine: owner.engine.clone(), stores: many.stores.clone(), clock: many.clock.clone() };
    let (reply, mut reader) = (Speaker::of("step-text"), Reader::of(&world, run, None).await);
    reply.say("Hel");
    reader.sees("Hi: Hel").await;
    reply.say("lo hush-hush").say("-hush, wo");
    reader.sees("Hi: Hello [secret TOKEN], wo").await;
    reply.fail(ErrorClass::Unavailable);
    many.until(async || many.count(run, is_dispatch).await == 2).await;
    reply.say("Again");
    reader.sees("Hi: Again").await;
    reply.end();
    assert_eq!(reader.ends().await, "Hi: Again");
    let cause = Some(Cause { node: "reply".into(), attempt: 1 });
    assert_eq!(reader.resets, [StreamEvent::Reset { answer: Some("say".into()), cause }]);
}

#[tokio::test]
async fn a_node_whose_queue_is_served_here_stays_and_so_does_everything_else() {
    let many = Many::new();
    let both = many.process(&[Group::Workflow, Group::Embedding]).await;
    let run = both.start(alone("step-served", json!({}))).await;
    assert_eq!(many.end(&both, run).await.outputs, value!({ "call": 1 }));
    let owner = many.process(&[Group::Workflow]).await;
    let run = owner.start(json!({ "nodes": { "near": probe("step-near", json!({})) } })).await;
    assert_eq!(many.end(&owner, run).await.status, RunStatus::Succeeded);
    assert_eq!(many.queue.depth(Group::Embedding).await.unwrap().ready, 0);
}

/// A run whose step was lost with its process, and then ended in another one.
pub(super) async fn lost_and_ended(name: &str) -> Export {
    let many = Many::new();
    let (owner, first) = many.pair().await;
    let run = owner.start(alone(name, json!({ "hanging_calls": 1 }))).await;
    let step = many.next_step().await;
    first.run(&step);
    many.until(async || probe::calls(name) == 1).await;
    many.kill(&first);

    let second = many.process(&[Group::Embedding]).await;
    many.serve(&second, Group::Embedding);
    let end = many.end(&owner, run).await;
    assert_eq!(end.outputs, value!({ "call": 2 }));
    let view = owner.engine.view(run).await.unwrap().unwrap();
    assert_eq!((view.nodes["away"].attempt, view.nodes["away"].losses), (1, 1), "the same attempt, with the same key");
    Export::of(&many.stores, run).await.unwrap().unwrap()
}

#[tokio::test]
async fn each_retry_is_another_job_and_a_timeout_counts_from_where_the_step_runs() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    let run = owner
        .start(alone(
            "step-retry",
            json!({ "hanging_calls": 1, "timeout": "5s", "failures": 2,
            "retry": { "attempts": 3, "backoff": "1s", "jitter": 0.0 } }),
        ))
        .await;
    // Waiting in the queue is no part of the attempt.
    idle().await;
    many.clock.advance(std::time::Duration::from_secs(9));
    many.serve(&worker, Group::Embedding);
    assert_eq!(many.end(&owner, run).await.outputs, value!({ "call": 3 }));
    let view = owner.engine.view(run).await.unwrap().unwrap();
    let codes: Vec<_> = view.nodes["away"].failures.iter().map(|(at, error)| (*at, error.code.as_str())).collect();
    assert_eq!(codes, [(1, "LA2003"), (2, "LA2203")]);
    assert_eq!(many.count(run, is_dispatch).await, 3);
}

#[tokio::test]
async fn steps_that_a_queue_has_lost_are_pushed_again() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    let run = owner.start(alone("step-cleared", json!({}))).await;
    let step = many.next_step().await;
    many.queue.clear();
    let begun = many.clock.now();
    assert_eq!(many.next_step().await, step, "the queue is another one");
    assert!(many.clock.now() - begun <= 5_000);
    // The pointer was taken, and whoever took it has forgotten it: nothing tells but time.
    let begun = many.clock.now();
    assert_eq!(many.next_step().await, step);
    assert!((30_000..=35_000).contains(&(many.clock.now() - begun)), "{}", many.clock.now() - begun);
    assert_eq!(many.count(run, is_dispatch).await, 1, "it is the same job");
    assert_eq!(worker.run(&step).await.unwrap(), StepDone::Ended);
    assert_eq!(many.end(&owner, run).await.outputs, value!({ "call": 1 }));
}

#[tokio::test]
async fn a_thousand_items_go_through_two_processes() {
    let many = Many::new();
    let (owner, first) = many.pair().await;
    let second = many.process(&[Group::Embedding]).await;
    many.serve(&first, Group::Embedding);
    many.serve(&second, Group::Embedding);
    let run = owner
        .start(json!({
            "parallel": 1000,
            "nodes": { "each": { "type": "iteration", "items": "{{ range(1000) }}", "parallel": 1000,
                "nodes": { "away": away("step-items", json!({ "gives": "{{ item * 10 }}" })) },
                "output": "{{ away.value }}" } },
            "outputs": { "all": "{{ each.output }}" },
        }))
        .await;
    let end = many.end(&owner, run).await;
    let expected: Vec<Value> = (0..1000).map(|item: i64| Value::from(item * 10)).collect();
    assert_eq!(end.outputs.get("all").and_then(Value::as_list), Some(&expected[..]));
    assert_eq!((end.usage.total().tokens(), probe::calls("step-items")), (5_000, 1_000));
    let sessions: std::collections::HashSet<String> = many
        .events(run)
        .await
        .iter()
        .filter_map(|event| match event {
            Event::JobTaken { session, .. } => Some(session.to_string()),
            _ => None,
        })
        .collect();
    assert!(sessions.len() <= 2, "{sessions:?}");
}

#[tokio::test]
async fn an_iteration_wider_than_a_process_carries_goes_out_and_ends_also_when_nobody_comes() {
    let many = Many::new();
    let owner = many.process(&[Group::Workflow]).await;
    let run = owner
        .start(json!({
            "parallel": 100,
            "nodes": { "each": { "type": "iteration", "items": "{{ range(100) }}", "parallel": 100,
                "nodes": { "one": probe("step-wide", json!({ "gives": "{{ item }}" })) }, "output": "{{ one.value }}" } },
            "outputs": { "all": "{{ each.output | length }}" },
        }))
        .await;
    assert_eq!(many.end(&owner, run).await.outputs, value!({ "all": 100 }));
    let is_job =
        |event: &Event| matches!(event, Event::NodeStarted { place: Place::Job { queue: Group::Workflow, .. }, .. });
    assert_eq!((many.count(run, is_job).await, probe::calls("step-wide")), (36, 100));
}
