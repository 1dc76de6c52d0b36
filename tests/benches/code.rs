//! Code nodes through the whole engine: durable on SQLite with a full sync, each call isolated.
//!
//! `cargo bench -p liteagent-tests --bench code`; `light` or `heavy` behind `--` takes one part. Needs the interpreters that
//! `cargo xtask guests` builds, and compares with `python3` and `node` where they are installed. What is compared takes
//! turns; each figure is a median.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time, and looks where make puts the guests")]
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::{
    future::Future,
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use liteagent_engine::{bundle::Bundle, capability::Capabilities, engine::Engine};
use liteagent_nodes::code::Sandboxed;
use liteagent_sandbox::{
    Config, Sandbox,
    protocol::{Language, Request},
};
use liteagent_tests::bench::{self, median, workflow};
use rusqlite::Connection;
use serde_json::{Map, Value as Json, json};

const PYTHON: &str = "\
def fibo(n):
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)

def main(n):
    return {'n': n, 'value': fibo(n)}
";
const JAVASCRIPT: &str = "\
const fibo = (n) => (n < 2 ? n : fibo(n - 1) + fibo(n - 2));
const main = ({ n }) => ({ n, value: fibo(n) });
";

fn main() {
    let wanted = |part: &str| {
        let mut parts = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
        parts.peek().is_none() || parts.any(|word| word == part)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the runtime starts").block_on(async {
        let bench = Bench::open().await;
        if wanted("light") {
            bench.light().await;
        }
        if wanted("heavy") {
            bench.heavy().await;
        }
        bench.engine.close().await.expect("the store answers");
    });
}

struct Bench {
    engine: Engine,
    sandbox: Arc<Sandbox>,
    bare: Connection,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn open() -> Self {
        let config = Config::of_cache(|name| std::env::var(name).ok());
        let sandbox = Arc::new(Sandbox::new(config).expect("the usual configuration is served"));
        for language in Language::ALL {
            sandbox.prepare(language).await.unwrap_or_else(|fault| panic!("{fault}"));
        }
        let runs = sandbox.clone();
        let code = Sandboxed::new(move |request| {
            let sandbox = runs.clone();
            async move { sandbox.run(request).await }
        });
        let caps = Capabilities { code: Some(Arc::new(code)), ..Capabilities::default() };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = bench::engine_on_disk_with(folder.path(), caps).await;
        let bare = Connection::open(folder.path().join("bare.db")).expect("the database opens");
        bare.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (body TEXT)")
            .expect("the table is made");
        Self { engine, sandbox, bare, _folder: folder }
    }

    /// Forty nodes in a chain, fibo(10) each.
    async fn light(&self) {
        const NODES: usize = 40;
        const ROUNDS: usize = 15;
        let (python, javascript) = (chain("python", PYTHON, NODES, 10), chain("javascript", JAVASCRIPT, NODES, 10));
        let mut figures: [Vec<f64>; 5] = Default::default();
        for round in 0..ROUNDS {
            let millis = [
                timed(bench::run(&self.engine, &python)).await,
                timed(self.bare_calls(Language::Python, PYTHON, NODES)).await,
                timed(bench::run(&self.engine, &javascript)).await,
                timed(self.bare_calls(Language::JavaScript, JAVASCRIPT, NODES)).await,
                // The slowest by far: fewer rounds do.
                if round % 3 == 0 { timed(async { processes(NODES, 10) }).await } else { f64::NAN },
            ];
            figures.iter_mut().zip(millis).for_each(|(all, millis)| all.extend((!millis.is_nan()).then_some(millis)));
        }
        let [python, bare_python, javascript, bare_javascript, processes] = figures.map(median);
        println!("{NODES} nodes of fibo(10) in a chain, durable and isolated");
        println!("  Python                            {python:>8.1} ms   {:.2} of bare", python / bare_python);
        println!("  {NODES} bare calls and commits          {bare_python:>8.1} ms");
        println!(
            "  JavaScript                        {javascript:>8.1} ms   {:.2} of bare",
            javascript / bare_javascript
        );
        println!("  {NODES} bare calls and commits          {bare_javascript:>8.1} ms");
        println!(
            "  a python3 process per task        {processes:>8.1} ms   {:.1} times Python here",
            processes / python
        );
    }

    /// Ten nodes of fibo(33), beside the same in one process of python3 or node.
    async fn heavy(&self) {
        const NODES: usize = 10;
        const ROUNDS: usize = 3;
        let programs = [
            ("python", PYTHON, "python3", vec!["-I", "-c"], format!("{PYTHON}\nfor _ in range({NODES}): main(33)\n")),
            (
                "javascript",
                JAVASCRIPT,
                "node",
                vec!["-e"],
                format!("{JAVASCRIPT}\nfor (let i = 0; i < {NODES}; i++) main({{ n: 33 }})\n"),
            ),
        ];
        println!("{NODES} nodes of fibo(33) in a chain, durable and isolated");
        for (language, code, program, arguments, whole) in programs {
            let nodes = chain(language, code, NODES, 33);
            let mut figures: [Vec<f64>; 2] = Default::default();
            for _ in 0..ROUNDS {
                figures[0].push(timed(bench::run(&self.engine, &nodes)).await);
                let native = || process(program, &arguments, &whole);
                figures[1].push(timed(async { native() }).await);
            }
            let [here, native] = figures.map(median);
            let beside = if native < 10.0 {
                String::new()
            } else {
                format!("{:.2} times {program}: {native:.0} ms", here / native)
            };
            println!("  {language:<34}{here:>8.0} ms   {beside}");
        }
    }

    /// What the engine stands on: so many calls of the sandbox, each with a commit of one row.
    async fn bare_calls(&self, language: Language, code: &str, count: usize) {
        let mut insert = self.bare.prepare("INSERT INTO t VALUES (?1)").expect("the statement is right");
        for _ in 0..count {
            let request = Request::new(language, code).with_inputs(&json!({ "n": 10 })).expect("they are JSON");
            let done = self.sandbox.run(request).await.unwrap_or_else(|failure| panic!("{failure}"));
            insert.execute([format!("{:<300}", done.outputs.get())]).expect("the row is written");
        }
    }
}

/// A chain in which each node takes its number from the one before.
fn chain(language: &str, code: &str, length: usize, n: u32) -> Arc<Bundle> {
    let mut nodes = Map::new();
    for i in 0..length {
        let input = i.checked_sub(1).map_or(json!(n), |before| json!(format!("{{{{ n{before}.n }}}}")));
        let returns = json!({ "n": "integer", "value": "integer" });
        let limits = json!({ "cpu": "1m", "wall": "5m" });
        let node: Json = json!({ "type": "code", "language": language, "code": code, "inputs": { "n": input }, "returns": returns, "limits": limits });
        nodes.insert(format!("n{i}"), node);
    }
    bench::bundle(workflow(nodes))
}

/// Milliseconds.
async fn timed(work: impl Future<Output = ()>) -> f64 {
    let began = Instant::now();
    work.await;
    began.elapsed().as_secs_f64() * 1_000.0
}

fn processes(count: usize, n: u32) {
    let whole = format!("{PYTHON}\nprint(main({n}))\n");
    (0..count).for_each(|_| process("python3", &["-I", "-c"], &whole));
}

/// Runs a program to its end, where it is installed.
fn process(program: &str, arguments: &[&str], code: &str) {
    let quiet = || Stdio::null();
    let run = Command::new(program).args(arguments).arg(code).stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    if let Ok(status) = run {
        assert!(status.success(), "{program}: {status}");
    }
}
