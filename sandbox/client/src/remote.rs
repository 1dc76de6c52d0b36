//! A sandbox elsewhere, by HTTP.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use liteagent_sandbox_protocol::{Class, Failure, Fault, Kind, Language, Limit, Load, Reply, Request, Runner, Success};
use reqwest::{Client, Response, StatusCode, header, redirect};
use serde::Deserialize;
use url::Url;

use crate::work;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How much longer than the code an answer may take: waiting for a place, and the way.
const MARGIN: Duration = Duration::from_mins(1);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_mins(1);
/// Waits before a call is sent again for which no connection could be made: it has not started.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// The largest answer: outputs of 64 MiB, and what is printed sixfold as JSON.
const MOST_ANSWER: usize = 512 << 20;

/// Calls a sandbox that is a service.
///
/// Its address comes from whoever operates the platform, and never from a workflow; it may be private. So it has a client of
/// its own, which goes to that address only: it follows no redirect and asks no proxy.
pub struct Remote {
    run: Url,
    key: String,
    wall: Duration,
    client: OnceLock<Result<Client, String>>,
    in_flight: AtomicUsize,
}

/// Why something is no address of a sandbox.
#[derive(Debug, PartialEq, Eq)]
pub struct EndpointRefused(String);

impl EndpointRefused {
    pub(crate) fn twice(endpoint: &str) -> Self {
        Self(format!("expected each address once, found `{endpoint}` twice"))
    }
}

impl fmt::Display for EndpointRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EndpointRefused {}

impl Remote {
    /// The sandbox at `endpoint`, such as `http://sandbox:8194`, whose key is `key`. A call that asks for no `wall` limit is
    /// given up when it has no answer after `wall`, the default there, and a margin.
    ///
    /// # Errors
    /// When the endpoint is no HTTP address, or the key cannot be sent.
    pub fn new(endpoint: &str, key: &str, wall: Duration) -> Result<Self, EndpointRefused> {
        let wrong = |what: &str| EndpointRefused(format!("expected an address such as `http://sandbox:8194`, {what}"));
        let mut run = Url::parse(endpoint).map_err(|error| wrong(&format!("found `{endpoint}`: {error}")))?;
        if !matches!(run.scheme(), "http" | "https") || run.host().is_none() {
            return Err(wrong(&format!("found `{endpoint}`")));
        }
        if !run.username().is_empty() || run.password().is_some() || run.query().is_some() || run.fragment().is_some() {
            return Err(wrong("found one with a user, a query or a fragment"));
        }
        if key.is_empty() || header::HeaderValue::from_str(key).is_err() {
            return Err(EndpointRefused("expected a key of visible ASCII characters".to_owned()));
        }
        run.set_path(&format!("{}/v1/run", run.path().trim_end_matches('/')));
        Ok(Self { run, key: key.to_owned(), wall, client: OnceLock::new(), in_flight: AtomicUsize::new(0) })
    }

    fn client(&self) -> Result<&Client, Fault> {
        let client = self.client.get_or_init(|| build(self.run.scheme() == "https").map_err(|error| chain(&error)));
        client.as_ref().map_err(|error| {
            Fault::new(Kind::Sandbox, format!("the HTTP client cannot be built: {error}"))
                .hint("install the certificates of the system: `apt-get install ca-certificates`")
        })
    }

