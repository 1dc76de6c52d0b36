//! The outgoing client: what it refuses, and what it does on the way.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::net::SocketAddr;

use futures::StreamExt;
use liteagent_engine::{
    capability::{FormPart, Http, HttpBody, HttpCall, HttpReply},
    codes,
    error::{Code, ErrorClass, NodeError},
    units::Duration,
};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

fn get(url: &str) -> HttpCall {
    HttpCall {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: HttpBody::Empty,
        redirects: 5,
        timeout: Some(Duration::from_secs(20)),
    }
}

fn allowing(entries: &[&str]) -> Egress {
    Egress::new(EgressPolicy::parse(entries).unwrap())
}

fn open_to(server: &MockServer) -> Egress {
    allowing(&[&server.address().to_string()])
}

async fn text(mut reply: HttpReply) -> Result<String, NodeError> {
    let mut bytes = Vec::new();
    while let Some(piece) = reply.body.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(String::from_utf8(bytes).unwrap())
}

async fn refusal(egress: &Egress, call: HttpCall) -> (Code, ErrorClass) {
    let error = egress.send(call).await.map(|reply| reply.status).unwrap_err();
    assert!(error.hint.is_some(), "{error} has a hint");
    (error.code, error.class)
}

const REFUSED: (Code, ErrorClass) = (codes::HTTP_ADDRESS_REFUSED, ErrorClass::Forbidden);

#[rstest]
#[case("http://127.0.0.1/")]
#[case("http://127.1/")]
#[case("http://0x7f.1/")]
#[case("http://0177.0.0.1/")]
#[case("http://2130706433/")]
#[case("http://127.0.0.1./")]
#[case("http://127。0。0。1/")]
#[case("http://%31%32%37.0.0.1/")]
#[case("http://0/")]
#[case("http://[::1]/")]
#[case("http://[::]/")]
#[case("http://[::ffff:127.0.0.1]/")]
#[case("http://[::ffff:7f00:1]/")]
#[case("http://[64:ff9b::7f00:1]/")]
#[case("http://localhost/")]
#[case("http://10.0.0.1/")]
#[case("https://192.168.1.1/")]
#[case("http://169.254.169.254/latest/meta-data/")]
#[case("http://[fd00:ec2::254]/latest/meta-data/")]
#[tokio::test]
async fn an_address_that_is_not_public_is_refused(#[case] url: &str) {
    assert_eq!(refusal(&allowing(&[]), get(url)).await, REFUSED, "{url}");
}

#[tokio::test]
async fn a_metadata_address_cannot_be_allowed() {
    let egress = allowing(&["0.0.0.0/0", "::/0", "169.254.169.254:80", "localhost:1"]);
    for url in ["http://169.254.169.254/", "http://[::ffff:169.254.169.254]/", "http://2852039166/"] {
        assert_eq!(refusal(&egress, get(url)).await, REFUSED, "{url}");
    }
}

#[tokio::test]
async fn what_is_allowed_is_reached_and_nothing_beside_it() {
    let (open, closed) = (MockServer::start().await, MockServer::start().await);
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_string("hi")).mount(&open).await;
    let by_name = format!("localhost:{}", open.address().port());
    for egress in [open_to(&open), allowing(&["127.0.0.0/8"]), allowing(&[&by_name])] {
        let host = if egress.send(get(&open.uri())).await.is_ok() { "127.0.0.1" } else { "localhost" };
        let reply = egress.send(get(&format!("http://{host}:{}/x?y=1#z", open.address().port()))).await.unwrap();
        assert_eq!((reply.status, text(reply).await.unwrap().as_str()), (200, "hi"));
    }
    assert_eq!(refusal(&open_to(&open), get(&closed.uri())).await, REFUSED);
    let beside = format!("http://localhost:{}/", closed.address().port());
    assert_eq!(refusal(&allowing(&[&by_name]), get(&beside)).await, REFUSED);
    assert!(closed.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redirect_is_checked_again() {
    let (open, closed) = (MockServer::start().await, MockServer::start().await);
    for target in [closed.uri(), "http://169.254.169.254/".to_owned(), "http://[::ffff:a9fe:a9fe]/".to_owned()] {
        open.reset().await;
        let answer = ResponseTemplate::new(302).insert_header("location", target.as_str());
        Mock::given(method("GET")).respond_with(answer).mount(&open).await;
        assert_eq!(refusal(&open_to(&open), get(&open.uri())).await, REFUSED, "{target}");
    }
    open.reset().await;
    let answer = ResponseTemplate::new(302).insert_header("location", "file:///etc/passwd");
    Mock::given(method("GET")).respond_with(answer).mount(&open).await;
    assert_eq!(refusal(&open_to(&open), get(&open.uri())).await, (codes::HTTP_URL, ErrorClass::Invalid));
    assert!(closed.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn another_origin_gets_no_credentials() {
    let (first, second) = (MockServer::start().await, MockServer::start().await);
    let away = ResponseTemplate::new(307).insert_header("location", format!("{}/there", second.uri()));
    let near = ResponseTemplate::new(307).insert_header("location", "/near");
    Mock::given(path("/away")).respond_with(away).mount(&first).await;
    Mock::given(path("/start")).respond_with(near).mount(&first).await;
    Mock::given(path("/near")).respond_with(ResponseTemplate::new(204)).mount(&first).await;
    Mock::given(path("/there")).respond_with(ResponseTemplate::new(204)).mount(&second).await;

    let egress = allowing(&["127.0.0.1/32"]);
    let secret = [("authorization", "Bearer t"), ("x-api-key", "t"), ("cookie", "t"), ("accept", "a/b")];
    for start in ["/away", "/start"] {
        let headers = secret.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let body = HttpBody::Bytes("body".into());
        let call = HttpCall { method: "POST".to_owned(), headers, body, ..get(&format!("{}{start}", first.uri())) };
        assert_eq!(egress.send(call).await.unwrap().status, 204);
    }
    let moved = &second.received_requests().await.unwrap()[0];
    assert!(["authorization", "x-api-key", "cookie"].iter().all(|name| !moved.headers.contains_key(*name)));
    assert_eq!((moved.headers["accept"].to_str().unwrap(), moved.body.as_slice()), ("a/b", &b"body"[..]));
    let stayed = first.received_requests().await.unwrap().into_iter().find(|seen| seen.url.path() == "/near").unwrap();
    assert_eq!(stayed.headers["authorization"], "Bearer t");
}

#[tokio::test]
async fn redirects_are_counted() {
    let server = MockServer::start().await;
    let again = ResponseTemplate::new(302).insert_header("location", "/");
    Mock::given(method("GET")).respond_with(again).mount(&server).await;
    let egress = open_to(&server);
    assert_eq!(refusal(&egress, get(&server.uri())).await, (codes::HTTP_REDIRECTS, ErrorClass::Invalid));
    assert_eq!(server.received_requests().await.unwrap().len(), 6);
    let reply = egress.send(HttpCall { redirects: 0, ..get(&server.uri()) }).await.unwrap();
    assert_eq!(reply.status, 302);
}

#[tokio::test]
async fn the_wish_of_the_server_to_wait_is_passed_on() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(429).insert_header("Retry-After", "7"))
        .mount(&server)
        .await;
    let reply = open_to(&server).send(get(&server.uri())).await.unwrap();
    assert_eq!((reply.status, reply.retry_after), (429, Some(7_000)));
}

#[tokio::test]
async fn a_form_with_a_file_is_sent_in_parts() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let part =
        |name: &str, file: Option<(String, String)>| FormPart { name: name.to_owned(), file, content: "abc".into() };
    let file = Some(("a.txt".to_owned(), "text/plain".to_owned()));
    let call = HttpCall {
        method: "POST".to_owned(),
        body: HttpBody::Form(vec![part("note", None), part("upload", file)]),
        ..get(&server.uri())
    };
    open_to(&server).send(call).await.unwrap();
    let seen = &server.received_requests().await.unwrap()[0];
    let body = String::from_utf8_lossy(&seen.body);
    assert!(seen.headers["content-type"].to_str().unwrap().starts_with("multipart/form-data; boundary="));
    assert!(body.contains("name=\"note\"") && body.contains("name=\"upload\"; filename=\"a.txt\""), "{body}");
}

