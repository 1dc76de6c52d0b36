//! What it costs to run code elsewhere: a call in this process, in a child process, by a service, and by a service that runs
//! it in child processes, side by side.
//!
//! `cargo bench -p liteagent --bench sandbox`. docs/sandbox.md says what the figures were.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::print_stdout, reason = "a benchmark speaks on stdout")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::future::join_all;
use liteagent_sandbox::{Config, Sandbox};
use liteagent_sandbox_client::{Children, Program, Remote};
use liteagent_sandbox_protocol::{Language, Request, Runner};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const BINARY: &str = env!("CARGO_BIN_EXE_liteagent");
/// The ways take turns, so that whatever else the machine does meets all of them.
const ROUNDS: usize = 20;
/// Calls at once.
const AT_ONCE: usize = 32;

/// A way to run code, and what was measured of it.
struct Way {
    name: &'static str,
    runner: Box<dyn Runner>,
    times: Vec<Duration>,
    at_once: Vec<Duration>,
}

/// A service, killed when it is dropped.
struct Served(Child, TempDir);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let config = Config::of_cache(|name| std::env::var(name).ok());
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let program = Program { path: BINARY.into(), arguments: vec!["sandbox-child".into()] };
    let (part, count) = config.divided(config.threads);
    let (plain, _plain) = service("development");
    let (apart, _apart) = service("production");
    let mut ways = [
        way("in this process", Sandbox::new(config).unwrap()),
        way("child processes", Children::start(program, &part, count).unwrap()),
        way("service", plain),
        way("service, child processes", apart),
    ];
    for way in &ways {
        runtime.block_on(way.runner.ready()).unwrap();
    }
    for language in Language::ALL {
        for (name, inputs, calls) in works(language) {
            measure(&runtime, &mut ways, &request(language, &inputs), calls);
            println!("{language}, {name}");
            report(&mut ways, calls);
        }
    }
}

fn way(name: &'static str, runner: impl Runner + 'static) -> Way {
    Way { name, runner: Box::new(runner), times: Vec::new(), at_once: Vec::new() }
}

fn works(language: Language) -> [(&'static str, Value, usize); 2] {
    let items: Vec<Value> = (0..1100)
        .map(|id| json!({ "id": id, "name": "an item of some length", "tags": ["a", "b"], "price": 12.5 }))
        .collect();
    let few = if language == Language::Python { 50 } else { 200 };
    [("trivial", json!({ "x": 1 }), few), ("100 kB in and out", json!({ "x": items }), 10)]
}

fn request(language: Language, inputs: &Value) -> Request {
    let code = match language {
        Language::Python => "def main(x):\n    return {'y': x}",
        Language::JavaScript => "function main({ x }) { return { y: x } }",
    };
    Request::new(language, code).with_inputs(inputs).unwrap()
}

fn measure(runtime: &Runtime, ways: &mut [Way], request: &Request, calls: usize) {
    for round in 0..=ROUNDS {
        for way in &mut *ways {
            let one = || {
                let start = Instant::now();
                runtime.block_on(way.runner.run(request.clone())).unwrap();
                start.elapsed()
            };
            let times: Vec<_> = (0..calls).map(|_| one()).collect();
            let start = Instant::now();
            let replies = runtime.block_on(join_all((0..AT_ONCE).map(|_| way.runner.run(request.clone()))));
            let at_once = start.elapsed();
            assert!(replies.iter().all(Result::is_ok));
            // The first round makes everything warm.
            if round > 0 {
                way.times.extend(times);
                way.at_once.push(at_once);
            }
        }
    }
}

/// Prints what was measured, beside the first way, and forgets it.
fn report(ways: &mut [Way], calls: usize) {
    let mut first = None;
    for way in ways {
        let (p50, p99) = (percentile(&mut way.times, 50), percentile(&mut way.times, 99));
        let at_once = percentile(&mut way.at_once, 50);
        let more = p50.saturating_sub(*first.get_or_insert(p50));
        println!(
            "  {:25} p50 {p50:>9.1?} (+{more:.1?}), p99 {p99:>9.1?}, {calls} calls a round; {AT_ONCE} at once: {at_once:.1?}",
            way.name
        );
        way.times.clear();
        way.at_once.clear();
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

/// Starts a service on ports of its own.
fn service(environment: &str) -> (Remote, Served) {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Command::new(BINARY)
        .args(["sandbox", "--port", "0", "--metrics-port", "0"])
        .env("LITEAGENT_ENV", environment)
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> =
        BufReader::new(process.stderr.take().unwrap()).lines().take(3).map(Result::unwrap).collect();
    let word =
        |line: &str, before: &str| line.split_once(before).unwrap().1.split([';', ' ']).next().unwrap().to_owned();
    let key = fs::read_to_string(folder.path().join(word(&lines[2], "key: "))).unwrap();
    let remote = Remote::new(&word(&lines[0], "sandbox: "), key.trim(), Duration::from_secs(30)).unwrap();
    (remote, Served(process, folder))
}
