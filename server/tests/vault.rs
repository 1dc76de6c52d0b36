//! The vault, over the real router: secrets that change while runs go on, keys that are replaced, rows that somebody changed, and
//! what only an owner may let a workflow use.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{path::Path, sync::Arc};

use liteagent_engine::{capability::Secrets, testing::VirtualClock, value, value::Value};
use liteagent_server::{
    Actor, Folder, SecretChange, SecretKey, SecretKeys, Settings, Vault, VaultError,
    store::{SecretStore as _, SqliteStore},
};
use serde_json::{Value as Json, json};

use self::{
    client::{Client, code},
    common::{Installation, SECRETS, World, developing},
};

#[path = "accounts/client.rs"]
mod client;
mod common;

const TWICE: &str = r#"
name: twice
secrets: [TOKEN]
nodes:
  one: { type: http-request, url: "https://a.test/1", auth: { bearer: "{{ secrets.TOKEN }}" } }
  pause: { type: wait, signal: go, needs: [one] }
  two: { type: http-request, url: "https://a.test/2", auth: { bearer: "{{ secrets.TOKEN }}" }, needs: [pause] }
outputs: { said: "{{ one.body }} {{ two.body }}" }
"#;

fn installation(answers: Vec<Value>) -> Arc<Installation> {
    Installation::answering(Arc::new(VirtualClock::default()), answers)
}

async fn owner(world: &World, request: &str, body: Json, status: u16) -> Json {
    Client::developer().expect(world, request, body, status).await
}

async fn set(world: &World, name: &str, value: &str) {
    let reply = Client::developer().send(world, &format!("PUT /api/secrets/{name}"), json!({ "value": value })).await;
    assert!(reply.status.is_success() && !reply.body.contains(value), "{}", reply.body);
}

