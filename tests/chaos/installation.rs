//! Two servers, three workers and two sandboxes over one PostgreSQL and one Redis, on this machine.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use liteagent_backends::{Backends, PostgresOptions, testing::PostgresServer};
use liteagent_queue::testing::RedisServer;
use liteagent_tests::{counting::CountingServer, crash};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use url::Url;

use crate::{http::ask, link::Link};

/// The owner.
const EMAIL: &str = "ada@example.org";
const PASSWORD: &str = "several words that are hard to guess";
/// A process that says nothing for so long counts as dead.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// So long something may take that should happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);
/// The key of the sandboxes.
const SANDBOX_KEY: &str = "the-key-of-these-sandboxes";
/// What the vault of the servers is sealed with, and access tokens are signed with.
const KEY: &str = "Y2hhb3MgY2hhb3MgY2hhb3MgY2hhb3MgY2hhb3M=";

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Worker,
    Sandbox,
}

/// A process of ours, and its ways to the services.
pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) database: Link,
    pub(crate) queue: Link,
    settings: Vec<(&'static str, String)>,
    folder: PathBuf,
    child: Mutex<Option<Child>>,
    /// Held by who does something to it.
    pub(crate) hands_on: tokio::sync::Mutex<()>,
}

/// Everything.
pub(crate) struct Installation {
    pub(crate) members: Vec<Arc<Member>>,
    pub(crate) postgres: PostgresServer,
    pub(crate) redis: Mutex<RedisServer>,
    pub(crate) effects: CountingServer,
    database: Url,
    folder: TempDir,
}

impl Installation {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("chaos-").tempdir_in("/tmp").unwrap();
        let effects = CountingServer::start(Duration::from_millis(4)).await;
        let address = &effects.address;
        let settings = format!("[http]\nallow = [\"{address}\"]\n");
        fs::write(folder.path().join("liteagent.toml"), settings).unwrap();
        let workflows = folder.path().join("workflows");
        fs::create_dir(&workflows).unwrap();
        let definitions = crash::definitions(address).into_iter().chain(crash::definitions_for_many(address));
        for (name, mut definition) in definitions {
            definition["name"] = name.into();
            fs::write(workflows.join(name).with_extension("json"), definition.to_string()).unwrap();
        }
        let postgres = PostgresServer::start();
        let database = postgres.database();
        let redis = RedisServer::start();
        let mut members = Vec::new();
        let sandboxes = [free_port(), free_port()];
        let endpoints = sandboxes.map(|port| format!("http://127.0.0.1:{port}")).join(",");
        for (number, port) in (1..).zip(sandboxes) {
            let name = format!("sandbox-{number}");
            members.push(member(folder.path(), &postgres, &database, &redis, Role::Sandbox, name, port, "").await);
        }
        for number in 1..=2 {
            let name = format!("server-{number}");
            let port = free_port();
            members
                .push(member(folder.path(), &postgres, &database, &redis, Role::Server, name, port, &endpoints).await);
        }
        for number in 1..=3 {
            let name = format!("worker-{number}");
            let port = free_port();
            members
                .push(member(folder.path(), &postgres, &database, &redis, Role::Worker, name, port, &endpoints).await);
        }
        let installation = Self { members, postgres, redis: Mutex::new(redis), effects, database, folder };
        // One after the other: the first sandbox compiles the interpreters, the first server makes the schema.
        for member in &installation.members {
            member.start();
            member.ready().await;
        }
        installation
    }

    /// The members of a role.
    pub(crate) fn of(&self, role: Role) -> Vec<Arc<Member>> {
        self.members.iter().filter(|member| member.role == role).cloned().collect()
    }

    pub(crate) fn redis(&self) -> MutexGuard<'_, RedisServer> {
        self.redis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an owner is known by for a quarter of an hour; `None` when nobody answers.
    pub(crate) async fn sign_in(&self, port: u16) -> Option<String> {
        let body = json!({ "email": EMAIL, "password": PASSWORD });
        let (status, answer) = ask(port, "POST /api/auth/sign-in HTTP/1.1", &body).await?;
        (status == 200).then(|| answer["access_token"].as_str().expect("it is a text").to_owned())
    }

    /// The stores, as somebody who only looks.
    pub(crate) async fn stores(&self) -> Backends {
        let folder = self.folder.path().join(".liteagent");
        liteagent_backends::open_postgres(&self.database, &folder, PostgresOptions::default(), None).await.unwrap()
    }

    /// The last lines of what everybody said.
    pub(crate) fn said(&self) -> String {
        let mut said = String::new();
        for member in &self.members {
            let log = fs::read_to_string(member.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            said.push_str(&format!("---- {}\n", member.name));
            lines.iter().rev().for_each(|line| said.push_str(&format!("{line}\n")));
        }
        said
    }
}

