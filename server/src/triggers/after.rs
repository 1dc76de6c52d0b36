//! Runs that begin after others. The ends of runs are read from the store, in their order; the id of a run that begins is
//! derived from the one that ended and the trigger: a crash between loses nothing, and nothing begins twice.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use liteagent_engine::{
    bundle::Bundle,
    codes,
    definition::{AfterTrigger, Definition, Durability, Trigger},
    engine::{EngineError, Start},
    id::RunId,
    store::{EndPlace, RunRow, StoreError},
    value,
    value::Value,
};

use super::fire::{explained, told};
use crate::{
    app::App,
    operation::NotBegun,
    problem::Problem,
    store::{AfterFiring, AfterState, ScheduleId},
    workflows::Published,
};

pub(super) use self::api::routes;

mod api;

/// So many runs may follow each other.
pub(super) const DEEPEST: i64 = 32;
/// How many ends are read at once.
const BATCH: u32 = 500;

/// A trigger that starts runs.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub(super) id: ScheduleId,
    pub(super) trigger: AfterTrigger,
    pub(super) published: Arc<Published>,
}

impl Follower {
    /// Which ends it waits for, as a text that is compared.
    fn watched(&self) -> String {
        serde_json::to_string(&self.trigger.after).unwrap_or_default()
    }

    fn waits_for(&self, row: &RunRow) -> bool {
        self.trigger.after.workflow == row.workflow
            && row.status.is_some_and(|status| self.trigger.after.status.has(status))
    }
}

/// Every trigger of published workflows that starts runs after others.
pub(super) fn all(app: &App) -> Vec<Follower> {
    let published = app.workflows.all_published().into_iter();
    let followers = published.flat_map(|published| {
        let triggers: Vec<_> = published.bundle.entry().into_iter().flat_map(after).collect();
        triggers.into_iter().map(move |(name, trigger)| {
            let id = ScheduleId { workflow: published.row.workflow.clone(), name };
            Follower { id, trigger, published: published.clone() }
        })
    });
    followers.collect()
}

/// The triggers of a workflow that start runs after others.
fn after(definition: &Definition) -> impl Iterator<Item = (String, AfterTrigger)> {
    definition.triggers.iter().filter_map(|(name, trigger)| match trigger {
        Trigger::After(after) if after.enabled => Some((name.clone(), after.clone())),
        _ => None,
    })
}

/// One look: for each run that has ended since the last one, the runs that wait for that begin.
///
/// # Errors
/// When a store fails; the next look goes on where this one stopped.
pub(super) async fn look(app: &App) -> Result<(), StoreError> {
    let followers = all(app);
    let places = begin(app, &followers).await?;
    let Some(mut from) = places.values().min().copied() else { return Ok(()) };
    loop {
        let ends = app.stores.journal.ended(from, BATCH).await?;
        let Some((last, _)) = ends.last() else { return Ok(()) };
        let is_all = ends.len() < BATCH as usize;
        let mut handled = from;
        for (place, row) in &ends {
            for follower in followers.iter().filter(|follower| places[&follower.id] < *place && follower.waits_for(row))
            {
                if let Err(error) = handle(app, follower, *place, row).await {
                    app.store.advance_after(handled).await?;
                    return Err(error);
                }
            }
            handled = *place;
        }
        from = *last;
        app.store.advance_after(from).await?;
        if is_all {
            return Ok(());
        }
    }
}

/// How far each trigger was handled. One that is new waits for what ends since its workflow was published.
async fn begin(app: &App, followers: &[Follower]) -> Result<HashMap<ScheduleId, EndPlace>, StoreError> {
    let mut states: HashMap<_, _> =
        app.store.after_states().await?.into_iter().map(|state| (state.id.clone(), state)).collect();
    let mut places = HashMap::new();
    for follower in followers {
        let watched = follower.watched();
        let place = match states.remove(&follower.id) {
            Some(state) if state.watched == watched => state.place,
            _ => {
                let row = app.store.workflow(&follower.id.workflow).await?;
                let place = EndPlace::before(row.map_or_else(|| app.clock.now(), |row| row.updated_at));
                let state = AfterState { id: follower.id.clone(), watched, place };
                app.store.begin_after(state).await?;
                place
            }
        };
        places.insert(follower.id.clone(), place);
    }
    for gone in states.into_values() {
        app.store.end_after(&gone.id).await?;
    }
    Ok(places)
}

async fn handle(app: &App, follower: &Follower, place: EndPlace, row: &RunRow) -> Result<(), StoreError> {
    let (run, message) = match start(app, follower, row).await? {
        Ok(run) => (Some(run), None),
        Err(message) => {
            tracing::warn!(trigger = %follower.id, ended = %row.id, message, "no run could begin after another one");
            (None, Some(message))
        }
    };
    let (id, at) = (follower.id.clone(), app.clock.now());
    app.store.record_after(AfterFiring { id, ended: row.id, place, at, run, message }).await
}