/// Follows a run to its end.
async fn ended(world: &World, run: &str) -> String {
    loop {
        let reply = Client::developer().send(world, &format!("GET /api/runs/{run}"), Json::Null).await;
        let json: Json = serde_json::from_str(&reply.body).unwrap();
        if ["succeeded", "failed"].contains(&json["status"].as_str().unwrap()) {
            return reply.body;
        }
        world.server.round().await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_value_that_changes_holds_for_the_next_node_and_both_are_hidden() {
    let said = ["first-token-value", "first-token-value, second-token-value"];
    let installation = installation(said.map(|body| value!({ "body": body })).to_vec());
    let world = installation.server_with(with_keys(KEYS[0], None), Vec::new()).await;
    owner(&world, "POST /api/workflows", json!({ "source": TWICE }), 201).await;
    set(&world, "TOKEN", "first-token-value").await;
    let run = owner(&world, "POST /api/runs", json!({ "workflow": "twice" }), 202).await;
    let run = run["id"].as_str().unwrap();
    // Another process changes it, and this one hears of it by looking.
    let other = installation.server_with(with_keys(KEYS[0], None), Vec::new()).await;
    set(&other, "TOKEN", "second-token-value").await;
    world.server.round().await;
    owner(&world, &format!("POST /api/runs/{run}/signal"), json!({ "name": "go" }), 202).await;
    let shown = ended(&world, run).await;

    let sent = |at: usize| {
        let headers = installation.called()[at].headers.clone();
        headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).unwrap().1
    };
    assert_eq!([sent(0), sent(1)], ["Bearer first-token-value", "Bearer second-token-value"]);
    assert!(shown.contains("succeeded"), "{shown}");
    let journal = Client::developer().send(&world, &format!("GET /api/runs/{run}/journal"), Json::Null).await;
    assert!(journal.status.is_success());
    assert!(shown.contains("[secret TOKEN] [secret TOKEN], [secret TOKEN]"), "{shown}");
    for text in [&shown, &journal.body] {
        assert!(!text.contains("first-token-value") && !text.contains("second-token-value"), "{text}");
    }
}

const KEYS: [&str; 2] = ["one-0123456789-abcdefghijklmnopqrstuvw", "two-0123456789-abcdefghijklmnopqrstuvw"];

fn keys(current: &str, previous: Option<&str>) -> SecretKeys {
    let key = |text: &str| SecretKey::new("SECRET_KEY", text).unwrap();
    SecretKeys { current: Some(key(current)), previous: previous.map(key) }
}

fn with_keys(current: &str, previous: Option<&str>) -> Settings {
    Settings { secret_keys: keys(current, previous), ..developing() }
}

async fn vault(folder: &Path, keys: &SecretKeys) -> (Vault, Arc<Secrets>) {
    let store = Arc::new(SqliteStore::open(folder).await.unwrap());
    let secrets = Arc::<Secrets>::default();
    let vault = Vault::open(store, keys, secrets.clone(), Arc::new(VirtualClock::default())).await.unwrap();
    (vault, secrets)
}

fn value(text: &str) -> SecretChange {
    SecretChange { value: Some(text.to_owned()), ..SecretChange::default() }
}

fn refusal<T>(result: Result<T, VaultError>) -> String {
    match result {
        Err(VaultError::Refused(why)) => why.code.0.to_owned(),
        Err(other) => panic!("{other}"),
        Ok(_) => String::new(),
    }
}

#[tokio::test]
async fn a_key_is_replaced_all_at_once_and_as_often_as_one_likes() {
    let folder = tempfile::tempdir().unwrap();
    let by = Actor::command_line();
    let old = keys(KEYS[0], None);
    let (first, _) = vault(folder.path(), &old).await;
    for name in ["A", "B", "C"] {
        first.set(name, value(name), &by).await.unwrap();
    }
    let (without, secrets) = vault(folder.path(), &keys(KEYS[1], None)).await;
    assert_eq!(without.unreadable().len(), 3);
    assert!(secrets.has("A") && secrets.get("A").is_none());
    without.set("D", value("of the new key"), &by).await.unwrap();
    assert_eq!(secrets.get("D").as_deref(), Some("of the new key"), "other secrets work");
    assert_eq!(refusal(without.rotate(&by).await), "LA4302");

    // As if a rotation had been cut off: one is sealed anew, others are not, and both keys open all.
    let (both, secrets) = vault(folder.path(), &keys(KEYS[1], Some(KEYS[0]))).await;
    assert!(both.unreadable().is_empty());
    both.set("B", value("B2"), &by).await.unwrap();
    assert_eq!(both.rotate(&by).await.unwrap(), (2, 4));
    assert_eq!(both.rotate(&by).await.unwrap(), (0, 4));
    let (new, read) = vault(folder.path(), &keys(KEYS[1], None)).await;
    assert!(new.unreadable().is_empty());
    for (name, text) in [("A", "A"), ("B", "B2"), ("C", "C"), ("D", "of the new key")] {
        assert_eq!((read.get(name).as_deref(), secrets.get(name).as_deref()), (Some(text), Some(text)), "{name}");
    }
    let once = Secrets::default();
    let rows = SqliteStore::read_secrets(folder.path()).unwrap();
    Vault::read(&rows, &keys(KEYS[1], None), &once);
    assert_eq!(once.get("B").as_deref(), Some("B2"));
    assert_eq!(vault(folder.path(), &old).await.0.unreadable().len(), 4);
    assert_eq!(refusal(vault(folder.path(), &SecretKeys::default()).await.0.set("E", value("x"), &by).await), "LA4115");
}

#[tokio::test]
async fn two_who_change_a_secret_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let all = keys(KEYS[0], None);
    let ((one, _), (two, secrets)) = (vault(folder.path(), &all).await, vault(folder.path(), &all).await);
    let by = Actor::command_line();
    let hosts = SecretChange { hosts: Some(Some(vec!["a.test".to_owned()])), ..value("x") };
    one.set("A", hosts, &by).await.unwrap();
    let workflows =
        |name: &str| SecretChange { workflows: Some(Some(vec![name.to_owned()])), ..SecretChange::default() };
    let described = SecretChange { description: Some(Some("for a".to_owned())), ..SecretChange::default() };
    let (first, second, third) =
        tokio::join!(one.set("A", workflows("w"), &by), two.set("A", described, &by), one.set("A", value("y"), &by));
    for done in [first, second, third] {
        done.unwrap();
    }
    let (_, rows) = SqliteStore::open(folder.path()).await.unwrap().secrets().await.unwrap();
    assert_eq!((rows[0].version, rows[0].description.as_deref()), (4, Some("for a")));
    assert_eq!(rows[0].hosts, Some(vec!["a.test".to_owned()]));
    assert_eq!(rows[0].workflows, Some(vec!["w".to_owned()]));
    assert!(["x", "y"].contains(&secrets.get("A").as_deref().unwrap()));
}