#[expect(clippy::too_many_arguments, reason = "everything that a process is made of, in one place")]
async fn member(
    folder: &Path,
    postgres: &PostgresServer,
    database: &Url,
    redis: &RedisServer,
    role: Role,
    name: String,
    port: u16,
    sandboxes: &str,
) -> Arc<Member> {
    let sockets = folder.join(&name);
    fs::create_dir(&sockets).unwrap();
    let socket = |folder: &Path| folder.join(".s.PGSQL.5432");
    let way = Link::over_sockets(socket(&sockets), socket(postgres.folder()));
    let mut url = database.clone();
    url.query_pairs_mut().clear().append_pair("host", &sockets.display().to_string());
    let (queue, redis_port) = Link::over_tcp(redis.port).await;
    let metrics = free_port().to_string();
    let mut settings = vec![
        ("LITEAGENT_LEASE", format!("{}s", LEASE.as_secs())),
        ("LITEAGENT_MIN_FREE", "0B".to_owned()),
        ("LITEAGENT_LOG_LEVEL", "warn".to_owned()),
        ("OLLAMA_HOST", "127.0.0.1:9".to_owned()),
        ("SANDBOX_API_KEY", SANDBOX_KEY.to_owned()),
    ];
    match role {
        Role::Sandbox => {
            settings.extend([("SANDBOX_PORT", port.to_string()), ("SANDBOX_METRICS_PORT", metrics.clone())]);
        }
        Role::Server | Role::Worker => settings.extend([
            ("DATABASE_URL", url.to_string()),
            ("REDIS_URL", format!("redis://127.0.0.1:{redis_port}")),
            ("SANDBOX_ENDPOINT", sandboxes.to_owned()),
            ("SECRET_KEY", KEY.to_owned()),
            ("JWT_SECRET", KEY.to_owned()),
        ]),
    }
    match role {
        Role::Server => settings.extend([
            ("API_PORT", port.to_string()),
            ("API_METRICS_PORT", metrics),
            ("LITEAGENT_ADMIN_EMAIL", EMAIL.to_owned()),
            ("LITEAGENT_ADMIN_PASSWORD", PASSWORD.to_owned()),
        ]),
        Role::Worker => settings.push(("WORKER_PORT", port.to_string())),
        Role::Sandbox => {}
    }
    Arc::new(Member {
        role,
        name,
        port,
        database: way,
        queue,
        settings,
        folder: folder.to_owned(),
        child: Mutex::default(),
        hands_on: tokio::sync::Mutex::default(),
    })
}

impl Member {
    fn log(&self) -> PathBuf {
        self.folder.join(&self.name).with_extension("log")
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process.
    pub(crate) fn start(&self) {
        let arguments: &[&str] = match self.role {
            Role::Server => &["server", "--definitions", "workflows"],
            Role::Worker => &["worker", "--concurrency", "16"],
            Role::Sandbox => &["sandbox"],
        };
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_liteagent"));
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
            .env_clear()
            .env("HOME", &self.folder)
            .env("LITEAGENT_CACHE", cache())
            .env("LITEAGENT_DATA", ".liteagent");
        command.envs(self.settings.iter().map(|(name, value)| (*name, value)));
        *self.child() = Some(command.kill_on_drop(true).spawn().unwrap());
    }

    /// Starts it again when it ended by itself, as every system does that runs servers: one whose database cannot be reached
    /// when it starts gives up.
    pub(crate) fn start_if_ended(&self) {
        let ended = self.child().as_mut().and_then(|child| child.try_wait().unwrap());
        if let Some(status) = ended {
            let log = fs::read_to_string(self.log()).unwrap();
            let lines: Vec<&str> = log.lines().rev().take(3).collect();
            println!("{} ended with {status}: {}", self.name, lines.into_iter().rev().collect::<Vec<_>>().join(" / "));
            self.start();
        }
    }

    /// Returns when it answers.
    pub(crate) async fn ready(&self) {
        let path = if self.role == Role::Sandbox { "/health" } else { "/health/live" };
        let head = format!("GET {path} HTTP/1.1\r\nX-Api-Key: {SANDBOX_KEY}");
        let answers = async {
            while ask(self.port, &head, &Json::Null).await.is_none_or(|(status, _)| status != 200) {
                self.start_if_ended();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, answers).await.is_ok(), "{} does not answer", self.name);
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, signal: &str) {
        self.start_if_ended();
        let id = self.child().as_ref().and_then(Child::id).expect("it is started").to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    }

    /// Returns when the process has ended.
    pub(crate) async fn ended(&self) {
        let child = self.child().take();
        child.expect("it was started").wait().await.unwrap();
    }
}

/// A port that processes can be started on again and again: the system gives none of these to others.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The folder where `cargo xtask guests` puts the interpreters of the sandbox.
#[expect(clippy::disallowed_methods, reason = "tests look where make puts the guests")]
fn cache() -> PathBuf {
    let guests = liteagent_sandbox::Config::of_cache(|name| std::env::var(name).ok()).guests;
    guests.parent().unwrap().to_owned()
}
