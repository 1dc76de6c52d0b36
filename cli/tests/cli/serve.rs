//! `serve`: the platform in one process, as a program that calls it over HTTP sees it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::{Child, ChildStderr, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value as Json, json};

use super::harness::{Folder, Said};

/// A server over a folder; it is killed when this is dropped.
pub(crate) struct Serving {
    child: Child,
    err: BufReader<ChildStderr>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it said before it listened.
    pub(crate) said: String,
    key: String,
}

impl Serving {
    /// Starts it, and returns when it listens.
    pub(crate) fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &[], &[])
    }

    /// The same with arguments and settings of its own.
    pub(crate) fn start_with(folder: &Folder, args: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::start_as(folder, "serve", args, settings)
    }

    /// The same in another role.
    pub(crate) fn start_as(folder: &Folder, role: &str, args: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = folder.command(&[role, "--port", "0"]);
        command.args(args);
        command.envs(settings.iter().copied());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(err.read_line(&mut line).unwrap() > 0, "the server ended: {said}");
            said.push_str(&line);
            if let Some(address) = line.trim().strip_prefix("liteagent: http://") {
                break address.parse().unwrap();
            }
        };
        // In production there is none.
        let key = fs::read_to_string(folder.path(".liteagent/dev-key")).unwrap_or_default().trim().to_owned();
        Self { child, err, address, said, key }
    }

    /// Its address as a URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The development key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A request with the development key: the status and the body of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Json) -> Option<(u16, String)> {
        ask(self.address, &self.key, method, path, body)
    }

    /// Sends a file; the status and the body of the answer.
    pub(crate) fn upload(&self, name: &str, content: &str) -> Option<(u16, String)> {
        let body = format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n--x--\r\n"
        );
        send(self.address, &self.key, "POST", "/api/files", "multipart/form-data; boundary=x", &body)
    }

    /// The JSON of an answer that must be one.
    pub(crate) fn json(&self, method: &str, path: &str, body: &Json) -> Json {
        let (status, text) = self.ask(method, path, body).unwrap();
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop; what it said, and how it ended.
    fn stop(mut self) -> (i32, String) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .unwrap();
        let mut rest = String::new();
        self.err.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap(), rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `None` when the connection broke before the whole answer was there.
pub(crate) fn ask(address: SocketAddr, key: &str, method: &str, path: &str, body: &Json) -> Option<(u16, String)> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(address, key, method, path, "application/json", &body)
}

fn send(address: SocketAddr, key: &str, method: &str, path: &str, kind: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    (length.is_none_or(|length: usize| length == body.len())).then(|| (status, body.to_owned()))
}