const CALL: &str = r#"
name: NAME
secrets: [NAME]
nodes:
  fetch: { type: http-request, url: "https://a.test/1", auth: { bearer: "{{ secrets.NAME }}" } }
outputs: { said: "{{ fetch.body }}" }
"#;

fn calling(name: &str) -> String {
    CALL.replacen("NAME", &name.to_lowercase(), 1).replace("NAME", name)
}

/// Whether the server, which is ready all the same, says that something is wrong with its secrets.
async fn is_degraded(world: &World) -> bool {
    let ready = owner(world, "GET /health/ready", Json::Null, 200).await;
    ready["dependencies"].as_array().unwrap().contains(&json!({ "name": "secrets", "status": "degraded" }))
}

#[tokio::test]
async fn a_row_that_somebody_changed_fails_its_node_and_no_other() {
    let installation = installation(vec![value!({ "body": "fine" })]);
    let world = installation.server_with(with_keys(KEYS[0], None), Vec::new()).await;
    for name in ["GOOD", "BENT"] {
        set(&world, name, "some-secret-value").await;
        owner(&world, "POST /api/workflows", json!({ "source": calling(name) }), 201).await;
    }
    assert!(!is_degraded(&world).await);
    // More hosts than its owner said.
    let database = rusqlite::Connection::open(installation.folder().join("platform.db")).unwrap();
    database.execute("UPDATE secrets SET hosts = '[\"evil.test\", \"a.test\"]' WHERE name = 'BENT'", ()).unwrap();
    database.execute("UPDATE secret_changes SET revision = revision + 1", ()).unwrap();
    world.server.round().await;

    let failed = owner(&world, "POST /api/runs", json!({ "workflow": "bent" }), 200).await;
    assert_eq!((failed["status"].as_str(), failed["error"]["code"].as_str()), (Some("failed"), Some("LA4302")));
    let fine = owner(&world, "POST /api/runs", json!({ "workflow": "good" }), 200).await;
    assert_eq!(fine["outputs"]["said"], "fine");
    assert!(is_degraded(&world).await);
    let listed = owner(&world, "GET /api/secrets", Json::Null, 200).await;
    let bent = listed["secrets"].as_array().unwrap().iter().find(|secret| secret["name"] == "BENT").unwrap();
    assert!(bent["problem"].as_str().unwrap().contains("was changed"), "{bent}");

    // Whoever gives a new value does not give it to the hosts of somebody else.
    let reply = Client::developer().send(&world, "PUT /api/secrets/BENT", json!({ "value": "new" })).await;
    assert_eq!((reply.status.as_u16(), &*code(&reply)), (409, "LA4302"));
    let whole = json!({ "value": "new", "hosts": ["a.test"], "workflows": null });
    owner(&world, "PUT /api/secrets/BENT", whole, 200).await;
    assert!(!is_degraded(&world).await);
}

