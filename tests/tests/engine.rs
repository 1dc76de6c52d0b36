//! The engine end to end, on the store in memory and a virtual clock: what each promise of a node's policy means.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use indexmap::IndexMap;
use liteagent_engine::{
    bundle::Bundle,
    capability::{Capabilities, Secrets},
    definition::Definition,
    engine::{Cut, Engine, EngineConfig, RunEnd, Settled, Start},
    event::{RunStatus, SignalTo},
    id::RunId,
    store::{StoreError, Stores},
    testing::{Fault, FaultyStore, VirtualClock},
    units::Duration,
    value,
    value::Value,
    view::ViewStatus,
};
use liteagent_tests::probe::{self, ModelProbe, Probe};
use serde_json::{Value as Json, json};

#[path = "engine/agent.rs"]
mod agent;
#[path = "engine/budget.rs"]
mod budget;
#[path = "engine/composites.rs"]
mod composites;
#[path = "engine/deaths.rs"]
mod deaths;
#[path = "engine/fleet.rs"]
mod fleet;
#[path = "engine/journals.rs"]
mod journals;
#[path = "engine/logs.rs"]
mod logs;
#[path = "engine/newer.rs"]
mod newer;
#[path = "engine/steps.rs"]
mod steps;
#[path = "engine/steps_lost.rs"]
mod steps_lost;
#[path = "engine/streams.rs"]
mod streams;
#[path = "engine/usage.rs"]
mod usage;

struct World {
    engine: Engine,
    stores: Stores,
    clock: Arc<VirtualClock>,
}

const HOUR: i64 = 3_600_000;

async fn world() -> World {
    world_with(|stores| stores).await
}

async fn world_with(change: impl FnOnce(Stores) -> Stores) -> World {
    let clock = Arc::new(VirtualClock::at(1_000_000));
    let stores = change(Stores::memory().0);
    let caps = Capabilities {
        secrets: Arc::new(Secrets::new([("TOKEN".to_owned(), "hush-hush-hush".to_owned())])),
        ..Capabilities::default()
    };
    let engine = Engine::open(EngineConfig {
        registry: liteagent_nodes::registry().with::<Probe>().with::<ModelProbe>(),
        stores: stores.clone(),
        caps: Arc::new(caps),
        clock: clock.clone(),
        observer: None,
        hold: Duration::from_secs(10),
        quarantine: None,
        fleet: None,
    })
    .await
    .unwrap();
    World { engine, stores, clock }
}

fn bundle(workflows: &[(&str, Json)]) -> Arc<Bundle> {
    let read = |json: &Json| -> Definition { serde_json::from_value(json.clone()).unwrap() };
    let all: IndexMap<_, _> = workflows.iter().map(|(name, json)| ((*name).to_owned(), read(json))).collect();
    Arc::new(Bundle::new(workflows[0].0, all))
}

impl World {
    async fn start(&self, definition: Json) -> RunId {
        self.start_bundle(bundle(&[("test", definition)]), Value::object()).await
    }

    async fn start_bundle(&self, bundle: Arc<Bundle>, inputs: Value) -> RunId {
        self.engine.start(Start::new(bundle, inputs, value!({ "type": "test" }))).await.unwrap()
    }

    /// Waits until the run rests; moves the clock to what is due next when nothing else can happen.
    async fn settled(&self, run: RunId) -> Settled {
        loop {
            tokio::select! {
                biased;
                settled = self.engine.settled(run) => match settled.unwrap() {
                    Settled::Waiting(waits) if waits.is_empty() => {
                        // It sleeps for longer than the engine holds a run: the reconciler takes it again.
                        let row = self.stores.journal.run(run).await.unwrap().unwrap();
                        self.clock.advance_to(row.wake_at.unwrap());
                        self.engine.poll().await.unwrap();
                    }
                    rest => return rest,
                },
                () = idle() => {
                    if let Some(next) = self.clock.next_wake() {
                        self.clock.advance_to(next);
                    }
                }
            }
        }
    }

    async fn end(&self, run: RunId) -> RunEnd {
        match self.settled(run).await {
            Settled::Ended(end) => end,
            other => panic!("it has not ended: {other:?}"),
        }
    }

    async fn run(&self, definition: Json) -> (RunId, RunEnd) {
        let run = self.start(definition).await;
        (run, self.end(run).await)
    }

