//! `/api/users`: who may sign in.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use liteagent_engine::{codes, time::iso};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    access::{Access, Role},
    accounts::{Actor, links::Link},
    app::App,
    extract::{Json, Path},
    problem::Problem,
    routes::Routes,
    store::{Changed, UserChange, UserRow},
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::User(Role::Owner), routes!(list))
        .add(Access::User(Role::Owner), routes!(invite))
        .add(Access::User(Role::Owner), routes!(change))
        .add(Access::User(Role::Owner), routes!(delete))
        .add(Access::User(Role::Owner), routes!(link))
}

/// A user.
#[derive(Serialize, ToSchema)]
struct User {
    /// The id.
    id: String,
    /// The e-mail address.
    email: String,
    /// What the user may do.
    role: Role,
    /// Whether the user has not set a password yet.
    invited: bool,
    /// Whether the user may not sign in.
    disabled: bool,
    /// When the user was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When the user last signed in; `null` is never.
    #[schema(format = DateTime)]
    signed_in_at: Option<String>,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            email: row.email,
            role: row.role,
            invited: !row.has_password,
            disabled: row.disabled,
            created_at: iso(row.created_at),
            signed_in_at: row.signed_in_at.map(iso),
        }
    }
}

/// Every user.
#[derive(Serialize, ToSchema)]
struct Users {
    /// The users, by e-mail address.
    users: Vec<User>,
}

/// Lists the users
#[utoipa::path(get, path = "/api/users", tag = "users", responses((status = 200, body = Users)))]
async fn list(State(app): State<Arc<App>>) -> Result<Json<Users>, Problem> {
    Ok(Json(Users { users: app.store.users().await?.into_iter().map(User::from).collect() }))
}

/// A user who is invited.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invite {
    /// The e-mail address.
    #[schema(example = "ada@example.org")]
    email: String,
    /// What the user may do.
    role: Role,
}

/// A link that works once, for three days.
#[derive(Serialize, ToSchema)]
struct LinkReply {
    /// Its path on this server.
    #[schema(example = "/welcome#token=lp_...")]
    link: String,
    /// From when on it is refused.
    #[schema(format = DateTime)]
    link_expires_at: String,
}

impl From<Link> for LinkReply {
    fn from(link: Link) -> Self {
        Self { link: link.path, link_expires_at: iso(link.expires_at) }
    }
}

/// A user who was invited.
#[derive(Serialize, ToSchema)]
struct Invited {
    #[serde(flatten)]
    user: User,
    #[serde(flatten)]
    link: LinkReply,
}

/// Invites a user
///
/// The link in the answer is shown once: give it to the user, who sets the password by it.
#[utoipa::path(post, path = "/api/users", tag = "users", request_body = Invite,
    responses((status = 201, body = Invited)))]
async fn invite(
    State(app): State<Arc<App>>,
    actor: Actor,
    Json(body): Json<Invite>,
) -> Result<(StatusCode, Json<Invited>), Problem> {
    let (user, link) = app.accounts.invite(&body.email, body.role, &actor).await?;
    Ok((StatusCode::CREATED, Json(Invited { user: user.into(), link: link.into() })))
}

/// Which user a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Id {
    /// The id of the user.
    id: String,
}

/// What changes; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// The role.
    role: Option<Role>,
    /// Whether the user may not sign in. Every session of the user ends.
    disabled: Option<bool>,
}

/// Changes a user
///
/// It holds at once on this server, and within 10 seconds on others. The last owner who can sign in stays one.
#[utoipa::path(patch, path = "/api/users/{id}", tag = "users", params(Id), request_body = Change,
    responses((status = 200, body = User)))]
async fn change(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(Id { id }): Path<Id>,
    Json(body): Json<Change>,
) -> Result<Json<User>, Problem> {
    let change = UserChange { role: body.role, disabled: body.disabled };
    let user = app.accounts.change_user(&id, change, &actor).await?;
    Ok(Json(user.into()))
}

/// Deletes a user
///
/// What the user made stays, under the e-mail address. The last owner who can sign in stays.
#[utoipa::path(delete, path = "/api/users/{id}", tag = "users", params(Id), responses((status = 204)))]
async fn delete(State(app): State<Arc<App>>, actor: Actor, Path(Id { id }): Path<Id>) -> Result<StatusCode, Problem> {
    app.accounts.delete_user(&id, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a link that sets another password
///
/// For a user who has forgotten it, or whose invitation has expired. Links made before work no more; the password so far
/// does, until the link is used.
#[utoipa::path(post, path = "/api/users/{id}/link", tag = "users", params(Id),
    responses((status = 201, body = LinkReply)))]
async fn link(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(Id { id }): Path<Id>,
) -> Result<(StatusCode, Json<LinkReply>), Problem> {
    let user = app.store.user(&id).await?.ok_or_else(|| missing(&id))?;
    let link = app.accounts.password_link(&user, &actor).await?.ok_or_else(|| missing(&id))?;
    Ok((StatusCode::CREATED, Json(link.into())))
}

impl crate::accounts::Accounts {
    async fn change_user(&self, id: &str, change: UserChange, actor: &Actor) -> Result<UserRow, Problem> {
        let changed = self.store.change_user(id, change, self.entry(actor, "users.change", id)).await?;
        self.changed(id, changed)
    }

    async fn delete_user(&self, id: &str, actor: &Actor) -> Result<UserRow, Problem> {
        let changed = self.store.delete_user(id, self.entry(actor, "users.delete", id)).await?;
        self.changed(id, changed)
    }

    fn changed(&self, id: &str, changed: Changed) -> Result<UserRow, Problem> {
        match changed {
            Changed::Done(user) => {
                self.forget_user(id);
                Ok(user)
            }
            Changed::Missing => Err(missing(id)),
            Changed::LastOwner => {
                Err(Problem::conflict(codes::LAST_OWNER, "no other owner could sign in: one has to stay")
                    .hint("make another user an owner first, who has set a password"))
            }
        }
    }
}

fn missing(id: &str) -> Problem {
    Problem::missing(codes::NO_USER, format!("there is no user `{id}`")).hint("list them with GET /api/users")
}
