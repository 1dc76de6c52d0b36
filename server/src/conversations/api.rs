//! `/api/conversations`.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use liteagent_engine::{
    codes,
    id::RunId,
    store::{ConversationFilter, ConversationRow},
    time::iso,
    units::Millis,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::Scope;
use crate::{
    access::{Access, Caller, Role},
    accounts::Actor,
    app::App,
    extract::{Json, Limit, Path, Query},
    problem::Problem,
    routes::Routes,
};

/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::UserOrKey(Role::Viewer), routes!(list))
        .add(Access::UserOrKey(Role::Viewer), routes!(show))
        .add(Access::UserOrKey(Role::Editor), routes!(rename))
        .add(Access::UserOrKey(Role::Editor), routes!(delete))
}

/// A conversation.
#[derive(Serialize, ToSchema)]
struct Conversation {
    /// Its id.
    #[schema(example = "chat_01kgd0a9qse7xv3m2bn4t5w6y8")]
    id: String,
    /// The workflow that answers in it.
    workflow: String,
    /// The beginning of its first message, until somebody calls it something else.
    title: String,
    /// Whose it is; `null` when it was begun on the command line.
    user: Option<String>,
    /// How often somebody said something, what was edited included.
    turns: u64,
    /// What was said last.
    last: Last,
    /// When it began.
    #[schema(format = DateTime)]
    created_at: String,
    /// When something was last said.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// What was said last.
#[derive(Serialize, ToSchema)]
struct Last {
    /// The run that answers.
    run: String,
    /// The message.
    message: String,
    /// The answer; `null` while there is none.
    answer: Option<String>,
}

impl From<ConversationRow> for Conversation {
    fn from(row: ConversationRow) -> Self {
        let ConversationRow { id, workflow, title, speaker, turns, last, created_at, updated_at } = row;
        Self {
            id,
            workflow,
            title,
            user: speaker.map(|speaker| speaker.user),
            turns,
            last: Last { run: last.run.to_string(), message: last.message, answer: last.answer },
            created_at: iso(created_at),
            updated_at: iso(updated_at),
        }
    }
}

/// A page of conversations.
#[derive(Serialize, ToSchema)]
struct ConversationPage {
    /// The conversations, the one with the newest message first.
    conversations: Vec<Conversation>,
    /// What to send as `before` for the next page; `null` after the last.
    next: Option<String>,
}

/// Which conversations.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only those with this workflow.
    workflow: Option<String>,
    /// Only those of this user. An API key sees none without it.
    user: Option<String>,
    /// Where the page begins: `next` of the one before.
    before: Option<String>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

/// Lists conversations, newest first
///
/// An API key sees those that were begun with it, of the `user` that is named. The role `viewer` sees all, also those of the
/// command line.
#[utoipa::path(get, path = "/api/conversations", tag = "conversations", params(ListQuery),
    responses((status = 200, body = ConversationPage)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<ConversationPage>, Problem> {
    let ListQuery { workflow, user, before, limit } = query;
    let scope = Scope::of(&caller, user.as_deref())?;
    if let Some(workflow) = &workflow {
        caller.check_workflow(workflow)?;
    }
    let before = before.as_deref().map(place).transpose()?;
    let limit = limit.0;
    let filter = scope.filter(ConversationFilter { workflow, space: None, user, before, limit });
    let rows = app.stores.journal.conversations(&filter).await?;
    let next = (rows.len() == limit as usize).then(|| rows.last().map(written)).flatten();
    Ok(Json(ConversationPage { conversations: rows.into_iter().map(Conversation::from).collect(), next }))
}

/// A place in the list as text.
fn written(row: &ConversationRow) -> String {
    let (at, run) = row.place();
    format!("{at}.{run}")
}

fn place(text: &str) -> Result<(Millis, RunId), Problem> {
    let read = || {
        let (at, run) = text.split_once('.')?;
        Some((at.parse().ok()?, run.parse().ok()?))
    };
    read().ok_or_else(|| {
        Problem::invalid(codes::REQUEST_PARAMETER, format!("`before`: expected a place in the list, found `{text}`"))
            .hint("send `next` of the page before")
    })
}

/// Which conversation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ConversationPath {
    /// The id of the conversation.
    pub(super) id: String,
}

/// For whom.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UserQuery {
    /// Whose the conversation is; an API key has to say it.
    pub(super) user: Option<String>,
}

/// Shows a conversation
#[utoipa::path(get, path = "/api/conversations/{id}", tag = "conversations", params(ConversationPath, UserQuery),
    responses((status = 200, body = Conversation)))]
async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(ConversationPath { id }): Path<ConversationPath>,
    Query(UserQuery { user }): Query<UserQuery>,
) -> Result<Json<Conversation>, Problem> {
    let scope = Scope::of(&caller, user.as_deref())?;
    Ok(Json(scope.find(&*app.stores.journal, &id).await?.into()))
}

/// What is changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RenameBody {
    /// What people call it: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
}

/// Gives a conversation another title
#[utoipa::path(patch, path = "/api/conversations/{id}", tag = "conversations", params(ConversationPath, UserQuery),
    request_body = RenameBody, responses((status = 200, body = Conversation)))]
async fn rename(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(ConversationPath { id }): Path<ConversationPath>,
    Query(UserQuery { user }): Query<UserQuery>,
    Json(RenameBody { title }): Json<RenameBody>,
) -> Result<Json<Conversation>, Problem> {
    let scope = Scope::of(&caller, user.as_deref())?;
    scope.find(&*app.stores.journal, &id).await?;
    let title = title.trim();
    if title.is_empty() || title.chars().count() > LONGEST_TITLE || title.chars().any(char::is_control) {
        let detail = format!("`title`: expected 1 to {LONGEST_TITLE} visible characters, found `{title}`");
        return Err(Problem::invalid(codes::REQUEST_BODY, detail).hint("send one line"));
    }
    app.stores.journal.rename_conversation(&id, title).await?;
    Ok(Json(scope.find(&*app.stores.journal, &id).await?.into()))
}

/// What is deleted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    /// Whose the conversation is; an API key has to say it.
    user: Option<String>,
    /// Whether its runs are deleted too, with their journals and files; else they stay as long as all runs do.
    #[serde(default)]
    runs: bool,
}

/// Deletes a conversation with its messages and variables
///
/// It cannot be undone. While one of its runs goes on, nothing is deleted.
#[utoipa::path(delete, path = "/api/conversations/{id}", tag = "conversations", params(ConversationPath, DeleteQuery),
    responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    actor: Actor,
    Path(ConversationPath { id }): Path<ConversationPath>,
    Query(DeleteQuery { user, runs }): Query<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let scope = Scope::of(&caller, user.as_deref())?;
    scope.find(&*app.stores.journal, &id).await?;
    if let Err(open) = app.stores.forget_conversation(&id, runs).await? {
        let run = open.first().map(ToString::to_string).unwrap_or_default();
        let detail = format!("the conversation `{id}` has runs that have not ended, such as {run}");
        let problem = Problem::conflict(codes::RUN_STATE, detail)
            .hint(format!("wait for it, or stop it: POST /api/runs/{run}/cancel"));
        return Err(open.into_iter().next().into_iter().fold(problem, Problem::about));
    }
    app.store.record(actor.entry(app.clock.now(), "conversations.delete", id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
