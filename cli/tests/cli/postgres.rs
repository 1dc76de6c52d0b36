//! Everything in a PostgreSQL database that several machines share.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{process::Command, sync::Arc};

use liteagent_backends::testing::PostgresServer;
use serde_json::{Value as Json, json};

use super::{
    harness::{Folder, Said},
    serve::{Serving, ask, wait_until},
};

const HELLO: &str = "\
name: hello
inputs: { who: string }
nodes: { say: { type: template-transform, template: \"Hello {{ inputs.who }}\" } }
outputs: { text: \"{{ say.text }}\" }
";
const PASSWORD: &str = "correct horse battery staple";

/// An installation whose rows are in a database of its own.
struct Shared {
    folder: Folder,
    settings: Vec<(&'static str, String)>,
    // Stops when nobody has it any more.
    server: Arc<PostgresServer>,
}

impl Shared {
    fn new() -> Self {
        let server = PostgresServer::shared();
        let settings = [
            ("DATABASE_URL", server.database().to_string()),
            ("JWT_SECRET", "0123456789abcdefghijklmnopqrstuvwxyzABCDEF".to_owned()),
            ("SECRET_KEY", "FEDCBAzyxwvutsrqponmlkjihgfedcba9876543210".to_owned()),
            ("LITEAGENT_ADMIN_EMAIL", "ada@example.org".to_owned()),
            ("LITEAGENT_ADMIN_PASSWORD", PASSWORD.to_owned()),
        ];
        let folder = Folder::new().with("liteagent.toml", "").with("hello.yaml", HELLO);
        Self { folder, settings: settings.into(), server }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.folder.command(&line.split(' ').collect::<Vec<_>>());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, line: &str) -> Said {
        Said::of(self.command(line).output().unwrap())
    }

    fn serve(&self) -> Serving {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (*name, &**value)).collect();
        Serving::start_with(&self.folder, &[], &settings)
    }
}

/// The JSON of an answer that must be one.
fn call(serving: &Serving, token: &str, method: &str, path: &str, body: &Json) -> Json {
    let (status, text) = ask(serving.address, token, method, path, body).unwrap();
    assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

fn sign_in(serving: &Serving) -> String {
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    call(serving, "", "POST", "/api/auth/sign-in", &body)["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn two_servers_and_commands_share_one_database() {
    let shared = Shared::new();
    let servers = [shared.serve(), shared.serve()];
    let tokens = servers.each_ref().map(sign_in);
    for serving in &servers {
        assert_eq!(ask(serving.address, "", "GET", "/health/ready", &Json::Null).unwrap().0, 200);
    }

    // What one keeps, the other has: runs, sessions, versions, secrets.
    let started =
        call(&servers[0], &tokens[1], "POST", "/api/runs", &json!({ "workflow": "hello", "inputs": { "who": "Ada" } }));
    assert_eq!(started["outputs"]["text"], "Hello Ada");
    let run = started["id"].as_str().unwrap();
    let seen = call(&servers[1], &tokens[0], "GET", &format!("/api/runs/{run}"), &Json::Null);
    assert_eq!(seen["status"], "succeeded", "{seen:#}");
    std::fs::write(shared.folder.path("later.yaml"), HELLO.replace("hello", "later").replace("Hello", "Later"))
        .unwrap();
    let body = json!({ "workflow": "later", "inputs": { "who": "Bob" } });
    for (serving, token) in servers.iter().zip(&tokens) {
        wait_until(|| ask(serving.address, token, "POST", "/api/runs", &body).is_some_and(|(status, _)| status < 300));
    }
    call(&servers[1], &tokens[1], "PUT", "/api/secrets/TOKEN", &json!({ "value": "a long secret value" }));
    wait_until(|| call(&servers[0], &tokens[0], "GET", "/api/secrets", &Json::Null).to_string().contains("TOKEN"));

    // Commands do, too, and nothing is in files.
    let said = shared.run("run hello --input who=Eve");
    assert_eq!((&*said.out, said.code), ("Hello Eve\n", 0), "{}", said.err);
    let listed: Json = serde_json::from_str(&shared.run("runs list --json").out).unwrap();
    assert!(listed.as_array().unwrap().iter().any(|row| row["id"] == run), "{listed:#}");
    assert!(shared.run("secrets list").out.contains("TOKEN"));
    for file in ["liteagent.db", "platform.db", "knowledge.db", "dev-key"] {
        assert!(!shared.folder.path(".liteagent").join(file).exists(), "{file}");
    }
}

#[test]
fn an_older_schema_is_migrated_by_hand_and_a_newer_one_is_left_alone() {
    let shared = Shared::new();
    let migrated = shared.run("migrate");
    assert_eq!(migrated.out, "runs: made version 1\nserver: made version 1\nknowledge: made version 1\n");
    let again = shared.run("migrate --finish");
    assert_eq!((again.out.matches("nothing to do").count(), again.code), (3, 0), "{}", again.whole());

    let url = url::Url::parse(&shared.settings[0].1).unwrap();
    let newer = "INSERT INTO schema_version (component, version, compatible_with) VALUES ('server', 99, 50)";
    shared.server.execute(url.path().trim_start_matches('/'), newer);
    for command in ["serve --port 0", "migrate", "secrets list"] {
        let refused = shared.run(command);
        assert!(refused.code == 3 && refused.err.contains("LA5005"), "{command}: {}", refused.whole());
    }
}

#[test]
fn what_cannot_be_shared_is_said() {
    let shared = Shared::new();
    let backup = shared.run("backup a.backup");
    assert!(backup.code == 2 && backup.err.contains("LA5007") && backup.err.contains("pg_dump"), "{}", backup.whole());
    let restore = shared.run("restore a.backup");
    assert!(restore.code == 2 && restore.err.contains("LA5007"), "{}", restore.whole());
    let bases = shared.run("kb list");
    assert!(bases.code == 2 && bases.err.contains("LA2614") && bases.err.contains("QDRANT_URL"), "{}", bases.whole());

    let away = |line: &str| {
        let mut command = shared.command(line);
        Said::of(command.env("DATABASE_URL", "postgres://ada:hush@127.0.0.1:1/x").output().unwrap())
    };
    let refused = away("run hello --input who=Eve");
    assert!(refused.code == 3 && refused.err.contains("LA5001"), "{}", refused.whole());
    let doctor = away("doctor --format json");
    let said: Json = serde_json::from_str(&doctor.out).unwrap();
    let database = said["checks"].as_array().unwrap().iter().find(|check| check["name"] == "database").unwrap();
    assert!(database["status"] == "bad" && database["mend"].as_str().unwrap().contains("psql"), "{database:#}");
    assert!(!refused.whole().contains("hush") && !doctor.whole().contains("hush"), "{}", refused.whole());
    let doctor = shared.run("doctor --format json");
    let said: Json = serde_json::from_str(&doctor.out).unwrap();
    let checks = said["checks"].as_array().unwrap();
    let of = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    assert!(of("database")["text"].as_str().unwrap().starts_with("PostgreSQL "), "{:#}", of("database"));
    assert_eq!(of("vector store")["status"], "odd");
}

#[test]
fn an_installation_moves_from_files_into_a_database() {
    let shared = Shared::new();
    let rests = "name: rests\nnodes: { rest: { type: wait, for: 1h } }\n";
    std::fs::write(shared.folder.path("rests.yaml"), rests).unwrap();
    let files: Vec<_> = shared.settings[1..].iter().map(|(name, value)| (*name, &**value)).collect();
    let serving = Serving::start_with(&shared.folder, &[], &files);
    let token = sign_in(&serving);
    call(&serving, &token, "PUT", "/api/secrets/TOKEN", &json!({ "value": "a long secret value" }));
    // Large, and with what `COPY` has other signs for.
    let who = "A\tda\\\n\u{0}".repeat(10_000);
    let start = |body: Json| call(&serving, &token, "POST", "/api/runs", &body)["id"].as_str().unwrap().to_owned();
    let ended = start(json!({ "workflow": "hello", "inputs": { "who": who } }));
    let waits = start(json!({ "workflow": "rests", "inputs": {}, "mode": "async" }));
    let path = format!("/api/runs/{waits}");
    wait_until(|| call(&serving, &token, "GET", &path, &Json::Null)["status"] == "waiting");

    let busy = shared.run("import .liteagent");
    assert!(busy.code != 0 && busy.err.contains("LA5008") && busy.err.contains("a process that does"), "{}", busy.err);
    drop(serving);
    let export = |run: &str| format!("runs export {run}");
    let before = [&ended, &waits].map(|run| shared.folder.run(&export(run)).out);

    let moved = shared.run("import .liteagent");
    assert!(moved.code == 0 && moved.err.contains("moved 2 runs with "), "{}", moved.whole());
    let again = shared.run("import .liteagent");
    assert!(again.code != 0 && again.err.contains("found rows in the table `runs`"), "{}", again.err);

    assert!(before[0].contains("Hello A"), "{}", before[0]);
    assert_eq!([&ended, &waits].map(|run| shared.run(&export(run)).out), before);
    let serving = shared.serve();
    let token = sign_in(&serving);
    assert_eq!(call(&serving, &token, "GET", &path, &Json::Null)["status"], "waiting");
    assert!(call(&serving, &token, "GET", "/api/secrets", &Json::Null).to_string().contains("TOKEN"));
    let next = call(&serving, &token, "POST", "/api/runs", &json!({ "workflow": "hello", "inputs": { "who": "Bob" } }));
    assert_eq!(next["outputs"]["text"], "Hello Bob");
    let audit = call(&serving, &token, "GET", "/api/audit", &Json::Null).to_string();
    assert!(audit.contains("secret"), "{audit}");
}
