//! Several sandboxes, some of which are away, busy or broken.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use liteagent_sandbox_client::Pool;
use liteagent_sandbox_protocol::{Fault, Kind, Language, Request, Runner};
use tokio::net::TcpListener;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const KEY: &str = "a-key-of-the-tests-0123";
const REPLY: &str = r#"{"outputs":{},"stdout":"","stderr":"","usage":{"wall_us":1,"cpu_us":2,"memory":3}}"#;

/// A sandbox that always answers this.
async fn sandbox(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

async fn well() -> MockServer {
    sandbox(ResponseTemplate::new(200).set_body_raw(REPLY, "application/json")).await
}

/// An address where nobody is.
async fn nobody() -> String {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    format!("http://{address}")
}

fn pool(endpoints: &[String]) -> Pool {
    Pool::new(&endpoints.join(", "), KEY, Duration::from_secs(30)).unwrap()
}

async fn call(pool: &Pool) -> Result<(), Fault> {
    let reply = pool.run(Request::new(Language::Python, "x")).await;
    reply.map(drop).map_err(|failure| failure.error)
}

async fn asked(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn calls_are_shared() {
    let (first, second) = (well().await, well().await);
    let pool = pool(&[first.uri(), second.uri()]);
    for _ in 0..10 {
        call(&pool).await.unwrap();
    }
    assert_eq!((asked(&first).await, asked(&second).await), (5, 5));
}

#[tokio::test]
async fn one_that_is_away_holds_nobody_up() {
    let well = well().await;
    let pool = pool(&[nobody().await, well.uri()]);
    for _ in 0..10 {
        call(&pool).await.unwrap();
    }
    assert_eq!(asked(&well).await, 10);
}

#[tokio::test]
async fn a_busy_one_hands_on_and_is_told_when_all_are() {
    let busy = || sandbox(ResponseTemplate::new(429));
    let (first, second, third) = (busy().await, well().await, busy().await);
    let some = pool(&[first.uri(), second.uri(), third.uri()]);
    for _ in 0..3 {
        call(&some).await.unwrap();
    }
    let all = pool(&[first.uri(), third.uri()]);
    assert_eq!(call(&all).await.unwrap_err().kind, Kind::Busy);
    let fault = call(&pool(&[first.uri(), nobody().await])).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Sandbox, "{fault}");
}

/// Code that ends its sandbox does not end all of them.
#[tokio::test]
async fn a_call_that_was_lost_is_sent_once_more() {
    let breaks = || sandbox(ResponseTemplate::new(500));
    let three = [breaks().await, breaks().await, breaks().await];
    let pool = pool(&three.each_ref().map(MockServer::uri));
    assert_eq!(call(&pool).await.unwrap_err().kind, Kind::Sandbox);
    let mut all = 0;
    for server in &three {
        all += asked(server).await;
    }
    assert_eq!(all, 2);
    assert!(pool.ready().await.is_err());
}

#[tokio::test]
async fn it_is_ready_when_one_is() {
    let well = well().await;
    let pool = pool(&[nobody().await, well.uri()]);
    assert_eq!(pool.ready().await, Ok(()));
    assert!(pool.describe().starts_with("in the sandboxes at http://127.0.0.1:"), "{}", pool.describe());
}

#[test]
fn addresses_are_given_once() {
    let refused = Pool::new("http://a:1,http://b:1, http://a:1/", KEY, Duration::ZERO).err().unwrap();
    assert_eq!(refused.to_string(), "expected each address once, found `http://a:1/` twice");
    assert!(Pool::new("http://a:1,", KEY, Duration::ZERO).is_err());
}
