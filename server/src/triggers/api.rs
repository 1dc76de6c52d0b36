//! `/api/schedules`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::StatusCode};
use chrono::DateTime;
use liteagent_engine::{
    codes,
    time::{ScheduleError, iso},
    types,
    units::Millis,
    value::Value,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use self::form::{FiringReply, NewSchedule, Origin, Pause, ScheduleReply, Timing};
use super::{
    due,
    fire::{fire, prepare, run_of},
    scheduler::settle,
    schedules::{Scheduled, all},
};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Limit, Path, Query},
    problem::{Problem, misfit},
    routes::Routes,
    store::{Cause, ScheduleId, ScheduleRow},
};

mod form;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::User(Role::Viewer), routes!(list))
        .add(Access::User(Role::Viewer), routes!(show))
        .add(Access::User(Role::Viewer), routes!(firings))
        .add(Access::User(Role::Editor), routes!(add))
        .add(Access::User(Role::Editor), routes!(change))
        .add(Access::User(Role::Editor), routes!(delete))
        .add(Access::User(Role::Editor), routes!(pause))
        .add(Access::User(Role::Editor), routes!(resume))
        .add(Access::User(Role::Editor), routes!(fire_now))
        .add(Access::User(Role::Editor), routes!(backfill))
}

/// A list of schedules.
#[derive(Serialize, ToSchema)]
struct ScheduleList {
    /// The schedules, by workflow and name.
    schedules: Vec<ScheduleReply>,
}

/// Which schedules.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only those of this workflow.
    workflow: Option<String>,
}

/// Lists the schedules of published workflows, and those that were made here
#[utoipa::path(get, path = "/api/schedules", tag = "schedules", params(ListQuery),
    responses((status = 200, body = ScheduleList)))]
async fn list(State(app): State<Arc<App>>, Query(query): Query<ListQuery>) -> Result<Json<ScheduleList>, Problem> {
    settle(&app).await?;
    let mut pauses = pauses(&app).await?;
    let mut schedules = Vec::new();
    for scheduled in all(&app).await? {
        if query.workflow.as_ref().is_none_or(|workflow| *workflow == scheduled.id.workflow) {
            let paused = pauses.remove(&scheduled.id);
            schedules.push(described(&app, scheduled, paused).await?);
        }
    }
    Ok(Json(ScheduleList { schedules }))
}

/// Who paused which schedule, and when.
async fn pauses(app: &App) -> Result<BTreeMap<ScheduleId, (String, Millis)>, Problem> {
    let states = app.store.schedule_states().await?;
    Ok(states.into_iter().filter_map(|state| Some((state.id, state.paused?))).collect())
}

async fn reply(app: &App, scheduled: Scheduled) -> Result<ScheduleReply, Problem> {
    let paused = pauses(app).await?.remove(&scheduled.id);
    described(app, scheduled, paused).await
}

async fn described(
    app: &App,
    scheduled: Scheduled,
    paused: Option<(String, Millis)>,
) -> Result<ScheduleReply, Problem> {
    let now = app.clock.now();
    let active = paused.is_none() && !scheduled.timing().is_empty();
    let schedule = scheduled.schedule().ok().filter(|_| active);
    let next = schedule.iter().flat_map(|schedule| schedule.firings(now).take(10)).map(iso).collect();
    let last = app.store.firings(&scheduled.id, Millis::MAX, 1).await?.pop();
    let previous = app.store.last_success(&scheduled.id, Millis::MAX).await?;
    Ok(ScheduleReply {
        timing: Timing::of(&scheduled.trigger),
        origin: if scheduled.made.is_some() { Origin::Api } else { Origin::Definition },
        created_by: scheduled.made.map(|(by, _)| by),
        active,
        paused: paused.map(|(by, at)| Pause { by, at: iso(at) }),
        next,
        last: last.map(FiringReply::from),
        previous_at: previous.map(iso),
        workflow: scheduled.id.workflow,
        name: scheduled.id.name,
    })
}

/// Which schedule a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct SchedulePath {
    /// The name of the workflow, with `/` written as `%2F`.
    workflow: String,
    /// The name of the schedule.
    name: String,
}

