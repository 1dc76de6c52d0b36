//! Budgets: what stops a run before the call that would break them, and what is left for the runs that it starts.

use liteagent_engine::{
    definition::Limits,
    event::{Event, Record},
    usage::{Spent, Usage},
};

use super::*;

/// A call of a model with 10 tokens, for 0.000003 USD.
fn model(name: &str, more: Json) -> Json {
    let mut node = json!({ "type": "model-probe", "name": name,
        "uses": { "a/b": { "input_tokens": 8, "output_tokens": 2, "cost": 0.000_003 } } });
    for (key, value) in more.as_object().unwrap() {
        node[key] = value.clone();
    }
    node
}

/// Three calls, one after the other, and a node without.
fn three(name: &str, budget: Json) -> Json {
    json!({
        "budget": budget,
        "nodes": {
            "a": model(&format!("{name}-a"), json!({ "failures": 1, "retry": { "backoff": "1s" } })),
            "b": model(&format!("{name}-b"), json!({ "needs": ["a"] })),
            "after": { "type": "template-transform", "template": "{{ b.call }}" },
            "c": model(&format!("{name}-c"), json!({ "needs": ["after"] })),
        },
    })
}

async fn warnings(world: &World, run: RunId) -> Vec<(Limits, Limits)> {
    world.engine.view(run).await.unwrap().unwrap().warnings
}

#[tokio::test]
async fn a_run_stops_before_the_call_after_its_budget_is_used_up() {
    let world = world().await;
    for (name, budget, code, says) in [
        ("tokens", json!({ "tokens": 30 }), "LA2010", "30 tokens, 30 were used, and `c` would use more"),
        ("cost", json!({ "cost": "0.000009 USD" }), "LA2010", "0.000009 USD, 0.000009 USD were spent"),
        ("starts", json!({ "nodes": 4 }), "LA2010", "4 starts of nodes, and `c` would be one more"),
    ] {
        let (run, end) = world.run(three(name, budget)).await;
        let error = end.error.unwrap();
        assert_eq!(error.code, code);
        assert!(error.message.contains(says), "{}", error.message);
        assert_eq!((probe::calls(&format!("{name}-a")), probe::calls(&format!("{name}-c"))), (2, 0), "{name}");
        assert!(matches!(world.status(run, "after").await, ViewStatus::Succeeded { .. }), "it uses no model");
    }
    let (_, end) = world.run(three("enough", json!({ "tokens": 31, "cost": "0.0001 USD", "nodes": 6 }))).await;
    assert_eq!((end.status, end.usage.total().tokens()), (RunStatus::Succeeded, 40), "what is in flight may overshoot");
}

#[tokio::test]
async fn a_limit_that_is_nearly_used_up_is_told_once() {
    let world = world().await;
    let (run, end) = world.run(three("warned", json!({ "tokens": 41, "nodes": 100, "warn_at": 0.5 }))).await;
    assert_eq!(end.status, RunStatus::Succeeded);
    let tokens = |tokens| Limits { tokens: Some(tokens), ..Limits::default() };
    let [(used, limit)] = warnings(&world, run).await[..] else { panic!("it is told once") };
    assert_eq!((used, limit), (tokens(30), tokens(41)));
    let (run, _) = world.run(three("quiet", json!({ "tokens": 41 }))).await;
    assert_eq!(warnings(&world, run).await, []);
}

#[tokio::test]
async fn a_child_gets_what_its_parent_has_left_and_counts_for_it() {
    let world = world().await;
    let child = json!({ "nodes": {
        "one": model("left-one", json!({})),
        "two": model("left-two", json!({ "needs": ["one"] })),
    } });
    let parent = json!({
        "budget": { "tokens": 35, "nodes": 50 },
        "nodes": {
            "first": { "type": "workflow", "workflow": "child" },
            "own": model("left-own", json!({ "needs": ["first"] })),
            "second": { "type": "workflow", "workflow": "child", "needs": ["own"], "on_error": "continue" },
            "last": model("left-last", json!({ "needs": [{ "any": ["second", "second.error"] }] })),
        },
    });
    let run = world.start_bundle(bundle(&[("parent", parent), ("child", child)]), Value::object()).await;
    let end = world.end(run).await;
    assert_eq!(end.error.unwrap().code, "LA2010");
    assert_eq!(end.usage.total().calls, 4);
    assert_eq!((probe::calls("left-one"), probe::calls("left-two"), probe::calls("left-last")), (2, 1, 0));

    let second = RunId::child(run, "second", 1);
    let first_record = &world.stores.journal.read(second, 0, 1).await.unwrap()[0];
    let Event::RunStarted { budget, .. } = serde_json::from_str::<Record>(&first_record.body).unwrap().event else {
        panic!("a run begins with its start")
    };
    // Of the nodes, two of the first child, `first`, `own` and the one that starts it are gone.
    assert_eq!(*budget.unwrap(), Limits { tokens: Some(5), cost: None, nodes: Some(45) });
    let ended = world.engine.view(second).await.unwrap().unwrap().end.unwrap().error.unwrap();
    assert!(ended.message.starts_with("what this run was given to use is 5 tokens"), "{}", ended.message);
    assert!(ended.hint.unwrap().contains("the workflow that started this run"));
}

