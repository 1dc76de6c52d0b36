//! Requests: counted, and written into the access log.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};

use super::table::{Counter, Gauge, OTHER, Seconds, Table, requests};
use crate::app::App;

/// Methods that are told apart.
const KNOWN: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// What is counted of requests.
pub(super) struct Http {
    requests: Counter<3>,
    took: Seconds<2>,
    in_flight: Gauge<0>,
    streams: Gauge<0>,
    auth_failures: Counter<0>,
    pub(super) spans_dropped: Counter<0>,
}

impl Http {
    pub(super) fn new(table: &mut Table) -> Self {
        Self {
            requests: table.counter("http_requests", ["method", "route", "status"], "Requests"),
            took: table.seconds(
                "http_request_seconds",
                ["method", "route"],
                "Until a request was answered; of a stream until it began",
                requests,
            ),
            in_flight: table.gauge("http_in_flight", [], "Requests that are being answered"),
            streams: table.gauge("http_streams", [], "Streams of events that are open"),
            auth_failures: table.counter("auth_failures", [], "Requests without good credentials"),
            spans_dropped: table.counter("trace_spans_dropped", [], "Spans that the collector of traces did not take"),
        }
    }
}

/// A stream that is open: it is counted until this is dropped.
pub(crate) struct OpenStream(Arc<super::Metrics>);

impl OpenStream {
    /// One more.
    pub(crate) fn begin(metrics: &Arc<super::Metrics>) -> Self {
        metrics.http.streams.with([]).inc();
        Self(metrics.clone())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.http.streams.with([]).dec();
    }
}

/// A request that is being answered: also one whose caller goes away is counted down.
struct InFlight<'a>(&'a Http);

impl<'a> InFlight<'a> {
    fn begin(http: &'a Http) -> Self {
        http.in_flight.with([]).inc();
        Self(http)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.with([]).dec();
    }
}

/// Counts a request.
pub(crate) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let http = &app.metrics.http;
    let method = request.method().clone();
    // The path itself may be anything.
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let begun = tokio::time::Instant::now();
    let in_flight = InFlight::begin(http);
    let response = next.run(request).await;
    drop(in_flight);
    let (took, status) = (begun.elapsed(), response.status());
    if status == StatusCode::UNAUTHORIZED {
        http.auth_failures.with([]).inc();
    }
    // Methods of their own invention are counted together.
    let method = if KNOWN.contains(&method) { method.as_str() } else { OTHER };
    http.took.with([method, &route]).observe(took.as_secs_f64());
    http.requests.with([method, &route, status.as_str()]).inc();
    response
}
