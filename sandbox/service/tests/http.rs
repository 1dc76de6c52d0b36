//! The two dialects over a runner that only pretends.

mod common;

use std::{collections::VecDeque, sync::Arc, sync::Mutex, time::Duration};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{Request as HttpRequest, StatusCode},
};
use common::{MOST, ask, send, service};
use liteagent_sandbox_protocol::{
    Failure, Fault, Kind, Language, Limit, Load, Mode, Reply, Request, Runner, Success, Usage,
};
use liteagent_sandbox_service::{Ended, Listeners, serve};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Gives the replies that it was told, and keeps what it was asked.
#[derive(Default)]
struct Pretender {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Request>>,
}

impl Pretender {
    fn answering(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self { replies: Mutex::new(replies.into_iter().collect()), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Runner for Pretender {
    async fn run(&self, request: Request) -> Reply {
        self.asked.lock().unwrap().push(request);
        self.replies.lock().unwrap().pop_front().unwrap_or_else(|| Ok(success("out", "")))
    }

    async fn ready(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn load(&self) -> Load {
        Load { running: 3, waiting: 2 }
    }

    fn describe(&self) -> String {
        "nowhere".to_owned()
    }
}

fn success(stdout: &str, stderr: &str) -> Success {
    let outputs = serde_json::value::to_raw_value(&json!({ "a": 1 })).unwrap();
    let usage = Usage { wait_us: 2_000, wall_us: 30_000, cpu_us: 20_000, memory: 1 };
    Success { outputs, stdout: stdout.into(), stderr: stderr.into(), usage }
}

fn failure(error: Fault) -> Reply {
    Err(Box::new(Failure { error, stdout: "out".into(), stderr: "err".into(), usage: Usage::default() }))
}

#[tokio::test]
async fn only_health_is_told_without_the_key() {
    let routes = service(Pretender::answering([])).routes();
    let asked = |path: &str, key: Option<&str>| {
        let request = HttpRequest::builder().uri(path);
        let request = if let Some(key) = key { request.header("x-api-key", key) } else { request };
        request.body(Body::empty()).unwrap()
    };
    let health = send(&routes, asked("/health", None)).await;
    assert_eq!((health.status, health.json()), (StatusCode::OK, json!("ok")));
    for path in ["/v1/run", "/v1/sandbox/run", "/v1/sandbox/dependencies?language=python3", "/v1/nothing", "/v1"] {
        for key in [None, Some(""), Some("wrong"), Some(&common::KEY[1..])] {
            let refused = send(&routes, asked(path, key)).await;
            assert_eq!((refused.status, refused.body.as_str()), (StatusCode::UNAUTHORIZED, ""), "{path} {key:?}");
        }
    }
}

#[rstest]
#[case::no_json("POST", "/v1/run", "{", 400, "LA2309", "the body is no request: EOF")]
#[case::unknown_field(
    "POST",
    "/v1/run",
    r#"{"language":"python","code":"","a":1}"#,
    400,
    "LA2309",
    "unknown field `a`"
)]
#[case::unknown_language(
    "POST",
    "/v1/run",
    r#"{"language":"ruby","code":""}"#,
    400,
    "LA2309",
    "unknown variant `ruby`"
)]
#[case::wrong_method("GET", "/v1/run", "", 405, "LA2309", "`/v1/run` does not take GET")]
#[case::wrong_method_of_dify("GET", "/v1/sandbox/run", "", 405, "LA2309", "`/v1/sandbox/run` does not take GET")]
#[case::wrong_path("POST", "/v1/runs", "", 404, "LA2309", "there is nothing at `/v1/runs`")]
#[case::wrong_path_outside("GET", "/", "", 404, "LA2309", "there is nothing at `/`")]
#[tokio::test]
async fn a_request_that_is_none_is_a_problem(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &'static str,
    #[case] status: u16,
    #[case] code: &str,
    #[case] detail: &str,
) {
    let answer = ask(&service(Pretender::answering([])).routes(), method, path, JSON, body).await;
    let told = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{told}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!((&told["status"], &told["code"]), (&json!(status), &json!(code)));
    assert!(told["detail"].as_str().unwrap().contains(detail), "{told}");
    assert!(told["hint"].is_string() && told["type"].as_str().unwrap().ends_with(code), "{told}");
    assert_eq!(answer.headers.get("allow").is_some(), status == 405);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_by_its_limit() {
    let runner = Pretender::answering([]);
    let routes = service(runner.clone()).routes();
    for size in [MOST + 1, MOST * 100] {
        let answer = ask(&routes, "POST", "/v1/run", JSON, "x".repeat(size)).await;
        let told = answer.json();
        assert_eq!((answer.status.as_u16(), &told["code"], &told["limit"]), (413, &json!("LA2306"), &json!("input")));
        let answer = ask(&routes, "POST", "/v1/sandbox/run", JSON, "x".repeat(size)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (413, &json!(-400)));
    }
    assert!(runner.asked().is_empty());
}

#[tokio::test]
async fn a_call_is_passed_on_whole() {
    let runner = Pretender::answering([Ok(success("out", "err"))]);
    let body = r#"{"language":"python","code":"x","inputs":{"n": 1.50},"mode":"main","limits":{"wall_ms":5}}"#;
    let answer = ask(&service(runner.clone()).routes(), "POST", "/v1/run", JSON, body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (
            200,
            json!({
                "outputs": { "a": 1 }, "stdout": "out", "stderr": "err",
                "usage": { "wait_us": 2_000, "wall_us": 30_000, "cpu_us": 20_000, "memory": 1 },
            })
        )
    );
    assert_eq!(serde_json::to_string(&runner.asked()[0]).unwrap(), body);
}

#[rstest]
#[case(Fault::new(Kind::Exception, "x"), 422)]
#[case(Fault::new(Kind::Refused, "x"), 403)]
#[case(Fault::new(Kind::Busy, "x"), 429)]
#[case(Fault::limit(Limit::Wall, "x"), 504)]
#[case(Fault::limit(Limit::Memory, "x"), 413)]
#[case(Fault::new(Kind::Sandbox, "x"), 503)]
#[tokio::test]
async fn the_status_is_that_of_the_class(#[case] fault: Fault, #[case] status: u16) {
    let runner = Pretender::answering([failure(fault.clone())]);
    let answer = ask(&service(runner).routes(), "POST", "/v1/run", JSON, r#"{"language":"python","code":""}"#).await;
    assert_eq!((answer.status.as_u16(), answer.headers["content-type"].as_bytes()), (status, JSON.as_bytes()));
    let told: Failure = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((told.error, told.stdout.as_str(), told.stderr.as_str()), (fault, "out", "err"));
}

#[rstest]
#[case("python3", Language::Python)]
#[case("python", Language::Python)]
#[case("nodejs", Language::JavaScript)]
#[case("javascript", Language::JavaScript)]
#[tokio::test]
async fn dify_may_send_json_or_a_form(#[case] name: &str, #[case] language: Language) {
    let runner = Pretender::answering([]);
    let routes = service(runner.clone()).routes();
    let body = json!({ "language": name, "code": "a=1&b", "preload": "x", "enable_network": true, "dependencies": [] });
    let success = json!({
        "code": 0, "message": "success", "data": { "stdout": "out", "stderr": "", "error": "", "exit_code": 0 },
    });
    let answer = ask(&routes, "POST", "/v1/sandbox/run", JSON, body.to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, success.clone()));
    let form = format!("language={name}&code=a%3D1%26b&preload=x&enable_network=true");
    let answer = ask(&routes, "POST", "/v1/sandbox/run", FORM, form).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, success));
    for asked in runner.asked() {
        assert_eq!((asked.language, asked.code.as_str(), asked.mode), (language, "a=1&b", Mode::Script));
    }
    assert_eq!(runner.asked().len(), 2);
}

