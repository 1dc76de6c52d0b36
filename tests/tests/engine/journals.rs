//! Old journals replay for ever: every file in `tests/fixtures/journals` was written by some release, with its bundle.
//!
//! `LITEAGENT_NEW_FIXTURES=1` writes the scenarios below that have no file yet. A file is never written again: what a
//! release wrote stays what it was.

use std::{collections::BTreeMap, fs, path::PathBuf};

use liteagent_engine::{
    event::{Event, Record},
    export::Export,
    id::Digest,
    run::{decide, path},
    store::RunPhase,
    testing::journal::{FAR, replayed, restore},
    view::RunView,
};

use super::*;

/// Where new fixtures go: the version changes with the major version of the record format.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/journals/v1");

fn fixtures() -> BTreeMap<String, Export> {
    let files = fs::read_dir(FOLDER).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        (name, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    files.map(read).collect()
}

fn registry() -> liteagent_engine::node::Registry {
    liteagent_nodes::registry().with::<Probe>().with::<ModelProbe>()
}

fn last_event(export: &Export) -> Event {
    serde_json::from_value::<Record>(export.records.last().unwrap().clone()).unwrap().event
}

#[tokio::test]
async fn every_old_journal_folds_to_what_it_says_of_its_end() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 10, "the fixtures are there");
    for (name, export) in fixtures {
        let digest = Digest::of(export.bundle.to_string().as_bytes());
        assert_eq!(digest, export.run.digest, "{name}: the bundle is the one that the run names");
        for record in &export.records {
            let typed: Record = serde_json::from_value(record.clone()).unwrap();
            assert_eq!(serde_json::to_value(typed).unwrap(), *record, "{name}: a record is written as it was read");
        }

        let stores = Stores::memory().0;
        let run = restore(&stores, &export, export.records.len()).await.unwrap();
        let view = RunView::load(&stores, run).await.unwrap();
        let (plan, mut state) = replayed(&stores, run, &registry()).await.unwrap();
        assert_eq!((view.seq, state.seq), (export.run.seq, export.run.seq), "{name}");
        assert_eq!(view.end.as_ref().map(|end| end.status), export.run.status, "{name}");
        assert_eq!(state.ended().map(|end| end.status), export.run.status, "{name}");
        if export.run.phase == RunPhase::Ended {
            assert!(matches!(last_event(&export), Event::RunEnded { .. }), "{name}: the end is last");
            let commands = decide(&plan, &mut state, FAR);
            assert!(commands.is_empty(), "{name}: a run that ended asks for {commands:?}");
        }
        for (at, node) in state.nodes() {
            // The two folds agree on every node of the workflow that has settled.
            let path = path::path(&plan, &state, at).to_string();
            let seen = view.nodes.get(&path).map(|node| &node.status);
            let agrees = match seen {
                None | Some(ViewStatus::Running { .. } | ViewStatus::Sleeping(_) | ViewStatus::Waiting(_)) => {
                    !node.status.is_settled() || state.ended().is_some()
                }
                Some(_) => node.status.is_settled(),
            };
            assert!(agrees, "{name}: `{path}` is {:?} and is shown as {seen:?}", node.status);
        }
    }
}

#[tokio::test]
async fn every_old_run_comes_to_the_same_end_again_without_acting() {
    for (name, export) in fixtures() {
        let world = world().await;
        let ended = export.run.phase == RunPhase::Ended;
        let kept = export.records.len() - usize::from(ended);
        let run = restore(&world.stores, &export, kept).await.unwrap();
        world.clock.advance_to(export.run.updated_at.max(1_000_001));
        world.engine.resume(run).await.unwrap();
        let settled = world.engine.settled(run).await.unwrap();
        let added: Vec<Event> = Export::of(&world.stores, run).await.unwrap().unwrap().records[kept..]
            .iter()
            .map(|record| serde_json::from_value::<Record>(record.clone()).unwrap().event)
            .collect();
        assert!(matches!(added[0], Event::RunTaken { .. }), "{name}: {added:?}");
        if ended {
            assert!(matches!(settled, Settled::Ended(_)), "{name}: {settled:?}");
            assert_eq!(
                added[1..],
                [last_event(&export)],
                "{name}: the end is computed again, and nothing else is done"
            );
        } else {
            let Settled::Waiting(waits) = settled else { panic!("{name}: {settled:?}") };
            assert_eq!(waits.len(), 1, "{name}: {waits:?}");
            let acts = |event: &Event| !matches!(event, Event::RunTaken { .. } | Event::NodeWaiting { .. });
            assert!(!added.iter().any(acts), "{name}: {added:?}");
        }
    }
}

