//! Requests to a server, and what is answered.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use liteagent_engine::{
    capability::{Http as _, HttpBody, HttpCall, HttpReply},
    codes,
    error::NodeError,
    units::Duration,
};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Address,
    events::Events,
    problem::{failure, not_ours},
    sessions::{self, Held},
};
use crate::{config::setting, failure::Failure};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest answer that is read.
const LARGEST: usize = 256 << 20;

/// A server, and who asks it.
pub(crate) struct Client {
    http: Egress,
    address: Address,
    who: Mutex<Who>,
    is_beside: bool,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Who {
    /// Nobody in particular.
    Nobody,
    /// Whoever has a key.
    Key(String),
    /// A user who signed in.
    User { access: String },
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    retry_after: Option<u64>,
}

impl Client {
    /// A server as whoever `LITEAGENT_API_KEY` says, else as the one who signed in there.
    pub(crate) fn open(address: Address) -> Result<Self, Failure> {
        let who = match setting("LITEAGENT_API_KEY") {
            Some(key) => Who::Key(key.trim().to_owned()),
            None => match sessions::held(&address)? {
                Some(Held::Key { key }) => Who::Key(key),
                Some(Held::Session { access, .. }) => Who::User { access },
                None => Who::Nobody,
            },
        };
        Self::of(address, who)
    }

    /// A server that is asked with a key.
    pub(crate) fn with_key(address: Address, key: String) -> Result<Self, Failure> {
        Self::of(address, Who::Key(key))
    }

    /// The server of a data folder of this machine.
    pub(super) fn beside(address: Address, key: String) -> Result<Self, Failure> {
        Ok(Self { is_beside: true, ..Self::with_key(address, key)? })
    }

    /// Whether commands mean it without naming it.
    pub(super) fn is_beside(&self) -> bool {
        self.is_beside
    }

    /// A server that nobody has signed in at yet.
    pub(super) fn as_nobody(address: Address) -> Result<Self, Failure> {
        Self::of(address, Who::Nobody)
    }

    fn of(address: Address, who: Who) -> Result<Self, Failure> {
        // Whoever names a server means it, wherever it is.
        let policy = EgressPolicy::parse([address.authority()])
            .map_err(|error| Failure::usage(codes::SERVER_URL, format!("the server `{address}`: {error}")))?;
        Ok(Self { http: Egress::new(policy), address, who: Mutex::new(who), is_beside: false })
    }

    /// Where the server is.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// What a path gives.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json("GET", path, Vec::new(), HttpBody::Empty).await
    }

