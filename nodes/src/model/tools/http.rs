//! The tool `http`: requests that a model describes, to hosts that its author named.

use bytes::Bytes;
use futures::StreamExt;
use liteagent_engine::{
    capability::{Destination, HostRule, HttpBody, HttpCall, HttpReply},
    node::prelude::*,
    value,
};
use serde_json::json;
use url::Url;

use super::kind::ToolOutput;
use crate::{
    egress::read_url,
    io::http_request::{Auth, Method, credentials, validate_auth},
};

/// How much of an answer a model is given, in bytes.
const MOST: usize = 64 << 10;
/// How long an exchange may take when the tool has no `timeout`.
const LONGEST: Duration = Duration::from_secs(60);
/// How many redirects are followed; each must stay on a host that is named.
const REDIRECTS: u32 = 5;

/// A configured tool.
#[derive(Clone, Debug)]
pub(crate) struct HttpTool {
    hosts: Vec<HostRule>,
    written: Vec<String>,
    methods: Vec<Method>,
    auth: Option<Auth>,
}

impl HttpTool {
    pub(super) fn new(hosts: &[String], methods: &[Method], auth: Option<&Auth>) -> Result<Self, ConfigError> {
        if hosts.is_empty() {
            let message = "expected `hosts`: a model chooses what is requested, and its author where";
            return Err(ConfigError::new(codes::TOOL_HOSTS, "", message).hint("add `hosts: [api.example.org]`"));
        }
        let rules = hosts.iter().enumerate().map(|(index, host)| {
            host.parse()
                .map_err(|message: String| ConfigError::new(codes::TOOL_HOSTS, format!("/hosts/{index}"), message))
        });
        if let Some(auth) = auth {
            validate_auth(auth)?;
        }
        Ok(Self {
            hosts: rules.collect::<Result<_, _>>()?,
            written: hosts.to_vec(),
            methods: if methods.is_empty() { vec![Method::Get] } else { methods.to_vec() },
            auth: auth.cloned(),
        })
    }

    pub(super) fn writes(&self) -> bool {
        self.methods.iter().any(|method| method.writes())
    }

    pub(super) fn told(&self) -> String {
        format!("Requests a URL of {} and gives the answer as text.", self.written.join(", "))
    }

    pub(super) fn parameters(&self) -> IndexMap<String, Type> {
        let methods: Vec<_> = self.methods.iter().map(|method| method.as_str()).collect();
        let mut declared = json!({
            "url": { "type": "string", "maxLength": 4000, "description": "The whole URL, with its query." },
            "method": { "type": "string", "enum": methods, "default": methods[0], "description": "The method." },
        });
        if self.writes() {
            declared["json"] = json!({ "type": "any", "optional": true, "description": "The body, sent as JSON." });
        }
        serde_json::from_value(declared).expect("the types of built-in tools are well-formed")
    }

    pub(super) async fn call(&self, ctx: &NodeCtx, inputs: &Value) -> Result<ToolOutput, NodeError> {
        let text = |name: &str| inputs.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut url = self.admitted(text("url"), None)?;
        for _ in 0..=REDIRECTS {
            let body = inputs.get("json").filter(|body| !body.is_null());
            let reply = ctx.send(self.request(ctx, text("method"), &url, body)?).await?;
            let location = header(&reply, "location").filter(|_| (300..400).contains(&reply.status));
            match location {
                Some(location) => url = self.admitted(location, Some(&url))?,
                None => return answer(reply, text("method"), &url).await,
            }
        }
        let message = format!("expected at most {REDIRECTS} redirects, found more");
        Err(NodeError::new(codes::HTTP_REDIRECTS, ErrorClass::Invalid, message))
    }

    /// The URL, if its host is one of those that the author named.
    fn admitted(&self, text: &str, from: Option<&Url>) -> Result<Url, NodeError> {
        let url = read_url(text, from)?;
        let to = destination(&url)?;
        if self.auth.is_some() && url.scheme() != "https" && url.port().is_none() {
            let message = format!("`{to}` is asked without encryption, and a secret would go along");
            return Err(NodeError::new(codes::TOOL_HOST, ErrorClass::Forbidden, message).hint("ask with `https://`"));
        }
        if self.hosts.iter().any(|host| host.fits(&to)) {
            return Ok(url);
        }
        let message = format!("`{to}` is none of the hosts that this tool may reach: {}", self.written.join(", "));
        Err(NodeError::new(codes::TOOL_HOST, ErrorClass::Forbidden, message))
    }