#[tokio::test]
async fn new_fixtures_are_written_when_asked_for_and_never_replaced() {
    if std::env::var_os("LITEAGENT_NEW_FIXTURES").is_none() {
        return;
    }
    for (name, export) in scenarios().await {
        let path = PathBuf::from(FOLDER).join(format!("{name}.json"));
        if !path.exists() {
            fs::write(path, serde_json::to_string_pretty(&export).unwrap() + "\n").unwrap();
        }
    }
}

async fn export(world: &World, run: RunId) -> Export {
    Export::of(&world.stores, run).await.unwrap().unwrap()
}

async fn scenarios() -> Vec<(&'static str, Export)> {
    let mut all = Vec::new();
    let mut ended = Vec::new();
    for (name, definition) in definitions() {
        let world = world().await;
        let (run, _) = world.run(definition).await;
        all.push((name, export(&world, run).await));
        ended.push((name, world, run));
    }

    let (_, world, run) = ended.iter().find(|(name, ..)| *name == "chain").unwrap();
    let restart = world.engine.fork(*run, Cut::Restart { node: "second".to_owned() }).await.unwrap();
    world.end(restart).await;
    all.push(("restart", export(world, restart).await));

    let (_, world, _) = ended.iter().find(|(name, ..)| *name == "cache_filled").unwrap();
    let (run, _) = world.run(definitions().remove("cache_filled").unwrap()).await;
    all.push(("cache_hit", export(world, run).await));

    all.push(("approval", approved().await));
    all.push(("cancel_with_finally", cancelled().await));
    all.push(("conversation", conversed().await));
    all.push(("waiting", waiting().await));
    all.push(("composites", composed().await));
    all.push(("calls", called().await));
    all.push(("lost", lost().await));
    let (stores, run, _) = deaths::suspect("fixture-deadly").await;
    all.push(("deadly", Export::of(&stores, run).await.unwrap().unwrap()));
    let (parent, child) = parent_and_child().await;
    all.push(("parent", parent));
    all.push(("child", child));
    all.push(("jobs", steps::lost_and_ended("fixture-jobs").await));
    all.push(("usage", used().await));
    all.push(("logs", logged().await));
    let (parent, child) = budgeted().await;
    all.push(("budget", parent));
    all.push(("budget_child", child));
    all
}

