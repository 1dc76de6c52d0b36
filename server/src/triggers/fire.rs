//! The run of a firing. Its id is derived from the schedule and the time: whoever fires it, and as often, there is one run.

use liteagent_engine::{
    codes,
    definition::{Durability, Overlap, WhenFull},
    engine::{EngineError, Start},
    error::Code,
    id::RunId,
    store::{Hold, StoreError},
    time::iso,
    units::Millis,
    value,
};

use super::schedules::Scheduled;
use crate::{
    app::App,
    operation::NotBegun,
    store::{Cause, Firing, FiringOutcome},
};

/// Why a firing has no run.
pub(super) struct Refusal {
    pub(super) outcome: FiringOutcome,
    pub(super) message: String,
}

/// Starts the run of a firing, unless it is there, and keeps what became of it, with how far the schedule was handled.
///
/// # Errors
/// When a store fails: then it can be fired again.
pub(super) async fn fire(
    app: &App,
    scheduled: &Scheduled,
    due_at: Millis,
    cause: Cause,
    handled_at: Option<Millis>,
) -> Result<Firing, StoreError> {
    let started = start(app, scheduled, due_at, cause).await?;
    let (outcome, run, message) = match started {
        Ok(run) => (FiringOutcome::Started, Some(run), None),
        Err(Refusal { outcome, message }) => (outcome, None, Some(message)),
    };
    if outcome == FiringOutcome::Refused {
        tracing::warn!(schedule = %scheduled.id, due = iso(due_at), message, "a schedule could not start its run");
    }
    let firing = Firing { id: scheduled.id.clone(), due_at, fired_at: app.clock.now(), cause, outcome, run, message };
    app.store.record_firing(firing.clone(), handled_at).await?;
    Ok(firing)
}

/// The id of the run of a firing.
pub(super) fn run_of(scheduled: &Scheduled, due_at: Millis) -> RunId {
    RunId::of_firing(&scheduled.id.to_string(), due_at)
}

async fn start(
    app: &App,
    scheduled: &Scheduled,
    due_at: Millis,
    cause: Cause,
) -> Result<Result<RunId, Refusal>, StoreError> {
    let run = run_of(scheduled, due_at);
    // A process died after it had started the run, or another one fires it as well: perhaps by an older version.
    if app.stores.journal.run(run).await?.is_some() {
        return Ok(Ok(run));
    }
    let previous = app.store.last_success(&scheduled.id, due_at).await?;
    let prepared = match prepare(app, scheduled, due_at, previous) {
        Ok(start) => Start { holds: hold(scheduled, cause).into_iter().collect(), ..start },
        Err(message) => return Ok(Err(Refusal { outcome: FiringOutcome::Refused, message })),
    };
    let error = match app.begin(None, prepared).await {
        Ok(run) => return Ok(Ok(run)),
        Err(NotBegun::Spent(why)) => {
            let message = told(why.code(), why.said());
            return Ok(Err(Refusal { outcome: FiringOutcome::Refused, message }));
        }
        Err(NotBegun::Engine(error)) => error,
    };
    match error {
        EngineError::Store(error) => Err(error),
        // It fires as soon as fewer wait.
        EngineError::Busy { .. } => Err(StoreError::Failed(error.to_string())),
        EngineError::Full(_) => {
            Ok(Err(Refusal { outcome: FiringOutcome::Skipped, message: told(codes::RUNS_FULL, error) }))
        }
        error => Ok(Err(Refusal { outcome: FiringOutcome::Refused, message: explained(error) })),
    }
}

/// The run of a firing, not started yet.
///
/// # Errors
/// Says why there is none, with a code.
pub(super) fn prepare(
    app: &App,
    scheduled: &Scheduled,
    due_at: Millis,
    previous: Option<Millis>,
) -> Result<Start, String> {
    let Some(published) = &scheduled.published else {
        return Err(told(codes::NO_WORKFLOW, format!("there is no published workflow `{}`", scheduled.id.workflow)));
    };
    if published.bundle.entry().is_some_and(|entry| entry.durability == Durability::End) {
        let why = "a schedule cannot start runs under `durability: end`: nobody waits for them, and a crash loses them";
        return Err(told(codes::DURABILITY_END, why));
    }
    let trigger = value!({
        "type": "schedule",
        "name": scheduled.id.name.as_str(),
        "scheduled_at": iso(due_at),
        "previous_at": previous.map(iso),
    });
    let (run, inputs) = (run_of(scheduled, due_at), &scheduled.trigger.inputs);
    let start = Start::triggered(published.bundle.clone(), run, inputs, trigger, app.clock.now());
    start.map_err(|error| told(error.code, &error.message))
}

/// What the runs of a schedule are counted under. Those of a backfill never leave each other out.
fn hold(scheduled: &Scheduled, cause: Cause) -> Option<Hold> {
    let when_full = match (scheduled.trigger.overlap, cause) {
        (Overlap::Allow, _) => return None,
        (Overlap::Queue, _) | (_, Cause::Backfill) => WhenFull::Queue,
        (Overlap::Skip, _) => WhenFull::Reject,
        (Overlap::Replace, _) => WhenFull::Replace,
    };
    Some(Hold { key: format!("schedule {}", scheduled.id), limit: 1, when_full })
}

/// A failure in one text, with its code.
pub(super) fn told(code: Code, message: impl std::fmt::Display) -> String {
    format!("{code}: {message}")
}

/// Why a run was not started, in one text.
pub(super) fn explained(error: EngineError) -> String {
    let detail = error.to_string();
    match error {
        EngineError::Inputs { misfits, .. } => {
            let all = misfits.iter().map(|misfit| format!("`inputs{}`: {}", misfit.pointer, misfit.message));
            told(codes::WRONG_INPUT, format!("{detail}: {}", all.collect::<Vec<_>>().join("; ")))
        }
        EngineError::MissingSecret(_) => told(codes::SECRET_MISSING, detail),
        EngineError::SecretNotMeant { .. } => told(codes::SECRET_WORKFLOW, detail),
        EngineError::Key(error) => told(error.code, error.message),
        _ => told(codes::RUN_STUCK, detail),
    }
}
