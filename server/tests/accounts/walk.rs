//! Every route, called by everyone.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use liteagent_engine::time::{Clock as _, iso};
use liteagent_server::{Access, Role, Route};
use serde_json::{Value as Json, json};

use super::client::{Client, Installation, PASSWORD, add_workflow, code};
use crate::common::{Reply, World};

/// What only those must read who may see the workflow.
const MARK: &str = "for-those-who-may-see-it";

/// Who calls, and what that is.
enum Who {
    /// It is not known who.
    Nobody,
    /// A user.
    User(Role),
    /// A key of the workflow.
    OwnKey,
    /// A key of the workflow that only reads.
    ReadingKey,
    /// A key of the knowledge base.
    KnowledgeKey,
    /// A key of something else.
    OtherKey,
}

#[tokio::test]
async fn every_route_lets_in_whom_its_table_names_and_nobody_else() {
    let installation = Installation::new();
    let world = installation.server_with(|settings| settings.limits.sign_in = None).await;
    let ada = Client::first_owner(&world, "ada@example.org").await;
    let expired = ada.clone();
    add_workflow(&world, "mine", MARK).await;
    add_workflow(&world, "other", "nothing").await;
    ada.expect(&world, "POST /api/knowledge", json!({ "name": "handbook" }), 201).await;
    let secret = json!({ "id": "secret.md", "text": format!("It is {MARK}.") });
    ada.expect(&world, "POST /api/knowledge/handbook/documents", secret, 202).await;
    ada.expect(&world, "POST /api/knowledge", json!({ "name": "cellar" }), 201).await;
    let key = async |body| Client::developer().key(&world, body).await;
    let mine = json!({ "workflow": "mine" });
    let soon = iso(installation.clock.now() + 1_000);
    let (_, expired_key) = key(json!({ "name": "expired", "scope": mine, "expires_at": soon })).await;
    installation.clock.advance(Duration::from_mins(16));

    let owner = Client::sign_in(&world, "ada@example.org", PASSWORD).await;
    let (_, editor) = Client::invited(&world, &owner, "bob@example.org", "editor").await;
    let (_, viewer) = Client::invited(&world, &owner, "eve@example.org", "viewer").await;
    let (_, own_key) = key(json!({ "name": "own", "scope": mine })).await;
    let (_, other_key) = key(json!({ "name": "other", "scope": { "workflow": "other" } })).await;
    let (_, base_key) = key(json!({ "name": "base", "scope": { "knowledge_base": "handbook" } })).await;
    let (_, cellar_key) = key(json!({ "name": "cellar", "scope": { "knowledge_base": "cellar" } })).await;
    let (_, reading_key) = key(json!({ "name": "reading", "scope": mine, "read_only": true })).await;
    let (revoked_id, revoked_key) = key(json!({ "name": "revoked", "scope": mine })).await;
    owner.expect(&world, &format!("DELETE /api/keys/{revoked_id}"), Json::Null, 204).await;
    let stranger = Installation::new().server().await;
    let of_another_installation = Client::first_owner(&stranger, "ada@example.org").await;
    let [promoted, unsigned] = forged(editor.bearer.as_deref().unwrap());

    let callers = [
        ("nobody", Client::nobody(), Who::Nobody),
        ("an expired token", Client { cookie: None, ..expired }, Who::Nobody),
        ("a token that was changed", Client::with(&promoted), Who::Nobody),
        ("a token that is not signed", Client::with(&unsigned), Who::Nobody),
        ("a token of another installation", Client { cookie: None, ..of_another_installation }, Who::Nobody),
        ("an expired key", expired_key, Who::Nobody),
        ("a revoked key", revoked_key, Who::Nobody),
        ("an unknown key", Client::with(&liteagent_server::random_key()), Who::Nobody),
        ("a viewer", Client { cookie: None, ..viewer }, Who::User(Role::Viewer)),
        ("an editor", Client { cookie: None, ..editor }, Who::User(Role::Editor)),
        ("an owner", Client { cookie: None, ..owner.clone() }, Who::User(Role::Owner)),
        ("the developer", Client::developer(), Who::User(Role::Owner)),
        ("a key of the workflow", own_key, Who::OwnKey),
        ("a key of another workflow", other_key, Who::OtherKey),
        ("a key of the knowledge base", base_key, Who::KnowledgeKey),
        ("a key of another knowledge base", cellar_key, Who::OtherKey),
        ("a key of the workflow that only reads", reading_key, Who::ReadingKey),
    ];
    let run = owner.expect(&world, "POST /api/runs", json!({ "workflow": "mine" }), 200).await;
    let run = run["id"].as_str().unwrap();
    let routes = liteagent_server::routes();
    assert!(routes.len() > 30);
    for route in &routes {
        for (name, client, who) in &callers {
            let reply = call(&world, route, client, run).await;
            assert!(world.models.asked().is_empty(), "nobody asks a model here");
            check(route, who, &reply, &format!("{} {} by {name}: {}", route.method, route.path, reply.body));
        }
    }
}

