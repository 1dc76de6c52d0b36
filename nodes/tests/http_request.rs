//! `http-request` against a real server on this machine.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::sync::Arc;

use bytes::Bytes;
use liteagent_engine::{
    capability::{Capabilities, SecretRules, Secrets},
    codes,
    error::{ErrorClass, NodeError},
    id::RunId,
    node::{Effect, Outcome},
    store::{Files, MemoryStore},
    testing::{NodeTest, TestNode},
    value,
    value::Value,
};
use liteagent_nodes::{
    egress::{Egress, EgressPolicy},
    registry,
};
use rstest::rstest;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, method, path, query_param},
};

struct World {
    server: MockServer,
    store: Arc<MemoryStore>,
}

impl World {
    async fn new() -> Self {
        Self { server: MockServer::start().await, store: Arc::new(MemoryStore::default()) }
    }

    /// A world whose server gives every request the same answer.
    async fn answering(answer: ResponseTemplate) -> Self {
        let world = Self::new().await;
        Mock::given(any()).respond_with(answer).mount(&world.server).await;
        world
    }

    fn caps(&self) -> Capabilities {
        let policy = EgressPolicy::parse(["127.0.0.1"]).unwrap();
        Capabilities {
            http: Some(Arc::new(Egress::new(policy))),
            files: Some(self.store.clone()),
            secrets: Arc::new(Secrets::new([("TOKEN".to_owned(), "s3cret".to_owned())])),
            ..Capabilities::default()
        }
    }

    /// A node of these fields; `SERVER` stands for the address of the server.
    fn node(&self, fields: &str, scope: &str) -> TestNode {
        let yaml = format!("type: http-request\n{}", fields.replace("SERVER", &self.server.uri()));
        NodeTest::new(&registry(), &yaml).scope(scope).caps(self.caps()).build().unwrap()
    }

    async fn run(&self, fields: &str) -> Result<Value, NodeError> {
        match self.node(fields, "").run().await? {
            Outcome::Done(output) => Ok(output),
            other => panic!("{other:?}"),
        }
    }