#[rstest]
#[case::language(r#"{"language":"ruby","code":"x"}"#, 400, "unsupported language")]
#[case::no_language(r#"{"code":"x"}"#, 200, "the field `language` is required")]
#[case::no_code(r#"{"language":"python3","code":""}"#, 200, "the field `code` is required")]
#[case::no_json("{", 200, "the body is no request: EOF while parsing an object at line 1 column 1")]
#[tokio::test]
async fn dify_is_told_what_it_did_wrong(#[case] body: &'static str, #[case] status: u16, #[case] message: &str) {
    let runner = Pretender::answering([]);
    let answer = ask(&service(runner.clone()).routes(), "POST", "/v1/sandbox/run", JSON, body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (status, json!({ "code": -400, "message": message, "data": null }))
    );
    assert!(runner.asked().is_empty());
}

/// A program that fails is a process that exits.
#[rstest]
#[case::error(
    Fault { traceback: Some("Traceback\nValueError: no\n".into()), ..Fault::new(Kind::Exception, "ValueError: no") },
    1, "err\nTraceback\nValueError: no\n", "process exited with code 1\nerr\nTraceback\nValueError: no\n"
)]
#[case::syntax(Fault::new(Kind::Syntax, "SyntaxError: x").hint("mend it"), 1, "err\nSyntaxError: x\n",
    "process exited with code 1\nerr\nSyntaxError: x\nhint: mend it\n")]
