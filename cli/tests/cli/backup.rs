//! Backups of a server that works, and what is made of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::CommandExt as _,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value as Json, json};

use super::{
    harness::{Folder, Said},
    serve::Serving,
};

/// Leaves a mark outside, rests, and leaves another one.
const MARKS: &str = "\
name: marks
inputs: { n: integer }
nodes:
  first: { type: file-write, path: out/first, mode: append, content: \"<{{ inputs.n }}>\" }
  rest: { type: wait, needs: [first], for: 400ms }
  second: { type: file-write, needs: [rest], path: out/second, mode: append, content: \"<{{ inputs.n }}>\" }
outputs: { n: \"{{ second.file.name }}\" }
";
const HELLO: &str = "\
name: hello
nodes: { say: { type: template-transform, template: Hello } }
outputs: { text: \"{{ say.text }}\" }
";

fn folder() -> Folder {
    Folder::new().with("liteagent.toml", "").with("marks.yaml", MARKS).with("hello.yaml", HELLO)
}

/// How often each number stands in a file.
fn marks(folder: &Folder, name: &str) -> BTreeMap<usize, usize> {
    let mut counted = BTreeMap::new();
    let text = fs::read_to_string(folder.path(&format!("out/{name}"))).unwrap_or_default();
    for number in text.split(['<', '>']).filter(|number| !number.is_empty()) {
        *counted.entry(number.parse().unwrap()).or_insert(0) += 1;
    }
    counted
}

fn json_of(serving: &Serving, method: &str, path: &str, body: &Json) -> Json {
    let (status, text) = serving.ask(method, path, body).unwrap();
    assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_backup_of_a_server_under_load_goes_on_elsewhere_and_nothing_runs_twice() {
    const RUNS: usize = 60;
    let before = folder();
    let serving = Serving::start(&before);
    let started = AtomicUsize::new(0);
    let backup = before.path("the.backup");
    thread::scope(|scope| {
        for worker in 0..4 {
            let (serving, started) = (&serving, &started);
            scope.spawn(move || {
                for n in (worker..RUNS).step_by(4) {
                    json_of(
                        serving,
                        "POST",
                        "/api/runs",
                        &json!({ "workflow": "marks", "inputs": { "n": n }, "mode": "async" }),
                    );
                    started.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while started.load(Ordering::Relaxed) < RUNS / 2 {
            thread::yield_now();
        }
        let said = before.run_args(&["backup", "the.backup"]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.err.contains("left out: dev-key"), "{}", said.err);
    });
    assert_eq!(before.run("backup --verify the.backup").code, 0);
    assert!(json_of(&serving, "GET", "/api/installation", &Json::Null)["backup_at"].is_string());
    drop(serving);

    let after = folder();
    let said = after.run_args(&["restore", backup.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("held: `liteagent runs held` lists them"), "{}", said.err);
    let serving = Serving::start(&after);
    let list = json_of(&serving, "GET", "/api/runs?limit=1000", &Json::Null);
    let runs = list["runs"].as_array().unwrap();
    assert!(runs.len() >= RUNS / 2, "{}", runs.len());
    // What is new goes on beside them, and they do not.
    json_of(&serving, "POST", "/api/runs", &json!({ "workflow": "hello" }));
    let mut expected = (BTreeMap::new(), BTreeMap::new());
    let mut held = 0;
    for run in runs {
        let id = run["id"].as_str().unwrap();
        let detail = json_of(&serving, "GET", &format!("/api/runs/{id}"), &Json::Null);
        if detail["status"] != "held" {
            assert_eq!(detail["status"], "succeeded");
            continue;
        }
        held += 1;
        let n = usize::try_from(detail["inputs"]["n"].as_u64().unwrap()).unwrap();
        let done = |path: &str| {
            let nodes = detail["nodes"].as_array().unwrap();
            nodes.iter().any(|node| node["path"] == path && node["status"] == "succeeded")
        };
        if !done("first") {
            expected.0.insert(n, 1);
        }
        if !done("second") {
            expected.1.insert(n, 1);
        }
    }
    assert!(held > 0, "the backup was taken while runs went on");
    assert_eq!((marks(&after, "first"), marks(&after, "second")), (BTreeMap::new(), BTreeMap::new()));

    let released = json_of(&serving, "POST", "/api/runs/release", &json!({ "all": true }));
    assert_eq!(released["released"], held);
    for run in runs {
        let (_, events) =
            serving.ask("GET", &format!("/api/runs/{}/events", run["id"].as_str().unwrap()), &Json::Null).unwrap();
        assert!(events.contains("\"status\":\"succeeded\""), "{events}");
    }
    assert_eq!((marks(&after, "first"), marks(&after, "second")), expected);
    let installation = json_of(&serving, "GET", "/api/installation", &Json::Null);
    assert_eq!((installation["epoch"].clone(), installation["backup_at"].clone()), (json!(2), Json::Null));

    let said = after.run_args(&["restore", backup.to_str().unwrap()]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("error[LA4504]"), "{}", said.err);
}

#[test]
fn what_is_no_backup_and_what_has_no_room_is_refused_and_leaves_nothing() {
    let folder = folder();
    let Said { code, err, .. } = folder.run("backup a.backup");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("there is nothing to back up"), "{err}");
    assert_eq!(folder.run("run hello").code, 0);
    // It does not get smaller when it is packed.
    let noise: Vec<u8> =
        (0_u64..600_000).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).to_le_bytes()).collect();
    fs::create_dir(folder.path(".liteagent/files")).unwrap();
    fs::write(folder.path(".liteagent/files/noise"), noise).unwrap();

    let limited = |args: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$@\"", "sh"]);
        let program = folder.command(args);
        shell.arg(program.get_program()).args(program.get_args()).current_dir(folder.path(""));
        shell.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).arg0("sh");
        Said::of(shell.output().unwrap())
    };
    let Said { code, err, .. } = limited(&["backup", "a.backup"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("error[LA5002]"), "{err}");
    let left: Vec<_> = fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("backup")), "{left:?}");

    assert_eq!(folder.run("backup a.backup").code, 0);
    let Said { code, err, .. } = limited(&["restore", "a.backup", "--into", "small"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("error[LA5002]"), "{err}");
    assert_eq!(fs::read_dir(folder.path("small")).unwrap().count(), 0);
    let Said { code, err, .. } = folder.run("restore liteagent.toml --into small");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("error[LA4501]"), "{err}");
    let Said { code, err, .. } = folder.run("restore a.backup --into small");
    assert_eq!(code, 0, "{err}");
    assert!(fs::exists(folder.path("small/files/noise")).unwrap());
}
