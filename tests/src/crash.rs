//! The workflows of the crash tests: every kind of node that can be interrupted, each effect a POST.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use liteagent_engine::{bundle::Bundle, definition::Definition};
use serde_json::{Value as Json, json};

/// How long a session of the crash tests outlives its last heartbeat.
pub const LEASE: Duration = Duration::from_secs(5);

/// The definitions by name; their effects go to this server.
pub fn definitions(server: &str) -> [(&'static str, Json); 3] {
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
                    "ask": post("ask-{{ item }}", json!({})),
                    "after": post("after-{{ item }}", json!({ "needs": ["ask"] })),
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
    [("chain", chain), ("items", items), ("parent", parent)]
}

/// Definitions that need more than one process alone has: a sandbox, and somebody who wakes a run that was released.
pub fn definitions_for_many(server: &str) -> [(&'static str, Json); 2] {
    let post = |name: &str, needs: &str| {
        json!({
            "type": "http-request",
            "method": "POST",
            "url": format!("http://{server}/{{{{ sys.run }}}}/{name}"),
            "needs": needs.split(' ').filter(|need| !need.is_empty()).collect::<Vec<_>>(),
        })
    };
    let code = json!({
        "nodes": {
            "compute": {
                "type": "code",
                "language": "javascript",
                "code": "function main() { let n = 0; for (let i = 1; i <= 100; i++) n += i; return { n } }",
                "returns": { "n": "integer" },
                "retry": { "attempts": 20, "backoff": "200ms", "max": "2s" },
            },
            "done": post("done", "compute"),
        },
        "outputs": { "n": "{{ compute.n }}" },
    });
    let pause = json!({
        "nodes": {
            "before": post("before", ""),
            "rest": { "type": "wait", "for": "12s", "needs": ["before"] },
            "after": post("after", "rest"),
        },
        "outputs": { "ok": "{{ after.json.ok }}" },
    });
    [("code", code), ("pause", pause)]
}

/// The workflows by name; their effects go to this server.
///
/// # Panics
/// Never: the workflows are well-formed.
pub fn workflows(server: &str) -> Vec<(&'static str, Arc<Bundle>)> {
    let read = |(name, definition): (&str, Json)| -> (String, Definition) {
        (name.to_owned(), serde_json::from_value(definition).expect("the workflow is well-formed"))
    };
    let all = definitions(server).map(read);
    // Only `parent` starts another one.
    let needed = |entry: &str, name: &str| name == entry || entry == "parent" && name == "chain";
    let bundle = |(entry, _): &(&'static str, Json)| {
        let of_it = all.iter().filter(|(name, _)| needed(entry, name)).cloned().collect::<IndexMap<_, _>>();
        (*entry, Arc::new(Bundle::new(*entry, of_it)))
    };
    definitions(server).iter().map(bundle).collect()
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
        "code" => json!({ "n": 5_050 }),
        "pause" => json!({ "ok": true }),
        _ => json!({ "note": "200 after 200", "n": 600 }),
    }
}
