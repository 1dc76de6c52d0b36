//! Traces: where they are sent, as the environment says it.

use std::sync::Arc;

use liteagent_engine::{codes, time::SystemClock};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use liteagent_server::{Metrics, TraceSettings, Traces};
use url::Url;

use crate::{
    config::{keys::refused, setting},
    failure::Failure,
};

/// What sends traces; nobody when no collector is named.
pub(crate) fn open(metrics: &Arc<Metrics>) -> Result<Option<Arc<Traces>>, Failure> {
    let Some(settings) = TraceSettings::read(setting).map_err(refused)? else { return Ok(None) };
    let wrong = |message: String| {
        Failure::usage(codes::TRACES, format!("the collector `{}`: {message}", settings.endpoint))
            .hint("set `OTEL_EXPORTER_OTLP_ENDPOINT` to its address, such as `http://collector:4318`")
    };
    let url = Url::parse(&settings.endpoint).map_err(|error| wrong(error.to_string()))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(wrong("expected a URL with a host".to_owned()));
    };
    // It is allowed by being named, for this purpose alone.
    let policy = EgressPolicy::parse(&[format!("{host}:{port}")]).map_err(wrong)?;
    let http = Arc::new(Egress::new(policy));
    Traces::open(&settings, http, Arc::new(SystemClock), metrics.clone()).map(Some).map_err(refused)
}
