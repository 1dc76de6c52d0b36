//! Who may use the installation.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::http::StatusCode;
use liteagent_engine::{codes, error::Code, store::StoreError, time::Clock, units::Millis};
use subtle::ConstantTimeEq as _;

pub(crate) use self::secrets::{check_strength, random as random_text};
use self::{callers::Callers, jwt::Tokens, password::Passwords};
pub use self::{jwt::JwtSecret, links::Admin, secrets::random_key};
use crate::{
    access::{Caller, KeyCaller, Role, UserCaller},
    app::Settings,
    problem::Problem,
    routes::Routes,
    store::{Entry, KeyRow, Outcome, Store, TokenHash},
};

mod api;
mod callers;
mod cookie;
mod jwt;
mod links;
mod password;
mod secrets;
mod sign_in;

/// How much later a key must be used for that to be noted again.
const USE_NOTED: Millis = 60_000;

/// Knows who calls, and lets people in.
pub(crate) struct Accounts {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tokens: Tokens,
    passwords: Passwords,
    callers: Callers,
    /// The SHA-256 of the development key.
    dev_key: Option<TokenHash>,
}

/// What somebody showed, kept to look at again: access may end while something stays open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The development key.
    Developer,
    /// A token of this session.
    Session(String),
    /// An API key, by its hash.
    Key(TokenHash),
}

impl Shown {
    /// What a caller showed.
    pub(crate) fn of(caller: &Caller, token: &str) -> Self {
        match caller {
            Caller::User(UserCaller { session: Some(session), .. }) => Self::Session(session.clone()),
            Caller::User(_) => Self::Developer,
            Caller::Key(_) => Self::Key(secrets::hash(token)),
        }
    }
}

