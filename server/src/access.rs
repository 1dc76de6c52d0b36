//! Who calls, and what that allows.

use std::{fmt, sync::Arc};

use axum::{
    Extension,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use liteagent_engine::codes;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::ToSchema;

use crate::{
    accounts::Shown,
    app::App,
    front::Address,
    log::CalledBy,
    problem::Problem,
    store::{KeyLimits, KeyScope},
};

/// What a user may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks at everything but secrets.
    Viewer,
    /// Starts and steers runs, changes workflows and knowledge bases.
    Editor,
    /// Manages users, keys, secrets and the installation.
    Owner,
}

impl Role {
    /// The name in stores and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// The role of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Editor, Self::Owner].into_iter().find(|role| role.as_str() == name)
    }
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Anyone, a few times a minute: what is sent is looked at by the route itself.
    SignIn,
    /// A user with at least this role.
    User(Role),
    /// A user with at least this role, and an API key for what the route is about: the route itself looks at what the key
    /// is for.
    UserOrKey(Role),
    /// The same people, for what stays open: a ticket may stand for the token or key.
    Stream(Role),
}

impl Access {
    /// Whether someone may call.
    pub(crate) fn allows(self, caller: Option<&Caller>) -> bool {
        match (self, caller) {
            (Self::Open | Self::SignIn, _) => true,
            (Self::UserOrKey(least) | Self::Stream(least), Some(Caller::Key(key))) => {
                !key.read_only || least == Role::Viewer
            }
            (Self::User(least) | Self::UserOrKey(least) | Self::Stream(least), Some(Caller::User(user))) => {
                user.role >= least
            }
            (Self::User(_), Some(Caller::Key(_))) | (_, None) => false,
        }
    }

    /// Whether it is of no interest who calls.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::SignIn)
    }

    /// As the documentation says it.
    pub(crate) fn described(self) -> String {
        match self {
            Self::Open => "Anyone may call it.".to_owned(),
            Self::SignIn => "Anyone may call it, a few times a minute.".to_owned(),
            Self::User(role) => format!("Needs the role `{}`.", role.as_str()),
            Self::UserOrKey(role) => format!("Needs the role `{}`, or an API key for it.", role.as_str()),
            Self::Stream(role) => {
                format!("Needs the role `{}`, or an API key for it, or `?ticket=` with a ticket of one.", role.as_str())
            }
        }
    }
}

impl fmt::Display for Access {
    /// Who may call, in a few words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("anyone"),
            Self::SignIn => f.write_str("anyone, a few times a minute"),
            Self::User(role) => f.write_str(role.as_str()),
            Self::UserOrKey(role) => write!(f, "{}, API key", role.as_str()),
            Self::Stream(role) => write!(f, "{}, API key, ticket", role.as_str()),
        }
    }
}

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// A person who signed in, or the holder of the development key.
    User(UserCaller),
    /// A program with an API key.
    Key(KeyCaller),
}

/// A person.
#[derive(Clone, Debug)]
pub(crate) struct UserCaller {
    /// The user's id.
    pub(crate) id: String,
    /// What journals and the audit log show: the e-mail address.
    pub(crate) name: String,
    /// What the user may do.
    pub(crate) role: Role,
    /// The session; none of whoever has the development key.
    pub(crate) session: Option<String>,
}

impl UserCaller {
    /// The id of whoever has the development key.
    pub(crate) const DEVELOPER: &str = "developer";

    /// Whether it is whoever has the development key: the only person of an installation that nobody else reaches.
    pub(crate) fn is_developer(&self) -> bool {
        self.id == Self::DEVELOPER
    }
}

/// A program with an API key.
#[derive(Clone, Debug)]
pub(crate) struct KeyCaller {
    /// The key's id.
    pub(crate) id: String,
    /// The name that its maker gave it.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) scope: KeyScope,
    /// How many requests a minute it allows; `None` is what the server allows every key.
    pub(crate) rate: Option<u32>,
    /// What its runs may use.
    pub(crate) limits: KeyLimits,
    /// Whether it only looks.
    pub(crate) read_only: bool,
}

