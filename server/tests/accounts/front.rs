//! What stands before every route, and the pages.

use serde_json::Value as Json;

use super::client::{Client, Installation, code};
use crate::common::World;

fn sent_to(host: &str) -> Client {
    Client { headers: vec![("host", host.to_owned())], ..Client::nobody() }
}

#[tokio::test]
async fn the_root_leads_to_a_page_that_needs_nothing_from_elsewhere() {
    let world = World::new(Vec::new()).await;
    let root = Client::nobody().send(&world, "GET /", Json::Null).await;
    assert_eq!((root.status.as_u16(), root.headers["location"].to_str().unwrap()), (303, "/welcome"));
    let page = Client::nobody().send(&world, "GET /welcome", Json::Null).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    // What the policy would not let work is not there: scripts and styles in the page, and addresses elsewhere.
    assert!(!page.body.contains("<style") && !page.body.contains("style=") && !page.body.contains("://"));
    assert_eq!(page.body.matches("<script").count(), page.body.matches("<script src=\"/welcome.js\"").count());
    // Every field has its label.
    assert_eq!(page.body.matches("<input").count(), page.body.matches("<label").count());
    for (path, kind) in [("/welcome.js", "text/javascript"), ("/welcome.css", "text/css")] {
        let file = Client::nobody().send(&world, &format!("GET {path}"), Json::Null).await;
        assert_eq!(file.status, 200);
        assert!(file.headers["content-type"].to_str().unwrap().starts_with(kind));
        assert!(!file.body.contains("http://") && !file.body.contains("https://"));
    }
}

#[tokio::test]
async fn every_reply_is_safe_for_browsers() {
    let world = Installation::new().server_with(|settings| settings.tls = true).await;
    for request in ["GET /welcome", "GET /health/live", "GET /api/runs", "GET /nowhere", "POST /health/live"] {
        let reply = Client::nobody().send(&world, request, Json::Null).await;
        let has = |name: &str, part: &str| {
            let value = reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            assert!(value.contains(part), "{request}: {name}: {value}");
        };
        has("x-content-type-options", "nosniff");
        has("content-security-policy", "frame-ancestors 'none'");
        has("content-security-policy", "default-src 'none'");
        has("referrer-policy", "no-referrer");
        has("x-frame-options", "DENY");
        has("strict-transport-security", "max-age=");
        assert!(!reply.headers.contains_key("access-control-allow-origin"), "{request}");
    }
    let plain = Installation::new().server().await;
    let reply = Client::nobody().send(&plain, "GET /health/live", Json::Null).await;
    assert!(!reply.headers.contains_key("strict-transport-security"));
}

#[tokio::test]
async fn other_names_and_other_sites_are_refused_everywhere() {
    let world =
        Installation::new().server_with(|settings| settings.names = vec!["agents.example.org".to_owned()]).await;
    for request in ["GET /", "GET /health/live", "GET /api/runs", "GET /nowhere"] {
        let rebound = sent_to("evil.example:8000").send(&world, request, Json::Null).await;
        assert_eq!((rebound.status.as_u16(), &*code(&rebound)), (421, "LA4112"), "{request}");
        let foreign = Client { headers: vec![("origin", "null".to_owned())], ..Client::developer() };
        let foreign = foreign.send(&world, request, Json::Null).await;
        assert_eq!((foreign.status.as_u16(), &*code(&foreign)), (403, "LA4113"), "{request}");
    }
    for host in ["localhost:8000", "127.0.0.1", "[::1]:8000", "agents.example.org"] {
        assert_eq!(sent_to(host).send(&world, "GET /health/live", Json::Null).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn pages_of_sites_that_are_named_may_call_and_read() {
    let site = "https://app.example.org";
    let world = Installation::new().server_with(|settings| settings.origins = vec![site.to_owned()]).await;
    let page = |origin: &str, more: &[(&'static str, &str)]| {
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        Client { headers: [("origin", origin.to_owned())].into_iter().chain(more).collect(), ..Client::developer() }
    };
    let read = page(site, &[]).send(&world, "GET /api/runs", Json::Null).await;
    assert_eq!((read.status.as_u16(), read.headers["access-control-allow-origin"].to_str().unwrap()), (200, site));
    assert!(!read.headers.contains_key("access-control-allow-credentials"));

    let asks = [("access-control-request-method", "DELETE"), ("access-control-request-headers", "authorization")];
    let before = page(site, &asks).send(&world, "OPTIONS /api/runs", Json::Null).await;
    assert_eq!(before.status, 200);
    assert!(before.headers["access-control-allow-methods"].to_str().unwrap().contains("DELETE"));
    assert!(before.headers["access-control-allow-headers"].to_str().unwrap().contains("authorization"));

    for other in ["https://app.example.org:8443", "http://app.example.org", "https://evil.example"] {
        let refused = page(other, &asks).send(&world, "OPTIONS /api/runs", Json::Null).await;
        assert_eq!((refused.status.as_u16(), &*code(&refused)), (403, "LA4113"), "{other}");
        assert!(!refused.headers.contains_key("access-control-allow-origin"), "{other}");
    }
}

#[tokio::test]
async fn signing_in_is_tried_only_so_often() {
    let world = Installation::new().server().await;
    for _ in 0..30 {
        Client::nobody().expect(&world, "POST /api/auth/refresh", Json::Null, 401).await;
    }
    let reply = Client::nobody().send(&world, "POST /api/auth/refresh", Json::Null).await;
    assert_eq!((reply.status.as_u16(), &*code(&reply)), (429, "LA4114"));
    assert_eq!(reply.headers["ratelimit-policy"], "\"sign-in\";q=30;w=60");
    assert_eq!(reply.headers["retry-after"], "2");
    Client::nobody().expect(&world, "GET /health/live", Json::Null, 200).await;
}
