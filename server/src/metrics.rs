//! What is counted, for Prometheus: on a listener of its own.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use liteagent_engine::{
    engine::{Observer, RunEnd},
    event::{Event, Record},
    id::RunId,
    store::{Journal, RunPhase, StoreError},
    units::Millis,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{app::App, problem::Problem};

/// From half a millisecond to the longest that a request waits for its run.
const SECONDS: [f64; 14] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];
/// Names of workflows and models that are told apart; the rest is counted together.
const MOST_NAMES: usize = 500;
/// What stands for names that are not told apart.
const OTHERS: &str = "(others)";
/// Methods that are told apart.
const KNOWN: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// How many runs that someone should take are counted.
const MOST_WAITING: u32 = 10_000;

type Histograms = Family<Asked, Histogram, fn() -> Histogram>;

/// What is counted. It watches runs, so the engine is opened with it.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    took: Histograms,
    in_flight: Gauge,
    auth_failures: Counter,
    ended: Family<Ended, Counter>,
    lost: Counter,
    calls: Family<Model, Counter>,
    tokens: Family<Tokens, Counter>,
    cost: Family<Model, Counter<f64, AtomicU64>>,
    unpriced: Counter,
    oldest: Gauge<f64, AtomicU64>,
    overdue: Gauge<f64, AtomicU64>,
    waiting: Gauge,
    reconciled_at: Gauge,
    /// The names that are told apart.
    names: Mutex<BTreeSet<String>>,
}

/// A request that was answered.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

/// A request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    method: String,
    route: String,
}

/// A run that ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    workflow: String,
    status: &'static str,
    class: &'static str,
}

/// A language model.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Model {
    model: String,
}

/// Tokens of a language model.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Tokens {
    model: String,
    direction: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            took: Histograms::new_with_constructor(|| Histogram::new(SECONDS)),
            in_flight: Gauge::default(),
            auth_failures: Counter::default(),
            ended: Family::default(),
            lost: Counter::default(),
            calls: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            unpriced: Counter::default(),
            oldest: Gauge::default(),
            overdue: Gauge::default(),
            waiting: Gauge::default(),
            reconciled_at: Gauge::default(),
            names: Mutex::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("http_requests", "Requests by route and status", metrics.requests.clone());
        registry.register("http_request_seconds", "How long requests took to be answered", metrics.took.clone());
        registry.register("http_in_flight", "Requests that are being answered", metrics.in_flight.clone());
        registry.register("auth_failures", "Requests without good credentials", metrics.auth_failures.clone());
        registry.register("runs_ended", "Runs that ended here, by workflow, status and class", metrics.ended.clone());
        registry.register("node_lost", "Nodes whose process died", metrics.lost.clone());
        registry.register("model_calls", "Calls of language models, in runs that ended here", metrics.calls.clone());
        registry.register("model_tokens", "Tokens of language models, in runs that ended here", metrics.tokens.clone());
        registry.register("model_cost_dollars", "What calls cost by the price table", metrics.cost.clone());
        registry.register("cost_unpriced_calls", "Calls of models whose price is not known", metrics.unpriced.clone());
        registry.register(
            "run_oldest_seconds",
            "Age of the oldest run that someone should take",
            metrics.oldest.clone(),
        );
        registry.register("wake_overdue_seconds", "How late the oldest wait is woken", metrics.overdue.clone());
        registry.register("runs_runnable", "Runs that someone should take", metrics.waiting.clone());
        registry.register(
            "reconciler_last_success_timestamp",
            "When runs were last looked for, in seconds since 1970",
            metrics.reconciled_at.clone(),
        );
        metrics
    }
}

impl Observer for Metrics {
    fn record(&self, _: RunId, record: &Record) {
        if matches!(record.event, Event::NodeLost { .. }) {
            self.lost.inc();
        }
    }

    fn ended(&self, _: RunId, workflow: &str, end: &RunEnd) {
        let class = end.error.as_ref().map_or("", |error| error.class.as_str());
        let ended = Ended { workflow: self.name(workflow), status: end.status.as_str(), class };
        self.ended.get_or_create(&ended).inc();
        for (model, used) in &end.usage.models {
            let model = Model { model: self.name(model) };
            self.calls.get_or_create(&model).inc_by(used.calls);
            self.cost.get_or_create(&model).inc_by(used.report().cost);
            self.unpriced.inc_by(used.unpriced);
            for (direction, count) in [("input", used.input_tokens), ("output", used.output_tokens)] {
                self.tokens.get_or_create(&Tokens { model: model.model.clone(), direction }).inc_by(count);
            }
        }
    }
}

impl Metrics {
    /// A name as a label. There are not more of them than a database of metrics can bear.
    fn name(&self, name: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.contains(name) {
            if names.len() >= MOST_NAMES {
                return OTHERS.to_owned();
            }
            names.insert(name.to_owned());
        }
        name.to_owned()
    }

    /// Runs were looked for.
    pub(crate) fn reconciled(&self, at: Millis) {
        self.reconciled_at.set(at / 1_000);
    }

    /// Looks how it stands with runs that someone should take.
    async fn look(&self, journal: &dyn Journal, now: Millis) -> Result<(), StoreError> {
        let runnable = journal.runnable(now, MOST_WAITING).await?;
        self.waiting.set(i64::try_from(runnable.len()).unwrap_or(i64::MAX));
        let oldest = match runnable.first() {
            Some(run) => journal.run(*run).await?,
            None => None,
        };
        let seconds = |since: Option<Millis>| since.map_or(0.0, |since| (now - since).max(0) as f64 / 1_000.0);
        let waits = oldest.as_ref().filter(|row| row.phase == RunPhase::Waiting);
        self.overdue.set(seconds(waits.and_then(|row| row.wake_at)));
        self.oldest.set(seconds(oldest.as_ref().map(|row| row.wake_at.unwrap_or(row.updated_at))));
        Ok(())
    }
}

/// Counts a request, and writes it into the access log.
pub(crate) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let metrics = &app.metrics;
    let method = request.method().clone();
    // The path itself may be anything.
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let begun = tokio::time::Instant::now();
    metrics.in_flight.inc();
    let response = next.run(request).await;
    metrics.in_flight.dec();
    let (took, status) = (begun.elapsed(), response.status());
    tracing::info!(target: "access", %method, route, status = status.as_u16(), ?took);
    if status == StatusCode::UNAUTHORIZED {
        metrics.auth_failures.inc();
    }
    // Methods of their own invention are counted together.
    let method = if KNOWN.contains(&method) { method.as_str() } else { OTHERS }.to_owned();
    metrics.took.get_or_create(&Asked { method: method.clone(), route: route.clone() }).observe(took.as_secs_f64());
    metrics.requests.get_or_create(&Answered { method, route, status: status.as_u16() }).inc();
    response
}

/// What serves the metrics.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new().route("/metrics", get(text)).with_state(app)
}

async fn text(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    app.metrics.look(&*app.stores.journal, app.clock.now()).await?;
    let mut text = String::new();
    encode(&mut text, &app.metrics.registry).map_err(Problem::internal)?;
    let kind = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    Ok((kind, text).into_response())
}