    /// What sending JSON gives.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, Failure> {
        self.json(method, path, Vec::new(), json(body)?).await
    }

    /// The same, where a second request with the same key gives what the first one gave.
    pub(crate) async fn send_once<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, Failure> {
        let headers = vec![("idempotency-key".to_owned(), key.to_owned())];
        self.json("POST", path, headers, json(body)?).await
    }

    /// Asks for something that gives nothing back.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.whole("DELETE", path, Vec::new(), HttpBody::Empty).await.map(drop)
    }

    /// The text of a path.
    pub(crate) async fn text(&self, path: &str) -> Result<String, Failure> {
        let answer = self.whole("GET", path, Vec::new(), HttpBody::Empty).await?;
        String::from_utf8(answer.body).map_err(|_| not_ours(&self.address, "it sent what is no text"))
    }

    /// The events of a path, from behind one of them on.
    pub(super) async fn events(&self, path: &str, after: Option<&str>) -> Result<Events, Failure> {
        let headers = after.map(|id| ("last-event-id".to_owned(), id.to_owned())).into_iter().collect();
        let reply = self.admitted("GET", path, headers, HttpBody::Empty, None).await?;
        if reply.status != 200 {
            return Err(self.refused(self.read(reply).await?));
        }
        let address = self.address.clone();
        Ok(Events::new(reply.body.map(move |piece| piece.map_err(|error| broken(&address, &error))).boxed()))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: HttpBody,
    ) -> Result<T, Failure> {
        let answer = self.whole(method, path, headers, body).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| not_ours(&self.address, &format!("what {method} {path} gave cannot be read: {error}")))
    }

    /// An answer that says that it went well.
    async fn whole(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: HttpBody,
    ) -> Result<Answer, Failure> {
        let reply = self.admitted(method, path, headers, body, Some(PATIENCE)).await?;
        let answer = self.read(reply).await?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(self.refused(answer)) }
    }

    fn refused(&self, answer: Answer) -> Failure {
        if let Some((_, to)) = answer.headers.iter().find(|(name, _)| name == "location") {
            return Failure::usage(codes::SERVER_URL, format!("{} leads on to {to}", self.address))
                .hint("name the address that it leads to");
        }
        failure(&self.address, answer.status, answer.retry_after, &answer.body)
    }

    /// An answer to whoever asks. A session whose token is too old goes on with the next one.
    async fn admitted(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: HttpBody,
        timeout: Option<Duration>,
    ) -> Result<HttpReply, Failure> {
        let who = self.who();
        let reply = self.exchange(method, path, with(&who, headers.clone()), body.clone(), timeout).await?;
        let Who::User { access } = who else { return Ok(reply) };
        if reply.status != 401 {
            return Ok(reply);
        }
        let access = sessions::refresh(self, &access).await?;
        let next = Who::User { access };
        *self.who.lock().unwrap_or_else(PoisonError::into_inner) = next.clone();
        self.exchange(method, path, with(&next, headers), body, timeout).await
    }

    fn who(&self) -> Who {
        self.who.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A request as it is.
    pub(super) async fn exchange(
        &self,
        method: &str,
        path: &str,
        mut headers: Vec<(String, String)>,
        body: HttpBody,
        timeout: Option<Duration>,
    ) -> Result<HttpReply, Failure> {
        if matches!(body, HttpBody::Bytes(_)) {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let (method, url) = (method.to_owned(), self.address.at(path));
        let call = HttpCall { method, url, headers, body, redirects: 0, timeout };
        self.http.send(call).await.map_err(|error| broken(&self.address, &error))
    }

    /// The whole of an answer, against a limit.
    pub(super) async fn read(&self, reply: HttpReply) -> Result<Answer, Failure> {
        let retry_after = reply.retry_after.map(|wait| u64::try_from(wait).unwrap_or(0).div_ceil(1_000));
        let (status, headers, mut pieces) = (reply.status, reply.headers, reply.body);
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece.map_err(|error| broken(&self.address, &error))?);
            if body.len() > LARGEST {
                return Err(not_ours(&self.address, "it sent more than 256 MiB at once"));
            }
        }
        Ok(Answer { status, headers, body, retry_after })
    }

    /// A request whose answer shows how it went by its status.
    pub(super) async fn plain(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, Failure> {
        let reply = self.exchange(method, path, headers, json(body)?, Some(PATIENCE)).await?;
        let answer = self.read(reply).await?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(self.refused(answer)) }
    }
}

/// What stands for itself in a path.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A part of a path: a name with `/` in it is one too.
pub(crate) fn segment(name: &str) -> String {
    utf8_percent_encode(name, &PLAIN).to_string()
}

fn json(body: &impl Serialize) -> Result<HttpBody, Failure> {
    let text = serde_json::to_vec(body).map_err(|error| Failure::platform(codes::OUTPUT, error.to_string()))?;
    Ok(HttpBody::Bytes(Bytes::from(text)))
}

fn with(who: &Who, mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    if let Who::Key(token) | Who::User { access: token } = who {
        headers.push(("authorization".to_owned(), format!("Bearer {token}")));
    }
    headers
}

/// Nothing, or only a part, came back.
fn broken(server: &Address, error: &NodeError) -> Failure {
    let failure =
        Failure::platform(codes::SERVER_UNREACHABLE, format!("{server} cannot be reached: {}", error.message));
    let is_about_tls = ["certificate", "TLS", "tls", "InvalidMessage", "CorruptMessage"];
    if is_about_tls.iter().any(|word| error.message.contains(word)) {
        return failure.hint(
            "this machine must trust the certificate of the server (`update-ca-certificates`); a server without TLS has `http://`",
        );
    }
    match error.code {
        codes::HTTP_ADDRESS_REFUSED | codes::HTTP_REQUEST => Failure { code: Some(codes::SERVER_URL), ..failure },
        _ => failure.hint("check the address and the port, and that the server is up"),
    }
}