impl Caller {
    /// Who acts, as journals and the audit log show it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::User(user) => user.name.clone(),
            Self::Key(key) => format!("key:{}", key.name),
        }
    }

    /// The id of the user, or of the key.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::User(user) => &user.id,
            Self::Key(key) => &key.id,
        }
    }

    /// Whether it is an owner.
    pub(crate) fn is_owner(&self) -> bool {
        matches!(self, Self::User(user) if user.role == Role::Owner)
    }

    /// The space in which its idempotency keys count.
    pub(crate) fn space(&self) -> String {
        match self {
            Self::User(user) => format!("user:{}", user.id),
            Self::Key(key) => format!("key:{}", key.id),
        }
    }

    /// Whether it may deal with a workflow; a route that an API key may call asks this first.
    ///
    /// # Errors
    /// As if there was no such workflow: what exists is not told to whom it is not for.
    pub(crate) fn check_workflow(&self, name: &str) -> Result<(), Problem> {
        match self {
            Self::User(_) => Ok(()),
            Self::Key(KeyCaller { scope: KeyScope::Workflow(own), .. }) if own == name => Ok(()),
            Self::Key(_) => {
                Err(Problem::missing(codes::NO_WORKFLOW, format!("there is no workflow `{name}` for this API key"))
                    .hint("use a key of this workflow: POST /api/keys makes one"))
            }
        }
    }

    /// The only workflow that it may deal with; `None` is all.
    pub(crate) fn only_workflow(&self) -> Result<Option<&str>, Problem> {
        match self {
            Self::User(_) => Ok(None),
            Self::Key(KeyCaller { scope: KeyScope::Workflow(own), .. }) => Ok(Some(own)),
            Self::Key(_) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                codes::NOT_ALLOWED,
                "this API key is for a knowledge base, and not for workflows",
            )
            .hint("use a key of a workflow: POST /api/keys makes one")),
        }
    }
}

/// The caller of a route that is not open.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unauthenticated)
    }
}

/// Lets only those through who may call, and not too often.
pub(crate) async fn guard(
    State(access): State<Access>,
    Extension(app): Extension<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let asked = Asked::of(&request);
    let admitted = access.admit(&app, asked).await;
    let spent = match admitted {
        Ok(admitted) => {
            let caller = admitted.as_ref().map(|(caller, _)| caller);
            let spent = app.limits.spend(access, caller, Address::of(request.extensions())).await;
            spent.map(|spent| (admitted, spent))
        }
        Err(problem) => Err(problem),
    };
    match spent {
        Ok((admitted, spent)) => {
            let called_by = CalledBy::of(admitted.as_ref().map(|(caller, _)| caller));
            if let Some((caller, shown)) = admitted {
                request.extensions_mut().insert(caller);
                request.extensions_mut().insert(shown);
            }
            let mut response = next.run(request).await;
            response.extensions_mut().insert(called_by);
            if let Some(spent) = spent {
                spent.tell(response.headers_mut());
            }
            response
        }
        Err(problem) => problem.into_response(),
    }
}

impl Access {
    /// Who calls, unless that is nobody who may.
    async fn admit(self, app: &App, asked: Asked<'_>) -> Result<Option<(Caller, Shown)>, Problem> {
        if self.is_open() {
            return Ok(None);
        }
        let (caller, shown) = if let Some(token) = bearer(asked.headers) {
            let caller = app.accounts.caller(token).await?;
            let shown = Shown::of(&caller, token);
            (caller, shown)
        } else {
            let ticket = asked.ticket().filter(|_| matches!(self, Self::Stream(_))).ok_or_else(unauthenticated)?;
            let shown = app.tickets.take(&ticket, asked.uri.path(), app.clock.now())?;
            (app.accounts.again(&shown).await?, shown)
        };
        if self.allows(Some(&caller)) {
            return Ok(Some((caller, shown)));
        }
        Err(Problem::new(StatusCode::FORBIDDEN, codes::NOT_ALLOWED, format!("{} may not do this", caller.name()))
            .hint(self.described()))
    }
}

/// What a request says of who calls. A body, which not every thread may see, is no part of it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    headers: &'a HeaderMap,
    uri: &'a Uri,
}

impl<'a> Asked<'a> {
    fn of(request: &'a Request) -> Self {
        Self { headers: request.headers(), uri: request.uri() }
    }

    /// What `?ticket=` carries.
    fn ticket(self) -> Option<String> {
        let mut query = form_urlencoded::parse(self.uri.query()?.as_bytes());
        query.find(|(name, _)| name == "ticket").map(|(_, ticket)| ticket.into_owned())
    }
}

/// What `Authorization: Bearer` carries.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Nobody has said who calls.
fn unauthenticated() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, codes::NOT_SIGNED_IN, "expected a token or an API key, found neither")
        .hint("send the header `Authorization: Bearer <token>`; POST /api/auth/sign-in gives a token")
}
