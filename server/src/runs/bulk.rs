//! `POST /api/runs/bulk`: the same done to many runs.

use std::{collections::HashSet, sync::Arc};

use axum::extract::State;
use liteagent_engine::{
    codes,
    engine::{Cut, EngineError},
    event::RunStatus,
    id::RunId,
    store::{Message, MessageBody, RunFilter, RunPhase, RunRow, StoreError},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Standing, list};
use crate::{
    access::{Access, Role},
    accounts::Actor,
    app::App,
    extract::{Json, Limit},
    operation::NotBegun,
    problem::Problem,
    routes::Routes,
};

/// So many runs are handled at once.
const MOST: u32 = 1_000;
/// The message by which many runs are asked to stop: whoever is asked twice is asked once.
const CANCEL: &str = "bulk-cancel";

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::User(Role::Editor), routes!(bulk))
}

/// What is done to many runs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkBody {
    /// What is done to each.
    action: Action,
    /// Which runs: those that fit.
    #[schema(inline)]
    filter: Option<Which>,
    /// Which runs: these, at most 1,000.
    #[schema(max_items = 1000)]
    ids: Option<Vec<String>>,
    /// With `filter`: what the last answer gave as `next`.
    before: Option<String>,
    /// With `filter`: how many runs are handled at most: 1 to 1000, 1000 by default.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Limit<MOST, MOST>>,
    /// With `restart`: the path of the node that is done again; by default the one that failed.
    node: Option<String>,
    /// Whether to say only what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// What is done to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// It is stopped; its `finally` still runs.
    Cancel,
    /// A new run keeps what it settled, but for the node that failed and what depends on it.
    Restart,
    /// It goes on: its process may have died, or its time may have come.
    Resume,
    /// It is deleted with all that belongs to it, when it has ended.
    Delete,
}

impl Action {
    const fn audited(self) -> &'static str {
        match self {
            Self::Cancel => "runs.cancel",
            Self::Restart => "runs.restart",
            Self::Resume => "runs.resume",
            Self::Delete => "runs.delete",
        }
    }
}

/// Runs that fit all of this.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only those of this workflow.
    workflow: Option<String>,
    /// Only those that stand so.
    status: Option<Standing>,
    /// Only those that this run started.
    parent: Option<String>,
}

/// What became of many runs.
#[derive(Serialize, ToSchema)]
struct BulkReply {
    /// What became of each.
    runs: Vec<Done>,
    /// What to send as `before` to go on; `null` after the last.
    next: Option<String>,
}

/// What became of a run.
#[derive(Serialize, ToSchema)]
struct Done {
    /// The run.
    id: String,
    /// What became of it.
    outcome: Outcome,
    /// The run that was started in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// Why it was left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It was done, or would be.
    Done,
    /// There was nothing to do.
    Unchanged,
    /// It cannot be done.
    Refused,
}

/// Does the same to many runs
///
/// Doing it again changes nothing more: a run is cancelled, deleted or restarted from a node once. At most 1,000 runs at once:
/// `next` says how to go on.
#[utoipa::path(post, path = "/api/runs/bulk", tag = "runs", request_body = BulkBody,
    responses((status = 200, body = BulkReply)))]
async fn bulk(
    State(app): State<Arc<App>>,
    actor: Actor,
    Json(body): Json<BulkBody>,
) -> Result<Json<BulkReply>, Problem> {
    let (rows, next) = body.rows(&app).await?;
    if !body.dry_run && !rows.is_empty() {
        let target = format!("{} runs, the first {}", rows.len(), rows[0].0);
        app.store.record(actor.entry(app.clock.now(), body.action.audited(), target)).await?;
    }
    let gone = if body.action == Action::Delete && !body.dry_run { delete(&app, &rows).await? } else { HashSet::new() };
    let mut runs = Vec::with_capacity(rows.len());
    for (id, row) in &rows {
        runs.push(match row {
            None => Done::of(*id, Outcome::Refused, "there is no such run"),
            Some(row) if gone.contains(id) => Done::yes(row.id),
            Some(row) => body.done(&app, &actor, row).await?,
        });
    }
    if !body.dry_run && body.action == Action::Cancel {
        app.engine.poll().await?;
    }
    Ok(Json(BulkReply { runs, next: next.map(|run| run.to_string()) }))
}

impl BulkBody {
    /// The runs that are meant, and where to go on.
    async fn rows(&self, app: &App) -> Result<(Vec<(RunId, Option<RunRow>)>, Option<RunId>), Problem> {
        let journal = &app.stores.journal;
        let wrong = |detail: &str, hint: &str| Problem::invalid(codes::BULK, detail).hint(hint);
        match (&self.filter, &self.ids) {
            (None, Some(ids)) if self.before.is_none() && self.limit.is_none() && ids.len() <= MOST as usize => {
                let mut rows = Vec::with_capacity(ids.len());
                for id in ids {
                    let id = list::run_id("ids", id)?;
                    rows.push((id, journal.run(id).await?));
                }
                Ok((rows, None))
            }
            (None, Some(_)) => Err(wrong(
                "expected at most 1,000 `ids`, without `before` and `limit`",
                "send them in several requests",
            )),
            (Some(which), None) => {
                let (filter, before) = (which.filter()?, &self.before);
                let before = before.as_deref().map(|before| list::run_id("before", before)).transpose()?;
                let limit = self.limit.unwrap_or_default().0;
                // The place to go on is a run that was not handled yet: one that was may be gone.
                let mut rows = Vec::new();
                if let Some(before) = before {
                    rows.extend(journal.run(before).await?.filter(|row| filter.fits(row)));
                }
                rows.extend(journal.runs(RunFilter { before, limit: limit + 1, ..filter }).await?);
                let next = rows.get(limit as usize).map(|row| row.id);
                rows.truncate(limit as usize);
                Ok((rows.into_iter().map(|row| (row.id, Some(row))).collect(), next))
            }
            _ => Err(wrong("expected either `filter` or `ids`", "write `\"filter\": {}` where every run is meant")),
        }
    }