/// Starts the run that follows, unless it is there; says why there is none.
async fn start(app: &App, follower: &Follower, row: &RunRow) -> Result<Result<RunId, String>, StoreError> {
    let run = RunId::after(row.id, &follower.id.to_string());
    // A process died after it had started the run.
    if app.stores.journal.run(run).await?.is_some() {
        return Ok(Ok(run));
    }
    let prepared = match prepare(app, follower, row, run).await {
        Ok(prepared) => prepared,
        Err(EngineError::Store(error)) => return Err(error),
        Err(error) => return Ok(Err(explained(error))),
    };
    match prepared {
        Err(message) => Ok(Err(message)),
        Ok(start) => match app.begin(None, start).await {
            Ok(run) => Ok(Ok(run)),
            Err(NotBegun::Spent(why)) => Ok(Err(told(why.code(), why.said()))),
            Err(NotBegun::Engine(error)) => match error {
                EngineError::Store(error) => Err(error),
                // It begins as soon as fewer wait.
                EngineError::Busy { .. } => Err(StoreError::Failed(error.to_string())),
                EngineError::Full(_) => Ok(Err(told(codes::RUNS_FULL, error))),
                error => Ok(Err(explained(error))),
            },
        },
    }
}

async fn prepare(
    app: &App,
    follower: &Follower,
    row: &RunRow,
    run: RunId,
) -> Result<Result<Start, String>, EngineError> {
    let bundle = &follower.published.bundle;
    if bundle.entry().is_some_and(|entry| entry.durability == Durability::End) {
        let why = "the end of another run cannot start runs under `durability: end`: nobody waits for them";
        return Ok(Err(told(codes::DURABILITY_END, why)));
    }
    let view = app.engine.view(row.id).await?;
    let Some(end) = view.and_then(|view| view.end) else {
        return Ok(Err(told(codes::NO_RUN, format!("{} is no longer there", row.id))));
    };
    let depth = depth(app, row).await? + 1;
    if depth > DEEPEST {
        let why = format!("{DEEPEST} runs followed each other: workflows may start each other for ever");
        return Ok(Err(told(codes::AFTER_DEPTH, why)));
    }
    let trigger = value!({
        "type": "after",
        "name": follower.id.name.as_str(),
        "depth": depth,
        "run": {
            "id": row.id.to_string(),
            "workflow": row.workflow.as_str(),
            "status": end.status.as_str(),
            "outputs": end.outputs,
            "error": end.error.map_or(Value::Null, |error| error.to_value(1)),
        },
    });
    let start = Start::triggered(bundle.clone(), run, &follower.trigger.inputs, trigger, app.clock.now());
    // What it is about, the next one is about too: it is given what the first one found.
    Ok(start
        .map(|start| Start { subject: row.subject.clone(), ..start })
        .map_err(|error| told(error.code, &error.message)))
}

/// How many runs followed each other up to this one; that of a run that another one started is that of the first.
async fn depth(app: &App, row: &RunRow) -> Result<i64, EngineError> {
    let mut top = row.clone();
    while let Some(parent) = &top.parent {
        match app.stores.journal.run(parent.run).await? {
            Some(row) => top = row,
            None => break,
        }
    }
    let trigger = app.engine.view(top.id).await?.map(|view| view.trigger).unwrap_or_default();
    Ok(trigger.get("depth").and_then(Value::as_i64).unwrap_or(0))
}

/// Refuses a version whose runs would start each other for ever, as far as the published workflows tell.
pub(super) fn check_cycle(bundle: &Bundle, published: &[Arc<Published>]) -> Result<(), Problem> {
    // Whose runs end when a workflow runs: its own, and those of workflows that it calls.
    let ends = |bundle: &Bundle| bundle.workflows.keys().cloned().collect::<BTreeSet<_>>();
    let waits = |bundle: &Bundle| {
        let entry = bundle.entry().into_iter().flat_map(after);
        entry.map(|(_, trigger)| trigger.after.workflow).collect::<BTreeSet<_>>()
    };
    let others = published.iter().filter(|other| other.row.workflow != bundle.entry).map(|other| &*other.bundle);
    let all: BTreeMap<&str, _> =
        others.chain([bundle]).map(|bundle| (bundle.entry.as_str(), (ends(bundle), waits(bundle)))).collect();
    // From this workflow to those that begin after it, and so on.
    let mut paths = vec![vec![bundle.entry.as_str()]];
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop() {
        let Some((ends, _)) = path.last().and_then(|last| all.get(last)) else { continue };
        for (next, (_, waits)) in &all {
            if waits.is_disjoint(ends) {
                continue;
            }
            if *next == bundle.entry {
                let chain =
                    path.iter().chain([next]).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", then ");
                return Err(Problem::conflict(
                    codes::AFTER_CYCLE,
                    format!("runs would start each other for ever: {chain}"),
                )
                .hint("remove one of the `after` triggers, or set `enabled: false`"));
            }
            if seen.insert(*next) {
                paths.push(path.iter().copied().chain([*next]).collect());
            }
        }
    }
    Ok(())
}
