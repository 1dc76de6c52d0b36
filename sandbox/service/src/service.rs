//! The runner with what is around it.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request as HttpRequest, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use liteagent_sandbox_protocol::{Package, Reply, Request, Runner};

use crate::{ApiKey, dify, metrics, metrics::Metrics, native, problem::Problem};

/// What a service is made of.
pub struct Settings {
    /// Runs the calls.
    pub runner: Arc<dyn Runner>,
    /// What callers show as `X-Api-Key`.
    pub key: ApiKey,
    /// The largest body in bytes: the limit `input` of the runner.
    pub most_body: usize,
    /// The packages that Python has.
    pub packages: Vec<Package>,
}

/// The sandbox as a service.
pub struct Service {
    settings: Settings,
    metrics: Metrics,
}

impl Service {
    /// A service that nobody can reach yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, metrics: Metrics::new() })
    }

    /// What callers reach.
    pub fn routes(self: &Arc<Self>) -> Router {
        let private = Router::new()
            .route("/run", post(native::run))
            .nest("/sandbox", dify::routes().method_not_allowed_fallback(wrong_method))
            .fallback(not_found)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(Arc::clone(self), authenticate));
        Router::new()
            .route("/health", get(health))
            .nest("/v1", private)
            .fallback(not_found)
            .method_not_allowed_fallback(wrong_method)
            .with_state(Arc::clone(self))
    }

    /// What the listener of metrics serves: `/metrics`.
    pub fn metrics_routes(self: &Arc<Self>) -> Router {
        metrics::routes(Arc::clone(self))
    }

    /// Runs a call and counts it.
    pub(crate) async fn run(&self, request: Request) -> Reply {
        let going = self.metrics.begin(request.language);
        let reply = self.settings.runner.run(request).await;
        going.end(&reply);
        reply
    }

    pub(crate) fn runner(&self) -> &dyn Runner {
        &*self.settings.runner
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn most_body(&self) -> usize {
        self.settings.most_body
    }

    pub(crate) fn packages(&self) -> &[Package] {
        &self.settings.packages
    }
}

/// Lets nobody pass without the key, and says nothing to them.
async fn authenticate(State(service): State<Arc<Service>>, request: HttpRequest, next: Next) -> Response {
    let shown = request.headers().get("x-api-key").map(HeaderValue::as_bytes).unwrap_or_default();
    if service.settings.key.matches(shown) {
        return next.run(request).await;
    }
    service.metrics.refuse();
    StatusCode::UNAUTHORIZED.into_response()
}

/// Says that the service is there.
async fn health() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))], "\"ok\"").into_response()
}

async fn not_found(request: HttpRequest) -> Problem {
    Problem::not_found(path(&request))
}

async fn wrong_method(request: HttpRequest) -> Problem {
    Problem::wrong_method(request.method().as_str(), path(&request))
}

/// The path as the caller wrote it, whatever router it has passed.
fn path(request: &HttpRequest) -> &str {
    let original = request.extensions().get::<axum::extract::OriginalUri>();
    original.map_or(request.uri().path(), |uri| uri.0.path())
}