async fn find(app: &App, path: SchedulePath) -> Result<Scheduled, Problem> {
    let SchedulePath { workflow, name } = path;
    let id = ScheduleId { workflow, name };
    let found = all(app).await?.into_iter().find(|scheduled| scheduled.id == id);
    found.ok_or_else(|| {
        Problem::missing(codes::NO_SCHEDULE, format!("the workflow `{}` has no schedule `{}`", id.workflow, id.name))
            .hint("list them with GET /api/schedules; those of workflows that are not published are no schedules")
    })
}

/// A schedule that was made here, and not in a definition.
async fn find_made(app: &App, path: SchedulePath) -> Result<Scheduled, Problem> {
    let scheduled = find(app, path).await?;
    if scheduled.made.is_none() {
        let detail = format!("the schedule {} stands in the definition of its workflow", scheduled.id);
        return Err(Problem::conflict(codes::SCHEDULE_TAKEN, detail)
            .hint("change it there, and add a version of the workflow; here it can be paused"));
    }
    Ok(scheduled)
}

/// Shows a schedule
#[utoipa::path(get, path = "/api/schedules/{workflow}/{name}", tag = "schedules", params(SchedulePath),
    responses((status = 200, body = ScheduleReply)))]
async fn show(State(app): State<Arc<App>>, Path(path): Path<SchedulePath>) -> Result<Json<ScheduleReply>, Problem> {
    settle(&app).await?;
    let scheduled = find(&app, path).await?;
    Ok(Json(reply(&app, scheduled).await?))
}

/// Which firings.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct FiringsQuery {
    /// Only those that were due before this moment.
    before: Option<String>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

/// A page of firings.
#[derive(Serialize, ToSchema)]
struct FiringPage {
    /// The firings, newest first. They are kept for 90 days.
    firings: Vec<FiringReply>,
    /// What to send as `before` for the next page; `null` after the last.
    next: Option<String>,
}

/// Lists what became of the firings of a schedule
#[utoipa::path(get, path = "/api/schedules/{workflow}/{name}/firings", tag = "schedules",
    params(SchedulePath, FiringsQuery), responses((status = 200, body = FiringPage)))]
async fn firings(
    State(app): State<Arc<App>>,
    Path(path): Path<SchedulePath>,
    Query(query): Query<FiringsQuery>,
) -> Result<Json<FiringPage>, Problem> {
    settle(&app).await?;
    let id = find(&app, path).await?.id;
    let before = query.before.as_deref().map(|text| moment("before", text)).transpose()?;
    let limit = query.limit.0;
    let firings = app.store.firings(&id, before.unwrap_or(Millis::MAX), limit).await?;
    let next = (firings.len() == limit as usize).then(|| firings.last().map(|firing| iso(firing.due_at))).flatten();
    Ok(Json(FiringPage { firings: firings.into_iter().map(FiringReply::from).collect(), next }))
}

/// Makes a schedule
///
/// Its inputs are computed once, to see whether they fit; with mistakes nothing is made.
#[utoipa::path(post, path = "/api/schedules", tag = "schedules", request_body = NewSchedule,
    responses((status = 201, body = ScheduleReply)))]
async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewSchedule>,
) -> Result<(StatusCode, Json<ScheduleReply>), Problem> {
    let NewSchedule { workflow, name, timing } = body;
    let is_name = (1..=64).contains(&name.len())
        && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"_-".contains(&letter));
    if !is_name {
        let detail = format!("expected a name of letters, digits, `_` and `-`, at most 64, found `{name}`");
        return Err(
            Problem::invalid(codes::REQUEST_BODY, detail).hint("call it after what it is for, such as `nightly`")
        );
    }
    let published = app.workflows.published(&workflow)?;
    let id = ScheduleId { workflow, name };
    let taken = || {
        Problem::conflict(codes::SCHEDULE_TAKEN, format!("the workflow `{}` has a trigger `{}`", id.workflow, id.name))
            .hint("choose another name, or change that one: PUT /api/schedules/{workflow}/{name}")
    };
    if published.bundle.entry().is_some_and(|entry| entry.triggers.contains_key(&id.name)) {
        return Err(taken());
    }
    let now = app.clock.now();
    let trigger = timing.trigger()?;
    let made = Some((caller.name(), now));
    let scheduled = Scheduled { id: id.clone(), trigger, published: Some(published), made };
    check(&app, &scheduled)?;
    let row = ScheduleRow { id: id.clone(), definition: json(&scheduled), created_by: caller.name(), updated_at: now };
    if !app.store.add_schedule(row).await? {
        return Err(taken());
    }
    app.store.begin_schedule(&id, &scheduled.timing(), now).await?;
    Ok((StatusCode::CREATED, Json(reply(&app, scheduled).await?)))
}

