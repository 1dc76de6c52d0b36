//! The workflows of the crash tests: every kind of node that can be interrupted, each effect a POST.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use liteagent_engine::{bundle::Bundle, definition::Definition};
use serde_json::{Value as Json, json};

/// How long a session of the crash tests outlives its last heartbeat.
pub const LEASE: Duration = Duration::from_secs(5);

/// The workflows by name; their effects go to this server.
///
/// # Panics
/// Never: the workflows are well-formed.
pub fn workflows(server: &str) -> Vec<(&'static str, Arc<Bundle>)> {
    let post = |name: &str, more: Json| {
        let mut node = json!({
            "type": "http-request",
            "method": "POST",
            "url": format!("http://{server}/{{{{ sys.run }}}}/{name}"),
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            node[key] = value.clone();
        }
        node
    };
    let chain = json!({
        "nodes": {
            "a": post("a", json!({})),
            "b": post("b", json!({ "needs": ["a"] })),
            "note": { "type": "template-transform", "template": "{{ b.status }} after {{ a.status }}" },
            "c": post("c", json!({ "json": { "note": "{{ note.text }}" } })),
            "d": post("d", json!({ "needs": ["c"] })),
        },
        "outputs": { "note": "{{ note.text }}", "ok": "{{ d.json.ok }}" },
    });
    let items = json!({
        "nodes": {
            "each": {
                "type": "iteration",
                "items": "{{ [1, 2, 3, 4, 5, 6] }}",
                "parallel": 3,
                "nodes": {
                    "call": post("call-{{ item }}", json!({})),
                    "after": post("after-{{ item }}", json!({ "needs": ["call"] })),
                },
                "output": "{{ item * after.status }}",
            },
            "last": post("last", json!({ "json": "{{ each.output }}" })),
        },
        "outputs": { "all": "{{ each.output }}", "ok": "{{ last.json.ok }}" },
    });
    let parent = json!({
        "nodes": {
            "first": post("first", json!({})),
            "child": { "type": "workflow", "workflow": "chain", "needs": ["first"] },
            "rounds": {
                "type": "loop",
                "state": { "n": 0 },
                "nodes": { "step": post("step-{{ round }}", json!({})) },
                "next": { "n": "{{ state.n + step.status }}" },
                "until": "{{ state.n >= 600 }}",
                "max_rounds": 10,
                "output": "{{ state.n }}",
            },
        },
        "finally": { "bye": post("bye", json!({})) },
        "outputs": { "note": "{{ child.note }}", "n": "{{ rounds.output }}" },
    });
    let read = |definition: &Json| -> Definition {
        serde_json::from_value(definition.clone()).expect("the workflow is well-formed")
    };
    let bundle = |entry: &str, all: &[(&str, &Json)]| {
        let all: IndexMap<_, _> = all.iter().map(|(name, json)| ((*name).to_owned(), read(json))).collect();
        Arc::new(Bundle::new(entry, all))
    };
    vec![
        ("chain", bundle("chain", &[("chain", &chain)])),
        ("items", bundle("items", &[("items", &items)])),
        ("parent", bundle("parent", &[("parent", &parent), ("chain", &chain)])),
    ]
}

/// A workflow that ends every process which executes it.
///
/// # Panics
/// Never: the workflow is well-formed.
pub fn poison(server: &str) -> Arc<Bundle> {
    let definition = json!({
        "nodes": {
            "before": { "type": "http-request", "method": "POST", "url": format!("http://{server}/{{{{ sys.run }}}}/before") },
            "die": { "type": "die", "needs": ["before"] },
        },
        "on_failure": {
            "told": {
                "type": "http-request",
                "method": "POST",
                "url": format!("http://{server}/{{{{ sys.run }}}}/{{{{ error.code }}}}"),
            },
        },
    });
    let definition = serde_json::from_value(definition).expect("the workflow is well-formed");
    Arc::new(Bundle::new("poison", IndexMap::from([("poison".to_owned(), definition)])))
}

/// What a run of a workflow gives without kills.
pub fn expected(workflow: &str) -> Json {
    match workflow {
        "chain" => json!({ "note": "200 after 200", "ok": true }),
        "items" => json!({ "all": [200, 400, 600, 800, 1000, 1200], "ok": true }),
        _ => json!({ "note": "200 after 200", "n": 600 }),
    }
}
