//! `/api/auth`: signing in and out.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use liteagent_engine::codes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::{
    access::{Access, Caller, KeyCaller, Role, UserCaller},
    accounts::{Accounts, Actor, cookie, sign_in::SignedIn},
    app::App,
    extract::Json,
    problem::Problem,
    routes::Routes,
    store::KeyScope,
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::SignIn, routes!(sign_in))
        .add(Access::SignIn, routes!(refresh))
        .add(Access::SignIn, routes!(sign_out))
        .add(Access::SignIn, routes!(welcome))
        .add(Access::UserOrKey(Role::Viewer), routes!(me))
        .add(Access::User(Role::Viewer), routes!(password))
}

/// Who someone is.
#[derive(Serialize, ToSchema)]
struct Me {
    /// The id.
    id: String,
    /// The e-mail address; `developer` is whoever has the development key.
    email: String,
    /// What the user may do.
    role: Role,
}

/// An access token.
#[derive(Serialize, ToSchema)]
struct Token {
    /// What goes into `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// How many seconds it is good.
    expires_in: i64,
    /// Whose it is.
    user: Me,
}

impl IntoResponse for SignedIn {
    fn into_response(self) -> Response {
        let Self { access, refresh, refresh_for, user } = self;
        let token = Token {
            access_token: access,
            token_type: "Bearer",
            expires_in: Accounts::ACCESS_FOR,
            user: Me { id: user.id, email: user.email, role: user.role },
        };
        ([(header::SET_COOKIE, cookie::keep(&refresh, refresh_for))], Json(token)).into_response()
    }
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The e-mail address.
    #[schema(example = "ada@example.org")]
    email: String,
    /// The password.
    password: String,
}

/// Signs in
///
/// The refresh token is in the cookie `__Host-liteagent-refresh`, which only `POST /api/auth/refresh` and
/// `POST /api/auth/sign-out` read. After wrong passwords there is a pause, which grows: status 429 with `Retry-After`.
#[utoipa::path(post, path = "/api/auth/sign-in", tag = "auth", request_body = SignIn,
    responses((status = 200, body = Token)))]
async fn sign_in(State(app): State<Arc<App>>, actor: Actor, Json(body): Json<SignIn>) -> Result<Response, Problem> {
    Ok(app.accounts.sign_in(&body.email, body.password, &actor).await?.into_response())
}

/// Gives another access token for the cookie
///
/// The refresh token in the cookie is good once: the answer sets the next. One that comes a second time ends the session,
/// because someone else may have it.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "auth", responses((status = 200, body = Token)))]
async fn refresh(State(app): State<Arc<App>>, actor: Actor, headers: HeaderMap) -> Response {
    match app.accounts.refresh(cookie::token(&headers), &actor).await {
        Ok(signed_in) => signed_in.into_response(),
        // What is good no more need not be sent again.
        Err(problem) => ([(header::SET_COOKIE, cookie::forget())], problem).into_response(),
    }
}

/// Signs out: the session of the cookie ends
#[utoipa::path(post, path = "/api/auth/sign-out", tag = "auth", responses((status = 204)))]
async fn sign_out(State(app): State<Arc<App>>, actor: Actor, headers: HeaderMap) -> Result<Response, Problem> {
    app.accounts.sign_out(cookie::token(&headers), &actor).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::forget())]).into_response())
}

/// A link that is used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Welcome {
    /// What stands behind `#token=` in the link.
    token: String,
    /// The e-mail address of the first owner; nothing for any other link.
    email: Option<String>,
    /// The password from now on: at least 12 characters.
    password: String,
}

/// Sets a password by a one-time link, and signs in
///
/// The link comes from an owner. The first owner has it from the terminal where the server was started.
#[utoipa::path(post, path = "/api/auth/welcome", tag = "auth", request_body = Welcome,
    responses((status = 200, body = Token)))]
async fn welcome(State(app): State<Arc<App>>, actor: Actor, Json(body): Json<Welcome>) -> Result<Response, Problem> {
    let Welcome { token, email, password } = body;
    Ok(app.accounts.welcome(&token, email.as_deref(), password, &actor).await?.into_response())
}

/// Who calls: a user or a key.
#[derive(Serialize, ToSchema)]
struct Calling {
    /// The id of the user, or of the key.
    id: String,
    /// The e-mail address of a user; `developer` is whoever has the development key.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// What a user may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// The API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<CallingKey>,
}

/// The API key of a program that calls.
#[derive(Serialize, ToSchema)]
struct CallingKey {
    /// What its maker calls it.
    name: String,
    /// What it is for.
    scope: KeyScope,
}

/// Says who calls
#[utoipa::path(get, path = "/api/auth/me", tag = "auth", responses((status = 200, body = Calling)))]
async fn me(caller: Caller) -> Json<Calling> {
    Json(match caller {
        Caller::User(UserCaller { id, name, role, .. }) => {
            Calling { id, email: Some(name), role: Some(role), key: None }
        }
        Caller::Key(KeyCaller { id, name, scope, .. }) => {
            Calling { id, email: None, role: None, key: Some(CallingKey { name, scope }) }
        }
    })
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The password so far.
    current: String,
    /// The password from now on: at least 12 characters.
    new: String,
}

/// Changes the own password
///
/// Every other session of the user ends.
#[utoipa::path(put, path = "/api/auth/password", tag = "auth", request_body = NewPassword,
    responses((status = 204)))]
async fn password(
    State(app): State<Arc<App>>,
    caller: Caller,
    actor: Actor,
    Json(body): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    app.accounts.change_password(&person(caller)?, body.current, body.new, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The person that calls; the route lets no key through.
fn person(caller: Caller) -> Result<UserCaller, Problem> {
    match caller {
        Caller::User(user) => Ok(user),
        Caller::Key(_) => {
            Err(Problem::new(StatusCode::FORBIDDEN, codes::NOT_ALLOWED, "an API key is no user").hint("sign in"))
        }
    }
}