    fn request(&self, ctx: &NodeCtx, method: &str, url: &Url, body: Option<&Value>) -> Result<HttpCall, NodeError> {
        let mut headers = Vec::new();
        if let Some(auth) = &self.auth {
            // The author named the hosts: nothing else decides where the secret goes.
            headers.push(credentials(auth, ctx, &destination(url)?)?);
        }
        let mut content = HttpBody::Empty;
        if let Some(body) = body {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
            content = HttpBody::Bytes(body.to_string().into());
        }
        if !matches!(method, "GET" | "HEAD") {
            headers.push(("idempotency-key".to_owned(), ctx.idempotency_key()));
        }
        Ok(HttpCall {
            method: method.to_owned(),
            url: url.to_string(),
            headers,
            body: content,
            redirects: 0,
            timeout: ctx.deadline.is_none().then_some(LONGEST),
        })
    }
}

/// Where a request goes, when its author or the model named the host among those that are allowed.
pub(super) fn destination(url: &Url) -> Result<Destination, NodeError> {
    let no_host = || NodeError::new(codes::HTTP_URL, ErrorClass::Invalid, "expected a URL with a host");
    Ok(Destination {
        scheme: url.scheme().to_owned(),
        host: url.host_str().ok_or_else(no_host)?.to_owned(),
        port: url.port_or_known_default().ok_or_else(no_host)?,
        is_fixed: true,
    })
}

pub(super) fn header<'r>(reply: &'r HttpReply, name: &str) -> Option<&'r str> {
    reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// An answer as a model reads it: the beginning of its text. A failure is a failure.
pub(super) async fn answer(reply: HttpReply, method: &str, url: &Url) -> Result<ToolOutput, NodeError> {
    let (status, retry_after) = (reply.status, reply.retry_after);
    let (bytes, is_whole) = beginning(reply, MOST).await?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if status >= 400 {
        let (code, class) = match status {
            401 => (codes::HTTP_REFUSED, ErrorClass::Unauthenticated),
            403 => (codes::HTTP_REFUSED, ErrorClass::Forbidden),
            404 => (codes::HTTP_REFUSED, ErrorClass::NotFound),
            429 => (codes::HTTP_REFUSED, ErrorClass::RateLimited),
            400..=499 => (codes::HTTP_REFUSED, ErrorClass::Invalid),
            _ => (codes::HTTP_DOWN, ErrorClass::Unavailable),
        };
        let said: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(500).collect();
        let place = format!("`{method} {}{}`", url.origin().ascii_serialization(), url.path());
        let error = NodeError::new(code, class, format!("{place} answered {status}: {said}"));
        let wait = retry_after.and_then(|wait| u64::try_from(wait).ok());
        return Err(match wait {
            Some(wait) => error.retry_after(std::time::Duration::from_millis(wait)),
            None => error,
        });
    }
    let json: Value = if is_whole { serde_json::from_slice(&bytes).unwrap_or_default() } else { Value::Null };
    if !is_whole {
        text.push_str("\n(the answer goes on; only its beginning is shown)");
    }
    if text.trim().is_empty() {
        text = format!("The answer has the status {status} and no content.");
    }
    Ok(ToolOutput { text, data: value!({ "status": i64::from(status), "json": json }) })
}

/// The beginning of a body, and whether it is all of it.
pub(super) async fn beginning(mut reply: HttpReply, most: usize) -> Result<(Bytes, bool), NodeError> {
    let mut bytes = Vec::new();
    while let Some(piece) = reply.body.next().await {
        let piece = piece?;
        let room = most - bytes.len();
        if piece.len() > room {
            bytes.extend_from_slice(&piece[..room]);
            return Ok((bytes.into(), false));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.into(), true))
}
