//! What Prometheus reads, and whether dashboards, alerts and the guide fit it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use liteagent_engine::{definition::Limits, time::SystemClock, value};
use liteagent_server::{Budgets, Kind, Metrics, Settings};
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;

use self::common::{KEY, World};

mod common;

/// The names that operators were promised, without `clock_skew_seconds`: a SQLite file has no clock.
const PROMISED: [&str; 22] = [
    "budget_used_ratio",
    "runs_held",
    "backup_last_success_timestamp",
    "run_oldest_seconds",
    "wake_overdue_seconds",
    "schedule_lag_seconds",
    "reconciler_last_success_timestamp",
    "append_refused_total",
    "node_lost_total",
    "disk_free_bytes",
    "runs_ended_total",
    "limiter_wait_seconds",
    "breaker_state",
    "cost_unpriced_calls_total",
    "http_requests_total",
    "http_request_seconds",
    "auth_failures_total",
    "egress_refused_total",
    "sandbox_wait_seconds",
    "sandbox_killed_total",
    "engine_overhead_seconds",
    "process_resident_memory_bytes",
];

const ASSISTANT: &str = "\
name: assistant
inputs: { question: string }
nodes:
  reply: { type: llm, model: test/x, messages: [{ user: \"{{ inputs.question }}\" }] }
  shown: { type: template-transform, template: \"{{ reply.text }}\" }
outputs: { text: \"{{ shown.text }}\" }
";

const FAILING: &str = "\
name: failing
nodes: { stop: { type: fail, message: no } }
outputs: {}
";

impl World {
    async fn send(&self, method: &str, path: &str, kind: &str, body: String) -> Json {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
            .header(header::CONTENT_TYPE, kind);
        let reply = self.ask(request.body(Body::from(body)).unwrap()).await;
        assert!(reply.status.is_success(), "{method} {path}: {} {}", reply.status, reply.body);
        serde_json::from_str(&reply.body).unwrap_or_default()
    }

    async fn scrape(&self, accepts: &str) -> String {
        let request = Request::get("/metrics").header(header::ACCEPT, accepts).body(Body::empty()).unwrap();
        let response = self.server.metrics().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = axum::body::to_bytes(response.into_body(), 16 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }
}

/// The samples of a text in Prometheus' format, by name; each belongs to a family that was announced.
fn samples(text: &str) -> BTreeMap<String, Vec<(String, f64)>> {
    let mut kinds = BTreeMap::new();
    let mut samples: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "`{name}` is announced twice");
        } else if !line.starts_with('#') && !line.is_empty() {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let is_announced = kinds.contains_key(name)
                || ["_bucket", "_sum", "_count"].iter().any(|end| {
                    name.strip_suffix(end).and_then(|name| kinds.get(name)).is_some_and(|kind| kind == "histogram")
                });
            assert!(is_announced, "`{name}` belongs to no family");
            let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            samples.entry(name.to_owned()).or_default().push((labels.to_owned(), value));
        }
    }
    samples
}

/// `promtool`, where it is installed.
fn promtool(arguments: &[&str], folder: &Path, input: Option<&Path>) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(folder);
    if let Some(input) = input {
        command.stdin(fs::File::open(input).unwrap());
    }
    let Ok(output) = command.output() else { return };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[tokio::test]
async fn what_happened_can_be_scraped() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let month = Limits { tokens: Some(1_000), ..Limits::default() };
    let settings = Settings {
        dev_key: Some(KEY.to_owned()),
        data: Some(folder.path().to_owned()),
        budgets: Budgets { month, ..Budgets::default() },
        ..Settings::default()
    };
    let answers = vec![value!({ "text": "Two years." })];
    let world = World::with(folder.clone(), Arc::new(SystemClock), settings, answers).await;
    for definition in [ASSISTANT, FAILING] {
        world.send("POST", "/api/workflows", "application/yaml", definition.to_owned()).await;
    }
    let start = |workflow: &str, inputs: Json| json!({ "workflow": workflow, "inputs": inputs }).to_string();
    let asked = start("assistant", json!({ "question": "How long is the guarantee?" }));
    let run = world.send("POST", "/api/runs", "application/json", asked).await;
    assert_eq!(run["outputs"]["text"], "Two years.", "{run}");
    world.send("POST", "/api/runs", "application/json", start("failing", json!({}))).await;
    let nobody = world.ask(Request::get("/api/runs?secret=hidden").body(Body::empty()).unwrap()).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    world.server.round().await;

    let text = world.scrape("text/plain").await;
    let samples = samples(&text);
    let value = |name: &str, labels: &str| {
        let all = samples.get(name).unwrap_or_else(|| panic!("no `{name}` in\n{text}"));
        let found = all.iter().find(|(found, _)| found.trim_end_matches('}') == labels);
        found.unwrap_or_else(|| panic!("no `{name}` with {labels}, only {all:?}")).1
    };
    let ended = "liteagent_runs_ended_total";
    assert_eq!(value(ended, r#"workflow="assistant",status="succeeded",class="""#), 1.0);
    let failed = samples[ended].iter().filter(|(labels, _)| labels.contains(r#"workflow="failing",status="failed""#));
    assert_eq!(failed.count(), 1);
    assert_eq!(value("liteagent_runs_started_total", r#"workflow="assistant""#), 1.0);
    assert_eq!(value("liteagent_run_seconds_count", r#"workflow="assistant""#), 1.0);
    assert_eq!(value("liteagent_node_seconds_count", r#"type="llm",status="succeeded""#), 1.0);
    assert_eq!(value("liteagent_node_seconds_count", r#"type="fail",status="failed""#), 1.0);
    assert_eq!(value("liteagent_model_calls_total", r#"model="test/x",operation="chat",status="succeeded""#), 1.0);
    assert_eq!(value("liteagent_model_tokens_total", r#"model="test/x",direction="output""#), 2.0);
    assert_eq!(value("liteagent_model_first_token_seconds_count", r#"model="test/x""#), 1.0);
    assert_eq!(value("liteagent_engine_overhead_seconds_count", ""), 2.0);
    assert!(value("liteagent_append_seconds_count", "") >= 4.0);
    let tokens =
        |direction: &str| value("liteagent_model_tokens_total", &format!(r#"model="test/x",direction="{direction}""#));
    assert_eq!(value("liteagent_budget_used_ratio", r#"of="tokens""#), (tokens("input") + tokens("output")) / 1_000.0);
    assert_eq!(value("liteagent_auth_failures_total", ""), 1.0);
    assert_eq!(value("liteagent_http_requests_total", r#"method="GET",route="/api/runs",status="401""#), 1.0);
    assert!(value("liteagent_disk_free_bytes", "") > 0.0);
    assert!(value("liteagent_reconciler_last_success_timestamp", "") > 1e9);
    assert!(!text.contains("hidden"), "a query is in a label");

    // Buckets only grow, and the last one holds everything.
    for (name, buckets) in samples.iter().filter(|(name, _)| name.ends_with("_bucket")) {
        let mut before: Option<(String, f64)> = None;
        for (labels, count) in buckets {
            let (series, bound) = labels.rsplit_once("le=").unwrap();
            if let Some((_, less)) = before.as_ref().filter(|(of, _)| of == series) {
                assert!(less <= count, "{name}{{{labels}}}");
            }
            if bound.contains("+Inf") {
                let whole = format!("{}_count", name.trim_end_matches("_bucket"));
                assert!(value(&whole, series.trim_end_matches(',')) == *count, "{name}{{{labels}}}");
            }
            before = Some((series.to_owned(), *count));
        }
    }

    let file = folder.path().join("scraped.txt");
    fs::write(&file, &text).unwrap();
    promtool(&["check", "metrics"], folder.path(), Some(&file));
    assert!(world.scrape("application/openmetrics-text; version=1.0.0").await.ends_with("# EOF\n"));
}

/// The names that can be queried.
fn exported() -> BTreeSet<String> {
    let metrics = Metrics::default();
    let ends = |kind| if kind == Kind::Histogram { &["_bucket", "_sum", "_count"][..] } else { &[""] };
    let names = metrics
        .described()
        .iter()
        .flat_map(|metric| ends(metric.kind).iter().map(move |end| format!("{}{end}", metric.name)));
    names.collect()
}

#[test]
fn every_promised_metric_is_exported() {
    let metrics = Metrics::default();
    let names: BTreeSet<_> = metrics.described().iter().map(|metric| &*metric.name).collect();
    let missing: Vec<_> =
        PROMISED.iter().filter(|name| !names.contains(format!("liteagent_{name}").as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability").join(name)
}

/// The metrics that a text asks for.
fn asked(text: &str) -> BTreeSet<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_name(letter)).filter(|word| word.starts_with("liteagent_"));
    words.map(str::to_owned).collect()
}

#[test]
fn dashboards_and_alerts_ask_for_metrics_that_there_are() {
    let exported = exported();
    let mut expressions = Vec::new();
    for entry in fs::read_dir(deployed("dashboards")).unwrap() {
        let path = entry.unwrap().path();
        let board: Json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for target in board["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap())
        {
            expressions.push((path.display().to_string(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    assert!(expressions.len() > 30, "the dashboards are there");
    let rules: Json = serde_saphyr::from_str(&fs::read_to_string(deployed("alerts.yaml")).unwrap()).unwrap();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/operations.md");
    let guide = fs::read_to_string(guide).unwrap();
    let mut alerts = BTreeSet::new();
    for rule in rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        expressions.push((name.to_owned(), rule["expr"].as_str().unwrap().to_owned()));
        let link = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert!(link.ends_with(&format!("/guides/operations#{}", name.to_lowercase())), "{name}: {link}");
        assert!(guide.lines().any(|line| line == format!("### {name}")), "the guide does not explain {name}");
        alerts.insert(format!("### {name}"));
    }
    for heading in guide.lines().filter(|line| line.starts_with("### LiteAgent")) {
        assert!(alerts.contains(heading), "there is no alert `{heading}`");
    }
    for (place, expression) in expressions {
        let asked = asked(&expression);
        assert!(!asked.is_empty(), "{place}: {expression} asks for nothing");
        let unknown: Vec<_> = asked.difference(&exported).collect();
        assert!(unknown.is_empty(), "{place}: {unknown:?} in {expression}");
    }
    promtool(&["check", "rules", "alerts.yaml"], &deployed(""), None);
    promtool(&["test", "rules", "alerts.test.yaml"], &deployed(""), None);
    promtool(&["check", "config", "prometheus.yaml"], &deployed(""), None);
}
