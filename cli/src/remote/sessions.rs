//! What `login` keeps: for each server a session or a key, in a file that only its owner can read.
//!
//! A refresh token is good once, and one that comes a second time ends its session. So whoever goes on with a session holds a
//! lock from reading the token to writing the next one.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use liteagent_engine::codes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Address,
    api::Me,
    client::{Answer, Client},
};
use crate::{config::setting, failure::Failure, kept};

/// The cookie that carries the refresh token.
const COOKIE: &str = "__Host-liteagent-refresh";

/// What is kept of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Held {
    /// A user signed in.
    Session {
        /// Good for a quarter of an hour.
        access: String,
        /// Good once.
        refresh: String,
    },
    /// A key.
    Key {
        /// The key.
        key: String,
    },
}

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Where somebody signed in last.
    last: Option<String>,
    servers: BTreeMap<String, Held>,
}

/// The file, changed by nobody else while this is there.
struct Locked {
    kept: Kept,
    _lock: File,
}

/// The server where somebody signed in last.
pub(super) fn last() -> Result<Option<Address>, Failure> {
    read()?.last.map(|text| Address::parse(&text)).transpose()
}

/// What is kept of a server.
pub(super) fn held(server: &Address) -> Result<Option<Held>, Failure> {
    Ok(read()?.servers.remove(&server.to_string()))
}

/// Signs a user in, and keeps the session.
pub(crate) async fn sign_in(server: &Address, email: &str, password: &str) -> Result<Me, Failure> {
    let client = Client::as_nobody(server.clone())?;
    let body = json!({ "email": email, "password": password });
    let answer = client.plain("POST", "/api/auth/sign-in", Vec::new(), &body).await?;
    let (token, refresh) = signed_in(&client, &answer)?;
    let mut locked = Locked::take().await?;
    locked.keep(server, Held::Session { access: token.access_token, refresh });
    locked.write()?;
    Ok(token.user)
}

/// Keeps a key, once the server has said whose it is.
pub(crate) async fn keep_key(server: &Address, key: String) -> Result<Me, Failure> {
    let me = Client::with_key(server.clone(), key.clone())?.get("/api/auth/me").await?;
    let mut locked = Locked::take().await?;
    locked.keep(server, Held::Key { key });
    locked.write()?;
    Ok(me)
}

/// Ends the session, and forgets what is kept; `false` when nothing is.
pub(crate) async fn forget(server: &Address) -> Result<bool, Failure> {
    let mut locked = Locked::take().await?;
    let Some(held) = locked.kept.servers.remove(&server.to_string()) else { return Ok(false) };
    if locked.kept.last.as_deref() == Some(&server.to_string()) {
        locked.kept.last = None;
    }
    // Forgotten first: whatever becomes of the server, this machine has it no more.
    locked.write()?;
    if let Held::Session { refresh, .. } = held {
        let client = Client::as_nobody(server.clone())?;
        client.plain("POST", "/api/auth/sign-out", cookie(&refresh), &json!({})).await?;
    }
    Ok(true)
}

/// The next access token of a session whose last one was too old.
pub(super) async fn refresh(client: &Client, old: &str) -> Result<String, Failure> {
    let server = client.address().to_string();
    let mut locked = Locked::take().await?;
    let ended = || {
        Failure::usage(codes::NOT_LOGGED_IN, format!("the session at {server} has ended"))
            .hint(format!("`liteagent login --server {server}`"))
    };
    let Some(Held::Session { access, refresh }) = locked.kept.servers.get(&server).cloned() else {
        return Err(ended());
    };
    // Another process went on with the session meanwhile.
    if access != old {
        return Ok(access);
    }
    let answer = match client.plain("POST", "/api/auth/refresh", cookie(&refresh), &json!({})).await {
        Ok(answer) => answer,
        Err(failure) if failure.code == Some(codes::NOT_LOGGED_IN) => {
            locked.kept.servers.remove(&server);
            locked.write()?;
            return Err(ended());
        }
        Err(failure) => return Err(failure),
    };
    let (token, refresh) = signed_in(client, &answer)?;
    let access = token.access_token.clone();
    locked.kept.servers.insert(server, Held::Session { access: token.access_token, refresh });
    locked.write()?;
    Ok(access)
}

/// What a server says to whom it lets in.
#[derive(Deserialize)]
struct Token {
    access_token: String,
    user: Me,
}

fn signed_in(client: &Client, answer: &Answer) -> Result<(Token, String), Failure> {
    let broken = |why: &str| super::problem::not_ours(client.address(), why);
    let token = serde_json::from_slice(&answer.body).map_err(|error| broken(&error.to_string()))?;
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    let refresh = cookies.filter_map(|(_, value)| value.split(';').next()?.trim().split_once('='));
    let refresh = refresh.filter(|(name, _)| *name == COOKIE).map(|(_, token)| token.to_owned()).next();
    Ok((token, refresh.ok_or_else(|| broken("it gave no refresh token"))?))
}

fn cookie(refresh: &str) -> Vec<(String, String)> {
    vec![("cookie".to_owned(), format!("{COOKIE}={refresh}"))]
}

impl Locked {
    /// Waits until nobody else changes the file.
    async fn take() -> Result<Self, Failure> {
        let path = folder()?.join("servers.lock");
        let locked = tokio::task::spawn_blocking(move || {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
            file.lock().map(|()| file)
        });
        let lock = locked
            .await
            .map_err(|error| unusable(&error.to_string()))?
            .map_err(|error: io::Error| unusable(&error.to_string()))?;
        Ok(Self { kept: read()?, _lock: lock })
    }

    fn keep(&mut self, server: &Address, held: Held) {
        self.kept.last = Some(server.to_string());
        self.kept.servers.insert(server.to_string(), held);
    }

    fn write(&self) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(&self.kept).map_err(|error| unusable(&error.to_string()))?;
        kept::write(&file()?, &text).map_err(|error| unusable(&error.to_string()))
    }
}

fn read() -> Result<Kept, Failure> {
    let text = kept::read(&file()?).map_err(|error| unusable(&error.to_string()))?;
    text.map_or_else(
        || Ok(Kept::default()),
        |text| serde_json::from_str(&text).map_err(|error| unusable(&error.to_string())),
    )
}

fn file() -> Result<PathBuf, Failure> {
    Ok(folder()?.join("servers.json"))
}

/// The folder of the user's settings.
fn folder() -> Result<PathBuf, Failure> {
    let base = setting("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(setting("HOME")?).join(".config")));
    base.map(|base| base.join("liteagent")).ok_or_else(|| {
        Failure::usage(codes::SESSION_FILE, "expected `HOME` or `XDG_CONFIG_HOME` in the environment, found neither")
            .hint("set one of them, or sign in by `LITEAGENT_API_KEY` alone")
    })
}

fn unusable(why: &str) -> Failure {
    let file = file().map_or_else(|_| "servers.json".to_owned(), |file| file.display().to_string());
    Failure::usage(codes::SESSION_FILE, format!("the sessions in `{file}` cannot be used: {why}"))
        .hint("let it be yours alone (`chmod 600`), or delete it and sign in again")
}
