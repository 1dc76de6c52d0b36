//! A service around a runner, asked without a socket.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use liteagent_sandbox_protocol::{Package, Runner};
use liteagent_sandbox_service::{ApiKey, Service, Settings};
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) const KEY: &str = "a-key-of-the-tests-0123";
/// The largest body.
pub(crate) const MOST: usize = 4096;

pub(crate) fn service(runner: Arc<dyn Runner>) -> Arc<Service> {
    let packages = vec![Package { name: "jinja2".into(), version: "3.1.6".into() }];
    Service::new(Settings { runner, key: ApiKey::new(KEY).unwrap(), most_body: MOST, packages })
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    #[allow(dead_code, reason = "each test binary uses a part")]
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks as someone who has the key.
pub(crate) async fn ask(routes: &Router, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
    let request = Request::builder().method(method).uri(path).header("X-Api-Key", KEY);
    send(routes, request.header(header::CONTENT_TYPE, kind).body(body.into()).unwrap()).await
}

pub(crate) async fn send(routes: &Router, request: Request<Body>) -> Answer {
    let response = routes.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}
