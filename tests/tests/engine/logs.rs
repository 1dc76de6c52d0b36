//! What attempts print: kept beside their results, without secrets and not without end.

use super::*;

#[tokio::test]
async fn what_an_attempt_prints_is_kept_beside_its_result_whatever_that_is() {
    let world = world().await;
    let long = format!("begin {} hush-hush-hush {} end", "x".repeat(40 << 10), "y".repeat(40 << 10));
    let (run, end) = world
        .run(json!({
            "secrets": ["TOKEN"],
            "nodes": {
                "twice": probe("log-twice", json!({ "says": "trying with hush-hush-hush", "failures": 1,
                    "class": "unavailable", "retry": { "attempts": 2, "backoff": "1s" } })),
                "slow": probe("log-slow", json!({ "says": "begun", "hangs": true, "timeout": "5s", "on_error": "continue" })),
                "long": probe("log-long", json!({ "says": long })),
                "silent": probe("log-silent", json!({})),
            },
            "outputs": { "call": "{{ twice.call }}" },
        }))
        .await;
    assert_eq!((end.status, end.outputs), (RunStatus::Succeeded, value!({ "call": 2 })));

    let view = world.engine.view(run).await.unwrap().unwrap();
    let logs = |node: &str| view.nodes[node].logs.clone();
    let said = "trying with [secret TOKEN]\n".to_owned();
    assert_eq!(logs("twice"), [(1, said.clone()), (2, said)]);
    assert_eq!(logs("slow"), [(1, "begun\n".to_owned())], "also of an attempt that time ended");
    assert_eq!(logs("silent"), []);
    let long = &logs("long")[0].1;
    assert!(long.starts_with("begin x") && long.ends_with("y end\n") && long.contains("bytes are left out here"));
    assert!(long.len() < (64 << 10) + 100 && !long.contains("hush"), "{}", long.len());
}