    /// Sends a call.
    pub(crate) async fn attempt(&self, call: &Call) -> Result<Reply, Missed> {
        let _going = Going::enter(&self.in_flight);
        let wall = call.wall.unwrap_or(self.wall);
        let mut waits = WAITS.iter();
        let response = loop {
            let request = self
                .client()
                .map_err(Missed::not_started)?
                .post(self.run.clone())
                .header("x-api-key", &self.key)
                .header(header::CONTENT_TYPE, "application/json")
                .timeout(wall.saturating_add(MARGIN))
                .body(call.body.clone());
            match request.send().await {
                Ok(response) => break response,
                Err(error) if error.is_connect() => match waits.next() {
                    Some(wait) => tokio::time::sleep(*wait).await,
                    None => return Err(Missed::not_started(self.unreachable(&error))),
                },
                Err(error) => return Err(self.broken(&error)),
            }
        };
        let status = response.status();
        let body = self.body(response).await?;
        let parsed = work(body.len(), move || parse(status, &body)).await;
        parsed.map_err(|missed| Missed { fault: self.at(*missed.fault).into(), ..missed })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Missed> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.broken(&error))? {
            if body.len() + piece.len() > MOST_ANSWER {
                return Err(Missed::decided(self.at(Fault::new(Kind::Sandbox, "its answer is too large"))));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Fault {
        self.at(Fault::new(Kind::Sandbox, format!("it cannot be reached: {}", chain(error))))
            .hint("start it with `liteagent sandbox`, or change `SANDBOX_ENDPOINT`")
    }

    fn broken(&self, error: &reqwest::Error) -> Missed {
        if error.is_timeout() {
            let fault = Fault::new(Kind::Sandbox, "it did not answer in time");
            return Missed::decided(self.at(Fault { class: Class::Timeout, ..fault }));
        }
        Missed::lost(self.at(Fault::new(Kind::Sandbox, format!("the connection broke: {}", chain(error)))))
    }

    /// Says which sandbox a fault is about.
    fn at(&self, fault: Fault) -> Fault {
        Fault { message: format!("the sandbox at {}: {}", self.origin(), fault.message), ..fault }
    }

    /// Its address without a path.
    pub(crate) fn origin(&self) -> String {
        self.run.origin().ascii_serialization()
    }

    /// Whether both are the same sandbox.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.run == other.run
    }

    /// How many calls were sent from here and have no answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Runner for Remote {
    async fn run(&self, request: Request) -> Reply {
        let sent = async { self.attempt(&Call::of(request).await?).await.map_err(|missed| *missed.fault) };
        sent.await.unwrap_or_else(|fault| Err(Box::new(Failure::before(fault))))
    }

    /// Runs an empty program: a sandbox that does is there, and takes the key.
    async fn ready(&self) -> Result<(), Fault> {
        let request = Request::new(Language::JavaScript, "function main() {}");
        self.run(request).await.map(drop).map_err(|failure| failure.error)
    }

    /// What was sent from here and has no answer; what others send, and what waits there, is not known here.
    async fn load(&self) -> Load {
        Load { running: self.in_flight(), waiting: 0 }
    }

    fn describe(&self) -> String {
        format!("in the sandbox at {}", self.origin())
    }
}

/// A call as it is sent.
pub(crate) struct Call {
    body: Bytes,
    /// The limit that the call asks for.
    wall: Option<Duration>,
}

impl Call {
    /// # Errors
    /// When the request cannot be written.
    pub(crate) async fn of(request: Request) -> Result<Self, Fault> {
        let wall = request.limits.wall_ms.map(Duration::from_millis);
        let size = request.code.len() + request.inputs.get().len();
        let body = work(size, move || serde_json::to_vec(&request)).await;
        let body =
            body.map_err(|error| Fault::new(Kind::Request, format!("the request cannot be written: {error}")))?;
        Ok(Self { body: body.into(), wall })
    }
}

/// Why a call has no reply.
pub(crate) struct Missed {
    pub(crate) fault: Box<Fault>,
    pub(crate) progress: Progress,
}

/// How far a call without a reply has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It has not started.
    NotStarted,
    /// It may have started, and nobody waits for its end any more.
    Lost,
    /// Another sandbox would do no better.
    Decided,
}

impl Missed {
    pub(crate) fn not_started(fault: Fault) -> Self {
        Self { fault: fault.into(), progress: Progress::NotStarted }
    }

    fn lost(fault: Fault) -> Self {
        Self { fault: fault.into(), progress: Progress::Lost }
    }

    fn decided(fault: Fault) -> Self {
        Self { fault: fault.into(), progress: Progress::Decided }
    }
}

/// A call that was sent.
struct Going<'a>(&'a AtomicUsize);

impl<'a> Going<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "the one address that this client knows was set by the operator")]
fn build(encrypted: bool) -> reqwest::Result<Client> {
    // Fails when another part of the process was first, with the same provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .http1_only()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("liteagent/", env!("CARGO_PKG_VERSION")));
    // Without encryption no certificate is looked at, and a machine need not have any.
    if encrypted { client.build() } else { client.tls_certs_only([]).build() }
}

/// What an answer means; what was missed where it is none of the sandbox itself.
fn parse(status: StatusCode, body: &[u8]) -> Result<Reply, Missed> {
    if status == StatusCode::OK {
        let success = serde_json::from_slice::<Success>(body);
        return success
            .map(Ok)
            .map_err(|error| Missed::lost(odd(&format_args!("something that is no reply: {error}"))));
    }
    if let Ok(failure) = serde_json::from_slice::<Failure>(body) {
        return Ok(Err(Box::new(failure)));
    }
    /// What the service says of a request that it cannot serve.
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
        hint: Option<Box<str>>,
        limit: Option<Limit>,
    }
    let problem = serde_json::from_slice::<Problem>(body);
    let detail = |otherwise: &str| problem.as_ref().map_or_else(|_| otherwise.to_owned(), |told| told.detail.clone());
    match status {
        StatusCode::UNAUTHORIZED => {
            let fault = Fault::new(Kind::Sandbox, "it does not take the key");
            let fault = Fault { class: Class::Forbidden, ..fault };
            Err(Missed::not_started(fault.hint("set `SANDBOX_API_KEY` here to the same key as there")))
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Err(Missed::not_started(Fault::new(Kind::Busy, "too many requests").hint("try again later")))
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            let limit = problem.as_ref().ok().and_then(|told| told.limit).unwrap_or(Limit::Input);
            Ok(Err(Box::new(Failure::before(Fault::limit(limit, detail("the request is too large"))))))
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            let hint = "look at `SANDBOX_ENDPOINT`: a sandbox of LiteAgent has `/v1/run`, which others have not";
            Err(Missed::not_started(odd(&format_args!("{status}")).hint(hint)))
        }
        status if status.is_client_error() => {
            let fault = Fault::new(Kind::Request, detail(&format!("it answered {status}")));
            Err(Missed::decided(Fault { hint: problem.ok().and_then(|told| told.hint), ..fault }))
        }
        status => Err(Missed::lost(odd(&format_args!("{status}")))),
    }
}

fn odd(what: &dyn fmt::Display) -> Fault {
    Fault::new(Kind::Sandbox, format!("it answered {what}"))
}

/// An error with its causes: what went wrong stands in the last.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
