//! What is made of whatever a service answers, or does not. Against the real one: `cli/tests/sandbox/service.rs`.

use std::time::Duration;

use liteagent_sandbox_client::Remote;
use liteagent_sandbox_protocol::{Class, Fault, Kind, Language, Limit, Limits, Request, Runner};
use rstest::rstest;
use tokio::net::TcpListener;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string, header, method, path},
};

const KEY: &str = "a-key-of-the-tests-0123";

fn remote(endpoint: &str) -> Remote {
    Remote::new(endpoint, KEY, Duration::from_secs(30)).unwrap()
}

fn request() -> Request {
    Request::new(Language::Python, "x").with_limits(Limits { wall_ms: Some(100), ..Limits::default() })
}

async fn fault_of(answer: ResponseTemplate) -> Fault {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    let fault = remote(&server.uri()).run(request()).await.unwrap_err().error;
    assert!(server.received_requests().await.unwrap().len() == 1, "it was asked more than once");
    fault
}

#[tokio::test]
async fn a_call_is_sent_whole_and_its_reply_read_whole() {
    let server = MockServer::start().await;
    let reply = r#"{"outputs":{"n": 1.50},"stdout":"out","stderr":"err","usage":{"wall_us":1,"cpu_us":2,"memory":3}}"#;
    Mock::given(method("POST"))
        .and(path("/below/v1/run"))
        .and(header("x-api-key", KEY))
        .and(header("content-type", "application/json"))
        .and(body_string(
            r#"{"language":"python","code":"x","inputs":{},"mode":"main","limits":{"wall_ms":100}}"#.to_owned(),
        ))
        .respond_with(ResponseTemplate::new(200).set_body_raw(reply, "application/json"))
        .expect(1)
        .mount(&server)
        .await;
    let remote = remote(&format!("{}/below/", server.uri()));
    let success = remote.run(request()).await.unwrap();
    assert_eq!((success.outputs.get(), success.stdout.as_str()), (r#"{"n": 1.50}"#, "out"));
    assert_eq!((success.usage.wait_us, success.usage.cpu_us, success.usage.memory), (0, 2, 3));
    assert_eq!(remote.describe(), format!("in the sandbox at {}", server.uri()));
}

#[rstest]
#[case::wrong_key(401, "", Kind::Sandbox, Class::Forbidden, "it does not take the key")]
#[case::busy(503, "<html>busy</html>", Kind::Busy, Class::RateLimited, "too many requests")]
#[case::slow_down(429, "", Kind::Busy, Class::RateLimited, "too many requests")]
#[case::broken(500, "<html>oops</html>", Kind::Sandbox, Class::Unavailable, "it answered 500 Internal Server Error")]
#[case::something_else(404, "<html>", Kind::Sandbox, Class::Unavailable, "it answered 404 Not Found")]
#[case::elsewhere(302, "", Kind::Sandbox, Class::Unavailable, "it answered 302 Found")]
#[case::no_reply(
    200,
    "ok",
    Kind::Sandbox,
    Class::Unavailable,
    "it answered something that is no reply: expected value"
)]
#[case::half_a_reply(200, r#"{"outputs":"#, Kind::Sandbox, Class::Unavailable, "something that is no reply: EOF")]
#[case::problem(400, r#"{"detail":"no language","hint":"name one"}"#, Kind::Request, Class::Invalid, "no language")]
#[tokio::test]
async fn an_answer_that_is_no_reply_is_told(
    #[case] status: u16,
    #[case] body: &str,
    #[case] kind: Kind,
    #[case] class: Class,
    #[case] message: &str,
) {
    let answer = ResponseTemplate::new(status).set_body_string(body).insert_header("location", "http://127.0.0.1:9/");
    let fault = fault_of(answer).await;
    assert_eq!((fault.kind, fault.class), (kind, class), "{fault}");
    assert!(fault.message.starts_with("the sandbox at http://127.0.0.1:"), "{fault}");
    assert!(fault.message.contains(message), "{fault}");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_a_limit() {
    let body = r#"{"detail":"the body is larger than 5 bytes, the limit `input`","limit":"input"}"#;
    let fault = fault_of(ResponseTemplate::new(413).set_body_string(body)).await;
    assert_eq!((fault.kind, fault.class, fault.limit), (Kind::Limit, Class::LimitExceeded, Some(Limit::Input)));
    assert_eq!(fault.message, "the body is larger than 5 bytes, the limit `input`");
}

/// No connection was made: the call has not started, so it is tried again, and the service may have come back.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_away_for_a_moment_is_asked_again() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let endpoint = format!("http://{address}");
    let fault = remote(&endpoint).run(request()).await.unwrap_err().error;
    assert_eq!((fault.kind, fault.class), (Kind::Sandbox, Class::Unavailable));
    assert!(fault.message.contains("it cannot be reached") && fault.message.contains("Connection refused"), "{fault}");
    assert!(fault.hint.is_some_and(|hint| hint.contains("SANDBOX_ENDPOINT")));

    let comes_back = async {
        // After the first try, and before the last.
        tokio::time::sleep(Duration::from_millis(50)).await;
        TcpListener::bind(address).await.unwrap().accept().await.unwrap()
    };
    let remote = remote(&endpoint);
    let call = remote.run(request());
    tokio::select! {
        reply = call => panic!("{reply:?}"),
        _accepted = comes_back => {}
    }
}

/// It may have started: whoever asked decides whether to try again.
#[tokio::test]
async fn a_call_whose_connection_breaks_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = remote(&format!("http://{}", listener.local_addr().unwrap()));
    let closes = async { drop(listener.accept().await.unwrap()) };
    let (reply, ()) = tokio::join!(remote.run(request()), closes);
    let fault = reply.unwrap_err().error;
    assert_eq!((fault.kind, fault.class), (Kind::Sandbox, Class::Unavailable));
    assert!(fault.message.contains("the connection broke"), "{fault}");
    assert!(futures::poll!(Box::pin(listener.accept())).is_pending());
}

/// The time of the call, and a margin for waiting and the way.
#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = remote(&format!("http://{}", listener.local_addr().unwrap()));
    let began = tokio::time::Instant::now();
    let silent = async {
        let _connection = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    };
    let fault = tokio::select! {
        reply = remote.run(request()) => reply.unwrap_err().error,
        () = silent => unreachable!(),
    };
    assert_eq!((fault.kind, fault.class), (Kind::Sandbox, Class::Timeout), "{fault}");
    assert!(began.elapsed() >= Duration::from_millis(60_100), "{:?}", began.elapsed());
}

#[rstest]
#[case("sandbox:8194", KEY, "found `sandbox:8194`")]
#[case("ftp://sandbox", KEY, "found `ftp://sandbox`")]
#[case("http://", KEY, "found `http://`: empty host")]
#[case("http://user:word@sandbox", KEY, "found one with a user, a query or a fragment")]
#[case("http://sandbox?a=1", KEY, "found one with a user, a query or a fragment")]
#[case("http://sandbox", "", "expected a key of visible ASCII characters")]
#[case("http://sandbox", "line\nbreak", "expected a key of visible ASCII characters")]
fn what_is_no_address_is_refused(#[case] endpoint: &str, #[case] key: &str, #[case] why: &str) {
    let refused = Remote::new(endpoint, key, Duration::ZERO).err().unwrap();
    assert!(refused.to_string().contains(why), "{refused}");
}