#[case::exit(
    Fault { exit_code: Some(3), ..Fault::new(Kind::Exited, "the code ended with sys.exit(3) (line 2)") },
    3, "err", "process exited with code 3\nerr"
)]
#[case::exit_with_a_text(
    Fault { exit_code: Some(1), ..Fault::new(Kind::Exited, "the code ended with sys.exit('no')") },
    1, "err", "process exited with code 1\nthe code ended with sys.exit('no')\nerr"
)]
#[case::exit_well(Fault { exit_code: Some(0), ..Fault::new(Kind::Exited, "the code ended") }, 0, "err", "")]
#[case::timeout(Fault::limit(Limit::Wall, "x"), -1, "err", "process exited with code -1\nerror: timeout\nerr")]
#[case::computing(Fault::limit(Limit::Cpu, "x"), -1, "err", "process exited with code -1\nerror: timeout\nerr")]
#[case::memory(Fault::limit(Limit::Memory, "x"), -1, "err", "process exited with code -1\nerror: x\nerr")]
#[case::refused(Fault::new(Kind::Refused, "x"), -1, "err", "process exited with code -1\nerror: operation not permitted\nx\nerr")]
#[tokio::test]
async fn dify_sees_a_failure_as_the_end_of_a_process(
    #[case] fault: Fault,
    #[case] exit_code: i32,
    #[case] stderr: &str,
    #[case] error: &str,
) {
    let runner = Pretender::answering([failure(fault)]);
    let body = json!({ "language": "python3", "code": "x" }).to_string();
    let answer = ask(&service(runner).routes(), "POST", "/v1/sandbox/run", JSON, body).await;
    let data = json!({ "stdout": "out", "stderr": stderr, "error": error, "exit_code": exit_code });
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "code": 0, "message": "success", "data": data }))
    );
}

#[rstest]
#[case::busy(Fault::new(Kind::Busy, "x"), 503, -503, "Too many requests")]
#[case::broken(Fault::new(Kind::Sandbox, "it broke"), 200, -500, "it broke")]
#[case::request(Fault::new(Kind::Request, "not so"), 200, -400, "not so")]
#[case::input(Fault::limit(Limit::Input, "too much"), 200, -400, "too much")]
#[tokio::test]
async fn dify_is_told_when_nothing_ran(
    #[case] fault: Fault,
    #[case] status: u16,
    #[case] code: i32,
    #[case] message: &str,
) {
    let runner = Pretender::answering([failure(fault)]);
    let body = json!({ "language": "nodejs", "code": "x" }).to_string();
    let answer = ask(&service(runner).routes(), "POST", "/v1/sandbox/run", JSON, body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (status, json!({ "code": code, "message": message, "data": null }))
    );
}

#[tokio::test]
async fn dify_is_told_the_packages() {
    let routes = service(Pretender::answering([])).routes();
    let packages = json!({ "dependencies": [{ "name": "jinja2", "version": "3.1.6" }] });
    for path in ["/v1/sandbox/dependencies?language=python3", "/v1/sandbox/dependencies/refresh?language=python"] {
        let answer = ask(&routes, "GET", path, JSON, "").await;
        assert_eq!(answer.json(), json!({ "code": 0, "message": "success", "data": packages }));
    }
    for (kind, body) in [(JSON, r#"{"language":"python3"}"#), (FORM, "language=python3")] {
        let answer = ask(&routes, "POST", "/v1/sandbox/dependencies/update", kind, body).await;
        assert_eq!(answer.json(), json!({ "code": 0, "message": "success", "data": {} }));
    }
    let answer = ask(&routes, "GET", "/v1/sandbox/dependencies?language=nodejs", JSON, "").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (400, &json!(-400)));
    let answer = ask(&routes, "GET", "/v1/sandbox/dependencies", JSON, "").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (200, &json!(-400)));
}

