//! MCP servers, scripted: sessions, lists in pages, streams, refusals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use liteagent_engine::{
    capability::{
        HttpBody, HttpCall, Secrets,
        mcp::{Mcp, McpContent},
    },
    testing::{FakeHttp, VirtualClock},
    units::Duration,
    value,
    value::Value,
};
use liteagent_nodes::mcp::{HeaderSecret, McpProgram, McpServer, McpServers, Reach};
use serde_json::Value as Json;

fn servers(answers: impl IntoIterator<Item = Value>) -> (McpServers, Arc<FakeHttp>, Arc<VirtualClock>) {
    let http = Arc::new(FakeHttp::answering(answers));
    let clock = Arc::new(VirtualClock::at(1_000_000));
    let secret = HeaderSecret { before: "Bearer ", secret: "DESK".to_owned() };
    let server = McpServer {
        reach: Reach::Http {
            url: "https://desk.test/mcp".parse().unwrap(),
            headers: vec![("authorization".to_owned(), secret)],
        },
        timeout: Duration::from_secs(5),
    };
    let secrets = Arc::new(Secrets::new([("DESK".to_owned(), "hush".to_owned())]));
    let all = [("desk".to_owned(), server)];
    (McpServers::new(all, http.clone(), clock.clone(), secrets), http, clock)
}

fn greeting(session: &str) -> [Value; 2] {
    let result = value!({ "protocolVersion": "2025-03-26", "capabilities": {} });
    [
        value!({ "headers": { "Mcp-Session-Id": session }, "json": { "jsonrpc": "2.0", "id": 1, "result": result } }),
        value!({ "status": 202 }),
    ]
}

fn body(call: &HttpCall) -> Json {
    let HttpBody::Bytes(bytes) = &call.body else { panic!("{call:?}") };
    serde_json::from_slice(bytes).unwrap()
}

fn header<'c>(call: &'c HttpCall, name: &str) -> Option<&'c str> {
    call.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn tools_are_listed_page_by_page_in_one_session_and_kept_for_a_minute() {
    let page = |id: i64, name: &str, next: Value| {
        let tool = value!({ "name": name, "description": "Does it.", "inputSchema": { "type": "object" } });
        value!({ "json": { "jsonrpc": "2.0", "id": id, "result": { "tools": [tool], "nextCursor": next } } })
    };
    let pages = [page(2, "search", value!("p2")), page(3, "read", Value::Null), page(4, "new", Value::Null)];
    let (servers, http, clock) = servers(greeting("s1").into_iter().chain(pages));
    for _ in 0..2 {
        let names: Vec<_> = servers.tools("desk").await.unwrap().into_iter().map(|tool| tool.name).collect();
        assert_eq!(names, ["search", "read"]);
    }
    clock.advance_to(1_000_000 + 61_000);
    assert_eq!(servers.tools("desk").await.unwrap()[0].name, "new");

    let calls = http.calls();
    let methods: Vec<_> = calls.iter().map(|call| body(call)["method"].as_str().unwrap().to_owned()).collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "tools/list", "tools/list", "tools/list"]);
    assert_eq!((header(&calls[0], "mcp-session-id"), header(&calls[2], "mcp-session-id")), (None, Some("s1")));
    assert_eq!(header(&calls[2], "mcp-protocol-version"), Some("2025-03-26"), "the version that the server speaks");
    assert_eq!(header(&calls[0], "authorization"), Some("Bearer hush"));
    assert_eq!(body(&calls[3])["params"]["cursor"], "p2");
}

#[tokio::test]
async fn a_call_is_answered_by_a_stream_and_a_lost_session_is_opened_again() {
    let id = 1 + 1 + (1 << 20);
    let stream = |id: i64| {
        let result = r#"{"content":[{"type":"text","text":"two"},{"type":"image"}],"structuredContent":{"n":2}}"#;
        let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
        let text = format!("data: {note}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n\n");
        value!({ "headers": { "Content-Type": "text/event-stream" }, "body": text })
    };
    let again = greeting("s2");
    let answers = greeting("s1").into_iter().chain([value!({ "status": 404 })]).chain(again).chain([stream(id + 2)]);
    let (servers, http, _) = servers(answers);
    let reply = servers.call("desk", "search", value!({ "q": "x" }), "k").await.unwrap();
    assert_eq!(reply.content, [McpContent::Text("two".to_owned()), McpContent::Other("image".to_owned())]);
    assert_eq!((reply.data, reply.failed), (value!({ "n": 2 }), false));
    let calls = http.calls();
    let last = calls.last().unwrap();
    assert_eq!(header(last, "mcp-session-id"), Some("s2"));
    assert_eq!(body(last)["params"]["_meta"]["liteagent/idempotency-key"], "k");
}