const HELLO: &str = "\
name: hello
inputs: { who: string }
nodes: { say: { type: template-transform, template: \"Hello {{ inputs.who }}\" } }
outputs: { text: \"{{ say.text }}\" }
";

fn greet(serving: &Serving) -> Json {
    let reply = serving.json("POST", "/api/runs", &json!({ "workflow": "hello", "inputs": { "who": "Ada" } }));
    reply["outputs"]["text"].clone()
}

#[test]
fn a_folder_is_served_and_followed_and_the_last_good_version_stays() {
    let folder = Folder::new().with("liteagent.toml", "").with("hello.yaml", HELLO).with("broken.yaml", "nodes: [");
    let serving = Serving::start(&folder);
    assert!(serving.said.contains("1 workflow; `broken.yaml` has errors"), "{}", serving.said);
    assert_eq!(greet(&serving), "Hello Ada");

    fs::write(folder.path("hello.yaml"), HELLO.replace("Hello", "Good day")).unwrap();
    wait_until(|| greet(&serving) == "Good day Ada");

    fs::write(folder.path("hello.yaml"), HELLO.replace("inputs.who", "inputs.whom")).unwrap();
    wait_until(|| {
        let files = serving.json("GET", "/api/definitions", &Json::Null)["files"].clone();
        files[1]["valid"] == false && files[1]["diagnostics"][0]["code"].is_string()
    });
    assert_eq!(greet(&serving), "Good day Ada");

    fs::remove_file(folder.path("hello.yaml")).unwrap();
    wait_until(|| serving.ask("POST", "/api/runs", &json!({ "workflow": "hello" })).unwrap().0 == 404);
    let metrics = serving.said.lines().find_map(|line| line.strip_prefix("metrics: http://")?.strip_suffix("/metrics"));
    let (status, text) = ask(metrics.unwrap().parse().unwrap(), "", "GET", "/metrics", &Json::Null).unwrap();
    assert_eq!(status, 200, "{text}");
    for line in [
        "liteagent_runs_ended_total{workflow=\"hello\",status=\"succeeded\",class=\"\"} ",
        "route=\"/api/runs\",status=\"404\"} 1",
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
    let (code, rest) = serving.stop();
    assert_eq!((code, &*rest), (0, ""));
}

/// A change of a file is seen by another process a moment later.
pub(crate) fn wait_until(holds: impl Fn() -> bool) {
    const LOOKS: usize = 500;
    for _ in 0..LOOKS {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("what was waited for did not come");
}

#[test]
fn every_run_that_was_accepted_outlives_a_kill() {
    const RUNS: usize = 100;
    const BEFORE: usize = 40;
    let slow = "\
name: slow
inputs: { n: integer }
nodes:
  rest: { type: wait, for: 300ms }
  done: { type: template-transform, needs: [rest], template: \"{{ inputs.n }}\" }
outputs: { n: \"{{ done.text }}\" }
";
    let folder = Folder::new().with("liteagent.toml", "").with("slow.yaml", slow);
    let serving = Serving::start(&folder);
    let accepted = Mutex::new(Vec::new());
    let (address, key) = (serving.address, serving.key.clone());
    let seen = AtomicUsize::new(0);
    thread::scope(|scope| {
        for n in 0..RUNS {
            let (accepted, seen, key) = (&accepted, &seen, &key);
            scope.spawn(move || {
                let body = json!({ "workflow": "slow", "inputs": { "n": n }, "mode": "async" });
                if let Some((202, text)) = ask(address, key, "POST", "/api/runs", &body) {
                    let id = serde_json::from_str::<Json>(&text).unwrap()["id"].as_str().unwrap().to_owned();
                    accepted.lock().unwrap().push((id, n));
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while seen.load(Ordering::Relaxed) < BEFORE {
            thread::yield_now();
        }
        serving.kill();
    });

    let serving = Serving::start(&folder);
    let accepted = accepted.into_inner().unwrap();
    assert!(accepted.len() >= BEFORE);
    for (id, n) in accepted {
        // Ends with the run.
        let (status, events) = serving.ask("GET", &format!("/api/runs/{id}/events"), &Json::Null).unwrap();
        assert_eq!(status, 200, "{events}");
        assert!(events.contains("event: end") && events.contains("\"status\":\"succeeded\""), "{id}: {events}");
        let run = serving.json("GET", &format!("/api/runs/{id}"), &Json::Null);
        assert_eq!(run["outputs"]["n"], n.to_string());
    }
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let Said { err, code, .. } = folder.run_args(&["serve", "--port", &port]);
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("error[LA4006]: cannot listen on 127.0.0.1:") && err.contains("choose another: `--port"),
        "{err}"
    );

    let Said { err, code, .. } = folder.run_args(&["serve", "--port", "0", "--definitions", "nowhere"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("error[LA0002]: the folder `nowhere` cannot be read"), "{err}");
}

#[test]
fn a_server_that_other_machines_reach_needs_a_secret_and_keeps_its_link_to_itself() {
    let folder = Folder::new().with("liteagent.toml", "");
    let Said { err, code, .. } = folder.run_args(&["serve", "--host", "0.0.0.0", "--port", "0"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("error[LA4115]: a server in production needs `JWT_SECRET`"), "{err}");

    let mut command = folder.command(&["serve", "--port", "0"]);
    command.env("LITEAGENT_ENV", "production").env("JWT_SECRET", liteagent_server::random_key());
    let Said { err, .. } = Said::of(command.output().unwrap());
    assert!(err.contains("error[LA4115]: in production the vault needs `SECRET_KEY`"), "{err}");
    command.env("SECRET_KEY", liteagent_server::random_key());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = lines.take_while(|line| !line.starts_with("liteagent: http://")).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    let link = fs::read_to_string(folder.path(".liteagent/first-owner-link")).unwrap();
    let (_, secret) = link.trim().split_once("/welcome#token=").unwrap();
    assert!(!said.concat().contains(secret), "{said:?}");
    let mode = fs::metadata(folder.path(".liteagent/first-owner-link")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!fs::exists(folder.path(".liteagent/dev-key")).unwrap());
}

/// Bytes as they are: the status of the answer.
fn raw(serving: &Serving, head: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(serving.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let head = head.replace("KEY", &serving.key).replace('\n', "\r\n");
    // Who is refused need not be listened to.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    String::from_utf8_lossy(&status[9..]).parse().unwrap()
}

#[test]
fn hostile_requests_are_refused_and_nothing_stops() {
    let folder = Folder::new().with("liteagent.toml", "").with("hello.yaml", HELLO);
    let serving = Serving::start(&folder);
    let post = |path: &str, length: u64, body: &[u8]| {
        let head = format!(
            "POST {path} HTTP/1.1\nHost: localhost\nAuthorization: Bearer KEY\nContent-Type: application/json\nContent-Length: {length}\n\n"
        );
        raw(&serving, &head, body)
    };
    let whole = |path: &str, body: &[u8]| post(path, body.len() as u64, body);
    let deep = format!("{{\"workflow\":\"hello\",\"inputs\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(post("/api/runs", 1 << 30, b"{\"workflow\":"), 413);
    assert_eq!(whole("/api/runs", deep.as_bytes()), 400);
    assert_eq!(whole("/api/runs", b"{\"workflow\":\"\xff\xfe\"}"), 400);
    assert_eq!(whole("/api/runs", b"{\"workflow\":\"'; DROP TABLE runs; --\"}"), 404);
    assert_eq!(whole("/api/runs", b"{\"workflow\":\"{{ 7 * 7 }}\"}"), 404);
    assert_eq!(whole("/api/workflows/..%2F..%2Fetc%2Fpasswd/publish", b"{}"), 404);
    assert_eq!(whole("/api/runs/run_0000000000000000000000000%00/cancel", b""), 400);
    assert_eq!(raw(&serving, "GET /api/runs HTTP/1.1\nHost: localhost\nAuthorization: Bearer \u{0}\n\n", b""), 400);
    assert_eq!(raw(&serving, &format!("GET /{} HTTP/1.1\nHost: localhost\n\n", "a".repeat(200_000)), b""), 431);
    let many = "X-Many: y\n".repeat(5_000);
    assert_eq!(raw(&serving, &format!("GET /api/runs HTTP/1.1\nHost: localhost\n{many}\n"), b""), 431);
    assert_eq!(raw(&serving, "\u{16}\u{3}\u{1} this is no HTTP at all\n\n", b""), 400);
    assert_eq!(greet(&serving), "Hello Ada");
}

#[test]
fn documents_that_were_taken_are_indexed_after_a_kill() {
    let folder = Folder::new().with("liteagent.toml", "");
    let serving = Serving::start(&folder);
    serving.json("POST", "/api/knowledge", &json!({ "name": "manual" }));
    let ids: Vec<String> = (0..8).map(|number| format!("{number}.md")).collect();
    for id in &ids {
        let text = format!("# Chapter {id}\n\n{}", "The guarantee lasts two years. ".repeat(200));
        let taken = serving.json("POST", "/api/knowledge/manual/documents", &json!({ "id": id, "text": text }));
        assert!(taken["documents"][0]["run"].is_string(), "{taken}");
    }
    serving.kill();
    let serving = Serving::start(&folder);
    for id in &ids {
        let path = format!("/api/knowledge/manual/documents/{id}");
        let (_, events) = serving.ask("GET", &format!("{path}/events"), &Json::Null).unwrap();
        assert!(events.contains("\"status\":\"succeeded\""), "{events}");
        assert_eq!(serving.json("GET", &path, &Json::Null)["status"], "ready");
    }
}

#[test]
fn a_conversation_is_the_same_over_the_api_and_on_the_command_line() {
    let desk = "\
name: desk
conversation: { variables: { said: { type: integer, default: 0 } } }
nodes:
  count: { type: assigner, increment: { conversation.said: 1 } }
  say: { type: answer, needs: [count], text: \"{{ conversation.said }}: {{ inputs.message }}\" }
";
    let folder = Folder::new().with("liteagent.toml", "").with("desk.yaml", desk);
    let serving = Serving::start(&folder);
    let body = json!({ "workflow": "desk", "inputs": { "message": "over there" } });
    let conversation = serving.json("POST", "/api/runs", &body)["conversation"].as_str().unwrap().to_owned();
    assert_eq!(serving.stop().0, 0);

    let said = folder.run_args(&["chat", "desk", "--conversation", &conversation, "--message", "here"]);
    assert_eq!((said.code, said.out.trim()), (0, "2: here"), "{}", said.err);
    let serving = Serving::start(&folder);
    let messages = serving.json("GET", &format!("/api/conversations/{conversation}/messages"), &Json::Null);
    let texts: Vec<_> = messages["messages"].as_array().unwrap().iter().map(|said| said["text"].clone()).collect();
    assert_eq!(texts, ["over there", "1: over there", "here", "2: here"]);
    // What began on the command line is nobody's in particular: who signed in sees it.
    assert_eq!(folder.run_args(&["chat", "desk", "--message", "alone"]).code, 0);
    let list = serving.json("GET", "/api/conversations?workflow=desk", &Json::Null);
    assert_eq!((&list["conversations"][0]["title"], &list["conversations"][0]["user"]), (&json!("alone"), &Json::Null));
}

#[test]
fn a_request_has_a_line_in_the_log_that_holds_no_secret() {
    let folder = Folder::new().with("liteagent.toml", "").with("hello.yaml", HELLO);
    let serving = Serving::start_with(&folder, &[], &[("LITEAGENT_LOG", "json"), ("LITEAGENT_LOG_LEVEL", "info")]);
    assert_eq!(serving.ask("GET", "/api/runs?limit=1", &Json::Null).unwrap().0, 200);
    assert_eq!(serving.ask("GET", "/health/live?ticket=hush", &Json::Null).unwrap().0, 200);
    assert_eq!(ask(serving.address, "la_wrong-hush", "GET", "/api/runs", &Json::Null).unwrap().0, 401);
    let key = serving.key.clone();
    let (code, rest) = serving.stop();
    assert_eq!(code, 0, "{rest}");
    let lines: Vec<Json> = rest.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let access: Vec<_> =
        lines.iter().filter(|line| line["target"] == "access" && line["route"] == "/api/runs").collect();
    let shown = |line: &Json| (line["method"].clone(), line["status"].clone(), line["caller"].clone());
    let found: Vec<_> = access.iter().map(|line| shown(line)).collect();
    assert_eq!(found, [(json!("GET"), json!(200), json!("user")), (json!("GET"), json!(401), json!("none"))], "{rest}");
    assert!(access.iter().all(|line| line["request_id"].as_str().is_some_and(|id| id.len() >= 32)), "{rest}");
    assert!(!rest.contains("hush") && !rest.contains(&key), "{rest}");
}
