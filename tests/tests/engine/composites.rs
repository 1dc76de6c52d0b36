//! Composites end to end: a node type that is made of nodes is a node like any other from outside, and a graph inside.

use liteagent_engine::{composite::CompositeDef, node::Registry};

use super::*;

/// A composite that passes once, one that repeats, and one that is made of both.
fn composites() -> IndexMap<String, CompositeDef> {
    let once = json!({
        "composite": "greet", "description": "Greets someone.",
        "fields": {
            "name": { "type": "string", "minLength": 2, "description": "Whom." },
            "probe": { "type": "string", "static": true, "description": "What counts." },
        },
        "nodes": {
            "a": { "type": "probe", "name": { "field": "probe" }, "gives": "Hello {{ inputs.name }}" },
            "b": { "type": "template-transform", "template": "{{ a.value }}!" },
        },
        "outputs": { "text": { "description": "The greeting.", "type": "string", "value": "{{ b.text }}" } },
    });
    let rounds = json!({
        "composite": "again", "description": "Says something again and again.",
        "fields": {
            "what": { "type": "string", "description": "What." },
            "times": { "type": "integer", "static": true, "default": 3, "description": "How often." },
            "probe": { "type": "string", "static": true, "description": "What counts." },
        },
        "loop": {
            "state": { "said": [] },
            "next": { "said": "{{ state.said + [say.value] }}" },
            "until": "{{ round == inputs.times }}",
            "max_rounds": { "field": "times" },
        },
        "nodes": { "say": { "type": "probe", "name": { "field": "probe" }, "gives": "{{ inputs.what }} {{ round }}" } },
        "outputs": { "said": { "description": "What was said.", "value": "{{ state.said }}" } },
    });
    let both = json!({
        "composite": "both", "description": "Greets, again and again.",
        "fields": {
            "name": { "type": "string", "description": "Whom." },
            "probe": { "type": "string", "static": true, "description": "What counts." },
        },
        "nodes": {
            "greet": { "type": "greet", "name": "{{ inputs.name }}", "probe": { "field": "probe" } },
            "again": { "type": "again", "what": "{{ greet.text }}", "times": 2, "probe": { "field": "probe" } },
        },
        "outputs": { "all": { "description": "All of it.", "value": "{{ again.said | join('; ') }}" } },
    });
    let read = |json: Json| -> CompositeDef { serde_json::from_value(json).unwrap() };
    [once, rounds, both].map(read).into_iter().map(|def| (def.composite.clone(), def)).collect()
}

pub(super) fn with_composites(definition: Json) -> Arc<Bundle> {
    let bundle = Arc::try_unwrap(bundle(&[("test", definition)])).unwrap();
    Arc::new(bundle.with_composites(composites()))
}

#[tokio::test]
async fn a_composite_is_a_border_and_its_nodes_are_journaled() {
    let world = world().await;
    let definition = json!({
        "inputs": { "who": "string" },
        "nodes": {
            // The ids of nodes inside clash with nothing, and `inputs` inside are the fields.
            "a": { "type": "json", "value": "{{ inputs.who | upper }}" },
            "all": { "type": "both", "name": "{{ a.value }}", "probe": "composite-all" },
        },
        "outputs": { "all": "{{ all.all }}" },
    });
    let run = world.start_bundle(with_composites(definition), value!({ "who": "ada" })).await;
    let end = world.end(run).await;
    assert_eq!(end.outputs, value!({ "all": "Hello ADA! 1; Hello ADA! 2" }), "{:?}", end.error);
    let view = world.engine.view(run).await.unwrap().unwrap();
    let paths: Vec<_> = view.nodes.keys().map(String::as_str).collect();
    let expected =
        ["a", "all", "all.greet", "all.greet.a", "all.greet.b", "all.again", "all.again[0].say", "all.again[1].say"];
    assert_eq!(paths, expected);
    let ViewStatus::Succeeded { output, .. } = &view.nodes["all.again"].status else { panic!() };
    assert_eq!(output, &value!({ "said": ["Hello ADA! 1", "Hello ADA! 2"] }), "the view folds what the core folds");
}

#[tokio::test]
async fn a_failure_inside_is_a_failure_of_the_node_and_a_retry_goes_on_where_it_failed() {
    let world = world().await;
    let mut composites = composites();
    let mut flaky = composites["again"].clone();
    flaky.nodes.0.get_mut("say").unwrap().config.insert("failures".to_owned(), json!(2));
    composites.insert("again".to_owned(), flaky);
    let definition = json!({
        "nodes": {
            "say": { "type": "again", "what": "x", "probe": "composite-flaky",
                "retry": { "attempts": 3, "backoff": "1h", "jitter": 0.0 } },
            "short": { "type": "greet", "name": "A", "probe": "composite-short", "on_error": "continue" },
            "told": { "type": "template-transform", "needs": ["short.error"],
                "template": "{{ short.error.code }}: {{ short.error.message }}" },
        },
        "outputs": { "said": "{{ say.said }}", "told": "{{ told.text if told else '' }}" },
    });
    let bundle = Arc::try_unwrap(bundle(&[("test", definition)])).unwrap().with_composites(composites);
    let run = world.start_bundle(Arc::new(bundle), Value::object()).await;
    let end = world.end(run).await;
    let told = "LA2480: `name`: expected at least 2 characters, found 1";
    assert_eq!(end.outputs, value!({ "said": ["x 1", "x 2", "x 3"], "told": told }), "{:?}", end.error);
    assert_eq!((probe::calls("composite-flaky"), probe::calls("composite-short")), (5, 0));
}