/// Something that is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The stable code.
    pub code: Code,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refused {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let problem = Self::invalid(refused.code, refused.message);
        match refused.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// Who asks for something, and from where: what the audit log says of it.
#[derive(Clone, Debug)]
pub struct Actor {
    pub(crate) who: String,
    pub(crate) address: IpAddr,
    /// Whether an owner does.
    pub(crate) is_owner: bool,
}

impl Actor {
    /// Somebody with a shell on this machine, and rights to the data folder.
    pub fn command_line() -> Self {
        Self { who: "command line".to_owned(), address: Ipv4Addr::LOCALHOST.into(), is_owner: true }
    }

    /// What the audit log says of something that is done now.
    pub(crate) fn entry(&self, at: Millis, action: &'static str, target: impl Into<String>) -> Entry {
        Entry {
            at,
            who: self.who.clone(),
            action,
            target: target.into(),
            address: self.address.to_string(),
            outcome: Outcome::Done,
        }
    }
}

impl Accounts {
    /// The accounts of a store.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: &Settings) -> Self {
        Self {
            store,
            clock,
            tokens: Tokens::new(&settings.jwt_secret),
            passwords: Passwords::new(),
            callers: Callers::default(),
            dev_key: settings.dev_key.as_deref().map(secrets::hash),
        }
    }

    /// The caller that a token or key stands for. Whoever was seen in the last ten seconds is found in memory.
    pub(crate) async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        let hash = secrets::hash(token);
        if self.dev_key.is_some_and(|key| key.ct_eq(&hash).into()) {
            return Ok(developer());
        }
        let now = self.clock.now();
        if let Some(caller) = self.callers.get(&hash, now) {
            return Ok(caller);
        }
        let revision = self.callers.revision();
        let (caller, until) = if token.starts_with(secrets::KEY) {
            self.key_caller(hash, now).await?
        } else {
            self.user_caller(token, now).await?
        };
        self.callers.keep(hash, caller.clone(), now, until, revision);
        Ok(caller)
    }

    /// Who somebody is by now.
    ///
    /// # Errors
    /// When the session has ended, or the key was revoked or has expired.
    pub(crate) async fn again(&self, shown: &Shown) -> Result<Caller, Problem> {
        let now = self.clock.now();
        match shown {
            Shown::Developer => Ok(developer()),
            Shown::Session(session) => {
                let user = self.store.session_user(session, now).await?;
                let user = user.ok_or_else(|| unknown("the session has ended"))?;
                let session = Some(session.clone());
                Ok(Caller::User(UserCaller { id: user.id, name: user.email, role: user.role, session }))
            }
            Shown::Key(hash) => match self.callers.get(hash, now) {
                Some(caller) => Ok(caller),
                None => Ok(self.key_caller(*hash, now).await?.0),
            },
        }
    }

    async fn key_caller(&self, hash: TokenHash, now: Millis) -> Result<(Caller, Millis), Problem> {
        let row = self.store.key(hash).await?.ok_or_else(|| unknown("the API key is not known here"))?;
        let KeyRow { id, name, scope, rate, limits, read_only, expires_at, revoked_at, used_at, .. } = row;
        if revoked_at.is_some() {
            return Err(unknown("the API key was revoked"));
        }
        if expires_at.is_some_and(|end| end <= now) {
            return Err(unknown("the API key has expired"));
        }
        if used_at.is_none_or(|used| now - used >= USE_NOTED) {
            let (store, id) = (self.store.clone(), id.clone());
            // Nobody waits for it.
            tokio::spawn(async move {
                if let Err(error) = store.key_used(&id, now).await {
                    tracing::warn!(key = id, %error, "that a key was used could not be noted");
                }
            });
        }
        let caller = KeyCaller { id, name, scope, rate, limits, read_only };
        Ok((Caller::Key(caller), expires_at.unwrap_or(Millis::MAX)))
    }

    async fn user_caller(&self, token: &str, now: Millis) -> Result<(Caller, Millis), Problem> {
        let claims = self.tokens.read(token, now).map_err(unknown)?;
        let user = self.store.session_user(&claims.sid, now).await?;
        let user = user.ok_or_else(|| unknown("the session of the token has ended"))?;
        let (until, session) = (claims.ends(), Some(claims.sid));
        Ok((Caller::User(UserCaller { id: user.id, name: user.email, role: user.role, session }), until))
    }

    /// Forgets what is believed of a user.
    fn forget_user(&self, id: &str) {
        self.callers.forget(|caller| matches!(caller, Caller::User(user) if user.id == id));
    }

    /// Forgets what is believed of a session.
    fn forget_session(&self, id: &str) {
        self.callers.forget(|caller| matches!(caller, Caller::User(user) if user.session.as_deref() == Some(id)));
    }

    /// Forgets what is believed of an API key.
    fn forget_key(&self, id: &str) {
        self.callers.forget(|caller| matches!(caller, Caller::Key(key) if key.id == id));
    }

    /// What the audit log says of something that is done now.
    fn entry(&self, actor: &Actor, action: &'static str, target: impl Into<String>) -> Entry {
        actor.entry(self.clock.now(), action, target)
    }

    /// Deletes what has expired, and the audit log before a time.
    pub(crate) async fn sweep(&self, audit_before: Option<Millis>) -> Result<(), StoreError> {
        self.store.sweep(self.clock.now()).await?;
        match audit_before {
            Some(before) => self.store.forget_audit(before).await,
            None => Ok(()),
        }
    }
}

/// Whoever has the development key.
fn developer() -> Caller {
    let name = UserCaller::DEVELOPER.to_owned();
    Caller::User(UserCaller { id: name.clone(), name, role: Role::Owner, session: None })
}

/// A text that nobody can guess, which begins so.
pub(crate) fn secret(prefix: &str) -> String {
    secrets::random(prefix)
}

/// What is kept of a text that nobody can guess.
pub(crate) fn hash(secret: &str) -> TokenHash {
    secrets::hash(secret)
}

pub(crate) fn routes(routes: Routes) -> Routes {
    api::routes(routes)
}

/// It is not known who calls.
fn unknown(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, codes::NOT_SIGNED_IN, detail).hint("sign in again, or use another key")
}