#[tokio::test]
async fn a_node_has_a_budget_for_everything_inside_it() {
    let world = world().await;
    let rounds = |name: &str, more: Json| {
        let mut node = json!({ "type": "loop", "state": { "n": 0 }, "max_rounds": 9, "budget": { "tokens": 20 },
            "nodes": { "think": model(name, json!({})) },
            "next": { "n": "{{ state.n + 1 }}" }, "until": "{{ state.n == 5 }}", "output": "{{ state.n }}" });
        for (key, value) in more.as_object().unwrap() {
            node[key] = value.clone();
        }
        node
    };
    let (_, end) = world
        .run(json!({
            "nodes": {
                "stops": rounds("inner-stops", json!({ "on_error": "continue" })),
                "other": model("inner-other", json!({ "needs": ["stops.error"] })),
                "retried": model("inner-retried", json!({ "failures": 9, "budget": { "cost": "0.000006 USD" },
                    "retry": { "attempts": 9, "backoff": "1s" }, "on_error": "continue" })),
            },
            "outputs": { "why": "{{ stops.error.code }}: {{ stops.error.message }} in {{ stops.error.node }}",
                "retried": "{{ retried.error.code }} after {{ retried.error.attempts }}" },
        }))
        .await;
    let why = "LA2470: the budget of `stops` is 20 tokens, 20 were used, and `stops[2].think` would use more in stops[2].think";
    assert_eq!(end.outputs, value!({ "why": why, "retried": "LA2470 after 3" }));
    assert_eq!((probe::calls("inner-stops"), probe::calls("inner-other"), probe::calls("inner-retried")), (2, 1, 2));
}

#[tokio::test]
async fn money_cannot_be_budgeted_where_a_price_is_not_known() {
    let world = world().await;
    let unpriced = json!({ "uses": { "x/y": { "input_tokens": 5, "unpriced": 1 } } });
    let definition = |name: &str, budget: Json| {
        json!({ "budget": budget, "nodes": {
            "a": model(&format!("{name}-a"), unpriced.clone()),
            "b": model(&format!("{name}-b"), json!({ "needs": ["a"] })),
        } })
    };
    let (_, end) = world.run(definition("unpriced", json!({ "cost": "1.00 USD" }))).await;
    let error = end.error.unwrap();
    assert_eq!((error.code.as_str(), probe::calls("unpriced-b")), ("LA2471", 0));
    let (_, end) = world.run(definition("priceless", json!({ "tokens": 100 }))).await;
    assert_eq!(end.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn an_attempt_is_told_when_what_was_left_is_used_up() {
    let world = world().await;
    let definition =
        |budget: Json| json!({ "budget": budget, "nodes": { "a": model("many", json!({ "more_calls": 9 })) } });
    let (_, end) = world.run(definition(json!({ "tokens": 25 }))).await;
    assert_eq!((end.error.unwrap().code.as_str(), end.usage.total().calls), ("LA2470", 3));
    assert_eq!(world.run(definition(json!({ "tokens": 1_000 }))).await.1.usage.total().calls, 10);
}

#[tokio::test]
async fn who_starts_a_run_may_give_it_less_than_its_workflow_says() {
    let world = world().await;
    let start = Start {
        budget: Limits { tokens: Some(10), ..Limits::default() },
        ..Start::new(
            bundle(&[("test", three("given", json!({ "tokens": 500 })))]),
            Value::object(),
            value!({ "type": "test" }),
        )
    };
    let run = world.engine.start(start).await.unwrap();
    let end = world.end(run).await;
    assert_eq!(
        (end.error.unwrap().code.as_str(), end.usage),
        ("LA2010", {
            let mut spent = Spent::default();
            spent.add("a/b", Usage { input_tokens: 8, output_tokens: 2, cost: 3, ..Usage::default() });
            spent
        })
    );
}
