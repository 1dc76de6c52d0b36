//! Runs that are counted together: `concurrency`, and conversations.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use indexmap::IndexMap;
use liteagent_engine::{
    bundle::Bundle,
    capability::Capabilities,
    definition::Definition,
    engine::{Capacity, Engine, EngineConfig, EngineError, RunEnd, Settled, Start},
    event::{RunStatus, SignalTo},
    id::RunId,
    store::{ReleaseHeld, Stores},
    testing::VirtualClock,
    units::Duration,
    value,
    value::Value,
};
use liteagent_tests::probe::Probe;
use serde_json::{Value as Json, json};

struct World {
    engine: Engine,
    stores: Stores,
}

impl World {
    async fn new() -> Self {
        Self::over(Stores::memory().0).await
    }

    /// A process over these stores.
    async fn over(stores: Stores) -> Self {
        let config = EngineConfig {
            registry: liteagent_nodes::registry().with::<Probe>(),
            stores: stores.clone(),
            caps: Arc::new(Capabilities::default()),
            clock: Arc::new(VirtualClock::at(1_000_000)),
            observer: None,
            hold: Duration::from_secs(10),
            quarantine: None,
            fleet: None,
        };
        Self { engine: Engine::open(config).await.unwrap(), stores }
    }

    async fn start(&self, bundle: &Arc<Bundle>, inputs: Value) -> Result<RunId, EngineError> {
        self.engine.start(Start::new(bundle.clone(), inputs, value!({ "type": "test" }))).await
    }

    async fn say(&self, bundle: &Arc<Bundle>, conversation: &str, message: &str) -> Result<RunId, EngineError> {
        let start = Start::new(bundle.clone(), value!({ "message": message }), value!({ "type": "test" }));
        self.engine.start(Start { conversation: Some(conversation.to_owned()), ..start }).await
    }

    /// Waits until a run waits for its signal.
    async fn waits(&self, run: RunId) {
        let settled = self.engine.settled(run).await.unwrap();
        assert!(matches!(&settled, Settled::Waiting(waits) if waits.len() == 1), "{settled:?}");
    }

    async fn queued(&self, run: RunId) -> Vec<RunId> {
        match self.engine.settled(run).await.unwrap() {
            Settled::Queued(ahead) => ahead,
            other => panic!("{other:?}"),
        }
    }

    async fn go(&self, run: RunId) -> RunEnd {
        self.engine.signal(run, SignalTo::Name("go".to_owned()), Value::Null, None).await.unwrap();
        self.end(run).await
    }

    async fn end(&self, run: RunId) -> RunEnd {
        loop {
            match self.engine.settled(run).await.unwrap() {
                Settled::Ended(end) => return end,
                // What ended before it has just woken it.
                _ => tokio::task::yield_now().await,
            }
        }
    }
}

fn bundle(workflows: &[(&str, Json)]) -> Arc<Bundle> {
    let read = |json: &Json| -> Definition { serde_json::from_value(json.clone()).unwrap() };
    let all: IndexMap<_, _> = workflows.iter().map(|(name, json)| ((*name).to_owned(), read(json))).collect();
    Arc::new(Bundle::new(workflows[0].0, all))
}

/// A workflow that waits for the signal `go`.
fn waiting(concurrency: Json) -> Json {
    json!({
        "inputs": { "customer": { "type": "string", "default": "ann" } },
        "concurrency": concurrency,
        "nodes": { "wait": { "type": "wait", "signal": "go" } },
    })
}

