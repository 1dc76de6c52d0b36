//! Users: how they come, change and go.

use liteagent_server::Admin;
use serde_json::{Value as Json, json};

use super::client::{Client, Installation, PASSWORD, code, secret_of};

#[tokio::test]
async fn the_first_owner_comes_by_a_link_that_works_once() {
    let installation = Installation::new();
    let world = installation.server().await;
    let token = secret_of(world.server.first_owner_link().unwrap()).to_owned();
    let welcome = async |body| Client::nobody().send(&world, "POST /api/auth/welcome", body).await;

    let weak = welcome(json!({ "token": token, "email": "ada@example.org", "password": "short" })).await;
    assert_eq!((weak.status.as_u16(), &*code(&weak)), (400, "LA4105"));
    let no_address = welcome(json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!((no_address.status.as_u16(), &*code(&no_address)), (400, "LA4002"));
    let guessed = welcome(json!({ "token": "lo_guessed", "email": "eve@example.org", "password": PASSWORD })).await;
    assert_eq!((guessed.status.as_u16(), &*code(&guessed)), (410, "LA4107"));

    let ada = Client::first_owner(&world, "Ada@example.org").await;
    let me = ada.expect(&world, "GET /api/auth/me", Json::Null, 200).await;
    assert_eq!((me["email"].as_str(), me["role"].as_str()), (Some("ada@example.org"), Some("owner")));
    let again = welcome(json!({ "token": token, "email": "eve@example.org", "password": PASSWORD })).await;
    assert_eq!((again.status.as_u16(), &*code(&again)), (410, "LA4107"));

    // The next start makes no link, and the environment no owner.
    let admin = Admin::new("eve@example.org", PASSWORD).unwrap();
    let next = installation.server_with(|settings| settings.admin = Some(admin)).await;
    assert_eq!(next.server.first_owner_link(), None);
    let users = ada.expect(&next, "GET /api/users", Json::Null, 200).await;
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_environment_can_name_the_first_owner() {
    let admin = Admin::new("ada@example.org", PASSWORD).unwrap();
    let world = Installation::new().server_with(|settings| settings.admin = Some(admin)).await;
    assert_eq!(world.server.first_owner_link(), None);
    let ada = Client::sign_in(&world, "ADA@example.org", PASSWORD).await;
    let me = ada.expect(&world, "GET /api/auth/me", Json::Null, 200).await;
    assert_eq!(me["role"], "owner");
    assert_eq!(Admin::new("ada@example.org", "short").unwrap_err().code.0, "LA4105");
}

#[tokio::test]
async fn a_user_is_invited_changed_disabled_and_deleted() {
    let installation = Installation::new();
    let world = installation.server().await;
    let ada = Client::first_owner(&world, "ada@example.org").await;
    let (id, bob) = Client::invited(&world, &ada, "bob@example.org", "viewer").await;
    let twice = ada.send(&world, "POST /api/users", json!({ "email": "BOB@example.org", "role": "owner" })).await;
    assert_eq!((twice.status.as_u16(), &*code(&twice)), (409, "LA4109"));

    // A change holds at once on this server.
    bob.expect(&world, "GET /api/users", Json::Null, 403).await;
    let bobs = format!("/api/users/{id}");
    ada.expect(&world, &format!("PATCH {bobs}"), json!({ "role": "owner" }), 200).await;
    bob.expect(&world, "GET /api/users", Json::Null, 200).await;
    ada.expect(&world, &format!("PATCH {bobs}"), json!({ "disabled": true }), 200).await;
    bob.expect(&world, "GET /api/auth/me", Json::Null, 401).await;
    let body = json!({ "email": "bob@example.org", "password": PASSWORD });
    let disabled = Client::nobody().send(&world, "POST /api/auth/sign-in", body).await;
    assert_eq!((disabled.status.as_u16(), &*code(&disabled)), (403, "LA4102"));

    // Whoever has forgotten the password sets another; what was open before ends.
    ada.expect(&world, &format!("PATCH {bobs}"), json!({ "disabled": false }), 200).await;
    let bob = Client::sign_in(&world, "bob@example.org", PASSWORD).await;
    let link = ada.expect(&world, &format!("POST {bobs}/link"), Json::Null, 201).await;
    let body = json!({ "token": secret_of(link["link"].as_str().unwrap()), "password": "another long password" });
    let back = Client::enter(&world, "POST /api/auth/welcome", body).await;
    bob.expect(&world, "GET /api/auth/me", Json::Null, 401).await;
    back.expect(&world, "GET /api/auth/me", Json::Null, 200).await;

    ada.expect(&world, &format!("DELETE {bobs}"), Json::Null, 204).await;
    back.expect(&world, "GET /api/auth/me", Json::Null, 401).await;
    ada.expect(&world, &format!("DELETE {bobs}"), Json::Null, 404).await;
    let me = ada.expect(&world, "GET /api/auth/me", Json::Null, 200).await;
    let own = format!("DELETE /api/users/{}", me["id"].as_str().unwrap());
    let last = ada.send(&world, &own, Json::Null).await;
    assert_eq!((last.status.as_u16(), &*code(&last)), (409, "LA4108"));

    let log = ada.expect(&world, "GET /api/audit?target=bob@example.org", Json::Null, 200).await;
    let log: Vec<(&str, &str)> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["who"].as_str().unwrap(), entry["action"].as_str().unwrap()))
        .collect();
    let (ada, bob) = ("ada@example.org", "bob@example.org");
    assert_eq!(
        log,
        [
            (ada, "users.delete"),
            (bob, "auth.sign-in"),
            (bob, "auth.password"),
            (ada, "users.link"),
            (bob, "auth.sign-in"),
            (ada, "users.change"),
            (ada, "users.change"),
            (ada, "users.change"),
            (bob, "auth.sign-in"),
            (bob, "auth.password"),
            (ada, "users.create"),
        ]
    );
}