    async fn status(&self, run: RunId, path: &str) -> ViewStatus {
        self.engine.view(run).await.unwrap().unwrap().nodes[path].status.clone()
    }
}

/// Lets everything else that can run do so.
async fn idle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn probe(name: &str, more: Json) -> Json {
    let mut node = json!({ "type": "probe", "name": name });
    for (key, value) in more.as_object().unwrap() {
        node[key] = value.clone();
    }
    node
}

#[tokio::test]
async fn a_failure_is_tried_again_by_its_class_and_then_handled() {
    let world = world().await;
    let retry = json!({ "attempts": 3, "backoff": "1h", "max": "2h", "jitter": 0.0 });
    let (run, end) = world
        .run(json!({
            "nodes": {
                "twice": probe("retry-twice", json!({ "failures": 2, "retry": retry })),
                "never": probe("retry-never", json!({
                    "failures": 9, "class": "invalid", "retry": retry, "on_error": "continue" })),
                "stand": probe("retry-stand", json!({
                    "failures": 9, "class": "invalid", "on_error": { "outputs": { "value": "instead", "call": 0 } } })),
                "said": { "type": "template-transform", "needs": ["never.error"],
                    "template": "{{ never.error.class }} after {{ never.error.attempts }}" },
            },
            "outputs": {
                "call": "{{ twice.call }}", "said": "{{ said.text if said else '' }}",
                "ok": "{{ never.ok }}", "stand": "{{ stand.value }}",
            },
        }))
        .await;
    assert_eq!(end.outputs, value!({ "call": 3, "said": "invalid after 1", "ok": false, "stand": "instead" }));
    assert_eq!(end.handled_errors, 2);
    let view = world.engine.view(run).await.unwrap().unwrap();
    assert_eq!(view.updated_at - view.started_at, 3 * HOUR, "1h, then 2h");
    assert_eq!(view.nodes["twice"].attempt, 3);
}

#[tokio::test]
async fn a_timeout_stops_a_hung_node() {
    let world = world().await;
    let (_, end) =
        world.run(json!({ "nodes": { "hang": probe("hang", json!({ "hangs": true, "timeout": "5s" })) } })).await;
    assert_eq!(end.error.unwrap().code, "LA2003");
}

#[tokio::test]
async fn a_cancel_reaches_everything_and_finally_still_runs() {
    let world = world().await;
    let run = world
        .start(json!({
            "nodes": {
                "hang": probe("cancel-hang", json!({ "hangs": true })),
                "each": { "type": "iteration", "items": [1, 2], "parallel": 2,
                    "nodes": { "wait": { "type": "wait", "signal": "go" } }, "output": null },
            },
            "on_failure": { "never": probe("cancel-never", json!({})) },
            "finally": { "bye": probe("cancel-bye", json!({ "gives": "{{ status }}" })) },
        }))
        .await;
    idle().await;
    world.engine.cancel(run, Some("me".to_owned())).await.unwrap();
    let end = world.end(run).await;
    assert_eq!(end.status, RunStatus::Cancelled);
    assert_eq!((probe::calls("cancel-never"), probe::calls("cancel-bye")), (0, 1));
    assert!(matches!(world.status(run, "hang").await, ViewStatus::Cancelled));
    assert!(matches!(world.status(run, "each[1].wait").await, ViewStatus::Cancelled));
    let ViewStatus::Succeeded { output, .. } = world.status(run, "finally.bye").await else { panic!() };
    assert_eq!(output.get("value"), Some(&Value::from("cancelled")));
}

fn approval() -> Json {
    json!({
        "nodes": {
            "ask": { "type": "human-input", "message": "Well?", "form": { "note": "string" },
                "actions": { "yes": "Yes", "no": "No" }, "timeout": "1d" },
            "paid": probe("approval", json!({ "needs": ["ask.yes"], "gives": "{{ ask.form.note }}" })),
            "late": { "type": "template-transform", "needs": ["ask.timeout"], "template": "too late" },
        },
        "outputs": { "paid": "{{ paid.value if paid else none }}", "late": "{{ late.text if late else none }}" },
    })
}

