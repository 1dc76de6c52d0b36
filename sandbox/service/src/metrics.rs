//! What is counted, for Prometheus.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use liteagent_sandbox_protocol::{Kind, Language, Limit, Load, Reply, Usage};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::service::Service;

/// From a tenth of a millisecond, of which JavaScript needs a part, to the longest that a call may take.
const SECONDS: [f64; 18] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
    600.0,
];

type Histograms = Family<Languages, Histogram, fn() -> Histogram>;

/// The metrics of a service.
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<Calls, Counter>,
    killed: Family<Killed, Counter>,
    wait: Histograms,
    took: Histograms,
    in_flight: Gauge,
    waiting: Gauge,
    unauthenticated: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Calls {
    language: Name,
    outcome: Name,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Killed {
    limit: Name,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Languages {
    language: Name,
}

/// A label: one of few.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Name(&'static str);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.0.encode(encoder)
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let histograms = || Histograms::new_with_constructor(|| Histogram::new(SECONDS));
        let mut metrics = Self {
            registry: Registry::with_prefix("sandbox"),
            calls: Family::default(),
            killed: Family::default(),
            wait: histograms(),
            took: histograms(),
            in_flight: Gauge::default(),
            waiting: Gauge::default(),
            unauthenticated: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("calls", "Calls by language and outcome", metrics.calls.clone());
        registry.register("killed", "Calls that were ended by a limit", metrics.killed.clone());
        registry.register("wait_seconds", "How long calls waited for a place", metrics.wait.clone());
        registry.register("call_seconds", "How long calls ran", metrics.took.clone());
        registry.register("in_flight", "Calls that run", metrics.in_flight.clone());
        registry.register("waiting", "Calls that wait for a place", metrics.waiting.clone());
        registry.register("auth_failures", "Requests without the key", metrics.unauthenticated.clone());
        for limit in [Limit::Wall, Limit::Cpu, Limit::Memory, Limit::Output, Limit::Log] {
            let _ = metrics.killed.get_or_create(&Killed { limit: Name(limit.name()) }); // counted from zero
        }
        metrics
    }

    /// Counts a request without the key.
    pub(crate) fn refuse(&self) {
        self.unauthenticated.inc();
    }

    /// Counts a call that begins; it counts as cancelled unless it is ended.
    pub(crate) fn begin(&self, language: Language) -> Going<'_> {
        Going { metrics: self, language, ended: false }
    }

    fn count(&self, language: Language, outcome: &'static str) {
        self.calls.get_or_create(&Calls { language: Name(language.name()), outcome: Name(outcome) }).inc();
    }

    fn text(&self, load: Load) -> Result<String, std::fmt::Error> {
        self.in_flight.set(i64::try_from(load.running).unwrap_or(i64::MAX));
        self.waiting.set(i64::try_from(load.waiting).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// A call that goes on.
pub(crate) struct Going<'a> {
    metrics: &'a Metrics,
    language: Language,
    ended: bool,
}

impl Going<'_> {
    pub(crate) fn end(mut self, reply: &Reply) {
        self.ended = true;
        let (metrics, language) = (self.metrics, self.language);
        let usage = match reply {
            Ok(success) => {
                metrics.count(language, "succeeded");
                success.usage
            }
            Err(failure) => {
                metrics.count(language, outcome(failure.error.kind));
                if let (Kind::Limit, Some(limit)) = (failure.error.kind, failure.error.limit) {
                    metrics.killed.get_or_create(&Killed { limit: Name(limit.name()) }).inc();
                }
                failure.usage
            }
        };
        if usage != Usage::default() {
            let labels = Languages { language: Name(language.name()) };
            metrics.wait.get_or_create(&labels).observe(usage.wait_us as f64 / 1e6);
            metrics.took.get_or_create(&labels).observe(usage.wall_us as f64 / 1e6);
        }
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.metrics.count(self.language, "cancelled");
        }
    }
}

fn outcome(kind: Kind) -> &'static str {
    match kind {
        Kind::Exception => "exception",
        Kind::Syntax => "syntax",
        Kind::NoMain => "no_main",
        Kind::MissingModule => "missing_module",
        Kind::Outputs => "outputs",
        Kind::Limit => "limit",
        Kind::Refused => "refused",
        Kind::Exited => "exited",
        Kind::Request => "request",
        Kind::Busy => "busy",
        Kind::Sandbox => "sandbox",
    }
}

/// What the listener of metrics serves.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(service)
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    match service.metrics().text(service.runner().load().await) {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
