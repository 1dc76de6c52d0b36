//! What a collector of traces is sent, and how it stands with what a server uses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{Request, header},
};
use futures::{StreamExt as _, stream};
use liteagent_engine::{
    capability::{Http, HttpBody, HttpCall, HttpReply},
    codes,
    error::{ErrorClass, NodeError},
    id::RunId,
    value,
};
use liteagent_server::{Dependency, TraceSettings};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as AnyValue, trace::v1::Span,
};
use prost::Message as _;
use serde_json::{Value as Json, json};

use self::common::{KEY, World};

mod common;

/// Stands in for a collector.
#[derive(Default)]
struct Collector {
    spans: Mutex<Vec<Span>>,
    services: Mutex<Vec<String>>,
}

#[async_trait]
impl Http for Collector {
    async fn send(&self, call: HttpCall) -> Result<HttpReply, NodeError> {
        assert_eq!((&*call.method, &*call.url), ("POST", "http://collector.test/v1/traces"));
        let HttpBody::Bytes(body) = call.body else { panic!("spans are bytes") };
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for resource in request.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let named = attributes.into_iter().filter(|attribute| attribute.key == "service.name");
            self.services.lock().unwrap().extend(named.map(|name| shown(name.value.and_then(|value| value.value))));
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.lock().unwrap().extend(spans);
        }
        Ok(HttpReply {
            status: 200,
            headers: Vec::new(),
            url: call.url,
            body: stream::empty().boxed(),
            retry_after: None,
        })
    }
}

/// A collector that is away.
struct Away;

#[async_trait]
impl Http for Away {
    async fn send(&self, _: HttpCall) -> Result<HttpReply, NodeError> {
        Err(NodeError::new(codes::HTTP_UNREACHABLE, ErrorClass::Unavailable, "nobody is there"))
    }
}

fn settings(with_content: bool) -> TraceSettings {
    TraceSettings {
        endpoint: "http://collector.test/v1/traces".to_owned(),
        service: Some("liteagent"),
        sampler: None,
        share: None,
        with_content,
    }
}

