//! Webhooks: signatures, replays and hostile requests.

#![allow(clippy::tests_outside_test_module, reason = "integration tests are test modules")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, header},
};
use hmac::{Hmac, Mac as _};
use liteagent_engine::time::VirtualClock;
use serde_json::{Value as Json, json};
use sha2::Sha256;

use self::common::{Installation, KEY, Reply, SECRETS, World};

mod common;

const SIGNED: &str = "name: signed\nsecrets: [HOOK]\ninputs: { n: integer }\n\
    triggers:\n\
    \x20 body: { webhook: { path: body, auth: { hmac: { secret: HOOK, header: X-Signature } } }, inputs: { n: '{{ trigger.json.n }}' } }\n\
    \x20 time: { webhook: { path: time, auth: { hmac: { secret: HOOK, scheme: stripe } } }, inputs: { n: '{{ trigger.json.n }}' } }\n\
    nodes: { say: { type: answer, text: '{{ inputs.n }}' } }\n";

async fn publish(world: &World, source: &str) {
    let body = Body::from(json!({ "source": source }).to_string());
    let request = Request::post("/api/workflows")
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    let reply = world.ask(request.unwrap()).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
}

fn sign(text: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRETS[0].1.as_bytes()).unwrap().chain_update(text).finalize();
    mac.into_bytes().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn send(world: &World, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    world.ask(request.body(body.into()).unwrap()).await
}

fn code(reply: &Reply) -> (u16, String) {
    let json: Json = serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.body));
    let code =
        json.get("code").and_then(Json::as_str).unwrap_or_else(|| if json["run"].is_string() { "" } else { "?" });
    (reply.status.as_u16(), code.to_owned())
}

#[tokio::test]
async fn only_what_is_signed_starts_a_run_and_a_replay_starts_no_other() {
    // 2026-03-01T09:00:00Z
    let clock = Arc::new(VirtualClock::default());
    let world = Installation::new(clock.clone(), SECRETS).server().await;
    publish(&world, SIGNED).await;
    let body = r#"{"n":1}"#;
    let good = sign(body);
    assert_eq!(code(&send(&world, "/hooks/body", &[("x-signature", &good)], body).await), (202, String::new()));
    let refused = (401, "LA4211".to_owned());
    for (headers, sent) in [
        (vec![], body),
        (vec![("x-signature", good.as_str())], r#"{"n":2}"#),
        (vec![("x-signature", &good[1..])], body),
        (vec![("x-signature", "\u{7f}")], body),
    ] {
        let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.contains('\u{7f}')).collect();
        assert_eq!(code(&send(&world, "/hooks/body", &headers, sent).await), refused);
    }

    let now = 1_772_355_600;
    let timed = |at: i64| format!("t={at},v1={}", sign(&format!("{at}.{body}")));
    let ask = async |signature: String| send(&world, "/hooks/time", &[("stripe-signature", &signature)], body).await;
    let first = ask(timed(now)).await;
    assert_eq!(first.status, 202, "{}", first.body);
    assert_eq!(ask(timed(now)).await.body, first.body, "a replay gives the run that it gave before");
    assert_ne!(ask(timed(now + 1)).await.body, first.body, "another signature is another delivery");
    clock.advance(std::time::Duration::from_secs(301));
    assert_eq!(code(&ask(timed(now)).await), refused, "too old");
}

#[tokio::test]
async fn hostile_requests_are_refused_and_nothing_leaks() {
    let world = Installation::new(Arc::new(VirtualClock::default()), SECRETS).server().await;
    let open = SIGNED.replace("{ hmac: { secret: HOOK, header: X-Signature } }", "none");
    publish(&world, &open).await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let many = (0..200_000).map(|_| "a").collect::<Vec<_>>().join("&");
    for (body, expected) in [
        (vec![b'['; 5 << 20], (413, "LA4002")),
        (deep.into_bytes(), (400, "LA4213")),
        (vec![0xff, 0xfe], (400, "LA4213")),
        (b"".to_vec(), (400, "LA2001")),
        (b"null".to_vec(), (400, "LA2001")),
        (br#"{"n":"{{ secrets.HOOK }}"}"#.to_vec(), (400, "LA3002")),
        (br#"{"n":1e999}"#.to_vec(), (400, "LA4213")),
    ] {
        let reply = send(&world, "/hooks/body", &[], body).await;
        assert_eq!(code(&reply), (expected.0, expected.1.to_owned()), "{}", reply.body);
        assert!(!reply.body.contains(SECRETS[0].1), "{}", reply.body);
    }
    // Bounded work, whatever the number of fields.
    let reply = send(&world, "/hooks/body", &[], many.clone()).await;
    assert_eq!(reply.status, 400);
    for path in ["/hooks/", "/hooks/%2e%2e/api/users", "/hooks/body/", "/hooks/BODY"] {
        assert_eq!(send(&world, path, &[], "{}").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_webhook_without_its_secret_tells_strangers_nothing() {
    let world = Installation::new(Arc::new(VirtualClock::default()), &[]).server().await;
    publish(&world, SIGNED).await;
    let reply = send(&world, "/hooks/body", &[("x-signature", &sign("{}"))], "{}").await;
    assert_eq!(code(&reply), (503, "LA4214".to_owned()));
    assert!(!reply.body.contains("HOOK"), "{}", reply.body);
}
