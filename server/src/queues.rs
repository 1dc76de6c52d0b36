//! `/api/queues` and `/api/workers`: what waits for workers, which of it cannot be done, and who works.

use std::sync::Arc;

use axum::extract::State;
use liteagent_engine::{
    codes,
    queue::{DeadLetter, Depth, Group, Pointer, Queue, QueueError, Rates, Roster, WorkerInfo},
    time::iso,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    access::{Access, Role},
    accounts::Actor,
    app::App,
    extract::{Json, Limit, Path, Query},
    problem::Problem,
    routes::Routes,
};

/// So many dead letters are tried again or dropped in one request.
const MOST: usize = 1_000;

/// Where work waits for workers, and who they are.
#[derive(Clone)]
pub struct Fleet {
    /// Where work waits.
    pub queue: Arc<dyn Queue>,
    /// Who works.
    pub roster: Arc<dyn Roster>,
    /// Counts what callers send to all servers.
    pub rates: Arc<dyn Rates>,
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::User(Role::Viewer), routes!(list))
        .add(Access::User(Role::Viewer), routes!(workers))
        .add(Access::User(Role::Viewer), routes!(dead_letters))
        .add(Access::User(Role::Owner), routes!(retry))
        .add(Access::User(Role::Owner), routes!(drop_letters))
}

/// What waits in a queue.
#[derive(Serialize, ToSchema)]
struct QueueReply {
    /// Its name.
    #[schema(example = "workflow")]
    name: &'static str,
    /// Jobs that could be taken now.
    ready: u64,
    /// Jobs whose time has not come.
    delayed: u64,
    /// Jobs that workers hold.
    leased: u64,
    /// Jobs that nobody could do.
    dead: u64,
    /// For how long the oldest job has waited, in milliseconds; 0 when nothing waits.
    age_ms: u64,
}

/// The queues.
#[derive(Serialize, ToSchema)]
struct QueueList {
    /// None where everything is done in one process.
    queues: Vec<QueueReply>,
}

/// Shows what waits in the queues
#[utoipa::path(get, path = "/api/queues", tag = "operation", responses((status = 200, body = QueueList)))]
async fn list(State(app): State<Arc<App>>) -> Result<Json<QueueList>, Problem> {
    let mut queues = Vec::new();
    if let Some(fleet) = &app.fleet {
        let now = app.clock.now();
        for (group, depth) in depths(fleet).await? {
            let Depth { ready, delayed, leased, dead, .. } = depth;
            queues.push(QueueReply { name: group.as_str(), ready, delayed, leased, dead, age_ms: depth.age(now) });
        }
    }
    Ok(Json(QueueList { queues }))
}

/// What waits in each queue.
pub(crate) async fn depths(fleet: &Fleet) -> Result<Vec<(Group, Depth)>, QueueError> {
    let mut depths = Vec::new();
    for group in Group::ALL {
        depths.push((group, fleet.queue.depth(group).await?));
    }
    Ok(depths)
}

/// A worker.
#[derive(Serialize, ToSchema)]
struct WorkerReply {
    /// Its session; another one each time that it starts.
    id: String,
    /// What it is called.
    #[schema(example = "mars-4711")]
    name: String,
    /// Its machine.
    host: String,
    /// The queues that it takes from.
    #[schema(example = json!(["workflow", "indexing"]))]
    queues: Vec<&'static str>,
    /// How many jobs of each queue it works on at once.
    concurrency: usize,
    /// How many runs it executes now.
    active: usize,
    /// Whether it takes nothing any more, and ends.
    draining: bool,
    /// Its release.
    version: String,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it was last heard of.
    #[schema(format = DateTime)]
    seen_at: String,
}

impl From<WorkerInfo> for WorkerReply {
    fn from(worker: WorkerInfo) -> Self {
        Self {
            id: worker.id.to_string(),
            name: worker.name,
            host: worker.host,
            queues: worker.queues.into_iter().map(Group::as_str).collect(),
            concurrency: worker.concurrency,
            active: worker.active,
            draining: worker.draining,
            version: worker.version,
            started_at: iso(worker.started_at),
            seen_at: iso(worker.seen_at),
        }
    }
}

/// The workers.
#[derive(Serialize, ToSchema)]
struct WorkerList {
    /// By name. None where everything is done in one process.
    workers: Vec<WorkerReply>,
}

/// Lists the workers that were heard of in the last half minute
#[utoipa::path(get, path = "/api/workers", tag = "operation", responses((status = 200, body = WorkerList)))]
async fn workers(State(app): State<Arc<App>>) -> Result<Json<WorkerList>, Problem> {
    let workers = match &app.fleet {
        Some(fleet) => fleet.roster.workers().await?,
        None => Vec::new(),
    };
    Ok(Json(WorkerList { workers: workers.into_iter().map(WorkerReply::from).collect() }))
}