/// Runs that come to their end by themselves.
fn definitions() -> BTreeMap<&'static str, Json> {
    let mut all = BTreeMap::new();
    all.insert(
        "chain",
        json!({
            "nodes": {
                "first": { "type": "template-transform", "template": "one" },
                "second": probe("fixture-chain", json!({ "gives": { "text": "{{ first.text }}", "n": 1.5 } })),
                "third": { "type": "json", "value": { "all": ["{{ second.value.text }}", "{{ second.value.n }}"] } },
            },
            "outputs": { "all": "{{ third.value }}", "text": "{{ first.text }} and two" },
        }),
    );
    all.insert(
        "branches",
        json!({
            "inputs": { "amount": { "type": "integer", "default": 70 } },
            "nodes": {
                "size": { "type": "if-else", "cases": { "big": "{{ inputs.amount > 50 }}" } },
                "big": { "type": "template-transform", "needs": ["size.big"], "template": "big" },
                "small": { "type": "template-transform", "needs": ["size.else"], "template": "small" },
                "reads": { "type": "template-transform", "template": "{{ small.text }}" },
                "never": { "type": "template-transform", "when": "{{ inputs.amount > 99 }}", "template": "x" },
                "join": { "type": "template-transform", "needs": [{ "any": ["big", "small"] }],
                    "template": "{{ big.text if big else small.text }}" },
            },
            "outputs": { "size": "{{ join.text }}", "reads": "{{ reads.text if reads else none }}" },
        }),
    );
    for policy in ["keep", "drop"] {
        let name = if policy == "keep" { "items_kept" } else { "items_dropped" };
        all.insert(name, over(policy, &format!("fixture-{policy}")));
    }
    all.insert(
        "loop",
        json!({
            "nodes": { "rounds": { "type": "loop", "state": { "seen": [], "n": 0 }, "max_rounds": 9,
                "nodes": { "step": probe("fixture-loop", json!({ "gives": "{{ state.n }}" })) },
                "next": { "seen": "{{ state.seen + [step.value] }}", "n": "{{ state.n + 1 }}" },
                "until": "{{ state.n == 3 }}", "output": "{{ state.seen }}" } },
            "outputs": { "seen": "{{ rounds.output }}", "rounds": "{{ rounds.rounds }}" },
        }),
    );
    let retry = json!({ "attempts": 3, "backoff": "1h", "max": "2h", "jitter": 0.0 });
    all.insert(
        "retries",
        json!({
            "nodes": {
                "twice": probe("fixture-twice", json!({ "failures": 2, "retry": retry })),
                "never": probe("fixture-never", json!({ "failures": 9, "class": "invalid", "on_error": "continue" })),
                "stand": probe("fixture-stand", json!({ "failures": 9, "class": "invalid",
                    "on_error": { "outputs": { "value": "instead", "call": 0 } } })),
                "said": { "type": "template-transform", "needs": ["never.error"], "template": "{{ never.error.class }}" },
            },
            "outputs": { "call": "{{ twice.call }}", "said": "{{ said.text if said else '' }}", "stand": "{{ stand.value }}" },
        }),
    );
    all.insert(
        "failure_handled",
        json!({
            "nodes": {
                "ok": probe("fixture-ok", json!({})),
                "stop": { "type": "fail", "needs": ["ok"], "code": "SOLD_OUT", "message": "nothing left" },
                "after": { "type": "template-transform", "needs": ["stop"], "template": "never" },
            },
            "on_failure": { "tell": probe("fixture-tell", json!({ "gives": "{{ error.code }}" })) },
            "finally": { "bye": probe("fixture-bye", json!({ "gives": "{{ status }}" })) },
        }),
    );
    all.insert(
        "cache_filled",
        json!({
            "nodes": { "costly": probe("fixture-cache", json!({ "cache": { "ttl": "1h" }, "gives": "x" })) },
            "outputs": { "call": "{{ costly.call }}" },
        }),
    );
    all.insert(
        "answers",
        json!({
            "nodes": {
                "hello": { "type": "answer", "text": "Hello." },
                "each": { "type": "iteration", "items": ["a", "b"], "output": null,
                    "nodes": { "one": { "type": "answer", "text": "Item {{ item }}." } } },
                "never": { "type": "answer", "when": "{{ sys.attempt > 1 }}", "text": "never" },
                "bye": { "type": "answer", "needs": ["each"], "text": "{{ hello.text }} Bye." },
            },
        }),
    );
    all.insert("blobs", json!({
        "nodes": {
            "long": probe("fixture-long", json!({ "gives": "{{ range(4000) | join(', ') }} and more of it: {{ range(3000) | join(', ') }}" })),
            "size": { "type": "json", "value": "{{ long.value | length }}" },
        },
        "outputs": { "size": "{{ size.value }}" },
    }));
    all
}

/// An answer that does not fit the form, and then one that does.
async fn approved() -> Export {
    let world = world().await;
    let run = world.start(approval()).await;
    assert!(matches!(world.settled(run).await, Settled::Waiting(_)));
    for payload in [value!({ "action": "yes", "form": {} }), value!({ "action": "yes", "form": { "note": "fine" } })] {
        world.engine.signal(run, SignalTo::Node("ask".to_owned()), payload, Some("ada".to_owned())).await.unwrap();
        world.settled(run).await;
    }
    export(&world, run).await
}

async fn cancelled() -> Export {
    let world = world().await;
    let run = world
        .start(json!({
            "nodes": {
                "hang": probe("fixture-hang", json!({ "hangs": true })),
                "each": { "type": "iteration", "items": [1, 2], "parallel": 2,
                    "nodes": { "wait": { "type": "wait", "signal": "go" } }, "output": null },
            },
            "finally": { "bye": probe("fixture-cancelled", json!({ "gives": "{{ status }}" })) },
        }))
        .await;
    idle().await;
    world.engine.cancel(run, Some("ada".to_owned())).await.unwrap();
    assert_eq!(world.end(run).await.status, RunStatus::Cancelled);
    export(&world, run).await
}

