//! Several processes: a server that executes nothing, and workers that come and go. They share a data folder and a Redis.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, ChildStderr, Stdio},
};

use liteagent_queue::testing::RedisServer;
use serde_json::{Value as Json, json};

use super::{
    harness::Folder,
    serve::{Serving, ask, wait_until},
};

/// A worker; it is killed when this is dropped.
pub(crate) struct Working {
    child: Child,
    err: BufReader<ChildStderr>,
    /// Where it tells how it stands.
    address: SocketAddr,
}

impl Working {
    /// Starts it, and returns when it works.
    pub(crate) fn start(folder: &Folder, args: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = folder.command(&["worker", "--port", "0"]);
        command.args(args).envs(settings.iter().copied());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut address) = (String::new(), None::<SocketAddr>);
        let address: SocketAddr = loop {
            let mut line = String::new();
            assert!(err.read_line(&mut line).unwrap() > 0, "the worker ended: {said}");
            said.push_str(&line);
            if let Some(found) = line.trim().strip_prefix("health and metrics: http://") {
                address = Some(found.parse().unwrap());
            }
            if line.starts_with("worker `") {
                break address.unwrap();
            }
        };
        Self { child, err, address }
    }

    fn get(&self, path: &str) -> String {
        let (status, text) = ask(self.address, "", "GET", path, &Json::Null).unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop; how it ended, and what it said.
    fn stop(mut self) -> (i32, String) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .unwrap();
        let mut rest = String::new();
        self.err.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap(), rest)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const HELLO: &str = "\
name: hello
inputs: { who: string }
nodes:
  say: { type: answer, text: \"Hello {{ inputs.who }}\" }
outputs: { text: \"{{ say.text }}\" }
";

const REST: &str = "\
name: rest
inputs: { for: string }
nodes:
  rest: { type: wait, for: \"{{ inputs.for }}\" }
  done: { type: template-transform, needs: [rest], template: rested }
outputs: { text: \"{{ done.text }}\" }
";

fn status(server: &Serving, run: &str) -> String {
    let run = server.json("GET", &format!("/api/runs/{run}"), &Json::Null);
    run["status"].as_str().unwrap().to_owned()
}

fn rest(server: &Serving, time: &str) -> String {
    let body = json!({ "workflow": "rest", "inputs": { "for": time }, "mode": "async" });
    server.json("POST", "/api/runs", &body)["id"].as_str().unwrap().to_owned()
}

#[test]
fn workers_execute_what_a_server_starts_and_nothing_is_lost_with_them_or_with_redis() {
    const RUNS: usize = 40;
    let redis = RedisServer::start();
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let settings = [("REDIS_URL", url.as_str())];
    let folder = Folder::new().with("liteagent.toml", "").with("hello.yaml", HELLO).with("rest.yaml", REST);
    let server = Serving::start_as(&folder, "server", &[], &settings);
    let first = Working::start(&folder, &["--name", "first"], &settings);
    let second = Working::start(&folder, &["--name", "second", "--queues", "workflow"], &settings);

    let hello = json!({ "workflow": "hello", "inputs": { "who": "Ada" } });
    let reply = server.json("POST", "/api/runs", &hello);
    assert_eq!(reply["outputs"]["text"], "Hello Ada");
    let stream = json!({ "workflow": "hello", "inputs": { "who": "Eve" }, "mode": "stream" });
    let (_, told) = server.ask("POST", "/api/runs", &stream).unwrap();
    let texts = told.matches("event: text").count();
    assert!(texts > 0 && told.contains("Hello Eve") && told.contains("event: end"), "{told}");

    // Everyone sees who works, and what waits.
    let workers = server.json("GET", "/api/workers", &Json::Null)["workers"].clone();
    let names: Vec<_> = workers.as_array().unwrap().iter().map(|worker| worker["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(workers[1]["queues"], json!(["workflow"]));
    let mut list = folder.command(&["worker", "list"]);
    let listed = String::from_utf8(list.envs(settings).output().unwrap().stdout).unwrap();
    assert!(listed.contains("first") && listed.contains("second"), "{listed}");
    let queues = server.json("GET", "/api/queues", &Json::Null)["queues"].clone();
    assert!(
        queues.as_array().unwrap().iter().any(|queue| queue["name"] == "workflow" && queue["dead"] == 0),
        "{queues}"
    );
    assert!(second.get("/health/live").contains("ok") && second.get("/health/ready").contains("ok"));
    let metrics = second.get("/metrics");
    assert!(metrics.contains("liteagent_queue_jobs{queue=\"workflow\",state=\"ready\"}"), "{metrics}");
    assert!(metrics.contains("liteagent_queue_workers{queue=\"workflow\"} 2"), "{metrics}");

    // One worker dies, and everything in Redis with it.
    let runs: Vec<_> = (0..RUNS).map(|_| rest(&server, "700ms")).collect();
    first.kill();
    redis.flush();
    let more = rest(&server, "50ms");
    for run in runs.iter().chain([&more]) {
        wait_until(|| status(&server, run) == "succeeded");
    }

    // One that is told to stop gives back what it cannot finish; another one goes on with it.
    let long = rest(&server, "4s");
    wait_until(|| status(&server, &long) == "running");
    drop(second);
    let third = Working::start(&folder, &["--name", "third", "--drain", "0"], &settings);
    wait_until(|| third.get("/metrics").contains("liteagent_runs_executed 1"));
    let (code, said) = third.stop();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 run still went on after 0 s"), "{said}");
    let _fourth = Working::start(&folder, &["--name", "fourth"], &settings);
    wait_until(|| status(&server, &long) == "succeeded");
}

#[test]
fn a_process_that_does_everything_shares_the_work_with_workers() {
    let redis = RedisServer::start();
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let settings = [("QUEUE_REDIS_URL", url.as_str())];
    let folder = Folder::new().with("liteagent.toml", "").with("hello.yaml", HELLO).with("rest.yaml", REST);
    let serving = Serving::start_with(&folder, &[], &settings);
    let _worker = Working::start(&folder, &["--name", "other"], &settings);
    let run = rest(&serving, "3s");
    wait_until(|| status(&serving, &run) == "running");
    // What it executes itself goes on elsewhere when it dies.
    serving.kill();
    let server = Serving::start_as(&folder, "server", &[], &settings);
    wait_until(|| status(&server, &run) == "succeeded");
}

#[test]
fn what_needs_a_queue_says_so_without_one() {
    let folder = Folder::new().with("liteagent.toml", "");
    for line in ["server --port 0", "worker --port 0", "worker list", "queue list"] {
        let said = folder.run(line);
        assert!(
            said.code == 2 && said.err.contains("LA5107") && said.err.contains("REDIS_URL"),
            "{line}: {}",
            said.err
        );
    }
    let mut wrong = folder.command(&["queue", "list"]);
    let said = wrong.env("REDIS_URL", "amqp://user:hush@host").output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("LA5106") && !said.contains("hush"), "{said}");
}
