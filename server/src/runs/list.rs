//! `GET /api/runs`: lists, one run with its nodes, its journal.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use liteagent_engine::{
    codes,
    engine::{EngineError, Settled},
    event::{Seq, SkipReason},
    id::RunId,
    store::{RunFilter, RunPhase, RunRow},
    time::iso,
    value::Value,
    view::{NodeSeen, ViewStatus},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Failure, RunReply, Standing, Used, Waiting, visible};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Limit, Path, Query},
    problem::Problem,
    routes::Routes,
};

/// How long it may take to see what a run waits for.
const GLANCE: Duration = Duration::from_millis(500);

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::UserOrKey(Role::Viewer), routes!(list))
        .add(Access::UserOrKey(Role::Viewer), routes!(show))
        .add(Access::UserOrKey(Role::Viewer), routes!(journal))
}

/// A run in a list.
#[derive(Serialize, ToSchema)]
struct Run {
    /// Its id.
    id: String,
    /// Its workflow.
    workflow: String,
    /// The digest of its bundle.
    digest: String,
    /// How it stands.
    status: Standing,
    /// What started it.
    #[schema(example = "api")]
    trigger: String,
    /// The run that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// The conversation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    /// Whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Code and message of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What it used of models, with the runs that it started; known once it has ended.
    usage: Used,
    /// When it was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When it must be woken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    wake_at: Option<String>,
}

impl From<RunRow> for Run {
    fn from(row: RunRow) -> Self {
        Self {
            id: row.id.to_string(),
            status: Standing::of(&row),
            workflow: row.workflow,
            digest: row.digest.to_string(),
            trigger: row.trigger,
            parent: row.parent.map(|parent| parent.run.to_string()),
            conversation: row.conversation,
            subject: row.subject,
            error: row.error,
            usage: row.usage.report().into(),
            created_at: iso(row.created_at),
            updated_at: iso(row.updated_at),
            wake_at: row.wake_at.map(iso),
        }
    }
}

/// A page of runs.
#[derive(Serialize, ToSchema)]
struct RunPage {
    /// The runs, newest first.
    runs: Vec<Run>,
    /// What to send as `before` for the next page; `null` after the last.
    next: Option<String>,
}

/// Which runs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only those of this workflow.
    workflow: Option<String>,
    /// Only those that stand so.
    #[param(inline)]
    status: Option<Standing>,
    /// Only those that this run started.
    parent: Option<String>,
    /// Only those older than this run.
    before: Option<String>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

impl ListQuery {
    fn filter(self, own: Option<&str>) -> Result<RunFilter, Problem> {
        let run = |name, id: Option<String>| id.map(|id| run_id(name, &id)).transpose();
        let standing = self.status.map(Standing::filter).unwrap_or_default();
        Ok(RunFilter {
            workflow: own.map(str::to_owned).or(self.workflow),
            parent: run("parent", self.parent)?,
            subject: None,
            before: run("before", self.before)?,
            limit: self.limit.0,
            ..standing
        })
    }
}

/// The id of a run that a parameter or a member of a body gives.
pub(super) fn run_id(name: &str, id: &str) -> Result<RunId, Problem> {
    id.parse().map_err(|error| {
        Problem::invalid(codes::REQUEST_PARAMETER, format!("`{name}`: {error}")).hint("give the id of a run")
    })
}

/// Lists runs, newest first
///
/// An API key sees those of its workflow.
#[utoipa::path(get, path = "/api/runs", tag = "runs", params(ListQuery), responses((status = 200, body = RunPage)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<RunPage>, Problem> {
    let filter = query.filter(caller.only_workflow()?)?;
    let limit = filter.limit as usize;
    let rows = app.stores.journal.runs(filter).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.id.to_string())).flatten();
    Ok(Json(RunPage { runs: rows.into_iter().map(Run::from).collect(), next }))
}

/// Which run a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RunPath {
    /// The id of the run.
    pub(super) id: String,
}

/// A run with all that is known of it.
#[derive(Serialize, ToSchema)]
struct RunDetail {
    #[serde(flatten)]
    run: Run,
    /// Its inputs.
    #[schema(value_type = Object)]
    inputs: Value,
    /// Its outputs; empty unless it succeeded.
    #[schema(value_type = Object)]
    outputs: Value,
    /// Why it did not succeed, or does not.
    failure: Option<Failure>,
    /// How many failures were handled by `on_error`.
    handled_errors: u32,
    /// The run that it was forked from.
    #[serde(skip_serializing_if = "Option::is_none")]
    forked_from: Option<String>,
    /// What it waits for, also through runs that it started, when it does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waits: Vec<Waiting>,
    /// Its nodes, in the order in which they were first heard of.
    nodes: Vec<NodeReply>,
}

/// A node of a run.
#[derive(Serialize, ToSchema)]
struct NodeReply {
    /// Its path, such as `each[3].fetch`.
    path: String,
    /// Where it stands.
    status: NodeStanding,
    /// The newest attempt, from 1.
    attempt: u32,
    /// When it started, as far as the journal says: of nodes without effects only the end is known.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// The port that it left by, where it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<String>,
    /// Its output.
    #[schema(value_type = Object)]
    #[serde(skip_serializing_if = "Value::is_null")]
    output: Value,
    /// The run that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    child: Option<String>,
    /// What it asks a person.
    #[schema(value_type = Object)]
    #[serde(skip_serializing_if = "Value::is_null")]
    ask: Value,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    skipped: Option<SkipReason>,
    /// Its failures, one per attempt that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Failure>,
    /// What it printed, attempt by attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<String>,
}