async fn conversed() -> Export {
    let world = world().await;
    let definition = json!({
        "conversation": { "variables": {
            "seen": { "type": "string[]", "default": [] }, "turns": { "type": "integer", "default": 0 } } },
        "nodes": { "note": { "type": "assigner", "append": { "conversation.seen": "{{ inputs.message }}" },
            "increment": { "conversation.turns": 1 } } },
        "outputs": { "turns": "{{ note.conversation.turns }}" },
    });
    let bundle = bundle(&[("test", definition)]);
    let mut newest = None;
    for message in ["one", "two"] {
        let start = Start {
            conversation: Some("conversation-1".to_owned()),
            user: value!({ "name": "Ada" }),
            ..Start::new(bundle.clone(), value!({ "message": message }), value!({ "type": "test" }))
        };
        let run = world.engine.start(start).await.unwrap();
        assert_eq!(world.end(run).await.status, RunStatus::Succeeded);
        newest = Some(run);
    }
    export(&world, newest.unwrap()).await
}

async fn waiting() -> Export {
    let world = world().await;
    let run = world
        .start(json!({
            "nodes": {
                "paid": { "type": "wait", "signal": "paid" },
                "text": { "type": "template-transform", "template": "{{ paid.payload.amount }}" },
            },
            "outputs": { "text": "{{ text.text }}" },
        }))
        .await;
    assert!(matches!(world.settled(run).await, Settled::Waiting(_)));
    export(&world, run).await
}

/// A composite that passes once and one that repeats, one inside of another.
async fn composed() -> Export {
    let world = world().await;
    let definition = json!({
        "nodes": { "all": { "type": "both", "name": "Ada", "probe": "fixture-composed" } },
        "outputs": { "all": "{{ all.all }}" },
    });
    let run = world.start_bundle(composites::with_composites(definition), Value::object()).await;
    assert_eq!(world.end(run).await.status, RunStatus::Succeeded);
    export(&world, run).await
}

/// Calls of tools: two of one tool, one that fails, one that cannot be made, one that a person refuses.
async fn called() -> Export {
    let world = world().await;
    let run = world
        .start(json!({
            "nodes": { "calls": { "type": "tool-calls",
                "calls": [
                    { "id": "a", "name": "sums", "arguments": { "expression": "1 + 1" } },
                    { "id": "b", "name": "sums", "arguments": "{ \"expression\": \"1 / 0\" }" },
                    { "id": "c", "name": "sms", "arguments": {} },
                    { "id": "d", "name": "asked", "arguments": { "expression": "2 + 2" } },
                ],
                "tools": {
                    "sums": { "builtin": "calculator" },
                    "asked": { "builtin": "calculator", "approval": { "when": "{{ call.expression != '1' }}" } },
                } } },
            "outputs": { "texts": "{{ calls.results | map(attribute='text') | list }}" },
        }))
        .await;
    let Settled::Waiting(waits) = world.settled(run).await else { panic!("nobody is asked") };
    let no = value!({ "action": "reject", "form": { "note": "not now" } });
    world.engine.signal(run, SignalTo::Node(waits[0].node.clone()), no, Some("ada".to_owned())).await.unwrap();
    let end = world.end(run).await;
    assert_eq!(end.status, RunStatus::Succeeded, "{:?}", end.error);
    export(&world, run).await
}

/// The process dies while a node acts; another one goes on.
async fn lost() -> Export {
    let (stores, memory) = Stores::memory();
    let definition = |hangs: bool| probe("fixture-lost", json!({ "hangs": hangs, "needs": ["before"] }));
    let workflow = json!({
        "nodes": { "before": probe("fixture-before", json!({})), "lost": definition(false) },
        "outputs": { "call": "{{ lost.call }}" },
    });
    let shared = stores.clone();
    // The node's start is durable, and then its process is cut off.
    let first = world_with(|_| {
        let faulty = FaultyStore::new(stores.journal.clone()).at_append(2, Fault::CutAfter);
        Stores { journal: Arc::new(faulty), ..stores }
    })
    .await;
    let run = first.start(workflow).await;
    idle().await;
    memory.kill_session(first.engine.session());
    let second = world_with(|_| shared).await;
    second.engine.resume(run).await.unwrap();
    assert_eq!(second.end(run).await.status, RunStatus::Succeeded);
    let losses = second.engine.view(run).await.unwrap().unwrap().nodes["lost"].losses;
    assert_eq!(losses, 1);
    export(&second, run).await
}

