//! API keys.

use std::time::Duration;

use axum::http::StatusCode;
use liteagent_engine::time::Clock as _;
use serde_json::{Value as Json, json};

use super::client::{Client, Installation, add_workflow, code};

#[tokio::test]
async fn a_key_is_shown_once_starts_its_workflow_and_can_be_revoked() {
    let world = Installation::new().server().await;
    add_workflow(&world, "mine", "hi").await;
    add_workflow(&world, "other", "hi").await;
    let developer = Client::developer();
    let (id, key) = developer.key(&world, json!({ "name": "site", "scope": { "workflow": "mine" } })).await;
    let text = key.bearer.clone().unwrap();
    let list = developer.send(&world, "GET /api/keys", Json::Null).await;
    assert!(!list.body.contains(&text), "{}", list.body);
    let list: Json = serde_json::from_str(&list.body).unwrap();
    assert_eq!(list["keys"][0]["prefix"].as_str(), Some(&text[..9]));
    assert_eq!(list["keys"][0]["created_by"], "developer");

    key.expect(&world, "POST /api/runs", json!({ "workflow": "mine" }), 200).await;
    key.expect(&world, "POST /api/runs", json!({ "workflow": "other" }), 404).await;

    // That it was used is noted a little later, by nobody that a request waits for.
    let used = async || {
        let list = developer.expect(&world, "GET /api/keys", Json::Null, 200).await;
        list["keys"][0]["used_at"].is_string()
    };
    let noted = async {
        while !used().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), noted).await.expect("the use of a key is noted");

    developer.expect(&world, &format!("DELETE /api/keys/{id}"), Json::Null, 204).await;
    let revoked = key.send(&world, "POST /api/runs", json!({ "workflow": "mine" })).await;
    assert_eq!((revoked.status.as_u16(), &*code(&revoked)), (401, "LA4101"));
    assert!(revoked.body.contains("revoked"), "{}", revoked.body);
    let again = developer.send(&world, &format!("DELETE /api/keys/{id}"), Json::Null).await;
    assert_eq!((again.status.as_u16(), &*code(&again)), (404, "LA4111"));
}

#[tokio::test]
async fn a_key_ends_at_its_time_and_keeps_its_rate() {
    let installation = Installation::new();
    let world = installation.server().await;
    add_workflow(&world, "mine", "hi").await;
    let developer = Client::developer();
    let end = liteagent_engine::time::iso(installation.clock.now() + 5_000);
    let scope = json!({ "workflow": "mine" });
    let body = json!({ "name": "short", "scope": scope, "expires_at": end, "rate": 2 });
    let (_, key) = developer.key(&world, body).await;
    let runs = "GET /api/runs";
    let first = key.send(&world, runs, Json::Null).await;
    assert_eq!(first.headers["ratelimit-policy"], "\"key\";q=2;w=60");
    assert_eq!(first.headers["ratelimit"], "\"key\";r=1;t=30");
    key.expect(&world, runs, Json::Null, 200).await;
    let third = key.send(&world, runs, Json::Null).await;
    assert_eq!((third.status, &*code(&third)), (StatusCode::TOO_MANY_REQUESTS, "LA4114"));
    assert_eq!(
        (&third.headers["retry-after"], &third.headers["ratelimit"]),
        (&"30".parse().unwrap(), &"\"key\";r=0;t=60".parse().unwrap())
    );

    installation.clock.advance(Duration::from_secs(5));
    let expired = key.send(&world, runs, Json::Null).await;
    assert_eq!((expired.status.as_u16(), &*code(&expired)), (401, "LA4101"));
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused() {
    let world = Installation::new().server().await;
    add_workflow(&world, "mine", "hi").await;
    let scope = json!({ "workflow": "mine" });
    for (body, status, code_of_it) in [
        (json!({ "name": "x", "scope": { "workflow": "none" } }), 404, "LA3001"),
        (json!({ "name": "x", "scope": { "knowledge_base": "none" } }), 404, "LA2601"),
        (json!({ "name": " ", "scope": scope }), 400, "LA4002"),
        (json!({ "name": "x", "scope": scope, "expires_at": "2020-01-01T00:00:00Z" }), 400, "LA4002"),
        (json!({ "name": "x", "scope": scope, "expires_at": "tomorrow" }), 400, "LA4002"),
        (json!({ "name": "x", "scope": scope, "rate": 0 }), 422, "LA4002"),
        (json!({ "name": "x", "scope": { "everything": "yes" } }), 422, "LA4002"),
        (json!({ "name": "x" }), 422, "LA4002"),
    ] {
        let reply = Client::developer().send(&world, "POST /api/keys", body.clone()).await;
        assert_eq!((reply.status.as_u16(), &*code(&reply)), (status, code_of_it), "{body}: {}", reply.body);
    }
}