#[tokio::test]
async fn calls_are_counted() {
    let replies = [
        Ok(success("", "")),
        failure(Fault::limit(Limit::Cpu, "x")),
        failure(Fault { limit: Some(Limit::Wall), ..Fault::new(Kind::Request, "x") }),
        failure(Fault::new(Kind::Busy, "x")),
    ];
    let service = service(Pretender::answering(replies));
    for _ in 0..4 {
        ask(&service.routes(), "POST", "/v1/run", JSON, r#"{"language":"javascript","code":""}"#).await;
    }
    send(&service.routes(), HttpRequest::post("/v1/run").body(Body::empty()).unwrap()).await;
    let text = send(&service.metrics_routes(), HttpRequest::get("/metrics").body(Body::empty()).unwrap()).await.body;
    for line in [
        "sandbox_calls_total{language=\"javascript\",outcome=\"succeeded\"} 1",
        "sandbox_calls_total{language=\"javascript\",outcome=\"limit\"} 1",
        "sandbox_calls_total{language=\"javascript\",outcome=\"request\"} 1",
        "sandbox_calls_total{language=\"javascript\",outcome=\"busy\"} 1",
        "sandbox_killed_total{limit=\"cpu\"} 1",
        "sandbox_killed_total{limit=\"wall\"} 0",
        "sandbox_wait_seconds_count{language=\"javascript\"} 1",
        "sandbox_wait_seconds_sum{language=\"javascript\"} 0.002",
        "sandbox_call_seconds_sum{language=\"javascript\"} 0.03",
        "sandbox_in_flight 3",
        "sandbox_waiting 2",
        "sandbox_auth_failures_total 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let elsewhere = send(&service.routes(), HttpRequest::get("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
}

/// Says when a call has begun, and lets it end when told so.
struct Gate {
    begun: Semaphore,
    open: Semaphore,
}

#[async_trait]
impl Runner for Gate {
    async fn run(&self, _: Request) -> Reply {
        self.begun.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        Ok(success("done", ""))
    }

    async fn ready(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn load(&self) -> Load {
        Load::default()
    }

    fn describe(&self) -> String {
        "behind a gate".to_owned()
    }
}

/// A service with a call that waits at the gate: its connection, how to stop the service, and how it ends.
async fn with_a_call(
    gate: &Arc<Gate>,
    drain: Duration,
) -> (TcpStream, oneshot::Sender<()>, tokio::task::JoinHandle<std::io::Result<Ended>>, std::net::SocketAddr) {
    let listener = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (calls, metrics) = (listener().await, listener().await);
    let address = calls.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let service = service(gate.clone());
    let serving = tokio::spawn(async move {
        let stop = async {
            let _ = stopped.await;
        };
        serve(&service, Listeners { calls, metrics }, stop, drain).await
    });
    let mut connection = TcpStream::connect(address).await.unwrap();
    let body = r#"{"language":"python","code":""}"#;
    let (key, length) = (common::KEY, body.len());
    let request =
        format!("POST /v1/run HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}");
    connection.write_all(request.as_bytes()).await.unwrap();
    gate.begun.acquire().await.unwrap().forget();
    (connection, stop, serving, address)
}

fn gate() -> Arc<Gate> {
    Arc::new(Gate { begun: Semaphore::new(0), open: Semaphore::new(0) })
}

#[tokio::test]
async fn a_service_that_stops_answers_what_runs_and_takes_nothing_new() {
    let gate = gate();
    let (mut connection, stop, serving, address) = with_a_call(&gate, Duration::from_mins(1)).await;
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!serving.is_finished());
    gate.open.add_permits(1);
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"done\""), "{answer}");
    assert_eq!(serving.await.unwrap().unwrap(), Ended::Drained);
}

#[tokio::test]
async fn a_service_that_stops_does_not_wait_for_ever() {
    let gate = gate();
    let (_connection, stop, serving, _) = with_a_call(&gate, Duration::ZERO).await;
    stop.send(()).unwrap();
    assert_eq!(serving.await.unwrap().unwrap(), Ended::CutOff);
}

#[tokio::test]
async fn a_caller_that_hangs_up_ends_its_call() {
    let gate = gate();
    let (connection, stop, serving, _) = with_a_call(&gate, Duration::from_mins(1)).await;
    drop(connection);
    stop.send(()).unwrap();
    // The gate stays shut: only a call that was dropped lets the service drain.
    assert_eq!(serving.await.unwrap().unwrap(), Ended::Drained);
    assert_eq!(gate.open.available_permits(), 0);
}

#[tokio::test]
async fn outputs_are_json_as_they_came() {
    let outputs = serde_json::value::RawValue::from_string(r#"{"n": 1.50}"#.to_owned()).unwrap();
    let runner = Pretender::answering([Ok(Success { outputs, ..success("", "") })]);
    let answer = ask(&service(runner).routes(), "POST", "/v1/run", JSON, r#"{"language":"python","code":""}"#).await;
    assert!(answer.body.contains(r#""outputs":{"n": 1.50}"#), "{}", answer.body);
    assert_ne!(answer.json()["outputs"], Value::Null);
}