    async fn done(&self, app: &App, actor: &Actor, row: &RunRow) -> Result<Done, Problem> {
        let has_ended = row.phase == RunPhase::Ended;
        match self.action {
            Action::Cancel | Action::Resume if has_ended => Ok(Done::of(row.id, Outcome::Unchanged, "it has ended")),
            Action::Resume if row.phase == RunPhase::Running => {
                Ok(Done::of(row.id, Outcome::Unchanged, "it goes on already"))
            }
            Action::Delete if !has_ended => Ok(Done::of(row.id, Outcome::Refused, "it has not ended")),
            Action::Restart => self.restart(app, row).await,
            _ if self.dry_run => Ok(Done::yes(row.id)),
            Action::Cancel => {
                let body = MessageBody::Cancel { by: Some(actor.who.clone()) };
                let message = Message { id: CANCEL.to_owned(), at: app.clock.now(), body };
                let is_told = app.stores.journal.send(row.id, message).await?;
                Ok(if is_told { Done::yes(row.id) } else { Done::of(row.id, Outcome::Unchanged, "it has ended") })
            }
            Action::Resume => match app.engine.resume(row.id).await {
                Ok(()) => Ok(Done::yes(row.id)),
                Err(error) => refused(row.id, error),
            },
            // What could be deleted is gone.
            Action::Delete => Ok(Done::of(row.id, Outcome::Unchanged, "it was deleted already")),
        }
    }

    async fn restart(&self, app: &App, row: &RunRow) -> Result<Done, Problem> {
        match row.status {
            None => return Ok(Done::of(row.id, Outcome::Refused, "it has not ended")),
            Some(RunStatus::Succeeded) if self.node.is_none() => {
                return Ok(Done::of(row.id, Outcome::Unchanged, "it succeeded"));
            }
            Some(_) => {}
        }
        let node = match &self.node {
            Some(node) => Some(node.clone()),
            None => app.engine.view(row.id).await?.and_then(|view| view.end?.error?.node),
        };
        let Some(node) = node else {
            return Ok(Done::of(row.id, Outcome::Refused, "no node of it failed: say which one with `node`"));
        };
        let new = RunId::restarted(row.id, &node);
        if app.stores.journal.run(new).await?.is_some() {
            let done = Done::of(row.id, Outcome::Unchanged, "it was restarted already");
            return Ok(Done { run: Some(new.to_string()), ..done });
        }
        if self.dry_run {
            return Ok(Done::yes(row.id));
        }
        // Keys may not come here: a user has no account.
        match app.begin_again(None, new, row.id, Cut::Restart { node }).await {
            Ok(new) => Ok(Done { run: Some(new.to_string()), ..Done::yes(row.id) }),
            Err(NotBegun::Spent(why)) => Ok(Done::of(row.id, Outcome::Refused, why.said())),
            Err(NotBegun::Engine(error)) => refused(row.id, error),
        }
    }
}

impl Which {
    fn filter(&self) -> Result<RunFilter, Problem> {
        let parent = self.parent.as_deref().map(|parent| list::run_id("parent", parent)).transpose()?;
        let filter = self.status.map(Standing::filter).unwrap_or_default();
        Ok(RunFilter { workflow: self.workflow.clone(), parent, ..filter })
    }
}

impl Done {
    fn yes(run: RunId) -> Self {
        Self { id: run.to_string(), outcome: Outcome::Done, run: None, message: None }
    }

    fn of(run: RunId, outcome: Outcome, message: &str) -> Self {
        Self { outcome, message: Some(message.to_owned()), ..Self::yes(run) }
    }
}

/// Deletes those of the runs that have ended, in one transaction.
async fn delete(app: &App, rows: &[(RunId, Option<RunRow>)]) -> Result<HashSet<RunId>, StoreError> {
    let ended = rows.iter().filter(|(_, row)| row.as_ref().is_some_and(|row| row.phase == RunPhase::Ended));
    let ended: Vec<RunId> = ended.map(|(id, _)| *id).collect();
    Ok(app.stores.journal.delete(&ended).await?.into_iter().collect())
}

/// One run that cannot go on holds no other up; a store that fails does.
fn refused(run: RunId, error: EngineError) -> Result<Done, Problem> {
    match error {
        EngineError::Store(error @ (StoreError::Failed(_) | StoreError::Full(_))) => Err(error.into()),
        EngineError::HasEnded(_) => Ok(Done::of(run, Outcome::Unchanged, "it has ended")),
        other => Ok(Done::of(run, Outcome::Refused, &other.to_string())),
    }
}
