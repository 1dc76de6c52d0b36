//! `kv-get` and `kv-set`.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::sync::Arc;

use liteagent_engine::{
    capability::Capabilities,
    codes,
    error::{ErrorClass, NodeError},
    node::Outcome,
    store::{Kv, MemoryStore},
    testing::NodeTest,
    value,
    value::Value,
};
use liteagent_nodes::registry;

async fn run(store: &Arc<MemoryStore>, yaml: &str, scope: &str) -> Result<Value, NodeError> {
    let caps = Capabilities { kv: Some(store.clone()), ..Capabilities::default() };
    match NodeTest::new(&registry(), yaml).scope(scope).caps(caps).build().unwrap().run().await? {
        Outcome::Done(output) => Ok(output),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_value_is_kept_under_the_name_of_the_workflow() {
    let store = Arc::new(MemoryStore::default());
    let get = "type: kv-get\nkey: 'seen/{{ inputs.id }}'\ndefault: { n: 0 }";
    let absent = run(&store, get, "inputs: { id: 7 }").await.unwrap();
    assert_eq!(absent, value!({ "value": { "n": 0 }, "version": 0, "found": false }));

    let set = "type: kv-set\nkey: 'seen/{{ inputs.id }}'\nvalue: { n: '{{ inputs.id }}' }";
    let kept = run(&store, set, "inputs: { id: 7 }").await.unwrap();
    assert_eq!(kept, value!({ "value": { "n": 7 }, "version": 1 }));
    let found = run(&store, get, "inputs: { id: 7 }").await.unwrap();
    assert_eq!(found, value!({ "value": { "n": 7 }, "version": 1, "found": true }));
    assert!(store.get("test", "seen/7").await.unwrap().is_some());

    let other = run(&store, "type: kv-get\nkey: seen/7\nnamespace: other", "").await.unwrap();
    assert_eq!(other.get("found"), Some(&value!(false)));
}

#[tokio::test]
async fn a_lost_race_is_a_conflict() {
    let store = Arc::new(MemoryStore::default());
    let set = |value: u32, expect: &str| format!("type: kv-set\nkey: k\nvalue: {value}\nexpect: {expect}");
    for (value, expect, version) in [(1, "absent", 1), (2, "1", 2), (3, "any", 3), (4, "'{{ inputs.v }}'", 4)] {
        let output = run(&store, &set(value, expect), "inputs: { v: 3 }").await.unwrap();
        assert_eq!(output.get("version"), Some(&value!(version)), "{expect}");
    }
    for expect in ["absent", "0", "3", "9"] {
        let error = run(&store, &set(5, expect), "").await.unwrap_err();
        assert_eq!((error.code, error.class), (codes::KV_CONFLICT, ErrorClass::Conflict), "{expect}");
    }
    let again = run(&store, &set(4, "3"), "").await.unwrap();
    assert_eq!(again.get("version"), Some(&value!(4)), "an attempt that was lost after it had written is no conflict");
    assert_eq!(store.get("test", "k").await.unwrap().unwrap().version, 4);
}

#[tokio::test]
async fn what_is_no_key_or_expectation_is_invalid() {
    let store = Arc::new(MemoryStore::default());
    let long = format!("inputs: {{ key: {} }}", "k".repeat(513));
    for scope in ["inputs: { key: '' }", "inputs: { key: \"a\\nb\" }", &long] {
        let error = run(&store, "type: kv-get\nkey: '{{ inputs.key }}'", scope).await.unwrap_err();
        assert_eq!((error.code, error.class), (codes::KV_KEY, ErrorClass::Invalid));
    }
    let error = run(&store, "type: kv-set\nkey: k\nvalue: 1\nexpect: never", "").await.unwrap_err();
    assert_eq!((error.code, error.class), (codes::INVALID_CONFIG, ErrorClass::Invalid));
}
