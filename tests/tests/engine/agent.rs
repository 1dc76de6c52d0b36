//! Agents end to end: rounds, calls of tools, approvals, crashes. The model says what the test writes.

use liteagent_engine::{capability::model::Message, testing::FakeModels};

use super::*;

fn registry() -> liteagent_engine::node::Registry {
    liteagent_nodes::registry().with::<Probe>()
}

async fn world_of(stores: Stores, models: &Arc<FakeModels>) -> World {
    let clock = Arc::new(VirtualClock::at(1_000_000));
    let caps = Capabilities { models: Some(models.clone()), ..Capabilities::default() };
    let engine = Engine::open(EngineConfig {
        registry: registry(),
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

async fn world_saying(answers: impl IntoIterator<Item = Value>) -> (World, Arc<FakeModels>) {
    let models = Arc::new(FakeModels::answering(answers));
    (world_of(Stores::memory().0, &models).await, models)
}

/// An agent with these tools, as a bundle holds it.
fn agent(tools: Json, more: Json) -> Arc<Bundle> {
    let mut node = json!({
        "type": "agent",
        "messages": [{ "system": "Be brief." }, { "user": "{{ inputs.message }}" }],
        "tools": tools,
    });
    for (key, value) in more.as_object().unwrap() {
        node[key] = value.clone();
    }
    let parent = json!({
        "inputs": { "message": "string" },
        "nodes": { "agent": node },
        "outputs": { "text": "{{ agent.text }}", "stopped_by": "{{ agent.stopped_by }}", "rounds": "{{ agent.rounds }}",
            "calls": "{{ agent.tool_calls }}", "asked": "{{ agent.usage.calls }}", "data": "{{ agent.data }}" },
    });
    let lookup = json!({
        "inputs": { "order": { "type": "string", "pattern": "^[0-9]+$" }, "shop": "string" },
        "nodes": { "fetch": { "type": "probe", "name": "agent-{{ inputs.shop }}-{{ inputs.order }}", "gives": "shipped" } },
        "outputs": { "text": "Order {{ inputs.order }}: {{ fetch.value }}" },
    });
    let refund = json!({
        "inputs": { "order": "string", "amount": "number" },
        "nodes": { "pay": { "type": "probe", "name": "agent-refund-{{ inputs.order }}", "gives": "{{ inputs.amount }}" } },
        "outputs": { "paid": "{{ pay.value }}" },
    });
    let bundle = Arc::try_unwrap(bundle(&[("test", parent), ("lookup", lookup), ("refund", refund)])).unwrap();
    let registry = registry();
    let def = registry.get("agent").unwrap().composite.as_ref().unwrap().def.clone();
    Arc::new(bundle.with_composites(IndexMap::from([("agent".to_owned(), def)])))
}

fn lookup(shop: &str) -> Json {
    let parameters = json!({ "order": { "type": "string", "pattern": "^[0-9]+$" } });
    json!({ "workflow": "lookup", "description": "Finds an order.", "inputs": { "shop": shop }, "parameters": parameters })
}

fn refund(approval: Json) -> Json {
    let parameters = json!({ "order": "string", "amount": "number" });
    json!({ "workflow": "refund", "description": "Pays back.", "approval": approval, "parameters": parameters })
}

/// What the tools told the model before its question of this number.
fn told(models: &FakeModels, question: usize) -> Vec<(String, bool)> {
    let messages = &models.asked()[question].messages;
    let tool = |message: &Message| match message {
        Message::Tool { text, failed, .. } => Some((text.clone(), *failed)),
        _ => None,
    };
    messages.iter().filter_map(tool).collect()
}

#[tokio::test]
async fn rounds_call_tools_at_once_and_their_results_are_told() {
    let (world, models) = world_saying([
        value!({ "call": [
            { "lookup": { "order": "1" } },
            { "lookup": { "order": "2" } },
            { "sums": { "expression": "0.1 + 0.2" } },
        ] }),
        value!({ "call": [
            { "lookupp": {} },
            { "lookup": "{ \"order\": " },
            { "lookup": { "order": "x", "shop": "mine" } },
            { "breaks": { "expression": "1 / 0" } },
        ] }),
        value!({ "text": "Both are on their way." }),
    ])
    .await;
    let tools = json!({
        "lookup": lookup("{{ inputs.message }}"),
        "sums": { "builtin": "calculator" },
        "breaks": { "builtin": "calculator" },
    });
    let run = world.start_bundle(agent(tools, json!({})), value!({ "message": "shop-a" })).await;
    let end = world.end(run).await;
    let member = |name: &str| end.outputs.get(name).cloned().unwrap_or_default();
    assert_eq!(member("text"), value!("Both are on their way."), "{:?}", end.error);
    assert_eq!((member("stopped_by"), member("rounds"), member("asked")), (value!("answer"), value!(3), value!(3)));
    assert_eq!(member("calls").as_list().unwrap().len(), 7);

    let first = [("Order 1: shipped", false), ("Order 2: shipped", false), ("0.3", false)];
    assert_eq!(told(&models, 1), first.map(|(text, failed)| (text.to_owned(), failed)));
    let second: Vec<_> =
        told(&models, 2).into_iter().skip(3).map(|(text, failed)| format!("{failed}: {text}")).collect();
    insta::assert_snapshot!("what a model is told of calls that failed", second.join("\n"));
    assert_eq!((probe::calls("agent-shop-a-1"), probe::calls("agent-shop-a-2")), (1, 1));

    // What is fixed is hidden from the model, and what it sees is the schema of the workflow.
    let asked = models.asked();
    let spec = asked[0].tools.iter().find(|tool| tool.name == "lookup").unwrap();
    assert_eq!(spec.parameters.get("required"), Some(&value!(["order"])));
    assert_eq!(
        asked[0].messages[1],
        Message::User { parts: vec![liteagent_engine::capability::model::Part::Text { text: "shop-a".to_owned() }] }
    );

    let view = world.engine.view(run).await.unwrap().unwrap();
    let paths: Vec<_> = view.nodes.keys().map(String::as_str).collect();
    insta::assert_snapshot!("the paths of an agent", paths.join("\n"));
    let ViewStatus::Succeeded { output, .. } = &view.nodes["agent[0].tools"].status else { panic!() };
    assert_eq!(output.get("messages").and_then(Value::as_list).unwrap().len(), 3, "the view folds what the core folds");
}

#[tokio::test]
async fn an_approval_is_waited_for_and_a_refusal_is_told_to_the_model() {
    let approval = json!({ "when": "{{ call.amount > 50 }}", "message": "Refund {{ call.amount }}?", "to": "billing",
        "timeout": "1d" });
    let calls = value!([
        { "refund": { "order": "small", "amount": 40 } },
        { "refund": { "order": "large", "amount": 80 } },
    ]);
    let script = [value!({ "call": calls }), value!({ "text": "done" })];
    for (name, outcome) in [
        ("rejected", "A person refused this call; it was not made. They say: too old"),
        ("late", "Nobody answered in time whether this call may be made; it was not."),
        ("approved", r#"{"paid":80}"#),
    ] {
        let (world, models) = world_saying(script.clone()).await;
        let before = (probe::calls("agent-refund-small"), probe::calls("agent-refund-large"));
        let tools = json!({ "refund": refund(approval.clone()) });
        let run = world.start_bundle(agent(tools, json!({})), value!({ "message": name })).await;
        let Settled::Waiting(waits) = world.settled(run).await else { panic!("{name}: it does not wait") };
        assert_eq!(waits.len(), 1, "{name}: the small one needs no approval");
        assert_eq!(waits[0].node, "agent[0].tools.refund[1].approval");
        let ask = &waits[0].wait.ask;
        assert_eq!((ask.get("message"), ask.get("to")), (Some(&value!("Refund 80?")), Some(&value!("billing"))));
        let shown = value!({ "tool": "refund", "arguments": { "order": "large", "amount": 80 } });
        assert_eq!(ask.get("call"), Some(&shown), "what is agreed to is seen");
        assert_eq!(probe::calls("agent-refund-large"), before.1, "{name}: nothing is paid before the answer");

        let answer =
            |payload| world.engine.signal(run, SignalTo::Node(waits[0].node.clone()), payload, Some("ada".into()));
        match name {
            "rejected" => answer(value!({ "action": "reject", "form": { "note": "too old" } })).await.unwrap(),
            "approved" => answer(value!({ "action": "approve" })).await.unwrap(),
            _ => {
                world.clock.advance_to(1_000_000 + 25 * HOUR);
                assert_eq!(world.engine.poll().await.unwrap(), 1);
            }
        }
        let end = world.end(run).await;
        assert_eq!(end.outputs.get("text"), Some(&value!("done")), "{name}: {:?}", end.error);
        let told = told(&models, 1);
        assert_eq!(told[0], (r#"{"paid":40}"#.to_owned(), false));
        assert_eq!(told[1], (outcome.to_owned(), name != "approved"));
        let paid = u32::from(name == "approved");
        assert_eq!(probe::calls("agent-refund-small"), before.0 + 1);
        assert_eq!(probe::calls("agent-refund-large"), before.1 + paid);
    }
}

#[tokio::test]
async fn a_crash_between_rounds_asks_no_model_and_calls_no_tool_again() {
    let (stores, memory) = Stores::memory();
    let tools = json!({
        "lookup": lookup("crash"),
        "refund": refund(json!({ "to": "billing" })),
    });
    let calls = value!({ "lookup": { "order": "7" }, "refund": { "order": "crash", "amount": 1 } });
    let first = Arc::new(FakeModels::answering([value!({ "call": calls })]));
    let world = world_of(stores.clone(), &first).await;
    let run = world.start_bundle(agent(tools, json!({})), value!({ "message": "x" })).await;
    // The lookup is done and the refund waits: now the process dies.
    let Settled::Waiting(waits) = world.settled(run).await else { panic!("it does not wait") };
    memory.kill_session(world.engine.session());
    drop(world);

    let second = Arc::new(FakeModels::answering([value!({ "text": "Paid." })]));
    let world = world_of(stores.clone(), &second).await;
    let payload = value!({ "action": "approve" });
    world.engine.signal(run, SignalTo::Node(waits[0].node.clone()), payload, None).await.unwrap();
    let end = world.end(run).await;
    assert_eq!(end.outputs.get("text"), Some(&value!("Paid.")), "{:?}", end.error);
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1), "each question once");
    assert_eq!((probe::calls("agent-crash-7"), probe::calls("agent-refund-crash")), (1, 1));
    assert_eq!(told(&second, 0).len(), 2, "the model reads what the first process got");

    // The journal is the truth: replayed, it gives the same end, and nothing is left to do.
    let (_, state) = liteagent_engine::testing::journal::replayed(&stores, run, &registry()).await.unwrap();
    assert_eq!(state.ended().map(|end| end.status), Some(RunStatus::Succeeded));
}

#[tokio::test]
async fn a_process_that_dies_while_the_model_answers_asks_that_question_again_and_no_other() {
    let (stores, memory) = Stores::memory();
    let tools = json!({ "lookup": lookup("again") });
    // The second question has no answer yet: the run fails there unless its process dies first.
    let first = Arc::new(FakeModels::answering([
        value!({ "call": { "lookup": { "order": "9" } } }),
        value!({ "error": "LA2501" }),
    ]));
    let world = world_of(stores.clone(), &first).await;
    let retry = json!({ "retry": { "attempts": 9, "backoff": "1h", "jitter": 0.0 } });
    let run = world.start_bundle(agent(tools, retry), value!({ "message": "x" })).await;
    while first.asked().len() < 2 {
        idle().await;
    }
    memory.kill_session(world.engine.session());
    drop(world);
    let second = Arc::new(FakeModels::answering([value!({ "text": "There." })]));
    let world = world_of(stores.clone(), &second).await;
    world.clock.advance_to(1_000_000 + 2 * HOUR);
    world.engine.resume(run).await.unwrap();
    assert_eq!(world.end(run).await.outputs.get("text"), Some(&value!("There.")));
    assert_eq!(second.asked().len(), 1);
    assert_eq!(probe::calls("agent-again-9"), 1);
}

#[tokio::test]
async fn an_agent_stops_at_its_limit_and_its_answer_has_the_declared_form() {
    let call = value!({ "call": { "clock": {} } });
    let (world, models) = world_saying([call.clone(), call.clone(), call]).await;
    let tools = json!({ "clock": { "builtin": "time" } });
    let run = world.start_bundle(agent(tools, json!({ "max_rounds": 2 })), value!({ "message": "x" })).await;
    let end = world.end(run).await;
    assert_eq!(end.outputs.get("stopped_by"), Some(&value!("max_rounds")), "{:?}", end.error);
    assert_eq!(models.asked().len(), 2);

    let (world, _) = world_saying([value!({ "text": r#"{ "total": 7 }"# })]).await;
    let returns = json!({ "returns": { "total": "integer" } });
    let run = world.start_bundle(agent(json!({}), returns), value!({ "message": "x" })).await;
    assert_eq!(world.end(run).await.outputs.get("data"), Some(&value!({ "total": 7 })));
}

#[tokio::test]
async fn a_restart_from_inside_keeps_earlier_rounds_and_the_other_calls_of_the_round() {
    let stores = Stores::memory().0;
    let second = value!([{ "lookup": { "order": "22" } }, { "lookup": { "order": "23" } }]);
    let models = Arc::new(FakeModels::answering([
        value!({ "call": { "lookup": { "order": "21" } } }),
        value!({ "call": second }),
        value!({ "text": "one" }),
        value!({ "text": "two" }),
    ]));
    let world = world_of(stores, &models).await;
    let tools = json!({ "lookup": lookup("cut") });
    let run = world.start_bundle(agent(tools, json!({})), value!({ "message": "x" })).await;
    assert_eq!(world.end(run).await.outputs.get("text"), Some(&value!("one")));
    let calls = || ["21", "22", "23"].map(|order| probe::calls(&format!("agent-cut-{order}")));
    assert_eq!(calls(), [1, 1, 1]);

    let cut = Cut::Restart { node: "agent[1].tools.lookup[1].call".to_owned() };
    let again = world.engine.fork(run, cut).await.unwrap();
    let end = world.end(again).await;
    assert_eq!(end.outputs.get("text"), Some(&value!("two")), "{:?}", end.error);
    assert_eq!(calls(), [1, 1, 2], "only that call is made again");
    assert_eq!(models.asked().len(), 4, "and only the question after it is asked again");
}