/// A job that nobody could do.
#[derive(Serialize, ToSchema)]
struct Letter {
    /// Its id in the queue.
    #[schema(example = "1767225600000-0")]
    id: String,
    /// The run; `null` when what was found in the queue cannot be read.
    run: Option<String>,
    /// Of a step: the path of its node.
    node: Option<String>,
    /// Why.
    reason: String,
    /// Since when.
    #[schema(format = DateTime)]
    at: String,
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        let (run, node) = match letter.job.map(|job| job.pointer) {
            Some(Pointer::Run(run)) => (Some(run.to_string()), None),
            Some(Pointer::Step { run, node, .. }) => (Some(run.to_string()), Some(node)),
            None => (None, None),
        };
        Self { id: letter.id, run, node, reason: letter.reason, at: iso(letter.at) }
    }
}

/// A page of dead letters.
#[derive(Serialize, ToSchema)]
struct LetterPage {
    /// The oldest first.
    letters: Vec<Letter>,
    /// What to send as `after` for the next page; `null` after the last.
    next: Option<String>,
}

/// Which dead letters.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LetterQuery {
    /// Only those after this one.
    after: Option<String>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

/// Lists the jobs of a queue that nobody could do
///
/// Their runs are not lost: they wait, and are pushed again after a while.
#[utoipa::path(get, path = "/api/queues/{queue}/dead", tag = "operation",
    params(("queue" = String, Path, description = "The queue"), LetterQuery),
    responses((status = 200, body = LetterPage)))]
async fn dead_letters(
    State(app): State<Arc<App>>,
    Path(queue): Path<String>,
    Query(query): Query<LetterQuery>,
) -> Result<Json<LetterPage>, Problem> {
    let (fleet, group) = found(&app, &queue)?;
    let limit = query.limit.0 as usize;
    let letters = fleet.queue.dead_letters(group, query.after.as_deref(), limit).await?;
    let next = letters.last().filter(|_| letters.len() == limit).map(|letter| letter.id.clone());
    Ok(Json(LetterPage { letters: letters.into_iter().map(Letter::from).collect(), next }))
}

/// Some dead letters.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LetterIds {
    /// These; at most 1000.
    #[schema(example = json!(["1767225600000-0"]))]
    ids: Vec<String>,
}

impl LetterIds {
    fn checked(self) -> Result<Vec<String>, Problem> {
        if self.ids.len() <= MOST {
            return Ok(self.ids);
        }
        let detail = format!("expected at most {MOST} `ids`, found {}", self.ids.len());
        Err(Problem::invalid(codes::REQUEST_BODY, detail).hint("send several requests"))
    }
}

/// What was done with dead letters.
#[derive(Serialize, ToSchema)]
struct LettersDone {
    /// How many there were of those that were named.
    count: usize,
}

/// Lets workers try dead letters again, as if they never had
#[utoipa::path(post, path = "/api/queues/{queue}/dead/retry", tag = "operation",
    params(("queue" = String, Path, description = "The queue")),
    request_body = LetterIds, responses((status = 200, body = LettersDone)))]
async fn retry(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(queue): Path<String>,
    Json(body): Json<LetterIds>,
) -> Result<Json<LettersDone>, Problem> {
    let (fleet, group) = found(&app, &queue)?;
    let count = fleet.queue.retry_dead(group, &body.checked()?, app.clock.now()).await?;
    app.store.record(actor.entry(app.clock.now(), "queues.retry", group.as_str())).await?;
    Ok(Json(LettersDone { count }))
}

/// Forgets dead letters
#[utoipa::path(post, path = "/api/queues/{queue}/dead/drop", tag = "operation",
    params(("queue" = String, Path, description = "The queue")),
    request_body = LetterIds, responses((status = 200, body = LettersDone)))]
async fn drop_letters(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(queue): Path<String>,
    Json(body): Json<LetterIds>,
) -> Result<Json<LettersDone>, Problem> {
    let (fleet, group) = found(&app, &queue)?;
    let count = fleet.queue.drop_dead(group, &body.checked()?).await?;
    app.store.record(actor.entry(app.clock.now(), "queues.drop", group.as_str())).await?;
    Ok(Json(LettersDone { count }))
}

/// A queue by its name.
fn found<'a>(app: &'a App, queue: &str) -> Result<(&'a Fleet, Group), Problem> {
    let group = queue
        .parse::<Group>()
        .map_err(|error| Problem::missing(codes::UNKNOWN_NAME, error).hint("list the queues with GET /api/queues"))?;
    let fleet = app.fleet.as_ref().ok_or_else(|| {
        Problem::conflict(codes::NO_QUEUE, "everything is done in this process: there is no queue between processes")
            .hint("set `REDIS_URL`, and start workers with `liteagent worker`")
    })?;
    Ok((fleet, group))
}
