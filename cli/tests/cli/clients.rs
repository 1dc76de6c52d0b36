//! Programs of others against `serve`: OpenAI's clients, and schemathesis with requests made of our own OpenAPI document.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{ffi::OsStr, path::PathBuf, process::Command};

use serde_json::json;

use super::{
    harness::Folder,
    provider::{Answer, Provider},
    serve::Serving,
};

const CHAT: &str = "\
name: chat
conversation: {}
nodes:
  reply:
    type: llm
    messages: [{ history: { last: 10 } }, { user: \"{{ inputs.message }}\" }]
  say: { type: answer, text: \"{{ reply.text }}\" }
";
const OPEN: &str = "\
name: open
inputs: { message: string }
nodes:
  reply:
    type: llm
    messages: [{ user: \"{{ inputs.message }}\" }]
    tools: { theirs: { caller: true } }
outputs: { text: \"{{ reply.text }}\", calls: \"{{ reply.calls }}\" }
";
const REVERSE: &str = "\
name: reverse
inputs: { text: string }
nodes: { turn: { type: template-transform, template: \"{{ inputs.text | reverse }}\" } }
outputs: { text: \"{{ turn.text }}\" }
";

/// Where `make test` puts the programs; where they are not, the test is left out.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn clients() -> Option<PathBuf> {
    let folder = std::env::var_os("LITEAGENT_CLIENTS").map(PathBuf::from);
    if folder.is_none() {
        println!("left out: LITEAGENT_CLIENTS does not name the folder of the clients; `make test` installs them");
    }
    folder
}

/// A server with what the clients ask for. The model asks for a call of `hours` where it is asked whether it is open.
fn serving() -> (Folder, Serving) {
    let provider = Provider::new(|_, last| match last {
        "Is it open?" => Answer::Calls(vec![("hours", json!({ "day": "today" }))]),
        last => Answer::says(&format!("You said: {last}")),
    });
    let folder = Folder::new()
        .with("liteagent.toml", &provider.config())
        .with(".env", "LITEAGENT_SECRET_WORK=sk-right\n")
        .with("chat.yaml", CHAT)
        .with("open.yaml", OPEN)
        .with("reverse.yaml", REVERSE);
    let serving = Serving::start(&folder);
    (folder, serving)
}

fn run(program: impl AsRef<OsStr>, args: &[&str]) {
    let done = Command::new(program.as_ref()).args(args).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{}\n{}", said(&done.stdout), said(&done.stderr));
}

fn script(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_client_of_openai_for_python_works_unchanged() {
    let Some(clients) = clients() else { return };
    let (_folder, serving) = serving();
    run(clients.join("python/bin/python"), &[&script("chat.py"), &serving.url(), serving.key()]);
}

#[test]
fn the_client_of_openai_for_javascript_works_unchanged() {
    let Some(clients) = clients() else { return };
    let (_folder, serving) = serving();
    let node = clients.join("node");
    run("node", &[&script("chat.mjs"), node.to_str().unwrap(), &serving.url(), serving.key()]);
}

#[test]
fn every_answer_is_what_the_openapi_document_says() {
    let Some(clients) = clients() else { return };
    let (folder, serving) = serving();
    let key = format!("Authorization: Bearer {}", serving.key());
    let document = format!("{}/openapi.json", serving.url());
    let mut command = Command::new(clients.join("python/bin/st"));
    command.args(["--config-file", &script("schemathesis.toml"), "run", &document, "-H", &key, "--no-color"]);
    let done = command.current_dir(folder.path(".")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let (status, text) = serving.ask("GET", "/health/ready", &serde_json::Value::Null).unwrap();
    assert_eq!(status, 200, "{text}");
}