fn full(error: EngineError) -> Vec<RunId> {
    match error {
        EngineError::Full(ahead) => ahead,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn runs_of_one_key_go_one_after_the_other_oldest_first() {
    let world = World::new().await;
    let one = bundle(&[("one", waiting(json!({ "key": "{{ inputs.customer }}" })))]);
    let two = bundle(&[("two", waiting(json!({ "key": "{{ inputs.customer }}" })))]);
    let first = world.start(&one, Value::object()).await.unwrap();
    let second = world.start(&two, Value::object()).await.unwrap();
    let third = world.start(&one, Value::object()).await.unwrap();
    let other = world.start(&one, value!({ "customer": "bob" })).await.unwrap();
    world.waits(first).await;
    world.waits(other).await;
    assert_eq!((world.queued(second).await, world.queued(third).await), (vec![first], vec![first]));

    assert_eq!(world.go(first).await.status, RunStatus::Succeeded);
    world.waits(second).await;
    assert_eq!(world.queued(third).await, [second]);
    // Who waits can be cancelled, and the line goes on.
    world.engine.cancel(second, None).await.unwrap();
    assert_eq!(world.end(second).await.status, RunStatus::Cancelled);
    world.waits(third).await;
    assert_eq!(world.go(third).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_queued_run_can_be_cancelled_before_it_begins() {
    let world = World::new().await;
    let one = bundle(&[("one", waiting(json!({})))]);
    let first = world.start(&one, Value::object()).await.unwrap();
    let second = world.start(&one, Value::object()).await.unwrap();
    world.waits(first).await;
    world.queued(second).await;
    world.engine.cancel(second, None).await.unwrap();
    assert_eq!(world.end(second).await.status, RunStatus::Cancelled);
    world.waits(first).await;
}

#[tokio::test]
async fn when_full_rejects_or_replaces() {
    let world = World::new().await;
    let reject = bundle(&[("reject", waiting(json!({ "limit": 2, "when_full": "reject" })))]);
    let first = world.start(&reject, Value::object()).await.unwrap();
    let second = world.start(&reject, Value::object()).await.unwrap();
    assert_eq!(full(world.start(&reject, Value::object()).await.unwrap_err()), [first, second]);
    world.waits(first).await;
    world.go(first).await;
    world.start(&reject, Value::object()).await.unwrap();

    let replace = bundle(&[("replace", waiting(json!({ "when_full": "replace" })))]);
    let old = world.start(&replace, Value::object()).await.unwrap();
    world.waits(old).await;
    let passed_by = world.start(&replace, Value::object()).await.unwrap();
    let new = world.start(&replace, Value::object()).await.unwrap();
    assert_eq!(world.end(old).await.status, RunStatus::Cancelled);
    assert_eq!(world.end(passed_by).await.status, RunStatus::Cancelled);
    assert_eq!(world.go(new).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_run_replaces_one_of_another_process() {
    let first = World::new().await;
    let second = World::over(first.stores.clone()).await;
    let hangs = |hangs: bool| {
        let node = json!({ "type": "probe", "name": "replaced", "hangs": hangs });
        bundle(&[("one", json!({ "concurrency": { "when_full": "replace" }, "nodes": { "act": node } }))])
    };
    let old = first.start(&hangs(true), Value::object()).await.unwrap();
    let new = second.start(&hangs(false), Value::object()).await.unwrap();
    assert_eq!(first.end(old).await.status, RunStatus::Cancelled);
    second.engine.poll().await.unwrap();
    assert_eq!(second.end(new).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_child_waits_is_rejected_or_is_not_counted() {
    let world = World::new().await;
    let child = |when_full: &str| {
        json!({ "concurrency": { "key": "shared", "when_full": when_full },
            "nodes": { "t": { "type": "template-transform", "template": "done" } }, "outputs": { "text": "{{ t.text }}" } })
    };
    let parent = json!({ "nodes": { "call": { "type": "workflow", "workflow": "child" } },
        "outputs": { "text": "{{ call.text }}" } });
    let holder = bundle(&[("holder", waiting(json!({ "key": "shared" })))]);
    let held = world.start(&holder, Value::object()).await.unwrap();
    world.waits(held).await;

    let rejected = bundle(&[("parent", parent.clone()), ("child", child("reject"))]);
    let rejected = world.start(&rejected, Value::object()).await.unwrap();
    let error = world.end(rejected).await.error.unwrap();
    assert!(error.message.contains(&held.to_string()), "{}", error.message);

    let queues = bundle(&[("parent", parent.clone()), ("child", child("queue"))]);
    let queues = world.start(&queues, Value::object()).await.unwrap();
    let mut holding = parent;
    holding["concurrency"] = json!({ "key": "shared" });
    let below = bundle(&[("parent", holding), ("child", child("reject"))]);
    let below = world.start(&below, Value::object()).await.unwrap();
    world.go(held).await;
    for run in [queues, below] {
        assert_eq!(world.end(run).await.outputs, value!({ "text": "done" }));
    }
}

#[tokio::test]
async fn messages_of_a_conversation_follow_each_other_and_see_what_the_last_one_wrote() {
    let world = World::new().await;
    let chat = |when_busy: &str| {
        json!({
            "conversation": { "variables": { "said": { "type": "string[]", "default": [] } }, "when_busy": when_busy },
            "nodes": {
                "wait": { "type": "wait", "signal": "go" },
                "keep": { "type": "assigner", "needs": ["wait"], "append": { "conversation.said": "{{ inputs.message }}" } },
            },
            "outputs": { "said": "{{ keep.conversation.said }}" },
        })
    };
    let queue = bundle(&[("queue", chat("queue"))]);
    let first = world.say(&queue, "c1", "one").await.unwrap();
    let second = world.say(&queue, "c1", "two").await.unwrap();
    let elsewhere = world.say(&queue, "c2", "hello").await.unwrap();
    world.waits(first).await;
    world.waits(elsewhere).await;
    assert_eq!(world.queued(second).await, [first]);
    assert_eq!(world.go(first).await.outputs, value!({ "said": ["one"] }));
    assert_eq!(world.go(second).await.outputs, value!({ "said": ["one", "two"] }));
    assert_eq!(world.stores.journal.conversation("c1").await.unwrap(), Some(value!({ "said": ["one", "two"] })));

    let reject = bundle(&[("reject", chat("reject"))]);
    assert_eq!(full(world.say(&reject, "c2", "again").await.unwrap_err()), [elsewhere]);
    let replace = bundle(&[("replace", chat("replace"))]);
    let last = world.say(&replace, "c2", "instead").await.unwrap();
    assert_eq!(world.end(elsewhere).await.status, RunStatus::Cancelled);
    assert_eq!(world.go(last).await.outputs, value!({ "said": ["instead"] }));
}

#[tokio::test]
async fn a_queue_of_many_is_worked_off_by_as_many_as_may() {
    let world = World::new().await;
    let three = bundle(&[("three", waiting(json!({ "limit": 3 })))]);
    let mut runs = Vec::new();
    for _ in 0..30 {
        runs.push(world.start(&three, Value::object()).await.unwrap());
    }
    for (place, run) in runs.iter().enumerate() {
        world.waits(*run).await;
        for behind in runs.iter().skip(place + 3).take(1) {
            assert_eq!(world.queued(*behind).await, runs[place..place + 3]);
        }
        world.go(*run).await;
    }
}

#[tokio::test]
async fn a_process_executes_so_many_runs_at_once_and_refuses_more_than_may_wait() {
    let world = World::new().await;
    world.engine.limit(Capacity { at_once: 2, waiting: 2 });
    let free =
        bundle(&[("free", json!({ "nodes": { "hang": { "type": "probe", "name": "capacity", "hangs": true } } }))]);
    let start = async || world.start(&free, Value::object()).await;
    let (first, second) = (start().await.unwrap(), start().await.unwrap());
    let (third, fourth) = (start().await.unwrap(), start().await.unwrap());
    assert_eq!(world.engine.active_runs(), 2);
    assert_eq!(world.queued(third).await, []);
    let refused = start().await.unwrap_err();
    assert!(matches!(refused, EngineError::Busy { running: 2, waiting: 2 }), "{refused}");
    // Who exists only in memory cannot wait at all.
    let end = json!({ "durability": "end", "nodes": { "say": { "type": "template-transform", "template": "x" } } });
    let end = world.start(&bundle(&[("end", end)]), Value::object()).await.unwrap_err();
    assert!(matches!(end, EngineError::Busy { running: 2, waiting: 0 }), "{end}");
    assert_eq!(world.engine.poll().await.unwrap(), 0, "the reconciler takes no more either");

    // Who waits in the queue can be cancelled; the oldest goes first.
    let cancel = async |run| {
        world.engine.cancel(run, None).await.unwrap();
        assert_eq!(world.end(run).await.status, RunStatus::Cancelled);
    };
    cancel(fourth).await;
    cancel(first).await;
    while world.stores.journal.run(third).await.unwrap().unwrap().epoch == 0 {
        tokio::task::yield_now().await;
    }
    for run in [second, third] {
        cancel(run).await;
    }
    // A run that rests takes nobody's place.
    let rests = bundle(&[("rests", json!({ "nodes": { "wait": { "type": "wait", "signal": "go" } } }))]);
    for _ in 0..3 {
        let run = world.start(&rests, Value::object()).await.unwrap();
        world.waits(run).await;
    }
}

#[tokio::test]
async fn a_held_run_goes_on_where_it_was_when_it_is_released() {
    let stores = Stores::memory().0;
    let world = World::over(stores.clone()).await;
    let free = bundle(&[("free", json!({ "nodes": { "wait": { "type": "wait", "signal": "go" } } }))]);
    let run = world.start(&free, Value::object()).await.unwrap();
    world.waits(run).await;
    world.engine.close().await.unwrap();
    stores.journal.hold_runs().await.unwrap();

    let world = World::over(stores.clone()).await;
    assert!(matches!(world.engine.resume(run).await.unwrap_err(), EngineError::Held(held) if held == run));
    assert!(matches!(world.engine.settled(run).await.unwrap_err(), EngineError::Held(_)));
    world.engine.signal(run, SignalTo::Name("go".to_owned()), Value::Null, None).await.unwrap();
    assert_eq!(world.engine.poll().await.unwrap(), 0);
    stores.journal.release_held(&ReleaseHeld::Runs(vec![run]), 10).await.unwrap();
    assert_eq!(world.engine.poll().await.unwrap(), 1);
    assert_eq!(world.end(run).await.status, RunStatus::Succeeded);
}
