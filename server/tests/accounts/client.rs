//! Someone who calls a server.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, header},
};
use liteagent_engine::{testing::VirtualClock, time::Clock};
use liteagent_server::{JwtSecret, Settings};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::common::{KEY, Reply, World};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// What several servers of one installation share.
pub(crate) struct Installation {
    pub(crate) clock: Arc<VirtualClock>,
    folder: Arc<TempDir>,
    secret: JwtSecret,
}

impl Installation {
    pub(crate) fn new() -> Self {
        Self {
            clock: Arc::new(VirtualClock::default()),
            folder: Arc::new(tempfile::tempdir().unwrap()),
            secret: JwtSecret::random(),
        }
    }

    pub(crate) async fn server(&self) -> World {
        self.server_with(|_| ()).await
    }

    pub(crate) async fn server_with(&self, change: impl FnOnce(&mut Settings)) -> World {
        let mut settings =
            Settings { dev_key: Some(KEY.to_owned()), jwt_secret: self.secret.clone(), ..Settings::default() };
        change(&mut settings);
        World::with(self.folder.clone(), self.clock.clone() as Arc<dyn Clock>, settings, Vec::new()).await
    }
}

/// What is sent with a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// A token or a key.
    pub(crate) bearer: Option<String>,
    /// The value of the refresh cookie.
    pub(crate) cookie: Option<String>,
    /// More headers.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Client {
    /// Who sends nothing that says who it is.
    pub(crate) fn nobody() -> Self {
        Self::default()
    }

    /// Who has the development key.
    pub(crate) fn developer() -> Self {
        Self::with(KEY)
    }

    pub(crate) fn with(bearer: &str) -> Self {
        Self { bearer: Some(bearer.to_owned()), ..Self::default() }
    }

    /// Sends `GET /api/users`, with a body unless it is null.
    pub(crate) async fn send(&self, world: &World, request: &str, body: Json) -> Reply {
        let (method, path) = request.split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(path);
        if let Some(bearer) = &self.bearer {
            builder = builder.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        if let Some(cookie) = &self.cookie {
            builder = builder.header(header::COOKIE, format!("theme=dark; __Host-liteagent-refresh={cookie}"));
        }
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        };
        world.ask(builder.body(body).unwrap()).await
    }

    /// The same where it must be answered so.
    pub(crate) async fn expect(&self, world: &World, request: &str, body: Json, status: u16) -> Json {
        let reply = self.send(world, request, body).await;
        assert_eq!(reply.status.as_u16(), status, "{request}: {}", reply.body);
        if reply.body.is_empty() { Json::Null } else { serde_json::from_str(&reply.body).unwrap() }
    }

    /// Sends what lets someone in, and keeps what is answered.
    pub(crate) async fn enter(world: &World, request: &str, body: Json) -> Self {
        let reply = Self::nobody().send(world, request, body).await;
        Self::entered(&reply)
    }

    /// What a reply gives that lets someone in.
    pub(crate) fn entered(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.body);
        let json: Json = serde_json::from_str(&reply.body).unwrap();
        let token = json["access_token"].as_str().unwrap();
        Self { cookie: Some(cookie(reply)), ..Self::with(token) }
    }

    pub(crate) async fn sign_in(world: &World, email: &str, password: &str) -> Self {
        Self::enter(world, "POST /api/auth/sign-in", json!({ "email": email, "password": password })).await
    }

    /// A user that an owner invites, and who has come.
    pub(crate) async fn invited(world: &World, owner: &Self, email: &str, role: &str) -> (String, Self) {
        let invited = owner.expect(world, "POST /api/users", json!({ "email": email, "role": role }), 201).await;
        let token = secret_of(invited["link"].as_str().unwrap());
        let client =
            Self::enter(world, "POST /api/auth/welcome", json!({ "token": token, "password": PASSWORD })).await;
        (invited["id"].as_str().unwrap().to_owned(), client)
    }

    /// The first owner, who comes by the link.
    pub(crate) async fn first_owner(world: &World, email: &str) -> Self {
        let token = secret_of(world.server.first_owner_link().unwrap());
        let body = json!({ "token": token, "email": email, "password": PASSWORD });
        Self::enter(world, "POST /api/auth/welcome", body).await
    }

    /// Makes an API key, and gives its id with whoever has it.
    pub(crate) async fn key(&self, world: &World, body: Json) -> (String, Self) {
        let made = self.expect(world, "POST /api/keys", body, 201).await;
        (made["id"].as_str().unwrap().to_owned(), Self::with(made["key"].as_str().unwrap()))
    }
}

/// The secret of a link.
pub(crate) fn secret_of(link: &str) -> &str {
    link.strip_prefix("/welcome#token=").unwrap()
}

/// The value of the refresh cookie that a reply sets.
pub(crate) fn cookie(reply: &Reply) -> String {
    let set = reply.headers[header::SET_COOKIE].to_str().unwrap();
    let value = set.strip_prefix("__Host-liteagent-refresh=").unwrap();
    value.split(';').next().unwrap().to_owned()
}

/// The code of a problem.
pub(crate) fn code(reply: &Reply) -> String {
    let json: Json = serde_json::from_str(&reply.body).unwrap_or_default();
    json["code"].as_str().unwrap_or_default().to_owned()
}

/// Adds a workflow that answers at once.
pub(crate) async fn add_workflow(world: &World, name: &str, text: &str) {
    let source = format!("name: {name}\ndescription: {text}\nnodes: {{ done: {{ type: answer, text: {text} }} }}\n");
    Client::developer().expect(world, "POST /api/workflows", json!({ "source": source }), 201).await;
}
