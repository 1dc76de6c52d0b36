//! A client of MCP servers: over streamable HTTP, through our one outgoing client, or of programs that are started.
//!
//! * [`McpServers`] holds the servers that the configuration names, a session with each, and what each offers;
//! * `wire.rs` is one exchange over HTTP: a JSON-RPC message, and its answer as JSON or as a stream of events;
//! * `program.rs` is a program, and exchanges with it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use liteagent_engine::{
    capability::{
        Destination, Http, Secrets, how_to_set,
        mcp::{Mcp, McpContent, McpReply, McpTool},
    },
    codes,
    error::{ErrorClass, NodeError},
    suggest,
    time::Clock,
    units::{Duration, Millis},
    value::Value,
};
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;
use url::Url;

pub use self::program::McpProgram;
use self::{
    program::Running,
    wire::{Exchange, exchange},
};

mod program;
mod wire;

/// The version of the protocol that is asked for; an older server answers with its own.
const VERSION: &str = "2025-06-18";
/// How long the list of tools of a server is believed.
const FRESH: Millis = 60_000;
/// More pages of tools than this are not read.
const MOST_PAGES: usize = 100;

/// A server, as the configuration has it.
#[derive(Clone, Debug)]
pub struct McpServer {
    /// How it is reached.
    pub reach: Reach,
    /// How long a request may take.
    pub timeout: Duration,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// By HTTP.
    Http {
        /// Where it is.
        url: Url,
        /// Headers that it is sent, each with the name of the secret that is its value.
        headers: Vec<(String, HeaderSecret)>,
    },
    /// It is a program of this machine.
    Program(McpProgram),
}

/// A header whose value is a secret.
#[derive(Clone, Debug)]
pub struct HeaderSecret {
    /// What stands before the secret, such as `Bearer `.
    pub before: &'static str,
    /// Its name.
    pub secret: String,
}

/// MCP servers by name.
pub struct McpServers {
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    secrets: Arc<Secrets>,
    servers: BTreeMap<String, (McpServer, Mutex<Session>)>,
}

/// What is known of a server while it knows us.
#[derive(Debug, Default)]
struct Session {
    /// What it calls the session; some servers keep none.
    id: Option<String>,
    /// The version that it speaks; `None` before it was greeted.
    version: Option<String>,
    tools: Option<(Millis, Vec<McpTool>)>,
    /// Counts requests.
    next: u64,
    /// Its program, while it runs.
    running: Option<Arc<Running>>,
}

impl McpServers {
    /// These servers, asked through a client that may reach them.
    pub fn new(
        servers: impl IntoIterator<Item = (String, McpServer)>,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        secrets: Arc<Secrets>,
    ) -> Self {
        let servers = servers.into_iter().map(|(name, server)| (name, (server, Mutex::default()))).collect();
        Self { http, clock, secrets, servers }
    }

    fn server(&self, name: &str) -> Result<&(McpServer, Mutex<Session>), NodeError> {
        self.servers.get(name).ok_or_else(|| {
            let message = format!("no MCP server is called `{name}`");
            let known = self.servers.keys().map(String::as_str);
            let hint = suggest::hint(name, known);
            let add = || format!("add `[mcp.{name}]` with its `url` or `command` to `liteagent.toml`");
            NodeError::new(codes::MCP_UNKNOWN, ErrorClass::NotFound, message).hint(hint.unwrap_or_else(add))
        })
    }

    /// Sends a request in the session with a server, which is opened first where there is none, and opened again where the
    /// server has forgotten it.
    async fn ask(&self, name: &str, server: &McpServer, session: &mut Session, method: &str, params: Json) -> Answer {
        for again in [true, false] {
            if session.version.is_none() {
                self.greet(name, server, session).await?;
            }
            match self.send(name, server, session, method, Some(params.clone())).await? {
                Exchange::Result(result) => return Ok(result),
                Exchange::SessionLost if again => *session = Session { next: session.next, ..Session::default() },
                Exchange::SessionLost => {}
                Exchange::Refused { code, message } => return Err(refused(name, method, code, &message)),
            }
        }
        Err(protocol(name, "it forgets every session at once"))
    }