fn check(route: &Route, who: &Who, reply: &Reply, place: &str) {
    // What refuses at the door; the routes of sign-in refuse with codes of their own.
    let refused = match &*code(reply) {
        "LA4101" => Some(401),
        "LA4102" => Some(403),
        _ => None,
    };
    assert!(refused.is_none_or(|status| reply.status == status), "{place}");
    let expected = match (route.access, who) {
        (Access::Open | Access::SignIn, _) => None,
        (_, Who::Nobody) => Some(401),
        (Access::User(least) | Access::UserOrKey(least) | Access::Stream(least), Who::User(role)) => {
            (*role < least).then_some(403)
        }
        (Access::User(_), _) | (Access::UserOrKey(Role::Editor | Role::Owner), Who::ReadingKey) => Some(403),
        // A key of a workflow is one of something else where knowledge bases are concerned.
        (Access::UserOrKey(_) | Access::Stream(_), Who::OwnKey | Who::ReadingKey) if !is_of_knowledge(route) => None,
        (Access::UserOrKey(_), Who::KnowledgeKey) if is_of_knowledge(route) => None,
        // A ticket stands for whoever asks, and opens no more than that.
        (Access::UserOrKey(_), _) if route.path == "/api/tickets" => None,
        (Access::UserOrKey(_) | Access::Stream(_), _) => {
            assert!(!reply.body.contains(MARK), "{place}");
            assert!(route.method == "GET" || !reply.status.is_success(), "{place}");
            return;
        }
    };
    assert_eq!(refused, expected, "{place}");
}

fn is_of_knowledge(route: &Route) -> bool {
    route.path.starts_with("/api/knowledge")
}

/// Calls a route. Only what keys may call is asked for what is there: everything else would change it.
async fn call(world: &World, route: &Route, client: &Client, run: &str) -> Reply {
    let is_for_keys = matches!(route.access, Access::UserOrKey(_) | Access::Stream(_));
    let path = match (is_for_keys, route.path.contains("/runs/")) {
        (true, true) => route.path.replace("{id}", run),
        (true, false) if is_of_knowledge(route) => route.path.replace("{name}", "handbook"),
        (true, false) => route.path.replace("{name}", "mine"),
        (false, _) => route.path.clone(),
    };
    let path = filled(&path);
    let body = match (&*route.path, route.method.as_str()) {
        ("/api/runs", "POST") => json!({ "workflow": "mine" }),
        (path, "POST") if path.starts_with("/v1/") => {
            json!({ "model": "mine", "messages": [{ "role": "user", "content": "hi" }] })
        }
        (path, "POST") if path.ends_with("/signal") => json!({ "name": "paid" }),
        (_, "GET" | "DELETE") => Json::Null,
        _ => json!({}),
    };
    client.send(world, &format!("{} {path}", route.method), body).await
}

/// A path whose parameters are nobody's.
fn filled(path: &str) -> String {
    let part = |part: &str| match part.strip_prefix('{') {
        Some("version}") => "1".to_owned(),
        Some(_) => "none".to_owned(),
        None => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// A token whose claims were changed, and one that is not signed.
fn forged(token: &str) -> [String; 2] {
    let [head, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let promoted = BASE64_URL_SAFE_NO_PAD.encode(text.replace("editor", "owner"));
    assert_ne!(promoted, claims);
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    [format!("{head}.{promoted}.{signature}"), format!("{none}.{claims}.")]
}