const CALLING: &str = "\
name: calling
inputs: { question: string }
nodes:
  ask: { type: workflow, workflow: assistant, inputs: { question: \"{{ inputs.question }}\" } }
outputs: { text: \"{{ ask.text }}\" }
";

const ASSISTANT: &str = "\
name: assistant
inputs: { question: string }
nodes:
  reply: { type: llm, model: test/x, messages: [{ user: \"{{ inputs.question }}\" }] }
outputs: { text: \"{{ reply.text }}\" }
";

async fn send(world: &World, path: &str, kind: &str, traceparent: Option<&str>, body: String) -> Json {
    let mut request =
        Request::post(path).header(header::AUTHORIZATION, format!("Bearer {KEY}")).header(header::CONTENT_TYPE, kind);
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let reply = world.ask(request.body(Body::from(body)).unwrap()).await;
    assert!(reply.status.is_success(), "{path}: {} {}", reply.status, reply.body);
    serde_json::from_str(&reply.body).unwrap_or_default()
}

/// A world with the workflow, and a run of it.
async fn asked(collector: Arc<dyn Http>, with_content: bool, traceparent: Option<&str>) -> (World, String) {
    let answers = vec![value!({ "text": "Two years." })];
    let world = World::watched(Some((settings(with_content), collector)), Vec::new(), answers).await;
    send(&world, "/api/workflows", "application/yaml", None, ASSISTANT.to_owned()).await;
    let body = json!({ "workflow": "assistant", "inputs": { "question": "How long is the guarantee?" } });
    let run = send(&world, "/api/runs", "application/json", traceparent, body.to_string()).await;
    assert_eq!(run["outputs"]["text"], "Two years.", "{run}");
    let id = run["id"].as_str().unwrap().to_owned();
    world.traces.as_ref().unwrap().close(Duration::from_secs(30)).await;
    (world, id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn shown(value: Option<AnyValue>) -> String {
    match value {
        Some(AnyValue::StringValue(text)) => text,
        Some(AnyValue::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let pairs = span.attributes.iter().cloned();
    pairs.map(|pair| (pair.key.clone(), shown(pair.value.and_then(|value| value.value)))).collect()
}

/// The only span with this name of a trace.
fn named(spans: &[Span], trace: &str, name: &str) -> Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name && hex(&span.trace_id) == trace).collect();
    assert_eq!(found.len(), 1, "`{name}` in {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    found[0].clone()
}

#[tokio::test]
async fn a_run_is_a_trace_from_the_request_to_the_model() {
    let collector = Arc::new(Collector::default());
    let (_, run) = asked(collector.clone(), false, None).await;
    let spans = collector.spans.lock().unwrap().clone();
    let trace = hex(run.parse::<RunId>().unwrap().0.as_bytes());
    let request = named(&spans, &trace, "POST /api/runs");
    let whole = named(&spans, &trace, "run assistant");
    let node = named(&spans, &trace, "node llm");
    let model = named(&spans, &trace, "chat x");
    assert_eq!(request.parent_span_id, [0; 0], "nothing is above the request");
    assert_eq!(whole.parent_span_id, request.span_id);
    assert_eq!(node.parent_span_id, whole.span_id);
    assert_eq!(model.parent_span_id, node.span_id);
    assert_eq!(attributes(&node)["liteagent.node.path"], "reply");
    let told = attributes(&model);
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "test"),
        ("gen_ai.request.model", "x"),
        ("gen_ai.response.model", "x"),
        ("gen_ai.usage.output_tokens", "2"),
    ] {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{name} of {told:?}");
    }
    let everything = format!("{spans:?}");
    assert!(!everything.contains("guarantee") && !everything.contains("Two years"), "texts are left out");
    assert!(collector.services.lock().unwrap().iter().all(|service| service == "liteagent"));
}

#[tokio::test]
async fn the_trace_of_a_caller_goes_on_and_texts_are_part_of_it_when_they_are_wanted() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let collector = Arc::new(Collector::default());
    let (_, run) = asked(collector.clone(), true, Some(&format!("00-{TRACE}-b7ad6b7169203331-01"))).await;
    assert_ne!(hex(run.parse::<RunId>().unwrap().0.as_bytes()), TRACE);
    let spans = collector.spans.lock().unwrap().clone();
    let request = named(&spans, TRACE, "POST /api/runs");
    assert_eq!(hex(&request.parent_span_id), "b7ad6b7169203331");
    assert_eq!(named(&spans, TRACE, "run assistant").parent_span_id, request.span_id);
    let told = attributes(&named(&spans, TRACE, "chat x"));
    assert!(told["gen_ai.input.messages"].contains("How long is the guarantee?"), "{told:?}");
    assert!(told["gen_ai.output.messages"].contains("Two years."), "{told:?}");
}

#[tokio::test]
async fn a_run_that_a_node_starts_is_below_that_node() {
    let collector = Arc::new(Collector::default());
    let answers = vec![value!({ "text": "Two years." })];
    let world = World::watched(Some((settings(false), collector.clone())), Vec::new(), answers).await;
    for definition in [ASSISTANT, CALLING] {
        send(&world, "/api/workflows", "application/yaml", None, definition.to_owned()).await;
    }
    let body = json!({ "workflow": "calling", "inputs": { "question": "Why?" } }).to_string();
    let run = send(&world, "/api/runs", "application/json", None, body).await;
    world.traces.as_ref().unwrap().close(Duration::from_secs(30)).await;
    let spans = collector.spans.lock().unwrap().clone();
    let trace = hex(run["id"].as_str().unwrap().parse::<RunId>().unwrap().0.as_bytes());
    let (parent, child) = (named(&spans, &trace, "run calling"), named(&spans, &trace, "run assistant"));
    assert!(!child.parent_span_id.is_empty() && child.parent_span_id != parent.span_id, "its node is between them");
    assert_eq!(named(&spans, &trace, "node llm").parent_span_id, child.span_id);
}

#[tokio::test]
async fn a_collector_that_is_away_stops_nothing_and_what_it_missed_is_counted() {
    let (world, _) = asked(Arc::new(Away), false, None).await;
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(world.server.metrics(), request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 16 << 20).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let dropped = text.lines().find_map(|line| line.strip_prefix("liteagent_trace_spans_dropped_total ")).unwrap();
    assert!(dropped.parse::<u64>().unwrap() >= 4, "{dropped}");
}

/// Something that is there or not.
struct Thing(&'static str, bool);

#[async_trait]
impl Dependency for Thing {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn check(&self) -> Result<(), String> {
        if self.1 { Ok(()) } else { Err("it is away, at 10.0.0.7".to_owned()) }
    }
}

#[tokio::test]
async fn what_is_away_is_shown_and_the_server_stays_ready() {
    let things: Vec<Arc<dyn Dependency>> = vec![Arc::new(Thing("qdrant", true)), Arc::new(Thing("sandbox", false))];
    let world = World::watched(None, things, Vec::new()).await;
    let ready = world.ask(Request::get("/health/ready").body(Body::empty()).unwrap()).await;
    assert_eq!(ready.status.as_u16(), 200, "{}", ready.body);
    let body: Json = serde_json::from_str(&ready.body).unwrap();
    let expected = json!([{ "name": "qdrant", "status": "ok" }, { "name": "sandbox", "status": "degraded" }]);
    assert_eq!(body["dependencies"], expected);
    assert!(!ready.body.contains("10.0.0.7"), "where things are is nobody's business");
    let live = world.ask(Request::get("/health/live").body(Body::empty()).unwrap()).await;
    assert_eq!(live.status.as_u16(), 200);
}

#[tokio::test]
async fn a_request_has_an_id() {
    let world = World::new(Vec::new()).await;
    let id = async |told: Option<&str>| {
        let request = Request::get("/health/live");
        let request = told.map_or(Request::get("/health/live"), |told| request.header("x-request-id", told));
        let reply = world.ask(request.body(Body::empty()).unwrap()).await;
        reply.headers["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id(Some("mine-1.2:3")).await, "mine-1.2:3");
    let (one, other) = (id(Some("two words")).await, id(None).await);
    assert!(one != "two words" && one != other && one.len() >= 32, "{one} {other}");
}
