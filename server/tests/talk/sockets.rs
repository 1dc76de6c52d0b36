//! WebSockets, with a real client over a real connection.

use std::{net::SocketAddr, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use liteagent_server::{Ended, Listeners, serve};
use serde_json::{Value as Json, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::Request},
};

use crate::common::{KEY, Reply, World};

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that listens.
struct Listening {
    world: World,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Ended>,
}

impl Listening {
    async fn new(answers: Vec<Json>) -> Self {
        let world = World::new(answers.into_iter().map(Into::into).collect()).await;
        let (api, metrics) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = api.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = world.server.clone();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            serve(&server, Listeners { api, metrics }, stopped, PATIENCE).await
        });
        Self { world, address, stop, serving }
    }

    async fn ask(&self, method: &str, path: &str, key: &str, body: Json) -> Reply {
        let request = Request::builder().method(method).uri(path);
        let request =
            request.header("authorization", format!("Bearer {key}")).header("content-type", "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.world.ask(request.body(body.into()).unwrap()).await
    }

    async fn json(&self, method: &str, path: &str, body: Json) -> Json {
        let reply = self.ask(method, path, KEY, body).await;
        assert!(reply.status.is_success(), "{method} {path}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap_or_default()
    }

    async fn workflow(&self, source: &str) {
        self.json("POST", "/api/workflows", json!({ "source": source })).await;
    }

    async fn ticket(&self, key: &str, body: Json) -> String {
        let reply = self.ask("POST", "/api/tickets", key, body).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        serde_json::from_str::<Json>(&reply.body).unwrap()["ticket"].as_str().unwrap().to_owned()
    }

    async fn open(&self, path: &str, key: Option<&str>) -> Result<Socket, u16> {
        let mut request: Request<()> = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        if let Some(key) = key {
            request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(Error::Http(reply)) => Err(reply.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn socket(&self, key: &str) -> Socket {
        self.open("/api/ws", Some(key)).await.unwrap()
    }
}

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn say(&mut self, frame: Json) {
        self.0.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    /// The next frame; the code of the close instead of one when that is what came.
    async fn next(&mut self) -> Result<Json, u16> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The next frame that is no event.
    async fn reply(&mut self) -> Json {
        loop {
            let frame = self.next().await.unwrap();
            if frame["type"] != "event" {
                return frame;
            }
        }
    }

    async fn asked(&mut self, frame: Json) -> Json {
        self.say(frame).await;
        self.reply().await
    }
}

const CHAT: &str = r#"
name: help
conversation: {}
nodes:
  reply: { type: llm, model: test/model, messages: [{ history: { last: 9 } }, { user: "{{ inputs.message }}" }] }
  say: { type: answer, text: "{{ reply.text }}" }
"#;
const ASKS: &str = r#"
name: asks
nodes:
  ask: { type: human-input, message: "Go on?", form: {}, actions: { yes: "Yes" } }
  paid: { type: wait, needs: [ask.yes], signal: paid }
  done: { type: answer, needs: [paid], text: done }
outputs: { text: fine }
"#;
const WAITS: &str =
    "name: waits\nnodes: { paid: { type: wait, signal: paid }, done: { type: answer, needs: [paid], text: paid } }";

#[tokio::test]
async fn a_chat_goes_on_over_one_connection() {
    let listening = Listening::new(vec![json!({ "text": "Hello, Ann." }), json!({ "text": "Ann." })]).await;
    listening.workflow(CHAT).await;
    let ticket = listening.ticket(KEY, json!({ "path": "/api/ws" })).await;
    let path = format!("/api/ws?ticket={ticket}");
    let mut socket = listening.open(&path, None).await.unwrap();
    assert_eq!(listening.open(&path, None).await.err(), Some(401), "a ticket works once");

    let start = json!({ "type": "start", "id": "1", "workflow": "help", "inputs": { "message": "I am Ann." } });
    let started = socket.asked(start).await;
    assert_eq!((&started["type"], &started["id"]), (&json!("started"), &json!("1")), "{started}");
    let mut text = String::new();
    let end = loop {
        let frame = socket.next().await.unwrap();
        assert_eq!(frame["id"], "1");
        match (frame["type"].as_str().unwrap(), frame["event"].as_str()) {
            ("event", Some("text")) => text.push_str(frame["data"]["text"].as_str().unwrap()),
            ("event", _) => {}
            _ => break frame,
        }
    };
    assert_eq!(text, "Hello, Ann.");
    assert_eq!((&end["type"], &end["data"]["status"]), (&json!("ended"), &json!("succeeded")));
    assert_eq!(end["data"]["conversation"], started["conversation"]);

    // The id is free again, and the conversation goes on.
    let conversation = &started["conversation"];
    let start = json!({ "type": "start", "id": "1", "workflow": "help", "inputs": { "message": "Who am I?" }, "conversation": conversation });
    assert_eq!(socket.asked(start).await["conversation"], *conversation);
    assert_eq!(socket.reply().await["type"], "ended");
    let path = format!("/api/conversations/{}/messages", conversation.as_str().unwrap());
    let said = listening.json("GET", &path, Json::Null).await;
    let said: Vec<_> = said["messages"].as_array().unwrap().iter().map(|message| message["text"].clone()).collect();
    assert_eq!(said, ["I am Ann.", "Hello, Ann.", "Who am I?", "Ann."]);
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_and_repeats_nothing() {
    let listening = Listening::new(Vec::new()).await;
    listening.workflow(WAITS).await;
    let run = listening.json("POST", "/api/runs", json!({ "workflow": "waits" })).await["id"].clone();
    let subscribe = |after: Option<&str>| json!({ "type": "subscribe", "id": "s", "run": run, "last_event_id": after });
    let mut socket = listening.socket(KEY).await;
    assert_eq!(socket.asked(subscribe(None)).await, json!({ "type": "ok", "id": "s" }));
    let mut seen = Vec::new();
    let mut last = None;
    let seq = |frame: &Json| frame["data"]["record"]["seq"].as_u64();
    while last.is_none() {
        let frame = socket.next().await.unwrap();
        seen.extend(seq(&frame));
        last = frame["event_id"].as_str().map(str::to_owned);
    }
    // The connection breaks; meanwhile the run goes on.
    drop(socket);
    let signal = json!({ "name": "paid" });
    listening.json("POST", &format!("/api/runs/{}/signal", run.as_str().unwrap()), signal).await;
    let mut socket = listening.socket(KEY).await;
    socket.say(subscribe(last.as_deref())).await;
    loop {
        let frame = socket.next().await.unwrap();
        seen.extend(seq(&frame));
        if frame["type"] == "ended" {
            assert_eq!(frame["data"]["status"], "succeeded");
            break;
        }
    }
    let journal = listening.json("GET", &format!("/api/runs/{}/journal", run.as_str().unwrap()), Json::Null).await;
    let all: Vec<u64> = journal["records"].as_array().unwrap().iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn runs_are_steered_and_what_makes_no_sense_is_told_under_its_id() {
    let listening = Listening::new(Vec::new()).await;
    listening.workflow(ASKS).await;
    listening.workflow(WAITS).await;
    let mut socket = listening.socket(KEY).await;
    let started = socket.asked(json!({ "type": "start", "id": "a", "workflow": "asks" })).await;
    let run = &started["run"];
    // The node waits once its record has come.
    while socket.next().await.unwrap()["data"]["record"]["type"] != "node_waiting" {}
    let ok = |id: &str| json!({ "type": "ok", "id": id });
    let answer = json!({ "type": "answer", "id": "b", "run": run, "node": "ask", "action": "yes" });
    assert_eq!(socket.asked(answer).await, ok("b"));
    let signal = json!({ "type": "signal", "id": "c", "run": run, "name": "paid", "payload": {} });
    assert_eq!(socket.asked(signal).await, ok("c"));
    let ended = socket.reply().await;
    assert_eq!((&ended["type"], &ended["data"]["outputs"]["text"]), (&json!("ended"), &json!("fine")));

    let second = socket.asked(json!({ "type": "start", "id": "a", "workflow": "waits" })).await["run"].clone();
    assert_eq!(socket.asked(json!({ "type": "cancel", "id": "d", "run": second })).await, ok("d"));
    assert_eq!(socket.reply().await["data"]["status"], "cancelled");

    let code = |frame: Json| (frame["id"].clone(), frame["problem"]["code"].as_str().unwrap().to_owned());
    let none = "run_01kgd0a9qse7xv3m2bn4t5w6y8";
    for (frame, expected) in [
        (json!({ "type": "subscribe", "id": "e", "run": none }), "LA3005"),
        (json!({ "type": "start", "id": "e", "workflow": "none" }), "LA3001"),
        (json!({ "type": "cancel", "id": "e", "run": run }), "LA3009"),
        (json!({ "type": "unsubscribe", "id": "e" }), "LA4444"),
        (json!({ "type": "dance", "id": "e" }), "LA4443"),
    ] {
        assert_eq!(code(socket.asked(frame).await), (json!("e"), expected.to_owned()));
    }
    socket.0.send(Message::Binary(vec![1, 2, 3].into())).await.unwrap();
    assert_eq!(code(socket.reply().await), (Json::Null, "LA4443".to_owned()));
    socket.say(json!({ "type": "start", "id": "x".repeat(1 << 20) })).await;
    assert_eq!(code(socket.reply().await), (Json::Null, "LA4443".to_owned()));
}

#[tokio::test]
async fn only_so_many_runs_are_followed_each_under_an_id_of_its_own() {
    let listening = Listening::new(Vec::new()).await;
    listening.workflow(WAITS).await;
    let run = listening.json("POST", "/api/runs", json!({ "workflow": "waits" })).await["id"].clone();
    let mut socket = listening.socket(KEY).await;
    let subscribe = |id: &str| json!({ "type": "subscribe", "id": id, "run": run });
    for id in 0..64 {
        assert_eq!(socket.asked(subscribe(&id.to_string())).await["type"], "ok");
    }
    for id in ["7", "64"] {
        let refused = socket.asked(subscribe(id)).await;
        assert_eq!((&refused["id"], &refused["problem"]["code"]), (&json!(id), &json!("LA4444")));
    }
    assert_eq!(socket.asked(json!({ "type": "unsubscribe", "id": "7" })).await["type"], "ok");
    assert_eq!(socket.asked(subscribe("64")).await["type"], "ok");
}

#[tokio::test]
async fn a_key_sees_its_own_and_loses_the_connection_when_it_is_revoked() {
    let listening = Listening::new(Vec::new()).await;
    listening.workflow(WAITS).await;
    listening.workflow(ASKS).await;
    let made = listening.json("POST", "/api/keys", json!({ "name": "site", "scope": { "workflow": "waits" } })).await;
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let other = listening.json("POST", "/api/runs", json!({ "workflow": "asks" })).await["id"].clone();

    let ticket = listening.ticket(key, Json::Null).await;
    let mut socket = listening.open(&format!("/api/ws?ticket={ticket}"), None).await.unwrap();
    let code = |frame: Json| frame["problem"]["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!(code(socket.asked(json!({ "type": "subscribe", "id": "a", "run": other })).await), "LA3005");
    assert_eq!(code(socket.asked(json!({ "type": "start", "id": "a", "workflow": "asks" })).await), "LA3001");
    let answer = json!({ "type": "answer", "id": "a", "run": other, "node": "ask", "action": "yes" });
    assert_eq!(code(socket.asked(answer).await), "LA4102");
    assert_eq!(socket.asked(json!({ "type": "start", "id": "a", "workflow": "waits" })).await["type"], "started");

    listening.json("DELETE", &format!("/api/keys/{id}"), Json::Null).await;
    let close = loop {
        if let Err(code) = socket.next().await {
            break code;
        }
    };
    assert_eq!(close, 1008);
    let spent = listening.open(&format!("/api/ws?ticket={ticket}"), None).await;
    assert_eq!(spent.err(), Some(401));
    for path in ["/api/ws", "/api/ws?ticket=lt_guess"] {
        assert_eq!(listening.open(path, None).await.err(), Some(401), "{path}");
    }
    // Only what stays open takes tickets.
    let ticket = listening.ticket(KEY, Json::Null).await;
    let request = Request::get(format!("/api/runs?ticket={ticket}")).body(axum::body::Body::empty());
    assert_eq!(listening.world.ask(request.unwrap()).await.status, 401);
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_waits_for_nobody() {
    let listening = Listening::new(Vec::new()).await;
    listening.workflow(WAITS).await;
    let mut socket = listening.socket(KEY).await;
    assert_eq!(socket.asked(json!({ "type": "start", "id": "a", "workflow": "waits" })).await["type"], "started");
    let Listening { stop, serving, world, .. } = listening;
    stop.send(()).unwrap();
    let close = loop {
        if let Err(code) = socket.next().await {
            break code;
        }
    };
    assert_eq!(close, 1001);
    assert_eq!(tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap(), Ended::Drained);
    drop(world);
}

const MANY: &str = r#"
name: many
nodes:
  each:
    type: iteration
    items: "{{ range(3000) | list }}"
    nodes: { text: { type: template-transform, template: "{{ item }} is one of many, and has something to say about it" } }
    output: "{{ text.text }}"
  done: { type: answer, needs: [each], text: done }
"#;

#[tokio::test]
async fn who_does_not_read_holds_up_nobody_and_is_caught_up() {
    let listening = Listening::new(Vec::new()).await;
    listening.workflow(MANY).await;
    let mut slow = listening.socket(KEY).await;
    let mut stalled = listening.socket(KEY).await;
    let start = json!({ "type": "start", "id": "a", "workflow": "many" });
    let run = slow.asked(start).await["run"].as_str().unwrap().to_owned();
    for id in 0..64 {
        stalled.say(json!({ "type": "subscribe", "id": id.to_string(), "run": run })).await;
    }
    // The run ends though nobody reads.
    let events = listening.ask("GET", &format!("/api/runs/{run}/events"), KEY, Json::Null).await;
    assert!(events.body.contains("\"status\":\"succeeded\""));
    let mut seen = Vec::new();
    loop {
        let frame = slow.next().await.unwrap();
        seen.extend(frame["data"]["record"]["seq"].as_u64());
        if frame["type"] == "ended" {
            break;
        }
    }
    assert!(seen.len() > 3_000);
    assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "nothing is lost, and nothing comes twice");
    // A server that stops waits for no reader either.
    let Listening { stop, serving, .. } = listening;
    stop.send(()).unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap(), Ended::Drained);
}

#[tokio::test]
async fn frames_count_as_requests() {
    let listening = Listening::new(Vec::new()).await;
    listening.workflow(WAITS).await;
    let key = json!({ "name": "slow", "scope": { "workflow": "waits" }, "rate": 3 });
    let key = listening.json("POST", "/api/keys", key).await["key"].as_str().unwrap().to_owned();
    let mut socket = listening.socket(&key).await;
    let cancel = json!({ "type": "cancel", "id": "a", "run": "run_01kgd0a9qse7xv3m2bn4t5w6y8" });
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(socket.asked(cancel.clone()).await["problem"]["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes, ["LA3005", "LA3005", "LA4114"], "the handshake is the first");
}