    async fn greet(&self, name: &str, server: &McpServer, session: &mut Session) -> Result<(), NodeError> {
        let params = json!({
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": { "name": "liteagent", "version": env!("CARGO_PKG_VERSION") },
        });
        let result = match self.send(name, server, session, "initialize", Some(params)).await? {
            Exchange::Result(result) => result,
            Exchange::Refused { code, message } => return Err(refused(name, "initialize", code, &message)),
            Exchange::SessionLost => {
                return Err(protocol(
                    name,
                    match server.reach {
                        Reach::Http { .. } => "it answers 404",
                        Reach::Program(_) => "its program ends at once",
                    },
                ));
            }
        };
        let version = result.get("protocolVersion").and_then(Json::as_str);
        session.version = Some(version.ok_or_else(|| protocol(name, "its greeting names no version"))?.to_owned());
        self.send(name, server, session, "notifications/initialized", None).await?;
        Ok(())
    }

    /// One message. Without parameters it is a notification, which has no answer.
    async fn send(
        &self,
        name: &str,
        server: &McpServer,
        session: &mut Session,
        method: &str,
        params: Option<Json>,
    ) -> Result<Exchange, NodeError> {
        let mut message = json!({ "jsonrpc": "2.0", "method": method });
        let mut id = None;
        if let Some(params) = params {
            session.next += 1;
            id = Some(session.next);
            message["id"] = session.next.into();
            message["params"] = params;
        }
        match &server.reach {
            Reach::Http { url, headers } => {
                let headers = self.headers(name, url, headers, session)?;
                let sent = exchange(&*self.http, name, url, server.timeout, headers, &message, id).await?;
                if let Some(given) = sent.session {
                    session.id = Some(given);
                }
                Ok(sent.exchange)
            }
            Reach::Program(program) => {
                let running = match &session.running {
                    Some(running) => Arc::clone(running),
                    None => self.start(name, program)?,
                };
                session.running = Some(Arc::clone(&running));
                running.exchange(name, &message, id, server.timeout).await
            }
        }
    }

    fn headers(
        &self,
        name: &str,
        url: &Url,
        secrets: &[(String, HeaderSecret)],
        session: &Session,
    ) -> Result<Vec<(String, String)>, NodeError> {
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), "application/json, text/event-stream".to_owned()),
        ];
        headers.extend(session.version.iter().map(|version| ("mcp-protocol-version".to_owned(), version.clone())));
        headers.extend(session.id.iter().map(|id| ("mcp-session-id".to_owned(), id.clone())));
        let to = Destination {
            scheme: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
            is_fixed: true,
        };
        for (header, value) in secrets {
            let secret = self.secret(name, &value.secret, Some(&to))?;
            headers.push((header.clone(), format!("{}{secret}", value.before)));
        }
        Ok(headers)
    }

    fn start(&self, name: &str, program: &McpProgram) -> Result<Arc<Running>, NodeError> {
        let secret = |(variable, secret): &'_ (String, String)| {
            Ok((variable.clone(), self.secret(name, secret, None)?.to_string()))
        };
        let secrets = program.secrets.iter().map(secret).collect::<Result<Vec<_>, NodeError>>()?;
        Running::start(name, program, secrets).map(Arc::new)
    }

    /// A secret, if its owner lets it go there; without a destination, to a program.
    fn secret(&self, name: &str, secret: &str, to: Option<&Destination>) -> Result<Arc<str>, NodeError> {
        let hosts = self.secrets.rules(secret).hosts;
        if hosts.is_some_and(|hosts| !to.is_some_and(|to| hosts.iter().any(|host| host.fits(to)))) {
            let to = to.map_or_else(|| "its program".to_owned(), |to| format!("`{to}`"));
            let message = format!("the secret `{secret}` of the MCP server `{name}` may not be given to {to}");
            return Err(NodeError::new(codes::SECRET_HOST, ErrorClass::Forbidden, message)
                .hint("if that is right, let an owner change the `hosts` of the secret"));
        }
        if !self.secrets.has(secret) {
            let message = format!("the MCP server `{name}` needs the secret `{secret}`, which is missing");
            return Err(
                NodeError::new(codes::SECRET_MISSING, ErrorClass::Unauthenticated, message).hint(how_to_set(secret))
            );
        }
        self.secrets.read(secret)
    }
}