/// Answers one connection with these bytes and then stays silent.
async fn silent_server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(answer).await.unwrap();
        std::future::pending::<()>().await;
    });
    address
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_timeout() {
    let address = silent_server(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let call = HttpCall { timeout: Some(Duration::from_millis(200)), ..get(&format!("http://{address}/")) };
    let reply = allowing(&[&address.to_string()]).send(call).await.unwrap();
    let error = text(reply).await.unwrap_err();
    assert_eq!((error.code, error.class), (codes::HTTP_TIMEOUT, ErrorClass::Timeout));
}

#[tokio::test]
async fn a_head_that_never_comes_is_a_timeout() {
    let address = silent_server(b"").await;
    let call = HttpCall { timeout: Some(Duration::from_millis(200)), ..get(&format!("http://{address}/")) };
    let found = refusal(&allowing(&[&address.to_string()]), call).await;
    assert_eq!(found, (codes::HTTP_TIMEOUT, ErrorClass::Timeout));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let egress = allowing(&[&address.to_string()]);
    let down = (codes::HTTP_UNREACHABLE, ErrorClass::Unavailable);
    assert_eq!(refusal(&egress, get(&format!("http://{address}/"))).await, down);
    assert_eq!(refusal(&egress, get("http://no-such-host.invalid/")).await, down);
}

#[tokio::test]
async fn a_header_cannot_smuggle_another() {
    let server = MockServer::start().await;
    let headers = vec![("x-name".to_owned(), "a\r\nx-evil: b".to_owned())];
    let call = HttpCall { headers, ..get(&server.uri()) };
    assert_eq!(refusal_code(&open_to(&server), call).await, codes::HTTP_REQUEST);
}

async fn refusal_code(egress: &Egress, call: HttpCall) -> Code {
    egress.send(call).await.map(|reply| reply.status).unwrap_err().code
}

#[tokio::test]
async fn a_refusal_says_what_to_allow() {
    let said = async |url: &str| {
        let error = allowing(&[]).send(get(url)).await.map(|reply| reply.status).unwrap_err();
        format!("{error}\n{}", error.hint.as_deref().unwrap_or_default())
    };
    insta::assert_snapshot!(said("http://10.0.0.1:8080/x").await, @r"
    `10.0.0.1` is a private address
    add `10.0.0.1:8080` to `allow` under `[http]` in `liteagent.toml`, if it is meant
    ");
    insta::assert_snapshot!(said("http://[::ffff:10.0.0.1]/").await, @r"
    `[::ffff:a00:1]` leads to ::ffff:10.0.0.1, which is a private address
    add `[::ffff:a00:1]:80` to `allow` under `[http]` in `liteagent.toml`, if it is meant
    ");
    insta::assert_snapshot!(said("http://169.254.169.254/").await, @r"
    `169.254.169.254` is a link-local address, where clouds serve their metadata
    ask for another host: no setting allows this address
    ");
}
