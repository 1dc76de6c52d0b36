//! `/api/conversations/{id}/messages`: what was said. It stands in the conversation once; the journals of its runs say the rest.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use liteagent_engine::{
    codes,
    id::RunId,
    store::{Rating, RunPhase, RunRow, StoredTurn, TurnPage},
    time::iso,
    value::Value,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{
    Scope,
    api::{ConversationPath, UserQuery},
};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Limit, Path, Query},
    problem::Problem,
    routes::Routes,
    runs::{Standing, Used},
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::UserOrKey(Role::Viewer), routes!(list)).add(Access::UserOrKey(Role::Editor), routes!(rate))
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Speaks {
    /// A person.
    User,
    /// The workflow.
    Assistant,
}

/// What somebody said.
#[derive(Serialize, ToSchema)]
struct Message {
    /// The run that answers it, or that it is the answer of.
    #[schema(example = "run_01kgd0a9qse7xv3m2bn4t5w6y8")]
    run: String,
    /// Who says it.
    role: Speaks,
    /// What is said; `null` where there is no answer, or not yet.
    text: Option<String>,
    /// The files that came with it.
    #[schema(value_type = Vec<Object>)]
    #[serde(skip_serializing_if = "Value::is_null")]
    files: Value,
    /// When it was said; `null` while there is no answer.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Of an answer: how its run stands. `null` where the run is not kept any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Standing>,
    /// Of an answer: code and message of the failure of its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Of an answer: what it used of models, once its run has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Used>,
    /// Of an answer: what the person thinks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<Thumb>,
}

/// What a person thinks of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Thumb {
    /// It helped.
    Up,
    /// It did not.
    Down,
}

impl From<Rating> for Thumb {
    fn from(rating: Rating) -> Self {
        match rating {
            Rating::Up => Self::Up,
            Rating::Down => Self::Down,
        }
    }
}

impl From<Thumb> for Rating {
    fn from(thumb: Thumb) -> Self {
        match thumb {
            Thumb::Up => Self::Up,
            Thumb::Down => Self::Down,
        }
    }
}

impl Message {
    /// What a person said, and what the workflow answered.
    fn of(turn: StoredTurn, row: Option<RunRow>) -> [Self; 2] {
        let said = Self {
            run: turn.run.to_string(),
            role: Speaks::User,
            text: Some(turn.message),
            files: turn.files,
            at: Some(iso(turn.at)),
            status: None,
            error: None,
            usage: None,
            rating: None,
        };
        let ended = row.as_ref().filter(|row| row.phase == RunPhase::Ended);
        let answer = Self {
            run: said.run.clone(),
            role: Speaks::Assistant,
            text: turn.answer,
            files: Value::Null,
            at: ended.map(|row| iso(row.updated_at)),
            usage: ended.map(|row| row.usage.report().into()),
            error: row.as_ref().and_then(|row| row.error.clone()),
            status: row.as_ref().map(Standing::of),
            rating: turn.rating.map(Thumb::from),
        };
        [said, answer]
    }
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
struct MessagePage {
    /// The messages: each of a person, and the answer to it. What was edited, or answered again, is left out.
    messages: Vec<Message>,
    /// What to send as `after` for the next page; `null` after the last.
    next: Option<String>,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// What was said first comes first.
    #[default]
    Oldest,
    /// The newest answer comes first.
    Newest,
}

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MessageQuery {
    /// Whose the conversation is; an API key has to say it.
    user: Option<String>,
    /// Which come first: `oldest` (default) or `newest`.
    #[param(inline)]
    #[serde(default)]
    order: Order,
    /// Where the page begins: `next` of the one before.
    after: Option<String>,
    /// How many messages of people at most, each with its answer: 1 to 500, 50 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Limit<50, 500>,
}

/// Lists what was said in a conversation
#[utoipa::path(get, path = "/api/conversations/{id}/messages", tag = "conversations",
    params(ConversationPath, MessageQuery), responses((status = 200, body = MessagePage)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(ConversationPath { id }): Path<ConversationPath>,
    Query(MessageQuery { user, order, after, limit }): Query<MessageQuery>,
) -> Result<Json<MessagePage>, Problem> {
    let journal = &app.stores.journal;
    Scope::of(&caller, user.as_deref())?.find(&**journal, &id).await?;
    let limit = limit.0;
    let newest_first = order == Order::Newest;
    let after = match after {
        Some(run) => Some(turn(&app, &id, &run).await?),
        None => None,
    };
    let turns = journal.turns(&id, TurnPage { newest_first, after, limit }).await?;
    let next = (turns.len() == limit as usize).then(|| turns.last().map(|turn| turn.run.to_string())).flatten();
    let mut messages = Vec::with_capacity(turns.len() * 2);
    for turn in turns {
        let row = journal.run(turn.run).await?;
        let [said, answer] = Message::of(turn, row);
        messages.extend(if newest_first { [answer, said] } else { [said, answer] });
    }
    Ok(Json(MessagePage { messages, next }))
}

/// A message of a conversation.
pub(super) async fn turn(app: &App, conversation: &str, id: &str) -> Result<RunId, Problem> {
    let missing = || {
        Problem::missing(codes::NO_MESSAGE, format!("the conversation `{conversation}` has no message of `{id}`"))
            .hint("GET /api/conversations/{id}/messages lists them")
    };
    let run: RunId = id.parse().map_err(|_| missing())?;
    let turn = app.stores.journal.turn(run).await?.filter(|turn| turn.conversation == conversation);
    turn.map(|turn| turn.run).ok_or_else(missing)
}

/// Which message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct MessagePath {
    /// The id of the conversation.
    id: String,
    /// The run of the answer.
    run: String,
}

/// What a person thinks of an answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RatingBody {
    /// `up`, `down`, or `null` for nothing any more.
    rating: Option<Thumb>,
}

/// Says what a person thinks of an answer
#[utoipa::path(put, path = "/api/conversations/{id}/messages/{run}/rating", tag = "conversations",
    params(MessagePath, UserQuery), request_body = RatingBody, responses((status = 204)))]
async fn rate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(MessagePath { id, run }): Path<MessagePath>,
    Query(UserQuery { user }): Query<UserQuery>,
    Json(RatingBody { rating }): Json<RatingBody>,
) -> Result<StatusCode, Problem> {
    Scope::of(&caller, user.as_deref())?.find(&*app.stores.journal, &id).await?;
    let run = turn(&app, &id, &run).await?;
    app.stores.journal.rate(run, rating.map(Rating::from)).await?;
    Ok(StatusCode::NO_CONTENT)
}