#[tokio::test]
async fn what_newly_uses_a_secret_needs_an_owner() {
    let world = Installation::new(Arc::new(VirtualClock::default()), SECRETS).server().await;
    let first = Client::first_owner(&world, "ada@example.org").await;
    let (_, editor) = Client::invited(&world, &first, "bob@example.org", "editor").await;
    let source = |secret: Option<&str>, mark: &str| match secret {
        Some(name) => {
            json!({ "source": format!("{}description: {mark}\n", calling(name).replacen(&name.to_lowercase(), "w", 1)) })
        }
        None => {
            json!({ "source": format!("name: w\ndescription: {mark}\nnodes: {{ done: {{ type: answer, text: hi }} }}\n") })
        }
    };
    editor.expect(&world, "POST /api/workflows", source(None, "one"), 201).await;
    let refused = editor.send(&world, "PUT /api/workflows/w", source(Some("HOOK"), "two")).await;
    assert_eq!((refused.status.as_u16(), &*code(&refused)), (403, "LA4305"), "{}", refused.body);
    assert!(refused.body.contains("the secret `HOOK`"), "{}", refused.body);
    let kept = editor.expect(&world, "PUT /api/workflows/w?publish=false", source(Some("HOOK"), "two"), 200).await;
    assert_eq!(kept["version"], 2, "what was refused was not added");
    let version = json!({ "version": 2 });
    for (request, body) in [
        ("PUT /api/workflows/w/published", version.clone()),
        ("POST /api/runs", json!({ "workflow": "w", "version": 2 })),
    ] {
        let reply = editor.send(&world, request, body).await;
        assert_eq!((reply.status.as_u16(), &*code(&reply)), (403, "LA4305"), "{request}");
    }
    first.expect(&world, "PUT /api/workflows/w/published", version, 204).await;
    // What an owner agreed to, an editor may go on with, and give up.
    editor.expect(&world, "PUT /api/workflows/w", source(Some("HOOK"), "three"), 200).await;
    editor.expect(&world, "PUT /api/workflows/w", source(None, "four"), 200).await;
    let again = editor.send(&world, "PUT /api/workflows/w/published", json!({ "version": 2 })).await;
    assert_eq!(code(&again), "LA4305");
}

#[tokio::test]
async fn a_folder_of_production_waits_for_an_owner_and_one_of_a_developer_does_not() {
    for is_owner in [false, true] {
        let definitions = tempfile::tempdir().unwrap();
        let path = definitions.path().join("call.yaml");
        std::fs::write(&path, calling("HOOK")).unwrap();
        let (root, listed) = (definitions.path().to_owned(), path.clone());
        let list = Arc::new(move || vec![(listed.clone(), "hook".to_owned())]);
        let folder = Folder { root, is_owner, list };
        let world = Installation::new(Arc::new(VirtualClock::default()), SECRETS).server().await;
        let synced = world.server.follow(folder.clone(), liteagent_nodes::registry()).await.unwrap();
        let shown = owner(&world, "GET /api/workflows/hook", Json::Null, 200).await;
        let files = owner(&world, "GET /api/definitions", Json::Null, 200).await;
        if is_owner {
            assert_eq!((synced.workflows, synced.waiting.len(), &shown["published"]), (1, 0, &json!(1)));
            continue;
        }
        assert_eq!((synced.workflows, &*synced.waiting), (0, &["call.yaml".to_owned()][..]));
        assert_eq!((&shown["latest"], &shown["published"]), (&json!(1), &Json::Null));
        let finding = &files["files"][0]["diagnostics"][0];
        assert_eq!((&finding["code"], &files["files"][0]["valid"]), (&json!("LA4305"), &json!(true)));
        assert!(finding["hint"].as_str().unwrap().contains("{\"version\": 1}"), "{finding}");
        owner(&world, "PUT /api/workflows/hook/published", json!({ "version": 1 }), 204).await;
        let synced = world.server.follow(folder, liteagent_nodes::registry()).await.unwrap();
        assert_eq!((synced.workflows, synced.waiting.len()), (1, 0), "what an owner published is not looked at again");
    }
}