type Answer = Result<Json, NodeError>;

#[async_trait]
impl Mcp for McpServers {
    async fn tools(&self, name: &str) -> Result<Vec<McpTool>, NodeError> {
        let (server, session) = self.server(name)?;
        let mut session = session.lock().await;
        let now = self.clock.now();
        if let Some((at, tools)) = session.tools.as_ref().filter(|(at, _)| now - at < FRESH) {
            debug_assert!(*at <= now, "the clock goes forward");
            return Ok(tools.clone());
        }
        let mut tools = Vec::new();
        let mut cursor = Json::Null;
        for _ in 0..MOST_PAGES {
            let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
            let page = self.ask(name, server, &mut session, "tools/list", params).await?;
            let listed = page.get("tools").and_then(Json::as_array);
            let listed = listed.ok_or_else(|| protocol(name, "its list of tools is no list"))?;
            tools.extend(listed.iter().filter_map(tool));
            cursor = page.get("nextCursor").cloned().unwrap_or_default();
            if cursor.is_null() {
                break;
            }
        }
        session.tools = Some((now, tools.clone()));
        Ok(tools)
    }

    async fn call(&self, name: &str, tool: &str, arguments: Value, key: &str) -> Result<McpReply, NodeError> {
        let (server, session) = self.server(name)?;
        let params = json!({
            "name": tool,
            "arguments": arguments.to_json(),
            "_meta": { "liteagent/idempotency-key": key },
        });
        // The session is not held while a tool works: calls of one server run at once.
        let mut own = {
            let mut session = session.lock().await;
            if session.version.is_none() {
                self.greet(name, server, &mut session).await?;
            }
            session.next += 1 << 20;
            Session {
                tools: None,
                running: session.running.clone(),
                id: session.id.clone(),
                version: session.version.clone(),
                next: session.next,
            }
        };
        let before = (own.id.clone(), own.running.clone());
        let result = self.ask(name, server, &mut own, "tools/call", params).await?;
        let is_same = match (&own.running, &before.1) {
            (Some(own), Some(before)) => Arc::ptr_eq(own, before),
            (own, before) => own.is_none() == before.is_none(),
        };
        if own.id != before.0 || !is_same {
            let mut session = session.lock().await;
            *session = Session { tools: session.tools.take(), ..own };
        }
        Ok(reply(&result))
    }
}

fn tool(listed: &Json) -> Option<McpTool> {
    let parameters = listed.get("inputSchema").cloned().unwrap_or_else(|| json!({ "type": "object" }));
    Some(McpTool {
        name: listed.get("name")?.as_str()?.to_owned(),
        description: listed.get("description").and_then(Json::as_str).unwrap_or_default().to_owned(),
        parameters: parameters.into(),
    })
}

fn reply(result: &Json) -> McpReply {
    let part = |part: &Json| {
        let text = |key: &str| part.get(key).and_then(Json::as_str);
        match (text("type"), text("text"), part.pointer("/resource/text").and_then(Json::as_str)) {
            (Some("text"), Some(text), _) | (Some("resource"), _, Some(text)) => McpContent::Text(text.to_owned()),
            (kind, ..) => McpContent::Other(kind.unwrap_or("something").to_owned()),
        }
    };
    McpReply {
        content: result.get("content").and_then(Json::as_array).into_iter().flatten().map(part).collect(),
        data: result.get("structuredContent").cloned().unwrap_or_default().into(),
        failed: result.get("isError") == Some(&Json::Bool(true)),
    }
}

/// The server understood, and says no.
fn refused(name: &str, method: &str, code: i64, message: &str) -> NodeError {
    let message = format!("the MCP server `{name}` refused `{method}` with {code}: {message}");
    NodeError::new(codes::TOOL_ANSWER, ErrorClass::Invalid, message)
}

fn protocol(name: &str, why: &str) -> NodeError {
    let message = format!("the MCP server `{name}` does not speak the protocol: {why}");
    NodeError::new(codes::MCP_PROTOCOL, ErrorClass::Unavailable, message)
        .hint(format!("check `[mcp.{name}]` in `liteagent.toml`: a `url` must speak MCP over streamable HTTP, a `command` on its standard input and output"))
}