#[tokio::test]
async fn a_person_is_waited_for_and_a_bad_answer_is_refused() {
    let world = world().await;
    let run = world.start(approval()).await;
    let answer = |payload| world.engine.signal(run, SignalTo::Node("ask".to_owned()), payload, Some("ada".to_owned()));
    let wait = async || match world.settled(run).await {
        Settled::Waiting(waits) if waits[0].node == "ask" => waits[0].wait.clone(),
        other => panic!("{other:?}"),
    };
    let until = wait().await.until;
    assert!(until.is_some());
    world.clock.advance_to(1_000_000 + HOUR);
    answer(value!({ "action": "yes", "form": { "note": 7 } })).await.unwrap();
    let refused = wait().await;
    assert!(refused.ask.get("problem").is_some(), "a note must be a text");
    assert_eq!(refused.until, until, "a refused answer gives no more time");
    answer(value!({ "action": "yes", "form": { "note": "fine" } })).await.unwrap();
    assert_eq!(world.end(run).await.outputs, value!({ "paid": "fine", "late": null }));
}

#[tokio::test]
async fn a_wait_that_nobody_answers_leaves_by_its_port_timeout() {
    let world = world().await;
    let run = world.start(approval()).await;
    assert!(matches!(world.settled(run).await, Settled::Waiting(_)));
    world.clock.advance_to(1_000_000 + 25 * HOUR);
    assert_eq!(world.engine.poll().await.unwrap(), 1, "the reconciler finds it");
    assert_eq!(world.end(run).await.outputs, value!({ "paid": null, "late": "too late" }));
}

fn over(policy: &str, name: &str) -> Json {
    json!({
        "nodes": {
            "each": { "type": "iteration", "items": [1, 2, 3], "parallel": 3, "on_item_error": policy,
                "nodes": {
                    "odd": { "type": "if-else", "cases": { "bad": "{{ item == 2 }}" } },
                    "stop": { "type": "fail", "needs": ["odd.bad"], "message": "{{ item }} is even" },
                    "ok": probe(&format!("{name}-{{{{ item }}}}"), json!({ "needs": ["odd.else"], "gives": "{{ item * 10 }}" })),
                },
                "output": "{{ ok.value }}" },
        },
        "outputs": { "all": "{{ each.output }}", "errors": "{{ each.errors | length }}" },
    })
}

#[tokio::test]
async fn a_failed_item_is_kept_dropped_or_fatal() {
    let world = world().await;
    let (_, kept) = world.run(over("keep", "keep")).await;
    assert_eq!(kept.outputs, value!({ "all": [10, null, 30], "errors": 1 }));
    let (_, dropped) = world.run(over("drop", "drop")).await;
    assert_eq!(dropped.outputs, value!({ "all": [10, 30], "errors": 1 }));
    let (_, fatal) = world.run(over("fail", "fatal")).await;
    let error = fatal.error.unwrap();
    assert_eq!((error.node.as_deref(), error.message.as_str()), (Some("each[1].stop"), "2 is even"));
}

#[tokio::test]
async fn a_loop_goes_on_from_the_round_that_failed() {
    let world = world().await;
    let (run, end) = world
        .run(json!({
            "nodes": {
                "rounds": { "type": "loop", "state": { "seen": [] }, "max_rounds": 9,
                    "retry": { "attempts": 2, "classes": ["unavailable"] },
                    "nodes": {
                        "a": probe("loop-a", json!({})),
                        "b": probe("loop-b", json!({ "needs": ["a"], "failures": 1 })),
                    },
                    "next": { "seen": "{{ state.seen + [b.call] }}" },
                    "until": "{{ state.seen | length == 3 }}",
                    "output": "{{ state.seen }}" },
            },
            "outputs": { "seen": "{{ rounds.output }}", "rounds": "{{ rounds.rounds }}" },
        }))
        .await;
    assert_eq!(end.outputs, value!({ "seen": [2, 3, 4], "rounds": 3 }));
    assert_eq!(probe::calls("loop-a"), 3, "what finished in the failed round stays");
    assert_eq!(world.engine.view(run).await.unwrap().unwrap().nodes["rounds[0].b"].attempt, 2);
}