#[tokio::test]
async fn a_crash_inside_repeats_nothing_that_was_done() {
    let (stores, memory) = Stores::memory();
    let shared = stores.clone();
    let first = world_with(|_| shared).await;
    let mut hanging = composites();
    let say = json!({ "type": "probe", "name": "composite-hangs", "needs": ["done"], "hangs": true });
    hanging["again"].nodes.0.insert("hang".into(), serde_json::from_value(say).unwrap());
    let done = json!({ "type": "probe", "name": "composite-done", "needs": ["say"] });
    hanging["again"].nodes.0.insert("done".into(), serde_json::from_value(done).unwrap());
    let definition = json!({ "nodes": { "say": { "type": "again", "what": "x", "probe": "composite-crash" } } });
    let bundle = Arc::try_unwrap(bundle(&[("test", definition)])).unwrap().with_composites(hanging);
    let run = first.start_bundle(Arc::new(bundle), Value::object()).await;
    idle().await;
    memory.kill_session(first.engine.session());
    let second = world_with(|_| stores.clone()).await;
    second.engine.resume(run).await.unwrap();
    idle().await;
    let calls = |name| probe::calls(&format!("composite-{name}"));
    assert_eq!((calls("crash"), calls("done"), calls("hangs")), (1, 1, 2));
    second.engine.cancel(run, None).await.unwrap();
    assert_eq!(second.end(run).await.status, RunStatus::Cancelled);
}

#[tokio::test]
async fn a_fork_keeps_what_a_composite_gave_unless_the_composite_changed() {
    let world = world().await;
    let definition = |name: &str| {
        json!({
            "nodes": { "greet": { "type": "greet", "name": name, "probe": "composite-fork" } },
            "outputs": { "text": "{{ greet.text }}" },
        })
    };
    let run = world.start_bundle(with_composites(definition("Ada")), Value::object()).await;
    world.end(run).await;
    let fork = async |bundle: Arc<Bundle>| {
        let cut = Cut::Fork { bundle: Some(bundle), inputs: None };
        world.end(world.engine.fork(run, cut).await.unwrap()).await.outputs
    };
    assert_eq!(fork(with_composites(definition("Ada"))).await, value!({ "text": "Hello Ada!" }));
    assert_eq!(probe::calls("composite-fork"), 1);

    let mut changed = composites();
    let b = changed["greet"].nodes.0.get_mut("b").unwrap();
    b.config.insert("template".to_owned(), json!("{{ a.value }}?"));
    let bundle = Arc::try_unwrap(bundle(&[("test", definition("Ada"))])).unwrap();
    assert_eq!(fork(Arc::new(bundle.with_composites(changed))).await, value!({ "text": "Hello Ada?" }));
    assert_eq!(probe::calls("composite-fork"), 2);

    // Restarted from a node inside, what came before it stays.
    let cut = Cut::Restart { node: "greet.b".to_owned() };
    let restarted = world.engine.fork(run, cut).await.unwrap();
    assert_eq!(world.end(restarted).await.outputs, value!({ "text": "Hello Ada!" }));
    assert_eq!(probe::calls("composite-fork"), 2);
}

#[tokio::test]
async fn a_bundle_is_pinned_to_its_composites_and_without_one_it_is_as_before() {
    let plain = bundle(&[("test", json!({ "nodes": { "a": { "type": "json", "value": 1 } } }))]);
    assert!(!plain.text().contains("composites"), "{}", plain.text());
    let bundle = with_composites(json!({ "nodes": { "a": { "type": "greet", "name": "Ada", "probe": "x" } } }));
    let read = Bundle::parse(bundle.text()).unwrap();
    assert_eq!(read.digest(), bundle.digest());
    assert!(read.node_types(&Registry::default()).is_err(), "it is made of node types that are not there");
    let mut circle = composites();
    let json = json!({ "type": "both", "name": "x", "probe": "x" });
    circle["greet"].nodes.0.insert("c".into(), serde_json::from_value(json).unwrap());
    let circle = Bundle::new("test", IndexMap::new()).with_composites(circle);
    let error = circle.node_types(&liteagent_nodes::registry().with::<Probe>()).unwrap_err().to_string();
    assert!(error.contains("made of itself"), "{error}");
}
