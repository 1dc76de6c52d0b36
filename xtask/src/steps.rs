//! What `make check`, `make test` and `make bench` run, step by step.

use std::{
    process::Command,
    time::{Duration, Instant},
};

/// One command, run in the folder of the workspace.
pub(crate) struct Step {
    name: &'static str,
    command: &'static [&'static str],
    /// Run only where this program is installed.
    only_with: Option<&'static str>,
    /// Set in the environment.
    env: &'static [(&'static str, &'static str)],
}

const fn step(name: &'static str, command: &'static [&'static str]) -> Step {
    Step { name, command, only_with: None, env: &[] }
}

const FORMAT: Step = step("format", &["cargo", "fmt", "--all", "--check"]);
const CLIPPY: Step =
    step("clippy", &["cargo", "clippy", "-q", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
const LAYERS: Step = step("layers", &["cargo", "xtask", "layers"]);
const GENERATED: Step = step("generated files", &["cargo", "xtask", "generate", "--check"]);
const DENY: Step = Step {
    only_with: Some("cargo-deny"),
    ..step("licences and bans", &["cargo", "deny", "check", "--hide-inclusion-graph"])
};
/// Eight targets, one after the other: about a minute together.
const FUZZ: Step = Step {
    env: &[("LITEAGENT_FUZZ_SECONDS", "9")],
    ..step(
        "fuzz targets",
        &[
            "cargo",
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
            "--test-threads",
            "1",
            "--no-capture",
            "-E",
            "binary(fuzz) and not test(without_overflow) and not test(work_and_growth)",
        ],
    )
};

/// What tests and benchmarks of the sandbox need; a moment once it was done.
const GUESTS: Step = step("guests of the sandbox", &["cargo", "xtask", "guests"]);

/// What tests and benchmarks of the local models need; a moment once it was done.
const MODELS: Step = step("weights of the local models", &["cargo", "xtask", "models"]);

/// Checks without tests.
pub(crate) const CHECKS: &[Step] = &[FORMAT, CLIPPY, LAYERS, GENERATED, DENY];

/// Everything.
pub(crate) const ALL: &[Step] = &[
    FORMAT,
    CLIPPY,
    LAYERS,
    GENERATED,
    DENY,
    GUESTS,
    MODELS,
    step("tests", &["cargo", "nextest", "run", "--workspace", "--locked", "--no-fail-fast"]),
    FUZZ,
    step("workflow tests", &["cargo", "run", "-q", "--locked", "-p", "liteagent", "--", "test", "definitions"]),
    step("documentation tests", &["cargo", "test", "-q", "--doc", "--workspace", "--locked"]),
];

/// The benchmarks.
pub(crate) const BENCHES: &[Step] =
    &[GUESTS, MODELS, step("benchmarks", &["cargo", "bench", "--workspace", "--benches"])];

/// Runs every step, also after one that fails, and says which failed.
#[expect(clippy::disallowed_methods, reason = "progress lines say how long a step took")]
pub(crate) fn run(steps: &[Step]) -> Result<String, String> {
    let mut lines = Vec::new();
    let mut failed = false;
    for step in steps {
        if step.only_with.is_some_and(|program| !is_installed(program)) {
            lines.push(format!(
                "  left out  {} (`{}` is not installed)",
                step.name,
                step.only_with.unwrap_or_default()
            ));
            continue;
        }
        crate::print(&format!("==> {}: {}", step.name, step.command.join(" ")));
        let start = Instant::now();
        let good = run_one(step)?;
        failed |= !good;
        lines.push(format!(
            "  {}  {} ({})",
            if good { "passed  " } else { "FAILED  " },
            step.name,
            took(start.elapsed())
        ));
    }
    let summary = lines.join("\n");
    if failed { Err(summary) } else { Ok(summary) }
}

fn run_one(step: &Step) -> Result<bool, String> {
    let (program, arguments) = step.command.split_first().ok_or("a step has no command")?;
    let status =
        Command::new(program).args(arguments).envs(step.env.iter().copied()).current_dir(crate::root()).status();
    status.map(|status| status.success()).map_err(|error| format!("cannot run `{program}`: {error}"))
}

fn is_installed(program: &str) -> bool {
    let found = |folder: &std::path::Path| folder.join(program).is_file();
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| found(&folder)))
}

fn took(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
