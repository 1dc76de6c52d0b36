//! Sessions: access tokens, and the cookie that renews them.

use std::time::Duration;

use axum::http::header;
use serde_json::{Value as Json, json};

use super::client::{Client, Installation, PASSWORD, add_workflow, code, cookie};

#[tokio::test]
async fn the_cookie_renews_the_token_once_and_a_stolen_one_ends_the_session() {
    let installation = Installation::new();
    let world = installation.server().await;
    let ada = Client::first_owner(&world, "ada@example.org").await;
    let other = Client::sign_in(&world, "ada@example.org", PASSWORD).await;

    let refreshed = ada.send(&world, "POST /api/auth/refresh", Json::Null).await;
    let flags = refreshed.headers[header::SET_COOKIE].to_str().unwrap().split_once("; ").unwrap().1;
    assert_eq!(flags, "Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Strict");
    let next = Client::entered(&refreshed);
    assert_ne!(next.cookie, ada.cookie);
    next.expect(&world, "GET /api/auth/me", Json::Null, 200).await;

    let stolen = ada.send(&world, "POST /api/auth/refresh", Json::Null).await;
    assert_eq!((stolen.status.as_u16(), &*code(&stolen), &*cookie(&stolen)), (401, "LA4106", ""));
    for ended in [&ada, &next] {
        ended.expect(&world, "GET /api/auth/me", Json::Null, 401).await;
        ended.expect(&world, "POST /api/auth/refresh", Json::Null, 401).await;
    }
    other.expect(&world, "GET /api/auth/me", Json::Null, 200).await;
    let log = other.expect(&world, "GET /api/audit?action=auth.reuse", Json::Null, 200).await;
    assert_eq!(log["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn no_other_route_takes_the_cookie() {
    let world = Installation::new().server().await;
    let ada = Client::first_owner(&world, "ada@example.org").await;
    let cookie_alone = Client { bearer: None, ..ada.clone() };
    cookie_alone.expect(&world, "GET /api/auth/me", Json::Null, 401).await;
    let as_bearer = Client::with(ada.cookie.as_deref().unwrap());
    as_bearer.expect(&world, "GET /api/auth/me", Json::Null, 401).await;
    let foreign = Client { headers: vec![("origin", "https://evil.example".to_owned())], ..cookie_alone.clone() };
    for route in ["refresh", "sign-out"] {
        let refused = foreign.send(&world, &format!("POST /api/auth/{route}"), Json::Null).await;
        assert_eq!((refused.status.as_u16(), &*code(&refused)), (403, "LA4113"));
    }
    let own = Client { headers: vec![("origin", "http://localhost".to_owned())], ..cookie_alone };
    own.expect(&world, "POST /api/auth/refresh", Json::Null, 200).await;
}

#[tokio::test]
async fn who_signs_out_or_waits_too_long_is_out() {
    let installation = Installation::new();
    let world = installation.server().await;
    let ada = Client::first_owner(&world, "ada@example.org").await;
    ada.expect(&world, "GET /api/auth/me", Json::Null, 200).await;
    ada.expect(&world, "POST /api/auth/sign-out", Json::Null, 204).await;
    ada.expect(&world, "GET /api/auth/me", Json::Null, 401).await;
    ada.expect(&world, "POST /api/auth/refresh", Json::Null, 401).await;
    Client::nobody().expect(&world, "POST /api/auth/sign-out", Json::Null, 204).await;

    let ada = Client::sign_in(&world, "ada@example.org", PASSWORD).await;
    ada.expect(&world, "GET /api/auth/me", Json::Null, 200).await;
    installation.clock.advance(Duration::from_mins(16));
    ada.expect(&world, "GET /api/auth/me", Json::Null, 401).await;
    let ada = Client::entered(&ada.send(&world, "POST /api/auth/refresh", Json::Null).await);
    installation.clock.advance(Duration::from_hours(31 * 24));
    ada.expect(&world, "POST /api/auth/refresh", Json::Null, 401).await;
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let world = Installation::new().server().await;
    let ada = Client::first_owner(&world, "ada@example.org").await;
    let other = Client::sign_in(&world, "ada@example.org", PASSWORD).await;
    other.expect(&world, "GET /api/auth/me", Json::Null, 200).await;
    let change = |current: &str, new: &str| json!({ "current": current, "new": new });
    let request = "PUT /api/auth/password";
    let wrong = ada.send(&world, request, change("wrong password!", "another long password")).await;
    assert_eq!((wrong.status.as_u16(), &*code(&wrong)), (401, "LA4103"));
    ada.expect(&world, request, change(PASSWORD, "short"), 400).await;
    ada.expect(&world, request, change(PASSWORD, "another long password"), 204).await;
    ada.expect(&world, "GET /api/auth/me", Json::Null, 200).await;
    other.expect(&world, "GET /api/auth/me", Json::Null, 401).await;
    let old = json!({ "email": "ada@example.org", "password": PASSWORD });
    Client::nobody().expect(&world, "POST /api/auth/sign-in", old, 401).await;
    Client::sign_in(&world, "ada@example.org", "another long password").await;
    Client::developer().expect(&world, request, change(PASSWORD, "another long password"), 409).await;
}

#[tokio::test]
async fn what_one_process_ends_is_over_in_another_within_ten_seconds() {
    let installation = Installation::new();
    let (here, there) = (installation.server().await, installation.server().await);
    let ada = Client::first_owner(&here, "ada@example.org").await;
    let (id, bob) = Client::invited(&here, &ada, "bob@example.org", "editor").await;
    add_workflow(&here, "hello", "hi").await;
    let (key_id, key) = bob.key(&here, json!({ "name": "site", "scope": { "workflow": "hello" } })).await;
    let me = "GET /api/auth/me";
    let runs = "GET /api/runs";
    for world in [&here, &there] {
        bob.expect(world, me, Json::Null, 200).await;
        key.expect(world, runs, Json::Null, 200).await;
    }
    ada.expect(&here, &format!("PATCH /api/users/{id}"), json!({ "disabled": true }), 200).await;
    ada.expect(&here, &format!("DELETE /api/keys/{key_id}"), Json::Null, 204).await;
    bob.expect(&here, me, Json::Null, 401).await;
    key.expect(&here, runs, Json::Null, 401).await;
    bob.expect(&there, me, Json::Null, 200).await;
    key.expect(&there, runs, Json::Null, 200).await;
    installation.clock.advance(Duration::from_secs(10));
    bob.expect(&there, me, Json::Null, 401).await;
    key.expect(&there, runs, Json::Null, 401).await;
}