/// Attempts that printed something, one of them a secret.
async fn logged() -> Export {
    let world = world().await;
    let run = world
        .start(json!({
            "secrets": ["TOKEN"],
            "nodes": { "twice": probe("fixture-logs", json!({ "says": "with hush-hush-hush", "failures": 1,
                "retry": { "attempts": 2, "backoff": "1s" } })) },
            "outputs": { "call": "{{ twice.call }}" },
        }))
        .await;
    assert_eq!(world.end(run).await.status, RunStatus::Succeeded);
    export(&world, run).await
}

async fn parent_and_child() -> (Export, Export) {
    let world = world().await;
    let parent = json!({
        "nodes": {
            "child": { "type": "workflow", "workflow": "child", "inputs": { "n": 4 } },
            "bad": { "type": "workflow", "workflow": "child", "inputs": { "n": 6 }, "on_error": "continue" },
        },
        "outputs": { "twice": "{{ child.twice }}", "bad": "{{ bad.error.message if bad.error else '' }}" },
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
    let run = world.start_bundle(bundle(&[("parent", parent), ("child", child)]), Value::object()).await;
    assert_eq!(world.end(run).await.status, RunStatus::Succeeded);
    let child = RunId::child(run, "child", 1);
    (export(&world, run).await, export(&world, child).await)
}

/// Attempts that used models: one that failed, one that succeeded, a run of its own, and one that was cancelled.
async fn used() -> Export {
    let world = world().await;
    let uses = json!({ "a/small": { "input_tokens": 7, "output_tokens": 2, "cost": 0.000_009 },
        "b/unknown": { "input_tokens": 3, "unpriced": 1 } });
    let spender = |name: &str, more: Json| {
        let mut node = probe(name, more);
        node["uses"] = uses.clone();
        node
    };
    let parent = json!({
        "nodes": {
            "again": spender("fixture-again", json!({ "failures": 1, "retry": { "backoff": "1s", "jitter": 0.0 } })),
            "child": { "type": "workflow", "workflow": "child" },
            "said": { "type": "json", "needs": ["again", "child"], "value": "{{ sys.usage }}" },
            "hang": spender("fixture-hangs", json!({ "hangs": true, "needs": ["said"] })),
        },
    });
    let child = json!({ "nodes": { "one": spender("fixture-one", json!({})) } });
    let run = world.start_bundle(bundle(&[("parent", parent), ("child", child)]), Value::object()).await;
    while probe::calls("fixture-hangs") == 0 {
        idle().await;
        if let Some(next) = world.clock.next_wake() {
            world.clock.advance_to(next);
        }
    }
    world.engine.cancel(run, None).await.unwrap();
    assert_eq!(world.end(run).await.usage.total().calls, 8);
    export(&world, run).await
}

/// A child that uses up what its parent had left, after it was told that this is near.
async fn budgeted() -> (Export, Export) {
    let world = world().await;
    let model = |name: &str, more: Json| {
        let mut node = probe(name, more);
        node["type"] = "model-probe".into();
        node["uses"] = json!({ "a/small": { "input_tokens": 10, "cost": 0.000_01 } });
        node
    };
    let parent = json!({
        "budget": { "tokens": 25, "cost": "0.01 USD", "warn_at": 0.4 },
        "nodes": {
            "own": model("fixture-own", json!({})),
            "child": { "type": "workflow", "workflow": "child", "needs": ["own"], "on_error": "continue" },
            "never": model("fixture-over", json!({ "needs": ["child.error"] })),
        },
        "on_failure": { "told": { "type": "json", "value": "{{ error.code }} after {{ sys.usage.tokens }}" } },
    });
    let child = json!({ "nodes": {
        "one": model("fixture-child-one", json!({})),
        "two": model("fixture-child-two", json!({ "needs": ["one"], "budget": { "tokens": 5 } })),
        "three": model("fixture-child-three", json!({ "needs": ["two"] })),
    } });
    let run = world.start_bundle(bundle(&[("parent", parent), ("child", child)]), Value::object()).await;
    assert_eq!(world.end(run).await.error.unwrap().code, "LA2010");
    (export(&world, run).await, export(&world, RunId::child(run, "child", 1)).await)
}
