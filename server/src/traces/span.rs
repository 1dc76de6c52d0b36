//! Spans, and their ids.

use std::time::SystemTime;

use liteagent_engine::id::RunId;
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use sha2::{Digest as _, Sha256};

use super::{context::Context, status};

/// A span that is over.
pub(super) struct Span {
    pub(super) context: Context,
    pub(super) id: SpanId,
    pub(super) name: String,
    pub(super) kind: SpanKind,
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
    /// The code and the class of its failure.
    pub(super) failed: Option<(&'static str, &'static str)>,
    pub(super) attributes: Vec<KeyValue>,
}

impl Span {
    /// As it is exported.
    pub(super) fn data(self) -> SpanData {
        let Self { context, id, name, kind, start, end, failed, mut attributes } = self;
        if let Some((_, class)) = failed {
            attributes.push(KeyValue::new("error.type", class));
        }
        SpanData {
            span_context: SpanContext::new(context.trace, id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: context.parent,
            parent_span_is_remote: context.is_remote,
            span_kind: kind,
            name: name.into(),
            start_time: start,
            end_time: end,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: status(failed),
            instrumentation_scope: InstrumentationScope::builder("liteagent")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

/// The span of a run.
pub(super) fn of_run(run: RunId) -> SpanId {
    hashed(&[b"run", run.0.as_bytes()])
}

/// The span of an attempt of a node.
pub(super) fn of_node(run: RunId, path: &str, attempt: u32) -> SpanId {
    hashed(&[b"node", run.0.as_bytes(), path.as_bytes(), &attempt.to_be_bytes()])
}

/// The id of a span that nothing else refers to.
pub(super) fn random() -> SpanId {
    SpanId::from_bytes(rand::random::<[u8; 8]>())
}

fn hashed(parts: &[&[u8]]) -> SpanId {
    let mut hash = Sha256::new();
    for part in parts {
        // What follows each other must not run together.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut id = [0; 8];
    id.copy_from_slice(&hash.finalize()[..8]);
    SpanId::from_bytes(id)
}