#[tokio::test]
async fn what_goes_wrong_says_with_whom() {
    let unknown = servers([]).0.tools("dsk").await.unwrap_err();
    assert_eq!((unknown.code.0, unknown.hint.as_deref()), ("LA2486", Some("did you mean `desk`?")));

    let error = value!({ "json": { "id": 2, "error": { "code": -32602, "message": "no such tool" } } });
    let refused = servers(greeting("s").into_iter().chain([error])).0.tools("desk").await.unwrap_err();
    assert_eq!(refused.message, "the MCP server `desk` refused `tools/list` with -32602: no such tool");

    let said = [
        value!({ "status": 401 }),
        value!({ "status": 503 }),
        value!({ "status": 404 }),
        value!({ "body": "<html>" }),
        value!({ "json": { "id": 1 } }),
        value!({ "headers": { "Content-Type": "text/event-stream" }, "body": "data: {}\n\n" }),
    ];
    let mut all = Vec::new();
    for answer in said {
        let error = servers([answer]).0.tools("desk").await.unwrap_err();
        all.push(format!("{} {}: {}", error.code, error.class.as_str(), error.message));
    }
    insta::assert_snapshot!(all.join("\n"));
}

/// A server in the language of the shell. It tells its environment, counts its calls, asks back, and can be made to end.
const SHELL: &str = r#"
count=0
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case $line in
    *'"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{}}' ;;
    *'"tools/list"'*)
      echo 'this is no message'
      echo '{"jsonrpc":"2.0","id":"s1","method":"ping"}'
      read -r pong
      case $pong in *'"id":"s1"'*'"result":{}'*) pong=pong ;; esac
      result='{"tools":[{"name":"count"},{"name":"'"$pong"'"}]}' ;;
    *'"name":"end"'*) exit 3 ;;
    *'"tools/call"'*)
      count=$((count + 1))
      result='{"content":[{"type":"text","text":"'"$count $TOKEN ${HOME-none}"'"}]}' ;;
    *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;

fn program(command: &[&str], allowed: bool) -> McpServers {
    let path = option_env!("PATH").unwrap_or("/usr/bin:/bin");
    let program = McpProgram {
        command: command.iter().map(|part| (*part).to_owned()).collect(),
        folder: "/".into(),
        environment: vec![("PATH".to_owned(), path.to_owned())],
        secrets: vec![("TOKEN".to_owned(), "DESK".to_owned())],
        allowed,
    };
    let server = McpServer { reach: Reach::Program(program), timeout: Duration::from_secs(20) };
    let secrets = Arc::new(Secrets::new([("DESK".to_owned(), "hush".to_owned())]));
    let http = Arc::new(FakeHttp::answering([]));
    McpServers::new([("desk".to_owned(), server)], http, Arc::new(VirtualClock::at(0)), secrets)
}

#[tokio::test]
async fn a_program_is_started_once_and_again_when_it_has_ended() {
    let servers = program(&["sh", "-c", SHELL], true);
    let names: Vec<_> = servers.tools("desk").await.unwrap().into_iter().map(|tool| tool.name).collect();
    assert_eq!(names, ["count", "pong"], "what a server asks itself is answered");
    let count = |nth: &str| vec![McpContent::Text(format!("{nth} hush none"))];
    assert_eq!(servers.call("desk", "count", value!({}), "a").await.unwrap().content, count("1"));
    assert_eq!(servers.call("desk", "count", value!({}), "b").await.unwrap().content, count("2"));

    let ended = servers.call("desk", "end", value!({}), "c").await.unwrap_err();
    assert_eq!(ended.message, "the program of the MCP server `desk` ended before it answered");
    assert_eq!(servers.call("desk", "count", value!({}), "d").await.unwrap().content, count("1"));
}

#[tokio::test]
async fn a_program_that_cannot_be_used_says_why() {
    let told = |servers: McpServers| async move {
        let error = servers.tools("desk").await.unwrap_err();
        (error.code.0, error.message)
    };
    let (code, message) = told(program(&["sh", "-c", SHELL], false)).await;
    assert!(code == "LA2489" && message.contains("programs are not started: `sh -c"), "{code} {message}");
    let (code, message) = told(program(&["/no/such/program"], true)).await;
    assert!(code == "LA2489" && message.contains("cannot be started (`/no/such/program`): "), "{code} {message}");
    let (code, message) = told(program(&["true"], true)).await;
    assert!(code == "LA2489" && message.contains("ended before it answered"), "{code} {message}");
    let (code, message) = told(program(&["sh", "-c", "while read -r line; do echo '{\"id\":1}'; done"], true)).await;
    assert!(code == "LA2487" && message.contains("neither result nor error"), "{code} {message}");
}