    async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn json_is_read_and_headers_are_joined() {
    let answer = ResponseTemplate::new(200)
        .append_header("X-Tag", "a")
        .append_header("X-Tag", "b")
        .set_body_json(serde_json::json!({ "name": "Ada" }));
    let output = World::answering(answer).await.run("url: SERVER/people/1").await.unwrap();
    assert_eq!(output.get("status"), Some(&value!(200)));
    assert_eq!(output.get("json"), Some(&value!({ "name": "Ada" })));
    assert_eq!(output.get("body"), Some(&value!("{\"name\":\"Ada\"}")));
    assert_eq!(output.get("headers").unwrap().get("x-tag"), Some(&value!("a, b")));
    assert_eq!((output.get("file"), output.get("items")), (Some(&Value::Null), Some(&value!([]))));
}

#[tokio::test]
async fn the_query_takes_lists_and_leaves_null_out() {
    let world = World::answering(ResponseTemplate::new(204)).await;
    let fields = "url: SERVER/find?a=1\nquery: { tag: [x, y&z], none: '{{ inputs.gone }}', limit: '{{ inputs.n }}' }";
    world.node(fields, "inputs: { gone: null, n: 7 }").run().await.unwrap();
    assert_eq!(world.requests().await[0].url.query(), Some("a=1&tag=x&tag=y%26z&limit=7"));
}

#[tokio::test]
async fn a_value_in_the_url_stays_one_segment() {
    let world = World::answering(ResponseTemplate::new(204)).await;
    world.node("url: SERVER/orders/{{ inputs.id }}/lines", "inputs: { id: '../admin?x=1#y' }").run().await.unwrap();
    let url = &world.requests().await[0].url;
    assert_eq!((url.path(), url.query()), ("/orders/..%2Fadmin%3Fx%3D1%23y/lines", None));
    for (fields, id) in
        [("{{ inputs.id }}/x", ".."), (".{{ inputs.id }}", "."), ("{{ inputs.id }}{{ inputs.id }}", ".")]
    {
        let node = world.node(&format!("url: 'SERVER/orders/{fields}'"), &format!("inputs: {{ id: '{id}' }}"));
        assert_eq!(node.run().await.unwrap_err().code, codes::HTTP_URL, "{fields}");
    }
}

#[rstest]
#[case("{ bearer: '{{ secrets.TOKEN }}' }", "authorization", "Bearer s3cret")]
#[case("{ basic: { user: robot, password: '{{ secrets.TOKEN }}' } }", "authorization", "Basic cm9ib3Q6czNjcmV0")]
#[case("{ header: { name: X-Api-Key, value: 'key {{ secrets.TOKEN }}' } }", "x-api-key", "key s3cret")]
#[tokio::test]
async fn credentials_are_sent(#[case] auth: &str, #[case] name: &str, #[case] value: &str) {
    let world = World::answering(ResponseTemplate::new(204)).await;
    world.run(&format!("url: SERVER\nauth: {auth}\nheaders: {{ X-More: '{{{{ secrets.TOKEN }}}}' }}")).await.unwrap();
    let request = &world.requests().await[0];
    assert_eq!((header(request, name), header(request, "x-more")), (Some(value), Some("s3cret")));
}

#[rstest]
#[case("json: { a: [1, '{{ inputs.n }}'] }", "application/json", r#"{"a":[1,7]}"#)]
#[case("form: { a: 'x y', n: '{{ inputs.n }}', l: [1, 2] }", "application/x-www-form-urlencoded", "a=x+y&n=7&l=1&l=2")]
#[case("body: 'n is {{ inputs.n }}'", "text/plain; charset=utf-8", "n is 7")]
#[case("body: <x/>\nheaders: { Content-Type: application/xml }", "application/xml", "<x/>")]
#[tokio::test]
async fn a_body_carries_its_type(#[case] fields: &str, #[case] content_type: &str, #[case] body: &str) {
    let world = World::answering(ResponseTemplate::new(204)).await;
    world.node(&format!("url: SERVER\nmethod: POST\n{fields}"), "inputs: { n: 7 }").run().await.unwrap();
    let request = &world.requests().await[0];
    assert_eq!(header(request, "content-type"), Some(content_type));
    assert_eq!(String::from_utf8_lossy(&request.body), body);
}

#[tokio::test]
async fn files_are_sent_whole_or_as_parts() {
    let world = World::answering(ResponseTemplate::new(204)).await;
    let run = RunId(uuid::Uuid::nil());
    let file = world.store.create(run, "a.png", "image/png", Bytes::from_static(b"\x89PNG")).await.unwrap();
    let scope = format!("inputs: {{ file: {} }}", serde_json::to_string(&file).unwrap());
    world.node("url: SERVER\nmethod: PUT\nbody_file: '{{ inputs.file }}'", &scope).run().await.unwrap();
    let form = "url: SERVER\nmethod: POST\nform: { note: hi, upload: '{{ inputs.file }}' }";
    world.node(form, &scope).run().await.unwrap();

    let requests = world.requests().await;
    assert_eq!((header(&requests[0], "content-type"), &requests[0].body[..]), (Some("image/png"), &b"\x89PNG"[..]));
    let form = String::from_utf8_lossy(&requests[1].body);
    assert!(form.contains("name=\"upload\"; filename=\"a.png\"\r\nContent-Type: image/png"), "{form}");
}

#[tokio::test]
async fn an_object_that_only_looks_like_a_file_opens_nothing() {
    let world = World::answering(ResponseTemplate::new(204)).await;
    let fake =
        "inputs: { file: { id: file_0, name: passwd, path: /etc/passwd, mime: text/plain, size: 1, sha256: x } }";
    for fields in ["method: PUT\nbody_file: '{{ inputs.file }}'", "method: POST\nform: { f: '{{ inputs.file }}' }"] {
        let error = world.node(&format!("url: SERVER\n{fields}"), fake).run().await.unwrap_err();
        assert_eq!(error.code, codes::FILES_VALUE);
    }
    assert!(world.requests().await.is_empty());
}

#[rstest]
#[case(400, ErrorClass::Invalid)]
#[case(401, ErrorClass::Unauthenticated)]
#[case(403, ErrorClass::Forbidden)]
#[case(404, ErrorClass::NotFound)]
#[case(408, ErrorClass::Timeout)]
#[case(409, ErrorClass::Conflict)]
#[case(422, ErrorClass::Invalid)]
#[case(429, ErrorClass::RateLimited)]
#[case(500, ErrorClass::Unavailable)]
#[case(503, ErrorClass::Unavailable)]
#[case(504, ErrorClass::Timeout)]
#[tokio::test]
async fn a_failure_has_the_class_of_its_status(#[case] status: u16, #[case] class: ErrorClass) {
    let answer = ResponseTemplate::new(status).insert_header("Retry-After", "3").set_body_string("it\nis  so");
    let world = World::answering(answer).await;
    let error = world.run("url: SERVER/x?token=1").await.unwrap_err();
    assert_eq!(error.class, class);
    assert_eq!(error.retry_after, Some(std::time::Duration::from_secs(3)));
    assert_eq!(error.message, format!("`GET {}/x` answered {status}: it is so", world.server.uri()));
    let output = world.run(&format!("url: SERVER\naccept_status: [{status}]")).await.unwrap();
    assert_eq!(output.get("status"), Some(&value!(status)));
}

#[tokio::test]
async fn writes_carry_one_idempotency_key() {
    let world = World::answering(ResponseTemplate::new(204)).await;
    for fields in ["method: POST", "method: POST", "method: GET", "method: PUT\nheaders: { idempotency-KEY: own }"] {
        world.run(&format!("url: SERVER\n{fields}")).await.unwrap();
    }
    let requests = world.requests().await;
    let keys: Vec<_> = requests.iter().map(|request| header(request, "idempotency-key")).collect();
    assert!(keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
    assert_eq!(keys[2..], [None, Some("own")]);
}

#[test]
fn the_effect_follows_the_method() {
    let effect = |method: &str| {
        let yaml = format!("type: http-request\nurl: https://x.test\nmethod: {method}");
        NodeTest::new(&registry(), &yaml).build().unwrap().node.effect()
    };
    assert_eq!(["GET", "PUT", "DELETE", "HEAD"].map(effect), [Effect::Idempotent; 4]);
    assert_eq!(["POST", "PATCH"].map(effect), [Effect::AtLeastOnce; 2]);
}

#[tokio::test]
async fn declared_members_are_checked_and_others_kept() {
    let answer = serde_json::json!({ "status": "open", "total": 3, "more": true });
    let world = World::answering(ResponseTemplate::new(200).set_body_json(answer)).await;
    let fits = "url: SERVER\nreturns: { status: string, total: number, shipped_at: 'string?' }";
    let json = world.run(fits).await.unwrap().get("json").unwrap().clone();
    assert_eq!(json, value!({ "status": "open", "total": 3, "more": true, "shipped_at": null }));
    for (returns, place) in [("{ total: string }", "`/total`"), ("{ missing: string }", "`/missing`")] {
        let error = world.run(&format!("url: SERVER\nreturns: {returns}")).await.unwrap_err();
        assert_eq!((error.code, error.class), (codes::HTTP_ANSWER, ErrorClass::Invalid));
        assert!(error.message.contains(place), "{}", error.message);
    }
}

#[test]
fn declared_members_are_in_the_schema() {
    let yaml = "type: http-request\nurl: https://x.test\nreturns: { total: number }";
    let schema = NodeTest::new(&registry(), yaml).build().unwrap().node.output_schema();
    let json = schema.as_value().pointer("/properties/json").unwrap();
    assert_eq!(json.pointer("/properties/total/type"), Some(&serde_json::json!("number")));
}

#[tokio::test]
async fn broken_json_is_an_error_unless_the_failure_was_accepted() {
    let broken = |status: u16| ResponseTemplate::new(status).set_body_raw("<html>", "application/json");
    let error = World::answering(broken(200)).await.run("url: SERVER").await.unwrap_err();
    assert_eq!(error.code, codes::HTTP_ANSWER);
    let output = World::answering(broken(404)).await.run("url: SERVER\naccept_status: [404]").await.unwrap();
    assert_eq!((output.get("json"), output.get("body")), (Some(&Value::Null), Some(&value!("<html>"))));
}

#[tokio::test]
async fn what_is_no_text_becomes_a_file() {
    let answer = ResponseTemplate::new(200)
        .set_body_raw(&b"%PDF\x00\xff"[..], "application/pdf")
        .insert_header("content-disposition", "attachment; filename=\"../bill.pdf\"");
    let world = World::answering(answer).await;
    let output = world.run("url: SERVER/download").await.unwrap();
    let file = output.get("file").unwrap();
    assert_eq!((file.get("name"), file.get("mime")), (Some(&value!("bill.pdf")), Some(&value!("application/pdf"))));
    let id = file.get("id").unwrap().as_str().unwrap();
    let (_, content) = world.store.open(RunId(uuid::Uuid::nil()), id).await.unwrap().unwrap();
    assert_eq!(content, &b"%PDF\x00\xff"[..]);
}

#[tokio::test]
async fn pages_are_gathered_by_link_and_by_relative_url() {
    let world = World::new().await;
    for (page, link) in [("1", Some("2")), ("2", Some("3")), ("3", None)] {
        let next = link.map(|next| format!("<{}/list?page={next}>; rel=\"next\"", world.server.uri()));
        let answer = ResponseTemplate::new(200).set_body_json(serde_json::json!({ "items": [page], "next": link }));
        let answer = next.into_iter().fold(answer, |answer, next| answer.insert_header("link", next));
        Mock::given(path("/list")).and(query_param("page", page)).respond_with(answer).mount(&world.server).await;
    }
    for next in [
        "{{ page.headers.link | default('') | next_link }}",
        "{{ '?page=' ~ page.json.next if page.json.next else none }}",
    ] {
        let fields = format!(
            "url: SERVER/list\nquery: {{ page: 1 }}\nauth: {{ bearer: '{{{{ secrets.TOKEN }}}}' }}\npaginate:\n  next: \"{next}\"\n  items: '{{{{ page.json.items }}}}'"
        );
        let output = world.run(&fields).await.unwrap();
        assert_eq!(output.get("items"), Some(&value!(["1", "2", "3"])), "{next}");
        let error = world.run(&format!("{fields}\n  max_pages: 2")).await.unwrap_err();
        assert_eq!((error.code, error.class), (codes::HTTP_PAGES, ErrorClass::LimitExceeded));
    }
    assert!(world.requests().await.iter().all(|request| header(request, "authorization") == Some("Bearer s3cret")));
}

#[tokio::test]
async fn a_page_that_leads_back_is_an_error_and_one_elsewhere_gets_no_credentials() {
    let (world, other) = (
        World::new().await,
        World::answering(ResponseTemplate::new(200).set_body_json(serde_json::json!({ "items": [2] }))).await,
    );
    let loops = ResponseTemplate::new(200).set_body_json(serde_json::json!({ "items": [], "next": "?" }));
    let leaves =
        ResponseTemplate::new(200).set_body_json(serde_json::json!({ "items": [1], "next": other.server.uri() }));
    Mock::given(path("/loop")).respond_with(loops).mount(&world.server).await;
    Mock::given(path("/leave")).respond_with(leaves).mount(&world.server).await;
    let fields = "auth: { bearer: '{{ secrets.TOKEN }}' }\npaginate: { next: '{{ page.json.next | default(none) }}', items: '{{ page.json.items }}' }";

    let error = world.run(&format!("url: SERVER/loop?\n{fields}")).await.unwrap_err();
    assert_eq!(error.code, codes::HTTP_PAGES);
    let output = world.run(&format!("url: SERVER/leave\n{fields}")).await.unwrap();
    assert_eq!(output.get("items"), Some(&value!([1, 2])));
    assert_eq!(header(&other.requests().await[0], "authorization"), None);
}

#[rstest]
#[case("json: {}", "/json")]
#[case("method: POST\njson: {}\nbody: x", "/body")]
#[case("auth: {}", "/auth")]
#[case("auth: { bearer: a, basic: { user: u, password: p } }", "/auth")]
#[case("headers: { Host: evil }", "/headers/Host")]
#[case("headers: { 'a b': c }", "/headers/a b")]
#[case("accept_status: [200]", "/accept_status")]
#[case("method: HEAD\nbody: x", "/body")]
#[case("headers: { User-Agent: '{{ secrets.TOKEN }}' }", "/headers/User-Agent")]
#[case("auth: { header: { name: Accept, value: x } }", "/auth/header/name")]
fn a_request_that_contradicts_itself_is_a_finding(#[case] fields: &str, #[case] field: &str) {
    let yaml = format!("type: http-request\nurl: https://x.test\n{fields}");
    let error = NodeTest::new(&registry(), &yaml).build().err().unwrap();
    assert_eq!((error.code, error.field.as_str()), (codes::HTTP_CONFIG, field));
    assert!(error.hint.is_some());
}

#[rstest]
#[case("https://{{ inputs.host }}/x", true)]
#[case("{{ inputs.url }}", true)]
#[case("http://api.example.org/x", true)]
#[case("https://api.example.org/{{ inputs.id }}", false)]
#[case("{{ env.API }}/x", false)]
#[case("{{ env.API }}/{{ inputs.id }}", false)]
#[case("{{ env.SCHEME }}://{{ inputs.host }}/x", true)]
#[case("{{ env.API }}{{ inputs.id }}", true)]
#[case("http://localhost:8080/x", false)]
fn a_secret_that_may_go_astray_is_a_warning(#[case] url: &str, #[case] warns: bool) {
    let findings = |more: &str| {
        let yaml = format!("type: http-request\nurl: '{url}'\n{more}");
        NodeTest::new(&registry(), &yaml).build().unwrap().node.check(registry().known())
    };
    let found = findings("auth: { bearer: '{{ secrets.TOKEN }}' }");
    assert_eq!(found.iter().any(|finding| finding.error.code == codes::HTTP_SECRET), warns, "{url}");
    assert!(findings("auth: { bearer: fixed }").is_empty());
}

#[tokio::test]
async fn a_secret_is_refused_before_it_is_sent_to_another_host() {
    let world = World::answering(ResponseTemplate::new(204)).await;
    let here = world.server.uri().replace("http://", "");
    let send = async |url: &str, hosts: Option<&str>| {
        let fields = format!("url: '{url}'\nauth: {{ bearer: '{{{{ secrets.TOKEN }}}}' }}");
        let mut node = world.node(&fields, &format!("inputs: {{ host: '{here}' }}"));
        let rules = SecretRules { hosts: hosts.map(|host| vec![host.parse().unwrap()]), workflows: None };
        let secrets = Secrets::new([("TOKEN".to_owned(), "s3cret".to_owned())]);
        let secrets = Arc::new(secrets.with_rules([("TOKEN".to_owned(), rules)]));
        node.ctx.caps = Arc::new(Capabilities { secrets, ..(*node.ctx.caps).clone() });
        node.run().await.map(drop).map_err(|error| (error.code, error.class))
    };
    let refused = Err((codes::SECRET_HOST, ErrorClass::Forbidden));
    assert_eq!(send("SERVER/x", Some("127.0.0.1")).await, refused, "another port");
    assert_eq!(send("SERVER/x", Some("api.example.org")).await, refused);
    assert_eq!(send("http://{{ inputs.host }}/x", None).await, refused, "a host that an input chose");
    assert!(world.requests().await.is_empty());
    for (url, hosts) in [("SERVER/x", None), ("SERVER/x", Some(&*here)), ("http://{{ inputs.host }}/x", Some(&*here))] {
        assert_eq!(send(url, hosts).await, Ok(()), "{url}");
    }
    assert_eq!(world.requests().await.len(), 3);
}

#[tokio::test]
async fn a_large_answer_is_read_like_a_small_one() {
    let rows: Vec<_> = (0..20_000).map(|n| serde_json::json!({ "n": n })).collect();
    let world = World::answering(ResponseTemplate::new(200).set_body_json(serde_json::json!({ "rows": rows }))).await;
    let output = world.run("url: SERVER\nreturns: { rows: 'object[]' }").await.unwrap();
    assert_eq!(output.get("json").unwrap().get("rows").unwrap().as_list().unwrap().len(), 20_000);
}

#[tokio::test]
async fn an_answer_that_is_packed_in_an_unknown_way_is_an_error() {
    let packed = ResponseTemplate::new(200).insert_header("content-encoding", "br").set_body_string("x");
    let error = World::answering(packed).await.run("url: SERVER").await.unwrap_err();
    assert_eq!(error.code, codes::HTTP_ANSWER);
}

#[tokio::test]
async fn a_head_has_no_body() {
    let world = World::new().await;
    let answer = ResponseTemplate::new(200).insert_header("content-length", "99999999999");
    Mock::given(method("HEAD")).respond_with(answer).mount(&world.server).await;
    let output = world.run("url: SERVER\nmethod: HEAD").await.unwrap();
    assert_eq!(output.get("body"), Some(&value!("")));
}
