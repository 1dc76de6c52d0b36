//! Language models: lists, a call that tries one, a workflow that asks one, and keys that are never shown.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use super::harness::{Folder, Said, looks_like};

/// A provider in this process that gives one answer to every question, and refuses every other key than `sk-right`.
fn provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever asks may hang up.
            thread::spawn(move || drop(answer(&stream.unwrap())));
        }
    });
    address
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut is_right) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("authorization", value)) => is_right = value == "bearer sk-right",
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let (status, kind, body) = if is_right {
        let events = [
            r#"{"choices":[{"delta":{"content":"one two"}}]}"#,
            r#"{"choices":[{"delta":{"content":" three"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":500}}"#,
            "[DONE]",
        ];
        (200, "text/event-stream", events.map(|event| format!("data: {event}\n\n")).concat())
    } else {
        (401, "application/json", r#"{"error":{"message":"Incorrect API key provided: sk-wrong-key"}}"#.to_owned())
    };
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn config(address: SocketAddr) -> String {
    format!(
        "[models]\ndefault = \"work/big\"\n[providers.work]\nbase_url = \"http://{address}/v1\"\nkey = \"WORK\"\nmodels.big = {{ input = 1.0, output = 2.0, context = 32000 }}\n"
    )
}

const ASK: &str = "\
name: ask
nodes:
  reply: { type: llm, messages: [{ user: Count. }] }
outputs: { text: \"{{ reply.text }}\" }
";

fn run(folder: &Folder, key: &str, args: &[&str]) -> Said {
    let output = folder.command(args).env("LITEAGENT_SECRET_WORK", key).output().unwrap();
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap_or(-1),
    }
}

#[test]
fn models_are_listed_with_what_they_can_and_cost() {
    let folder = Folder::new();
    assert!(folder.run("models").err.starts_with("there is none; set a key"));
    let folder = Folder::new().with("liteagent.toml", &config("127.0.0.1:9".parse().unwrap()));
    looks_like!(run(&folder, "sk-right", &["models"]).whole(), @r"
    MODEL     ALIAS         CAN                CONTEXT  IN  OUT  FROM
    work/big  default fast  tools images json  32k      1   2    LITEAGENT_SECRET_WORK in the environment or in .env
    ---- stderr (0)
    prices in US dollars per million tokens, looked up on 2026-11-25
    ");
    let listed = folder.command(&["models", "list", "--json"]).env("ANTHROPIC_API_KEY", "sk-1").output().unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let claude = rows.as_array().unwrap().iter().find(|row| row["model"] == "anthropic/claude-sonnet-5-5").unwrap();
    assert_eq!(
        (&claude["input"], &claude["tools"], &claude["from"]),
        (&2.0.into(), &true.into(), &"ANTHROPIC_API_KEY in the environment".into())
    );
    assert!(!rows.to_string().contains("sk-1"));
}

#[test]
fn a_model_is_tried_with_one_call() {
    let folder = Folder::new().with("liteagent.toml", &config(provider()));
    let said = run(&folder, "sk-right", &["models", "test"]);
    assert!(said.code == 0 && said.out.starts_with("work/big: one two three\nfirst token after "), "{}", said.whole());
    assert!(said.out.contains("1000 tokens in, 500 out, 0.002 USD"), "{}", said.out);

    let said = run(&folder, "sk-wrong-key", &["models", "test", "work/big"]);
    looks_like!(said.whole(), @r"
    ---- stderr (1)
    error[LA2403]: `work` does not accept its key: Incorrect API key provided: [key]
      = help: put a valid key into `LITEAGENT_SECRET_WORK` in the environment or in `.env`; `liteagent models test work/big` tries it
    ");
    assert_eq!(run(&folder, "", &["models", "test", "nobody/x"]).code, 2);
}

#[test]
fn a_run_says_which_model_it_asks() {
    let folder = Folder::new().with("liteagent.toml", &config(provider())).with("ask.yaml", ASK);
    let said = run(&folder, "sk-right", &["run", "ask"]);
    assert!(said.code == 0 && said.out.contains("one two three"), "{}", said.whole());
    assert!(
        said.err.starts_with("model: work/big ([models] in liteagent.toml); LITEAGENT_MODEL chooses another\n"),
        "{}",
        said.err
    );
    assert_eq!(run(&folder, "sk-right", &["run", "ask", "--json"]).err, "");

    let said = run(&folder, "sk-wrong-key", &["run", "ask"]);
    assert!(
        said.code == 1 && said.err.contains("error[LA2403]: `reply`: `work` does not accept its key"),
        "{}",
        said.err
    );
    let shown = folder.run("runs show").whole() + &folder.run(&format!("runs export {}", folder.newest())).whole();
    assert!(!(said.whole() + &shown).contains("sk-wrong-key"), "a key stands nowhere");
}

#[test]
fn the_address_of_a_provider_is_open_for_its_models_alone() {
    let address = provider();
    let yaml = format!(
        "name: get\nnodes:\n  get: {{ type: http-request, url: \"http://{address}/v1/chat/completions\" }}\noutputs: {{ status: \"{{{{ get.status }}}}\" }}\n"
    );
    let folder = Folder::new().with("liteagent.toml", &config(address)).with("get.yaml", &yaml);
    let said = run(&folder, "sk-right", &["run", "get"]);
    assert!(said.code == 1 && said.err.contains("error[LA2201]"), "{}", said.err);
}

#[test]
fn what_is_wrong_with_the_configuration_is_told_with_its_place() {
    let folder = |toml: &str| Folder::new().with("liteagent.toml", toml);
    let said = folder("[providers.x]\nbas_url = \"x\"").run("models");
    assert!(
        said.code == 2 && said.err.contains("unknown key `providers.x.bas_url`\n  = help: did you mean `base_url`?"),
        "{}",
        said.err
    );
    let said = folder("[models]\ndefault = \"nobody/x\"").run("doctor");
    assert!(
        said.out.contains("BAD   models        `models.default` of `liteagent.toml`: expected a provider"),
        "{}",
        said.out
    );
    let said = folder(&config("127.0.0.1:9".parse().unwrap())).run("doctor");
    assert!(said.out.contains("odd   models        the provider `work` has no key"), "{}", said.out);
    assert!(said.out.contains("to mend it: set `LITEAGENT_SECRET_WORK`"), "{}", said.out);
}
