//! The one outgoing HTTP client: it connects only to addresses that it has checked.
//!
//! Every name is resolved here and every address of it checked before a connection is made to one of them; so is every
//! redirect. Proxy variables are ignored.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration as StdDuration,
};

use async_trait::async_trait;
use futures::StreamExt;
use liteagent_engine::{
    capability::{FormPart, Http, HttpBody, HttpCall, HttpReply, Watcher},
    codes,
    error::{ErrorClass, NodeError},
    time::{Clock, SystemClock},
};
use reqwest::{
    Client, RequestBuilder, Response,
    multipart::{Form, Part},
    redirect,
};
use tokio::time::Instant;
use url::Host;

pub(crate) use self::hop::{is_harmless, keep_harmless, read_url, same_origin};
pub use self::policy::EgressPolicy;
use self::{
    failure::{classify, refused_address, retry_after},
    hop::Hop,
    resolver::GuardedResolver,
};

mod address;
mod failure;
mod hop;
mod policy;
mod resolver;

const CONNECT: StdDuration = StdDuration::from_secs(10);
/// How long a connection may be silent.
const SILENCE: StdDuration = StdDuration::from_mins(5);

/// The outgoing HTTP client. Connections are kept and used again; a clone shares them.
#[derive(Clone)]
pub struct Egress {
    policy: Arc<EgressPolicy>,
    silence: Option<StdDuration>,
    clients: Arc<OnceLock<Result<Clients, String>>>,
    clock: Arc<dyn Clock>,
    /// Who is told of addresses that are refused, and what the requests are for.
    watcher: Option<(Arc<dyn Watcher>, &'static str)>,
}

/// Two pools, so that a host which the policy allows by name and port never lends its right to another port.
struct Clients {
    checked: Client,
    named: Client,
}

impl Egress {
    /// A client under a policy. Nothing is opened before the first request.
    pub fn new(policy: EgressPolicy) -> Self {
        Self {
            policy: Arc::new(policy),
            silence: Some(SILENCE),
            clients: Arc::default(),
            clock: Arc::new(SystemClock),
            watcher: None,
        }
    }

    /// The same; `watcher` is told of addresses that are refused. `purpose` is what the requests are for: `http`, `models`.
    #[must_use]
    pub fn watched(self, watcher: Arc<dyn Watcher>, purpose: &'static str) -> Self {
        Self { watcher: Some((watcher, purpose)), ..self }
    }

    /// The same for callers that have their own limit for silence: models think for longer than other servers.
    #[must_use]
    pub fn without_limit_of_silence(self) -> Self {
        Self { silence: None, clients: Arc::default(), ..self }
    }

    fn client(&self, named: bool) -> Result<&Client, NodeError> {
        let clients = self.clients.get_or_init(|| {
            // Fails when another part of the process was first, with the same provider.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let build = |named| build(&self.policy, named, self.silence).map_err(|error| format!("{error:?}"));
            Ok(Clients { checked: build(false)?, named: build(true)? })
        });
        match clients {
            Ok(clients) => Ok(if named { &clients.named } else { &clients.checked }),
            Err(error) => {
                let message = format!("the HTTP client cannot be built: {error}");
                Err(NodeError::new(codes::HTTP_UNREACHABLE, ErrorClass::Unavailable, message)
                    .hint("install the certificates of the system: `apt-get install ca-certificates`"))
            }
        }
    }

    /// Checks the host of a hop as far as the URL tells, and says whether the policy allows it by name.
    fn admit(&self, hop: &Hop) -> Result<bool, NodeError> {
        let no_host = || NodeError::new(codes::HTTP_URL, ErrorClass::Invalid, "expected a URL with a host");
        let port = hop.url.port_or_known_default().ok_or_else(no_host)?;
        let host = hop.url.host().ok_or_else(no_host)?;
        let named = self.policy.names(&host.to_string(), port);
        let literal: IpAddr = match host {
            Host::Domain(_) => return Ok(named),
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
        };
        self.policy
            .check(&host.to_string(), literal, named)
            .map_err(|refused| refused_address(&refused, Some(port)))?;
        Ok(named)
    }

    async fn exchange(&self, hop: &Hop, until: Option<Instant>) -> Result<Response, NodeError> {
        let result = self.try_exchange(hop, until).await;
        if let (Some((watcher, purpose)), Err(error)) = (&self.watcher, &result)
            && error.code == codes::HTTP_ADDRESS_REFUSED
        {
            watcher.address_refused(purpose);
        }
        result
    }