#[tokio::test]
async fn a_child_run_gives_its_outputs_or_its_failure() {
    let world = world().await;
    let parent = json!({
        "nodes": { "child": { "type": "workflow", "workflow": "child", "inputs": { "n": "{{ inputs.n }}" },
            "on_error": "continue" } },
        "inputs": { "n": "integer" },
        "outputs": { "ok": "{{ child.ok }}", "twice": "{{ child.twice if child.ok else child.error.message }}" },
    });
    let child = json!({
        "inputs": { "n": { "type": "integer", "maximum": 10 } },
        "nodes": {
            "big": { "type": "if-else", "cases": { "yes": "{{ inputs.n > 5 }}" } },
            "stop": { "type": "fail", "needs": ["big.yes"], "message": "too big" },
            "twice": { "type": "json", "needs": ["big.else"], "value": "{{ inputs.n * 2 }}" },
        },
        "outputs": { "twice": "{{ twice.value if twice else none }}" },
    });
    let both = bundle(&[("parent", parent), ("child", child)]);
    for (n, expected) in [
        (4, json!({ "ok": true, "twice": 8 })),
        (6, json!({ "ok": false, "twice": "the workflow `child` failed at `stop` with LA2100: too big" })),
    ] {
        let run = world.start_bundle(both.clone(), value!({ "n": n })).await;
        assert_eq!(world.end(run).await.outputs, Value::from(expected));
    }
    let run = world.start_bundle(both, value!({ "n": 11 })).await;
    let end = world.end(run).await;
    assert!(end.outputs.get("twice").unwrap().as_str().unwrap().contains("do not fit"), "{:?}", end.outputs);
}

#[tokio::test]
async fn a_cached_output_is_used_again_until_it_expires() {
    let world = world().await;
    let definition = json!({
        "nodes": { "costly": probe("cached", json!({ "cache": { "ttl": "1h" }, "gives": "x" })) },
        "outputs": { "call": "{{ costly.call }}" },
    });
    for expected in [1, 1] {
        assert_eq!(world.run(definition.clone()).await.1.outputs, value!({ "call": expected }));
    }
    world.clock.advance_to(world.clock.next_wake().unwrap_or(0).max(1_000_000 + 2 * HOUR));
    assert_eq!(world.run(definition).await.1.outputs, value!({ "call": 2 }));
}

#[tokio::test]
async fn a_restart_and_a_fork_keep_what_is_settled_and_unchanged() {
    let world = world().await;
    let definition = |text: &str| {
        json!({
            "nodes": {
                "a": probe("fork-a", json!({})),
                "b": probe("fork-b", json!({ "needs": ["a"], "gives": text })),
                "c": probe("fork-c", json!({ "gives": "{{ b.value }}" })),
            },
            "outputs": { "text": "{{ c.value }}" },
        })
    };
    let (run, _) = world.run(definition("one")).await;
    let again = world.engine.fork(run, Cut::Restart { node: "c".to_owned() }).await.unwrap();
    assert_eq!(world.end(again).await.outputs, value!({ "text": "one" }));
    assert_eq!((probe::calls("fork-a"), probe::calls("fork-b"), probe::calls("fork-c")), (1, 1, 2));

    let changed = bundle(&[("test", definition("two"))]);
    let forked = world.engine.fork(run, Cut::Fork { bundle: Some(changed), inputs: None }).await.unwrap();
    assert_eq!(world.end(forked).await.outputs, value!({ "text": "two" }));
    assert_eq!((probe::calls("fork-a"), probe::calls("fork-b"), probe::calls("fork-c")), (1, 2, 3));
    assert_eq!(world.engine.view(forked).await.unwrap().unwrap().forked_from, Some(run));
}

#[tokio::test]
async fn a_fault_at_any_append_changes_nothing_but_how_often_an_effect_may_happen() {
    let definition = |name: &str| {
        json!({
            "nodes": {
                "a": probe(&format!("{name}-a"), json!({ "gives": "1" })),
                "t": { "type": "template-transform", "template": "{{ a.value }}" },
                "b": probe(&format!("{name}-b"), json!({ "gives": "{{ t.text }}2" })),
            },
            "outputs": { "text": "{{ b.value }}" },
        })
    };
    for nth in 1..=4 {
        let name = format!("fault-{nth}");
        let world = world_with(|stores| {
            let faulty = FaultyStore::new(stores.journal.clone()).at_append(nth, Fault::Unknown);
            Stores { journal: Arc::new(faulty), ..stores }
        })
        .await;
        let (run, end) = world.run(definition(&name)).await;
        assert_eq!(end.outputs, value!({ "text": "12" }), "fault at append {nth}");
        let view = world.engine.view(run).await.unwrap().unwrap();
        for node in ["a", "b"] {
            assert!(probe::calls(&format!("{name}-{node}")) <= 1 + view.nodes[node].losses, "fault at append {nth}");
        }
    }
}

