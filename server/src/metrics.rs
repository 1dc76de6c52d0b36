//! What is counted, for Prometheus: on a listener of its own.

use std::sync::Arc;

use axum::{
    Router,
    extract::State as Shared,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};

pub(crate) use self::http::{OpenStream, count};
pub(crate) use self::state::Sources;
pub use self::table::{Described, Kind};
use self::{borders::Borders, http::Http, runs::Runs, state::State, table::Table};
use crate::{app::App, problem::Problem};

mod borders;
mod http;
mod runs;
mod state;
mod table;

/// What is counted. It watches runs and the borders of the process, so the engine and its capabilities are opened with it.
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    http: Http,
    runs: Runs,
    borders: Borders,
    state: State,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut table = Table::default();
        let (state, runs) = (State::new(&mut table), Runs::new(&mut table));
        let (borders, http) = (Borders::new(&mut table), Http::new(&mut table));
        let Table { registry, described } = table;
        Self { registry, described, http, runs, borders, state }
    }
}

impl Metrics {
    /// Every metric that is exported.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// Spans did not reach the collector.
    pub(crate) fn spans_dropped(&self, count: u64) {
        self.http.spans_dropped.with([]).inc_by(count);
    }

    /// All of it, in the format that is asked for.
    pub(crate) async fn told(&self, sources: &Sources<'_>, headers: &HeaderMap) -> Result<Response, Problem> {
        self.state.look(sources).await?;
        let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
        let mut body = String::new();
        let kind = if accepts.contains("application/openmetrics-text") {
            text::encode(&mut body, &self.registry).map_err(Problem::internal)?;
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        } else {
            prometheus_text::encode(&mut body, &self.registry).map_err(Problem::internal)?;
            "text/plain; version=0.0.4; charset=utf-8"
        };
        Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
    }
}

/// What serves the metrics.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new().route("/metrics", get(answer)).with_state(app)
}

/// The metrics, in the format that is asked for.
async fn answer(Shared(app): Shared<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let sources = Sources {
        engine: &app.engine,
        stores: &app.stores,
        clock: &*app.clock,
        data: app.settings.data.as_deref(),
        fleet: app.fleet.as_ref(),
        app: Some(&app),
    };
    app.metrics.told(&sources, &headers).await
}