/// Changes a schedule that was made here
#[utoipa::path(put, path = "/api/schedules/{workflow}/{name}", tag = "schedules", params(SchedulePath),
    request_body = Timing, responses((status = 200, body = ScheduleReply)))]
async fn change(
    State(app): State<Arc<App>>,
    Path(path): Path<SchedulePath>,
    Json(body): Json<Timing>,
) -> Result<Json<ScheduleReply>, Problem> {
    let scheduled = Scheduled { trigger: body.trigger()?, ..find_made(&app, path).await? };
    check(&app, &scheduled)?;
    let now = app.clock.now();
    app.store.change_schedule(&scheduled.id, json(&scheduled), now).await?;
    app.store.begin_schedule(&scheduled.id, &scheduled.timing(), now).await?;
    Ok(Json(reply(&app, scheduled).await?))
}

/// Deletes a schedule that was made here
///
/// Runs of it go on.
#[utoipa::path(delete, path = "/api/schedules/{workflow}/{name}", tag = "schedules", params(SchedulePath),
    responses((status = 204)))]
async fn delete(State(app): State<Arc<App>>, Path(path): Path<SchedulePath>) -> Result<StatusCode, Problem> {
    let id = find_made(&app, path).await?.id;
    app.store.delete_schedule(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a schedule fire no more, until it is resumed
#[utoipa::path(post, path = "/api/schedules/{workflow}/{name}/pause", tag = "schedules", params(SchedulePath),
    responses((status = 200, body = ScheduleReply)))]
async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(path): Path<SchedulePath>,
) -> Result<Json<ScheduleReply>, Problem> {
    let scheduled = find(&app, path).await?;
    app.store.pause_schedule(&scheduled.id, &caller.name(), app.clock.now()).await?;
    Ok(Json(reply(&app, scheduled).await?))
}

/// Lets a paused schedule fire again
///
/// Firings that were due meanwhile are left out; `backfill` catches them up.
#[utoipa::path(post, path = "/api/schedules/{workflow}/{name}/resume", tag = "schedules", params(SchedulePath),
    responses((status = 200, body = ScheduleReply)))]
async fn resume(State(app): State<Arc<App>>, Path(path): Path<SchedulePath>) -> Result<Json<ScheduleReply>, Problem> {
    let scheduled = find(&app, path).await?;
    app.store.resume_schedule(&scheduled.id, app.clock.now()).await?;
    Ok(Json(reply(&app, scheduled).await?))
}

/// Fires a schedule now
///
/// Its run is the same as one that begins by time, with this moment as `trigger.scheduled_at`.
#[utoipa::path(post, path = "/api/schedules/{workflow}/{name}/fire", tag = "schedules", params(SchedulePath),
    responses((status = 202, body = FiringReply)))]
async fn fire_now(
    State(app): State<Arc<App>>,
    Path(path): Path<SchedulePath>,
) -> Result<(StatusCode, Json<FiringReply>), Problem> {
    let scheduled = find(&app, path).await?;
    let firing = fire(&app, &scheduled, app.clock.now(), Cause::Hand, None).await?;
    if firing.run.is_some() {
        return Ok((StatusCode::ACCEPTED, Json(firing.into())));
    }
    let why = firing.message.unwrap_or_default();
    Err(Problem::conflict(codes::FIRING_REFUSED, format!("the schedule {} started no run: {why}", scheduled.id))
        .hint("mend what the message names, or wait until the other run has ended"))
}

/// A range of times to be caught up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BackfillBody {
    /// The first moment.
    #[schema(format = DateTime, example = "2026-03-01T00:00:00Z")]
    from: String,
    /// The last moment; it has passed.
    #[schema(format = DateTime, example = "2026-03-07T23:59:59Z")]
    until: String,
    /// Whether to say only what would fire.
    #[serde(default)]
    dry_run: bool,
}

/// What a backfill did.
#[derive(Serialize, ToSchema)]
struct BackfillReply {
    /// Each firing of the range, oldest first.
    firings: Vec<BackfillFiring>,
}

