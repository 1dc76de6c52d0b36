//! Cold isolated calls: how long they take, how many a second, and what they leave behind, beside a process per call.
//!
//! Each line is one measurement; docs/sandbox.md says what the figures were. Arguments name what is measured:
//! `cargo bench -p liteagent-sandbox -- calls memory`. Without any, everything is.

#![expect(clippy::print_stdout, reason = "a benchmark speaks on stdout")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time, and reads the environment")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures::future::join_all;
use liteagent_sandbox::{
    Config, Sandbox,
    protocol::{Language, Limits, Request},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A program in both languages, and how often it is called.
struct Work {
    name: &'static str,
    python: &'static str,
    javascript: &'static str,
    inputs: Value,
    calls: usize,
}

fn works() -> Vec<Work> {
    let items: Vec<Value> = (0..1100)
        .map(|id| json!({ "id": id, "name": "an item of some length", "tags": ["a", "b"], "price": 12.5 }))
        .collect();
    vec![
        Work {
            name: "trivial",
            python: "def main(x):\n    return {'y': x + 1}",
            javascript: "function main({ x }) { return { y: x + 1 } }",
            inputs: json!({ "x": 1 }),
            calls: 2_000,
        },
        Work {
            name: "100 kB in and out",
            python: "def main(items):\n    return {'items': items}",
            javascript: "function main({ items }) { return { items } }",
            inputs: json!({ "items": items }),
            calls: 200,
        },
        Work {
            name: "fibo(30)",
            python: "def main(n):\n    def fibo(n):\n        return n if n < 2 else fibo(n - 1) + fibo(n - 2)\n    return {'r': fibo(n)}",
            javascript: "function main({ n }) { const fibo = (n) => n < 2 ? n : fibo(n - 1) + fibo(n - 2); return { r: fibo(n) } }",
            inputs: json!({ "n": 30 }),
            calls: 10,
        },
    ]
}

impl Work {
    fn code(&self, language: Language) -> &'static str {
        match language {
            Language::Python => self.python,
            Language::JavaScript => self.javascript,
        }
    }

    fn request(&self, language: Language) -> Request {
        Request::new(language, self.code(language)).with_inputs(&self.inputs).unwrap()
    }

    /// The same work as a program for an interpreter of this machine.
    fn process(&self, language: Language) -> Command {
        let inputs = self.inputs.to_string();
        let code = self.code(language);
        let mut command = match language {
            Language::Python => {
                // The interpreter itself: what stands in PATH may be a script that looks for it.
                let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
                let found = found.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
                let mut command = Command::new(found.unwrap_or_default());
                let program = format!("{code}\nimport json, sys\nprint(json.dumps(main(**json.load(sys.stdin))))");
                command.args(["-I", "-c", &program]);
                command
            }
            Language::JavaScript => {
                let mut command = Command::new("node");
                let read = "JSON.parse(require('fs').readFileSync(0, 'utf-8'))";
                command.args(["-e", &format!("{code}\nconsole.log(JSON.stringify(main({read})))")]);
                command
            }
        };
        let file = std::env::temp_dir().join(format!("liteagent-bench-{}.json", std::process::id()));
        std::fs::write(&file, inputs).unwrap();
        command.stdin(std::fs::File::open(file).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let sandbox = Sandbox::new(Config {
        progress: |line| println!("{line}"),
        ..Config::of_cache(|name| std::env::var(name).ok())
    })
    .unwrap();
    let runtime = Runtime::new().unwrap();
    for language in Language::ALL {
        runtime.block_on(sandbox.prepare(language)).unwrap();
        if wanted("calls") {
            for work in works() {
                calls(&sandbox, &work, language);
            }
        }
        if wanted("at-once") {
            at_once(&sandbox, &runtime, language);
        }
        if wanted("limits") {
            limits(&sandbox, &runtime, language);
        }
        if wanted("memory") {
            memory(&sandbox, &runtime, language);
        }
        if wanted("growth") {
            growth(&sandbox, &runtime, language);
        }
    }
}

/// One call after the other, on one thread and on two, beside a process per call.
fn calls(sandbox: &Sandbox, work: &Work, language: Language) {
    let request = work.request(language);
    let one = |count: usize| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let call = || {
            let request = request.clone();
            let start = Instant::now();
            runtime.block_on(sandbox.run(request)).unwrap();
            start.elapsed()
        };
        (0..count).map(|_| call()).collect::<Vec<_>>()
    };
    one(work.calls / 10 + 1);
    let faults = faults();
    let start = Instant::now();
    let mut times = one(work.calls);
    let rate = work.calls as f64 / start.elapsed().as_secs_f64();
    let faults = (self::faults() - faults) as f64 / work.calls as f64;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| one(work.calls));
        }
    });
    let rate_of_two = 2.0 * work.calls as f64 / start.elapsed().as_secs_f64();
    let mut processes: Vec<_> = (0..(work.calls / 10).clamp(5, 40))
        .filter_map(|_| {
            let mut command = work.process(language);
            let start = Instant::now();
            command.status().ok().filter(std::process::ExitStatus::success).map(|_| start.elapsed())
        })
        .collect();
    let process =
        if processes.is_empty() { "not installed".into() } else { format!("{:.2?}", percentile(&mut processes, 50)) };
    println!(
        "{language:10} {:18} p50 {:.2?} p99 {:.2?}; {rate:.0}/s, two threads {rate_of_two:.0}/s; {faults:.1} faults; a process per call: p50 {process}",
        work.name,
        percentile(&mut times, 50),
        percentile(&mut times, 99),
    );
}