#[tokio::test]
async fn changes_of_workflows_are_in_the_audit_log() {
    let world = Installation::new().server().await;
    let ada = Client::first_owner(&world, "ada@example.org").await;
    let (_, bob) = Client::invited(&world, &ada, "bob@example.org", "editor").await;
    let source = "name: hello\nnodes: { done: { type: answer, text: hi } }\n";
    bob.expect(&world, "POST /api/workflows", json!({ "source": source }), 201).await;
    // What changes nothing is no change.
    bob.expect(&world, "POST /api/workflows", json!({ "source": source }), 201).await;
    bob.expect(&world, "PUT /api/workflows/hello/published", json!({ "version": null }), 204).await;
    bob.expect(&world, "PUT /api/workflows/none/published", json!({ "version": null }), 404).await;
    ada.expect(&world, "DELETE /api/workflows/hello", Json::Null, 204).await;
    let log = ada.expect(&world, "GET /api/audit?target=hello", Json::Null, 200).await;
    let log: Vec<(&str, &str)> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["who"].as_str().unwrap(), entry["action"].as_str().unwrap()))
        .collect();
    let (ada, bob) = ("ada@example.org", "bob@example.org");
    assert_eq!(log, [(ada, "workflows.delete"), (bob, "workflows.publish"), (bob, "workflows.add")]);
}

#[tokio::test]
async fn the_audit_log_is_read_in_pages_and_holds_no_secret() {
    let world = Installation::new().server().await;
    let ada = Client::first_owner(&world, "ada@example.org").await;
    let (_, bob) = Client::invited(&world, &ada, "bob@example.org", "viewer").await;
    let typed_in_the_wrong_field = json!({ "email": "my secret password", "password": "ada@example.org" });
    Client::nobody().expect(&world, "POST /api/auth/sign-in", typed_in_the_wrong_field, 401).await;
    let mut entries = Vec::new();
    let mut request = "GET /api/audit?limit=2".to_owned();
    loop {
        let page = ada.expect(&world, &request, Json::Null, 200).await;
        entries.extend(page["entries"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_i64() else { break };
        request = format!("GET /api/audit?limit=2&before={next}");
    }
    assert_eq!(entries.len(), 6, "{entries:#?}");
    assert_eq!(entries[0]["outcome"], "refused");
    let text = Json::from(entries).to_string();
    for secret in ["my secret password", PASSWORD, bob.bearer.as_deref().unwrap(), bob.cookie.as_deref().unwrap()] {
        assert!(!text.contains(secret), "{secret}");
    }
}