/// A firing of a backfill.
#[derive(Serialize, ToSchema)]
struct BackfillFiring {
    /// When it was due.
    #[schema(format = DateTime)]
    due_at: String,
    /// The id of its run.
    run: String,
    /// Whether it had its run before: it has one, however often it is asked for.
    existed: bool,
    /// Why it started no run.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Fires each time of a range once
///
/// Times that have a run are left as they are. At most 1,000 at once.
#[utoipa::path(post, path = "/api/schedules/{workflow}/{name}/backfill", tag = "schedules", params(SchedulePath),
    request_body = BackfillBody, responses((status = 200, body = BackfillReply)))]
async fn backfill(
    State(app): State<Arc<App>>,
    Path(path): Path<SchedulePath>,
    Json(body): Json<BackfillBody>,
) -> Result<Json<BackfillReply>, Problem> {
    let scheduled = find(&app, path).await?;
    let (from, until) = (moment("from", &body.from)?, moment("until", &body.until)?);
    if until > app.clock.now() || from > until {
        return Err(Problem::invalid(codes::BACKFILL, "expected a range that has passed, with `from` before `until`")
            .hint("times to come fire by themselves"));
    }
    let schedule = scheduled.schedule().map_err(unread)?;
    let due: Vec<_> = schedule.firings(from - 1).take_while(|at| *at <= until).take(due::MOST + 1).collect();
    if due.len() > due::MOST {
        let detail = format!("the range has more than {} firings", due::MOST);
        return Err(Problem::invalid(codes::BACKFILL, detail).hint("ask for a shorter range, then for the next one"));
    }
    let mut firings = Vec::with_capacity(due.len());
    for due_at in due {
        let run = run_of(&scheduled, due_at);
        let existed = app.stores.journal.run(run).await?.is_some();
        let message = if existed || body.dry_run {
            None
        } else {
            fire(&app, &scheduled, due_at, Cause::Backfill, None).await?.message
        };
        firings.push(BackfillFiring { due_at: iso(due_at), run: run.to_string(), existed, message });
    }
    Ok(Json(BackfillReply { firings }))
}

/// Whether a schedule can start its runs: its time is read, its inputs are computed and fit.
fn check(app: &App, scheduled: &Scheduled) -> Result<(), Problem> {
    let schedule = scheduled.schedule().map_err(unread)?;
    let next = schedule.next_after(app.clock.now()).ok_or_else(|| {
        Problem::invalid(
            codes::SCHEDULE_NEVER,
            format!("`{}` never fires: there is no such day", scheduled.trigger.cron),
        )
        .hint("write days that the months have; `L` is the last one")
    })?;
    let start = prepare(app, scheduled, next, None).map_err(|why| {
        Problem::invalid(codes::FIRING_REFUSED, format!("the schedule could not start a run: {why}"))
            .hint("mend what the message names; inputs read `trigger`, `env` and `sys`")
    })?;
    let declared = start.bundle.entry().map(liteagent_engine::definition::Definition::run_inputs).unwrap_or_default();
    let fitted: Result<Value, _> = types::fit_all(&declared, start.inputs);
    fitted.map(drop).map_err(|misfits| misfit(format!("the inputs do not fit `{}`", scheduled.id.workflow), misfits))
}

fn unread(error: ScheduleError) -> Problem {
    match error {
        ScheduleError::Cron(why) => Problem::invalid(codes::BAD_CRON, format!("`cron` is no schedule: {why}"))
            .hint("write minute, hour, day, month and weekday, as in `0 9 * * MON-FRI`, or `@daily`"),
        ScheduleError::Zone(zone) => Problem::invalid(codes::BAD_TIME_ZONE, format!("unknown time zone `{zone}`"))
            .hint("write an IANA name such as `Europe/Berlin` or `UTC`"),
    }
}

fn json(scheduled: &Scheduled) -> String {
    serde_json::to_string(&scheduled.trigger).expect("a trigger has a JSON form")
}

fn moment(field: &str, text: &str) -> Result<Millis, Problem> {
    DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_millis()).map_err(|_| {
        Problem::invalid(codes::REQUEST_PARAMETER, format!("expected a moment as `{field}`, found `{text}`"))
            .hint("write it with its time zone: `2026-03-01T00:00:00Z`")
    })
}