    async fn try_exchange(&self, hop: &Hop, until: Option<Instant>) -> Result<Response, NodeError> {
        let named = self.admit(hop)?;
        let request = request(self.client(named)?, hop, until)?;
        request.send().await.map_err(|error| classify(&hop.shown(), hop.url.port_or_known_default(), &error))
    }

    fn reply(&self, hop: &Hop, response: Response) -> HttpReply {
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let wait = headers.iter().find(|(name, _)| name == "retry-after");
        let retry_after = wait.and_then(|(_, value)| retry_after(value, self.clock.now()));
        let (shown, port) = (hop.shown(), hop.url.port_or_known_default());
        HttpReply {
            status: response.status().as_u16(),
            url: hop.url.to_string(),
            retry_after,
            headers,
            body: response
                .bytes_stream()
                .map(move |piece| piece.map_err(|error| classify(&shown, port, &error)))
                .boxed(),
        }
    }
}

#[async_trait]
impl Http for Egress {
    async fn send(&self, call: HttpCall) -> Result<HttpReply, NodeError> {
        let until = call.timeout.map(|timeout| Instant::now() + timeout.0);
        let limit = call.redirects;
        let mut hop = Hop::first(call)?;
        for followed in 0.. {
            let response = self.exchange(&hop, until).await?;
            let Some(location) = location(&response).filter(|_| limit > 0) else {
                return Ok(self.reply(&hop, response));
            };
            if followed == limit {
                let message = format!("{} was redirected more than {limit} times", hop.shown());
                return Err(NodeError::new(codes::HTTP_REDIRECTS, ErrorClass::Invalid, message)
                    .hint("ask for the last address at once, or raise `redirects`"));
            }
            hop = hop.redirected(response.status().as_u16(), &location)?;
        }
        Err(NodeError::internal("the loop over redirects ended"))
    }
}

fn location(response: &Response) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let value = response.headers().get("location")?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[expect(clippy::disallowed_methods, reason = "this is the one outgoing client")]
fn build(policy: &Arc<EgressPolicy>, named: bool, silence: Option<StdDuration>) -> reqwest::Result<Client> {
    let client = Client::builder()
        .user_agent(concat!("liteagent/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(GuardedResolver { policy: policy.clone(), named }))
        .connect_timeout(CONNECT)
        .referer(false);
    match silence {
        Some(silence) => client.read_timeout(silence).build(),
        None => client.build(),
    }
}

fn request(client: &Client, hop: &Hop, until: Option<Instant>) -> Result<RequestBuilder, NodeError> {
    let wrong = |message: String| NodeError::new(codes::HTTP_REQUEST, ErrorClass::Invalid, message);
    let method = reqwest::Method::from_bytes(hop.method.as_bytes())
        .map_err(|_| wrong(format!("expected an HTTP method, found `{}`", hop.method)))?;
    let mut request = client.request(method, hop.url.clone());
    for (name, value) in &hop.headers {
        let name = reqwest::header::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong(format!("expected the name of a header, found `{name}`")))?;
        // The value may hold a secret: it is not shown.
        let value = reqwest::header::HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            wrong(format!("the value of the header `{name}` holds a line break or another control character"))
        })?;
        request = request.header(name, value);
    }
    if let Some(until) = until {
        request = request.timeout(until.saturating_duration_since(Instant::now()));
    }
    Ok(match &hop.body {
        HttpBody::Empty => request,
        HttpBody::Bytes(bytes) => request.body(bytes.clone()),
        HttpBody::Form(parts) => request.multipart(form(parts)?),
    })
}

fn form(parts: &[FormPart]) -> Result<Form, NodeError> {
    let mut form = Form::new();
    for part in parts {
        let mut body = Part::stream_with_length(part.content.clone(), part.content.len() as u64);
        if let Some((name, mime)) = &part.file {
            body = body.file_name(name.clone()).mime_str(mime).map_err(|_| {
                let message = format!("expected the media type of a file, found `{mime}`");
                NodeError::new(codes::HTTP_REQUEST, ErrorClass::Invalid, message)
            })?;
        }
        form = form.part(part.name.clone(), body);
    }
    Ok(form)
}
