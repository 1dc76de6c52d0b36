//! Requests: each is a span, and what it starts goes on with its trace.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use liteagent_engine::id::RunId;
use opentelemetry::{
    KeyValue,
    trace::{SpanId, SpanKind, TraceId},
};

use super::{
    Traces,
    context::{ANSWERED, Context, Joining, TRACEPARENT},
    span, trace_of,
};

/// Answers a request as a span.
pub(crate) async fn trace(State(traces): State<Arc<Traces>>, request: Request, next: Next) -> Response {
    let told = request.headers().get(TRACEPARENT).and_then(|header| Context::parse(header.to_str().ok()?));
    // A trace that begins here has the id of the run that the request may start.
    let run = told.is_none().then(RunId::random);
    let sampling = traces.sampling;
    let above = told.map_or_else(
        || {
            let trace = run.map_or(TraceId::INVALID, trace_of);
            Context { trace, parent: SpanId::INVALID, is_remote: false, is_sampled: sampling.of_root(trace) }
        },
        |told| Context { is_sampled: sampling.below(told.trace, told.is_sampled), ..told },
    );
    let id = span::random();
    let method = request.method().to_string();
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let begun = tokio::time::Instant::now();
    let joining = Joining { context: Context { parent: id, is_remote: false, ..above }, run };
    let response = ANSWERED.scope(joining, next.run(request)).await;
    let status = response.status();
    let name = route.as_ref().map_or_else(|| method.clone(), |route| format!("{method} {route}"));
    let mut span = traces.ended(above, id, name, SpanKind::Server, begun.elapsed());
    span.failed = status.is_server_error().then_some(("", "server_error"));
    span.attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
    ];
    span.attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
    traces.send(span);
    response
}
