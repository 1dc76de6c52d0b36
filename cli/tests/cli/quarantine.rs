//! Runs whose processes are killed, and runs that a newer release wrote, by way of the command line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Stdio,
};

use liteagent_backends::{Reserve, SqliteOptions};
use liteagent_engine::{
    id::RunId,
    store::{NewRun, StoredRecord},
};

use serde_json::json;

use super::{
    harness::{Folder, looks_like},
    provider::{Answer, Provider},
};

fn answer(mut stream: TcpStream) {
    let mut request = [0; 4096];
    assert!(stream.read(&mut request).unwrap() > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine").unwrap();
}

#[test]
fn a_healthy_run_whose_process_was_killed_twice_ends_well_alone() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let folder = Folder::new()
        .with("liteagent.toml", &format!("[http]\nallow = [\"{address}\"]\n"))
        .with("slow.yaml", &format!(
            "name: slow\nnodes:\n  ask: {{ type: http-request, method: POST, url: \"http://{address}/\" }}\noutputs: {{ said: \"{{{{ ask.body }}}}\" }}\n"
        ));
    for args in [&["run", "slow"][..], &["runs", "resume", "last"]] {
        let mut process = folder.command(args).stderr(Stdio::null()).spawn().unwrap();
        let call = server.accept().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        drop(call);
    }
    let answering = std::thread::spawn(move || answer(server.accept().unwrap().0));
    let said = folder.run("runs resume last");
    answering.join().unwrap();
    looks_like!(said.whole(), @r"
    fine
    ---- stderr (0)
    succeeded: [run]
    ");
    let journal = folder.run("runs show last --journal").out;
    let taken: Vec<(u64, bool)> = journal
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|record| record["type"] == "run_taken")
        .map(|record| (record["deaths"].as_u64().unwrap_or(0), record["alone"] == true))
        .collect();
    assert_eq!(taken, [(0, false), (1, false), (2, false), (2, true)]);
}

#[test]
fn an_agent_whose_process_is_killed_repeats_no_question_and_no_tool_that_was_answered() {
    let shop = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = shop.local_addr().unwrap();
    let (tell, stalled) = std::sync::mpsc::channel();
    let provider = Provider::new(move |number, _| match number {
        0 => Answer::Calls(vec![("order", json!({ "item": "bell" }))]),
        1 => Answer::Calls(vec![("order", json!({ "item": "lamp" }))]),
        2 => {
            tell.send(()).unwrap();
            Answer::Stalls("Both are")
        }
        _ => Answer::says("Both are ordered"),
    });
    let folder = Folder::new()
        .with("liteagent.toml", &format!("{}[http]\nallow = [\"{address}\"]\n", provider.config()))
        .with(".env", "LITEAGENT_SECRET_WORK=sk-right\n")
        .with("order.yaml", &format!("name: order\ninputs: {{ item: string }}\nnodes:\n  buy: {{ type: http-request, method: POST, url: \"http://{address}/{{{{ inputs.item }}}}\" }}\noutputs: {{ said: \"{{{{ buy.body }}}}\" }}\n"))
        .with("agent.yaml", "name: agent\nnodes:\n  agent:\n    type: agent\n    messages: [{ user: Order a bell and a lamp. }]\n    tools: { order: { workflow: order, approval: none } }\noutputs: { text: \"{{ agent.text }}\" }\n");
    let start = |args: &[&str]| folder.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();

    // While the second tool runs, and while the third question is asked.
    let mut process = start(&["run", "agent"]);
    answer(shop.accept().unwrap().0);
    let call = shop.accept().unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    drop(call);
    // The newest run is that of the second tool.
    let runs: Vec<serde_json::Value> =
        serde_json::from_str(&folder.run("runs list --workflow agent --json").out).unwrap();
    let agent = runs[0]["id"].as_str().unwrap();
    let mut process = start(&["runs", "resume", agent]);
    answer(shop.accept().unwrap().0);
    stalled.recv().unwrap();
    process.kill().unwrap();
    process.wait().unwrap();

    let said = folder.run_args(&["runs", "resume", agent]);
    assert_eq!((said.code, &*said.out), (0, "Both are ordered\n"), "{}", said.err);
    let asked: Vec<usize> = provider.prompts().iter().map(|prompt| prompt.matches("tool: ").count()).collect();
    assert_eq!(asked, [0, 1, 2, 2], "each question once, and again the one that had no answer");
    shop.set_nonblocking(true).unwrap();
    assert!(shop.accept().is_err(), "a tool that was answered is called again");
}

/// A run that waits in the queue, whose journal holds a record of a kind that nobody here knows.
fn written_by_a_newer_release(folder: &Folder) {
    let bundle = r#"{"format":1,"entry":"dream","workflows":{"dream":{"nodes":{"a":{"type":"json","value":1}}}}}"#;
    let digest = liteagent_engine::id::Digest::of(bundle.as_bytes());
    let first = serde_json::json!({ "seq": 1, "at": 1, "type": "run_started", "workflow": "dream", "digest": digest,
        "inputs": { "value": {} }, "trigger": { "type": "cli" } });
    let second = r#"{"seq":2,"at":2,"type":"node_dreamt","node":"a"}"#;
    let record = |seq, body: &str| StoredRecord { seq, at: 1, body: body.into() };
    let run = NewRun {
        turn: None,
        holds: Vec::new(),
        subject: None,
        account: None,
        id: RunId::random(),
        workflow: "dream".to_owned(),
        digest: digest.clone(),
        parent: None,
        trigger: "cli".to_owned(),
        conversation: None,
        idempotency: None,
        at: 1,
        records: vec![record(1, &first.to_string()), record(2, second)],
        blobs: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let data = folder.path(".liteagent");
        let options = SqliteOptions { reserve: Reserve { bytes: 0, percent: 0 }, ..SqliteOptions::default() };
        let stores = liteagent_backends::open(&data, options).await.unwrap().stores;
        stores.journal.put_bundle(&digest, bundle.into()).await.unwrap();
        stores.journal.create(run).await.unwrap();
    });
}

#[test]
fn a_run_that_a_newer_release_wrote_stays_in_the_queue_and_is_shown() {
    let folder = Folder::new().with("liteagent.toml", "");
    written_by_a_newer_release(&folder);
    looks_like!(folder.run("runs resume last").whole(), @r"
    ---- stderr (3)
    error[LA5010]: a newer release wrote the run: this release cannot read record 2 (`node_dreamt`): unknown variant `node_dreamt`
      = help: use the newer release
    ");
    looks_like!(folder.run("runs resume --all").whole(), @r"
    ---- stderr (3)
    1 run can go on
    error[LA5010]: a newer release wrote the run: this release cannot read record 2 (`node_dreamt`): unknown variant `node_dreamt`
      = help: use the newer release
    ");
    assert!(folder.run("runs list").out.contains("LA5010: a newer release wrote the run"));
    looks_like!(folder.run("runs show last").out, @r"
    run       [run]
    workflow  dream ([digest])
    status    queued
    started   [time] by cli

    error[LA5010]: a newer release wrote the run: this release cannot read record 2 (`node_dreamt`): unknown variant `node_dreamt`
      = help: use the newer release

                record 2 is of a kind that this release does not know
    ");
}
