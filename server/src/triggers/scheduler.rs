//! Looks at all schedules, again and again, in one process at a time. That each firing has one run does not depend on that.

use std::collections::HashMap;

use liteagent_engine::{
    event::RunStatus,
    store::StoreError,
    time::{iso, jitter},
    units::{Duration, Millis},
};

use super::{
    after,
    due::{Due, due},
    fire::fire,
    schedules::{Scheduled, all},
};
use crate::{
    app::App,
    store::{Cause, Firing, FiringOutcome, ScheduleState},
};

/// How long a process that stopped looking keeps others from it.
const LEASE: Millis = 15_000;
/// How many firings are asked at once how their runs ended.
const BATCH: u32 = 10_000;
/// How long what became of firings is kept: 90 days.
const KEPT: Millis = 90 * 24 * 60 * 60 * 1000;

/// One look: what is due fires. A schedule that cannot fire does not stop the others.
///
/// # Errors
/// When a store fails; the next look goes on where this one stopped.
pub(crate) async fn look(app: &App) -> Result<(), StoreError> {
    // Also where another process looks at schedules: requests here are about what it published.
    app.workflows.refresh().await?;
    let now = app.clock.now();
    if !app.store.hold_scheduler(&app.engine.session().to_string(), now, now + LEASE).await? {
        return Ok(());
    }
    settle(app).await?;
    let mut states: HashMap<_, _> =
        app.store.schedule_states().await?.into_iter().map(|state| (state.id.clone(), state)).collect();
    let mut failed = None;
    for scheduled in all(app).await? {
        let state = states.remove(&scheduled.id);
        if let Err(error) = handle(app, &scheduled, state, now).await {
            failed = Some(error);
        }
    }
    // What is no longer there begins anew when it comes back.
    for gone in states.into_values().filter(|state| !state.timing.is_empty()) {
        app.store.begin_schedule(&gone.id, "", now).await?;
    }
    app.store.forget_firings(now - KEPT).await?;
    app.store.forget_after_firings(now - KEPT).await?;
    after::look(app).await?;
    failed.map_or(Ok(()), Err)
}

async fn handle(app: &App, scheduled: &Scheduled, state: Option<ScheduleState>, now: Millis) -> Result<(), StoreError> {
    let timing = scheduled.timing();
    let state = match state {
        Some(state) if state.timing == timing => state,
        // Firings count from the moment on at which this process sees the schedule, or its new times.
        _ => return app.store.begin_schedule(&scheduled.id, &timing, now).await,
    };
    if timing.is_empty() || state.paused.is_some() {
        return Ok(());
    }
    let schedule = match scheduled.schedule() {
        Ok(schedule) => schedule,
        Err(error) => {
            tracing::error!(schedule = %scheduled.id, %error, "a schedule cannot be read");
            return Ok(());
        }
    };
    let name = scheduled.id.to_string();
    let Due { fire: firings, left_out } = due(&name, &schedule, &scheduled.trigger, state.handled_at, now);
    if let Some((count, newest)) = left_out {
        tracing::warn!(schedule = %scheduled.id, count, newest = iso(newest), "firings were missed and are left out");
        let message = format!("{count} firings were due while no server ran, up to this one");
        let missed = Firing {
            id: scheduled.id.clone(),
            due_at: newest,
            fired_at: now,
            cause: Cause::Time,
            outcome: FiringOutcome::Missed,
            run: None,
            message: Some(message),
        };
        app.store.record_firing(missed, Some(newest)).await?;
    }
    for due_at in firings {
        fire(app, scheduled, due_at, Cause::Time, Some(due_at)).await?;
    }
    Ok(())
}

/// When the firing was due that is overdue the longest: no process has looked at its schedule since.
pub(crate) async fn overdue(app: &App, now: Millis) -> Result<Option<Millis>, StoreError> {
    let scheduled: HashMap<_, _> =
        all(app).await?.into_iter().map(|scheduled| (scheduled.id.clone(), scheduled)).collect();
    let states = app.store.schedule_states().await?;
    let due =
        states.into_iter().filter(|state| state.paused.is_none() && !state.timing.is_empty()).filter_map(|state| {
            let scheduled = scheduled.get(&state.id).filter(|scheduled| scheduled.timing() == state.timing)?;
            let at = scheduled.schedule().ok()?.firings(state.handled_at).next()?;
            let wait = jitter(&state.id.to_string(), at, scheduled.trigger.jitter.unwrap_or(Duration::from_millis(0)));
            Some(at + wait)
        });
    Ok(due.min().filter(|due| *due <= now))
}

/// Keeps how the runs of firings ended.
pub(super) async fn settle(app: &App) -> Result<(), StoreError> {
    for firing in app.store.open_firings(BATCH).await? {
        let Some(run) = firing.run else { continue };
        let (outcome, message) = match app.stores.journal.run(run).await? {
            None => (FiringOutcome::Failed, Some("its run is no longer there".to_owned())),
            Some(row) => match row.status {
                None => continue,
                Some(RunStatus::Succeeded) => (FiringOutcome::Succeeded, None),
                Some(RunStatus::Failed) => (FiringOutcome::Failed, row.error),
                Some(RunStatus::Cancelled) => (FiringOutcome::Cancelled, row.error),
            },
        };
        app.store.settle_firing(&firing.id, firing.due_at, outcome, message).await?;
    }
    Ok(())
}
