//! What is sent where: the standard variables.

use liteagent_engine::codes;
use opentelemetry::trace::TraceId;
use sha2::{Digest as _, Sha256};

use crate::accounts::Refused;

/// What traces are made of, and where they are sent.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The URL of the collector that takes traces, `http://collector:4318/v1/traces`.
    pub endpoint: String,
    /// What the server is called, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` says it.
    pub service: Option<&'static str>,
    /// `OTEL_TRACES_SAMPLER`. Default: `parentbased_always_on`.
    pub sampler: Option<String>,
    /// `OTEL_TRACES_SAMPLER_ARG`: the share of the traces that are sent. Default: 1.
    pub share: Option<String>,
    /// Whether questions and answers are part of it. Default: no.
    pub with_content: bool,
}

impl TraceSettings {
    /// What the environment says; `None` when no traces are sent.
    ///
    /// # Errors
    /// LA4601 when a protocol is asked for that is not there.
    pub fn read(setting: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Refused> {
        let whole = setting("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let base = setting("OTEL_EXPORTER_OTLP_ENDPOINT");
        let below = |base: String| format!("{}/v1/traces", base.trim_end_matches('/'));
        let Some(endpoint) = whole.or_else(|| base.map(below)) else { return Ok(None) };
        let is_off = |name: &str, off: &str| setting(name).is_some_and(|value| value.eq_ignore_ascii_case(off));
        if is_off("OTEL_SDK_DISABLED", "true") || is_off("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            if let Some(other) = setting(name).filter(|protocol| protocol != "http/protobuf") {
                let message = format!("`{name}`: expected `http/protobuf`, found `{other}`");
                return Err(Refused::new(codes::TRACES, message)
                    .hint("unset it, and name the port of the collector for HTTP, usually 4318"));
            }
        }
        let names_service = setting("OTEL_SERVICE_NAME").is_some()
            || setting("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|list| list.contains("service.name="));
        let settings = Self {
            endpoint,
            service: (!names_service).then_some("liteagent"),
            sampler: setting("OTEL_TRACES_SAMPLER"),
            share: setting("OTEL_TRACES_SAMPLER_ARG"),
            with_content: is_off("LITEAGENT_TRACE_CONTENT", "true"),
        };
        settings.sampling()?;
        Ok(Some(settings))
    }

    /// Which traces are sent.
    pub(super) fn sampling(&self) -> Result<Sampling, Refused> {
        let share = || match self.share.as_deref().map(str::parse::<f64>) {
            None => Ok(1.0),
            Some(Ok(share)) if (0.0..=1.0).contains(&share) => Ok(share),
            Some(_) => {
                let found = self.share.as_deref().unwrap_or_default();
                let message = format!("`OTEL_TRACES_SAMPLER_ARG`: expected a share between 0 and 1, found `{found}`");
                Err(Refused::new(codes::TRACES, message).hint("write `0.1` to send one trace of ten"))
            }
        };
        let name = self.sampler.as_deref().unwrap_or("parentbased_always_on");
        let (is_parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let share = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => share()?,
            _ => {
                let message = format!("`OTEL_TRACES_SAMPLER`: expected a standard sampler, found `{name}`");
                return Err(Refused::new(codes::TRACES, message)
                    .hint("write `always_on`, `always_off` or `traceidratio`, also with `parentbased_` before it"));
            }
        };
        Ok(Sampling { is_parent_based, share })
    }
}

/// Which traces are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling {
    is_parent_based: bool,
    share: f64,
}

impl Sampling {
    /// Whether a trace is sent that begins here. Every process says the same of the same trace.
    pub(super) fn of_root(self, trace: TraceId) -> bool {
        // Ids of runs that were made in the same moment resemble each other, their hashes do not.
        let hash = Sha256::digest(trace.to_bytes());
        let drawn = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        f64::from(drawn) < self.share * (f64::from(u32::MAX) + 1.0)
    }

    /// Whether a trace is sent that a caller began.
    pub(super) fn below(self, trace: TraceId, is_sampled: bool) -> bool {
        if self.is_parent_based { is_sampled } else { self.of_root(trace) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Option<TraceSettings>, String> {
        let setting =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        TraceSettings::read(setting).map_err(|why| why.message)
    }

    #[test]
    fn traces_are_off_until_a_collector_is_named() {
        const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        assert!(read(&[]).unwrap().is_none());
        let settings = read(&[BASE]).unwrap().unwrap();
        assert_eq!((&*settings.endpoint, settings.with_content), ("http://collector:4318/v1/traces", false));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/path");
        assert_eq!(read(&[BASE, own]).unwrap().unwrap().endpoint, "https://other/path");
        assert!(read(&[BASE, ("OTEL_SDK_DISABLED", "true")]).unwrap().is_none());
        assert!(read(&[BASE, ("LITEAGENT_TRACE_CONTENT", "true")]).unwrap().unwrap().with_content);
        let wrong = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "expected `http/protobuf`, found `grpc`"),
            ("OTEL_TRACES_SAMPLER", "sometimes", "expected a standard sampler, found `sometimes`"),
        ];
        for (name, value, said) in wrong {
            let message = read(&[BASE, (name, value)]).unwrap_err();
            assert!(message.contains(said), "{message}");
        }
        let share = [BASE, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
        assert!(read(&share).unwrap_err().contains("between 0 and 1"));
    }

    #[test]
    fn a_share_of_the_traces_is_sent_whoever_decides() {
        let settings = |sampler: &str| TraceSettings {
            endpoint: String::new(),
            service: None,
            sampler: Some(sampler.to_owned()),
            share: Some("0.25".to_owned()),
            with_content: false,
        };
        let quarter = settings("parentbased_traceidratio").sampling().unwrap();
        let runs =
            (0..4_000).filter(|_| quarter.of_root(super::super::trace_of(liteagent_engine::id::RunId::random())));
        let sent = runs.count();
        assert!((800..1_200).contains(&sent), "{sent} of 4000");
        let trace = super::super::trace_of(liteagent_engine::id::RunId::random());
        assert!(quarter.below(trace, true) && !quarter.below(trace, false));
        let off = settings("always_off").sampling().unwrap();
        assert!(!off.of_root(trace) && !off.below(trace, true));
    }
}
