//! What was used of models: counted for each attempt, and added up along every way in which runs hang together.

use liteagent_engine::{
    event::{Event, Record},
    store::DAY,
    usage::{Spent, Usage},
};

use super::*;

/// A probe whose calls use 10 tokens of questions and 2 of answers, for 0.000003 USD.
fn spender(name: &str, more: Json) -> Json {
    let uses = json!({ "a/b": { "input_tokens": 10, "output_tokens": 2, "cost": 0.000_003 } });
    let mut node = probe(name, more);
    node["uses"] = uses;
    node
}

fn calls(count: u64) -> Usage {
    Usage { calls: count, input_tokens: 10 * count, output_tokens: 2 * count, cost: 3 * count, ..Usage::default() }
}

async fn records(world: &World, run: RunId) -> Vec<Event> {
    let stored = world.stores.journal.read(run, 0, 1000).await.unwrap();
    stored.iter().map(|record| serde_json::from_str::<Record>(&record.body).unwrap().event).collect()
}

#[tokio::test]
async fn every_attempt_counts_for_its_node_its_containers_and_the_run() {
    let world = world().await;
    let (run, end) = world
        .run(json!({
            "nodes": {
                "fails": spender("usage-fails", json!({ "failures": 2, "class": "unavailable",
                    "retry": { "attempts": 3, "backoff": "1s" } })),
                "slow": spender("usage-slow", json!({ "hangs": true, "timeout": "5s", "on_error": "continue" })),
                "each": { "type": "iteration", "items": [1, 2, 3], "parallel": 3, "output": "{{ say.call }}",
                    "nodes": { "say": spender("usage-each", json!({})) } },
                "free": probe("usage-free", json!({ "uses": { "a/b": {} } })),
                "early": { "type": "json", "value": "{{ sys.usage }}" },
                "late": { "type": "json", "value": "{{ sys.usage.tokens }} for {{ sys.usage.cost }}",
                    "needs": ["fails", "each", "slow.error"] },
            },
            "outputs": { "early": "{{ early.value }}", "late": "{{ late.value if late else none }}" },
        }))
        .await;
    assert_eq!(end.usage.models["a/b"], calls(7));
    let zero = Usage::default().report().to_value();
    assert_eq!(end.outputs, value!({ "early": zero, "late": "84 for 0.000021" }));

    let view = world.engine.view(run).await.unwrap().unwrap();
    assert_eq!(view.usage, end.usage);
    for (path, count) in [("fails", 3), ("slow", 1), ("each", 3), ("each[1]", 1), ("each[1].say", 1), ("free", 0)] {
        assert_eq!(view.usage_of(path).total(), calls(count), "{path}");
    }
    assert!(view.nodes["each"].usage.is_nothing(), "its own record says nothing that its passes said");
    assert_eq!(world.stores.journal.run(run).await.unwrap().unwrap().usage, calls(7));
}

#[tokio::test]
async fn a_child_counts_for_its_parent_and_each_day_once() {
    let world = world().await;
    let child = json!({ "nodes": { "a": spender("usage-child", json!({})),
        "b": { "type": "fail", "message": "no", "needs": ["a"], "when": "{{ inputs.fails }}" } },
        "inputs": { "fails": "boolean" } });
    let call = |fails: bool| json!({ "type": "workflow", "workflow": "child", "inputs": { "fails": fails }, "on_error": "continue" });
    let parent = json!({ "nodes": { "good": call(false), "bad": call(true), "own": spender("usage-own", json!({})) } });
    let both = bundle(&[("parent", parent), ("child", child)]);
    let run = world.start_bundle(both, Value::object()).await;
    let end = world.end(run).await;
    assert_eq!(end.usage.total(), calls(3));

    let spent = |of: &str| {
        let records = records(&world, run);
        let of = of.to_owned();
        async move {
            let records = records.await;
            let found = records.iter().filter_map(Event::usage_of_node).find(|(node, _)| **node == of);
            found.map(|(_, spent)| spent.clone()).unwrap()
        }
    };
    assert_eq!(spent("good").await, Spent { models: [("a/b".to_owned(), calls(1))].into(), nodes: 1 });
    assert_eq!(spent("bad").await, Spent { models: [("a/b".to_owned(), calls(1))].into(), nodes: 2 }, "it failed");

    let rows = world.stores.journal.usage(0, DAY).await.unwrap();
    let found: Vec<_> = rows.iter().map(|row| (row.workflow.as_str(), row.runs, row.usage)).collect();
    assert_eq!(found, [("child", 2, calls(2)), ("parent", 1, calls(1))]);
}

#[tokio::test]
async fn what_was_kept_or_cached_uses_nothing_again() {
    let world = world().await;
    let definition = json!({
        "nodes": {
            "first": spender("usage-first", json!({ "cache": { "ttl": "1h" } })),
            "second": spender("usage-second", json!({ "needs": ["first"] })),
        },
    });
    let (run, end) = world.run(definition.clone()).await;
    assert_eq!(end.usage.total(), calls(2));
    let fork = world.engine.fork(run, Cut::Restart { node: "second".to_owned() }).await.unwrap();
    assert_eq!(world.end(fork).await.usage.total(), calls(1));
    assert_eq!(world.engine.view(fork).await.unwrap().unwrap().usage_of("first").total(), calls(0));
    assert_eq!(world.run(definition).await.1.usage.total(), calls(1), "the first node came from the cache");
}

#[tokio::test]
async fn an_attempt_that_is_handed_over_or_cancelled_has_used_what_it_used() {
    let (stores, _) = Stores::memory();
    let shared = stores.clone();
    let first = world_with(|_| stores).await;
    let run = first.start(json!({ "nodes": { "hang": spender("usage-hang", json!({ "hangs": true })) } })).await;
    idle().await;
    first.engine.close().await.unwrap();
    let second = world_with(|_| shared).await;
    second.engine.resume(run).await.unwrap();
    idle().await;
    second.engine.cancel(run, None).await.unwrap();
    let end = second.end(run).await;
    assert_eq!((end.status, end.usage.total()), (RunStatus::Cancelled, calls(2)));
    let of = |event: &Event| event.usage_of_node().map(|(_, spent)| spent.total());
    let records = records(&second, run).await;
    let lost = records.iter().find(|event| matches!(event, Event::NodeLost { .. })).and_then(of);
    let cancelled = records.iter().find(|event| matches!(event, Event::NodeCancelled { .. })).and_then(of);
    assert_eq!((lost, cancelled), (Some(calls(1)), Some(calls(1))));
    assert_eq!(second.engine.view(run).await.unwrap().unwrap().nodes["hang"].attempt, 1, "a loss uses no attempt");
}