/// Sixty-four calls at once.
fn at_once(sandbox: &Sandbox, runtime: &Runtime, language: Language) {
    let request = works()[0].request(language);
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let start = Instant::now();
            runtime
                .block_on(join_all((0..64).map(|_| sandbox.run(request.clone()))))
                .into_iter()
                .for_each(|reply| drop(reply.unwrap()));
            start.elapsed()
        })
        .collect();
    println!("{language:10} 64 at once: all done after p50 {:.2?}", percentile(&mut times, 50));
}

/// How soon a call ends that goes on for ever, and the call after it.
fn limits(sandbox: &Sandbox, runtime: &Runtime, language: Language) {
    let (forever, sleep) = match language {
        Language::Python => ("def main():\n    while True: pass", "import time\ndef main(): time.sleep(60)"),
        Language::JavaScript => {
            ("function main() { for (;;); }", "function main() { return new Promise((done) => setTimeout(done, 6e4)) }")
        }
    };
    for (name, code) in [("loop", forever), ("sleep", sleep)] {
        let limits = Limits { wall_ms: Some(100), cpu_ms: Some(100), ..Limits::default() };
        let request = Request::new(language, code).with_limits(limits);
        let mut times: Vec<_> = (0..20)
            .map(|_| {
                let start = Instant::now();
                runtime.block_on(sandbox.run(request.clone())).unwrap_err();
                start.elapsed()
            })
            .collect();
        let next = Instant::now();
        runtime.block_on(sandbox.run(works()[0].request(language))).unwrap();
        println!(
            "{language:10} endless {name:5} under 100ms: p50 {:.1?}, longest {:.1?}; the next call {:.2?}",
            percentile(&mut times, 50),
            percentile(&mut times, 100),
            next.elapsed()
        );
    }
}

/// Memory of instances that are alive.
fn memory(sandbox: &Sandbox, runtime: &Runtime, language: Language) {
    const LIVE: u32 = 32;
    let code = match language {
        Language::Python => "import time\ndef main(): time.sleep(0.5)",
        Language::JavaScript => "function main() { return new Promise((done) => setTimeout(done, 500)) }",
    };
    let before = private_memory();
    let most = runtime.block_on(async {
        let calls = join_all((0..LIVE).map(|_| sandbox.run(Request::new(language, code))));
        let look = async {
            tokio::time::sleep(Duration::from_millis(250)).await;
            private_memory()
        };
        futures::join!(calls, look).1
    });
    println!(
        "{language:10} {} kB of private memory for each live instance",
        most.saturating_sub(before) / u64::from(LIVE)
    );
}

/// Resident memory over a hundred thousand calls.
fn growth(sandbox: &Sandbox, runtime: &Runtime, language: Language) {
    let request = works()[0].request(language);
    let run = |count: usize| {
        for _ in 0..count {
            runtime.block_on(sandbox.run(request.clone())).unwrap();
        }
        private_memory()
    };
    let (early, late) = (run(1_000), run(99_000));
    println!("{language:10} private memory after 1,000 calls {early} kB, after 100,000 calls {late} kB");
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

/// Page faults of this process so far that needed no disk.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(7).unwrap().parse().unwrap()
}

/// Memory that belongs to this process alone, in kB.
fn private_memory() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Private_Dirty:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