#[tokio::test]
async fn a_full_disk_stops_the_run_and_loses_nothing() {
    let world = world_with(|stores| {
        let full = Fault::Refused(StoreError::Full("no space left".to_owned()));
        let faulty = FaultyStore::new(stores.journal.clone()).at_append(2, full);
        Stores { journal: Arc::new(faulty), ..stores }
    })
    .await;
    let run = world
        .start(json!({ "nodes": { "a": probe("full-a", json!({})), "b": probe("full-b", json!({ "needs": ["a"] })) } }))
        .await;
    let error = world.engine.settled(run).await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    world.engine.resume(run).await.unwrap();
    assert_eq!(world.end(run).await.status, RunStatus::Succeeded);
    assert_eq!(probe::calls("full-b"), 1, "its start was never durable, so it never acted before");
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_by_itself_when_the_store_is_back() {
    let full = || Fault::Refused(StoreError::Full("no space left".to_owned()));
    let world = world_with(|stores| {
        let faulty = FaultyStore::new(stores.journal.clone()).at_append(1, full()).at_append(2, full());
        Stores { journal: Arc::new(faulty), ..stores }
    })
    .await;
    let run = world.start(json!({ "nodes": { "a": probe("back-a", json!({})) } })).await;
    assert!(world.engine.settled(run).await.is_err());
    let rests = async {
        while world.stores.journal.run(run).await.unwrap().unwrap().status.is_none() {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), rests).await.expect("nobody resumes it");
    assert_eq!(probe::calls("back-a"), 1);
}

#[tokio::test]
async fn durability_end_leaves_nothing_before_the_end() {
    let world = world().await;
    let (run, end) = world
        .run(json!({ "durability": "end",
            "nodes": { "t": { "type": "template-transform", "template": "hi" } }, "outputs": { "text": "{{ t.text }}" } }))
        .await;
    assert_eq!(end.outputs, value!({ "text": "hi" }));
    assert_eq!(world.stores.journal.run(run).await.unwrap().unwrap().seq, 3, "start, node and end, at once");
}

#[tokio::test]
async fn a_budget_stops_a_run_and_secrets_never_reach_the_journal() {
    let world = world().await;
    let (run, end) = world
        .run(json!({
            "secrets": ["TOKEN"],
            "budget": { "nodes": 2 },
            "nodes": {
                "a": probe("budget-a", json!({ "gives": "hush-hush-hush, and aHVzaC1odXNoLWh1c2g=" })),
                "b": probe("budget-b", json!({ "needs": ["a"] })),
                "c": probe("budget-c", json!({ "needs": ["b"] })),
            },
        }))
        .await;
    assert_eq!(end.error.unwrap().code, "LA2010");
    assert_eq!(probe::calls("budget-c"), 0);
    let stored = world.stores.journal.read(run, 0, 1000).await.unwrap();
    let text: String = stored.iter().map(|record| &*record.body).collect();
    assert!(text.contains("[secret TOKEN]") && !text.contains("hush-hush"), "{text}");
    assert!(!text.contains("aHVzaC1odXNoLWh1c2g"), "{text}");
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_run() {
    let world = world().await;
    let bundle = bundle(&[("test", json!({ "nodes": { "a": probe("idempotent", json!({})) } }))]);
    let start = |body: &str| Start {
        idempotency: Some(liteagent_engine::store::Idempotency {
            caller: "ada".to_owned(),
            key: "k".to_owned(),
            body: liteagent_engine::id::Digest::of(body.as_bytes()),
        }),
        ..Start::new(bundle.clone(), Value::object(), value!({ "type": "test" }))
    };
    let first = world.engine.start(start("x")).await.unwrap();
    let end = world.end(first).await;
    assert_eq!(end.status, RunStatus::Succeeded);
    assert_eq!(world.engine.start(start("x")).await.unwrap(), first);
    assert!(world.engine.start(start("y")).await.is_err());
    assert_eq!(probe::calls("idempotent"), 1);
}