/// Where a node stands.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NodeStanding {
    Running,
    /// It is tried again later.
    Sleeping,
    Waiting,
    Succeeded,
    Failed,
    Skipped,
    Cancelled,
}

impl NodeReply {
    fn of(path: String, node: NodeSeen) -> Self {
        let mut reply = Self {
            path,
            status: NodeStanding::Cancelled,
            attempt: node.attempt,
            started_at: iso(node.started_at),
            ended_at: node.ended_at.map(iso),
            port: None,
            output: Value::Null,
            child: None,
            ask: Value::Null,
            skipped: None,
            failures: node.failures.into_iter().map(|(_, error)| error.into()).collect(),
            logs: node.logs.into_iter().map(|(_, text)| text).collect(),
        };
        match node.status {
            ViewStatus::Running { child } => {
                reply.status = NodeStanding::Running;
                reply.child = child.map(|child| child.to_string());
            }
            ViewStatus::Sleeping(_) => reply.status = NodeStanding::Sleeping,
            ViewStatus::Waiting(wait) => {
                reply.status = NodeStanding::Waiting;
                reply.ask = wait.ask;
            }
            ViewStatus::Succeeded { port, output, .. } => {
                reply.status = NodeStanding::Succeeded;
                reply.port = port;
                reply.output = output;
            }
            ViewStatus::Failed { .. } => reply.status = NodeStanding::Failed,
            ViewStatus::Skipped(reason) => {
                reply.status = NodeStanding::Skipped;
                reply.skipped = Some(reason);
            }
            ViewStatus::Cancelled => {}
        }
        reply
    }
}

/// Shows a run with its nodes
#[utoipa::path(get, path = "/api/runs/{id}", tag = "runs", params(RunPath), responses((status = 200, body = RunDetail)))]
async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
) -> Result<Json<RunDetail>, Problem> {
    let row = visible(&app, &caller, &id).await?;
    let view = app.engine.view(row.id).await?;
    let view = view.ok_or(EngineError::UnknownRun(row.id))?;
    let reply = view.end.map(|end| RunReply::ended(row.id, end));
    let (outputs, failure, handled_errors) = match reply {
        Some(reply) => (reply.outputs, reply.error, reply.handled_errors),
        None => (Value::object(), view.stopping.map(Failure::from), 0),
    };
    let waits = waits(&app, &row).await?;
    Ok(Json(RunDetail {
        waits,
        run: row.into(),
        inputs: view.inputs,
        outputs,
        failure,
        handled_errors,
        forked_from: view.forked_from.map(|run| run.to_string()),
        nodes: view.nodes.into_iter().map(|(path, node)| NodeReply::of(path, node)).collect(),
    }))
}

/// What a run waits for.
async fn waits(app: &App, row: &RunRow) -> Result<Vec<Waiting>, Problem> {
    if row.phase != RunPhase::Waiting {
        return Ok(Vec::new());
    }
    // It may go on in this moment: then nobody waits for what comes.
    match tokio::time::timeout(GLANCE, app.engine.settled(row.id)).await {
        Ok(Ok(Settled::Waiting(open))) => Ok(open.into_iter().map(Waiting::from).collect()),
        Ok(Err(EngineError::Store(error))) => Err(error.into()),
        _ => Ok(Vec::new()),
    }
}

/// Which records.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct JournalQuery {
    /// Only those after this one.
    #[param(value_type = Option<u64>, maximum = 4_294_967_295u32)]
    after: Option<u32>,
    /// How many at most: 1 to 10,000, 1000 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    limit: Limit<1000, 10_000>,
}

/// A part of a journal.
#[derive(Serialize, ToSchema)]
struct JournalPage {
    /// The records, oldest first, as they are stored.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Box<serde_json::value::RawValue>>,
    /// What to send as `after` for the next page; `null` after the last.
    next: Option<u64>,
}

/// Reads the journal of a run
#[utoipa::path(get, path = "/api/runs/{id}/journal", tag = "runs", params(RunPath, JournalQuery),
    responses((status = 200, body = JournalPage)))]
async fn journal(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(RunPath { id }): Path<RunPath>,
    Query(query): Query<JournalQuery>,
) -> Result<Json<JournalPage>, Problem> {
    let run = visible(&app, &caller, &id).await?.id;
    let limit = query.limit.0 as usize;
    let stored = app.stores.journal.read(run, query.after.map_or(0, Seq::from), limit).await?;
    let next = (stored.len() == limit).then(|| stored.last().map(|record| record.seq)).flatten();
    let records = stored.iter().map(|record| serde_json::value::RawValue::from_string(record.body.to_string()));
    let records = records.collect::<Result<_, _>>().map_err(|error| {
        Problem::from(liteagent_engine::store::StoreError::Damaged(format!("the journal of {run}: {error}")))
    })?;
    Ok(Json(JournalPage { records, next }))
}
