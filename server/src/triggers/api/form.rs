//! What `/api/schedules` takes and gives.

use indexmap::IndexMap;
use liteagent_engine::{
    codes,
    definition::{Missed, Overlap, ScheduleTrigger},
    time::iso,
    units::Duration,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{problem::Problem, store::Firing};

/// When runs begin, and what becomes of what cannot.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Timing {
    /// Five or six fields as in crontab, or `@daily` and its like.
    #[schema(example = "0 9 * * MON-FRI")]
    pub(super) cron: String,
    /// An IANA name.
    #[serde(default = "utc")]
    #[schema(example = "Europe/Berlin", default = "UTC")]
    pub(super) timezone: String,
    /// What becomes of firings that were due while no server ran: `last`, `skip` or `all`.
    #[serde(default)]
    #[schema(value_type = String, default = "last")]
    pub(super) missed: Missed,
    /// What becomes of a firing while a run of the schedule goes on: `allow`, `skip`, `queue` or `replace`.
    #[serde(default)]
    #[schema(value_type = String, default = "allow")]
    pub(super) overlap: Overlap,
    /// By how much a firing may be delayed, such as `5m`.
    #[schema(value_type = Option<String>)]
    pub(super) jitter: Option<Duration>,
    /// Whether it fires.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) enabled: bool,
    /// The inputs of its runs; templates see `trigger`, `env` and `sys`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) inputs: serde_json::Map<String, serde_json::Value>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn yes() -> bool {
    true
}

impl Timing {
    pub(super) fn of(trigger: &ScheduleTrigger) -> Self {
        let ScheduleTrigger { cron, timezone, missed, overlap, jitter, enabled, inputs } = trigger.clone();
        let inputs = inputs.iter().map(|(name, tree)| (name.clone(), tree.source().to_json())).collect();
        Self { cron, timezone, missed, overlap, jitter, enabled, inputs }
    }

    /// The same as definitions have it.
    pub(super) fn trigger(self) -> Result<ScheduleTrigger, Problem> {
        let Self { cron, timezone, missed, overlap, jitter, enabled, inputs } = self;
        let inputs: Result<IndexMap<_, _>, _> = inputs
            .into_iter()
            .map(|(name, value)| match serde_json::from_value(value) {
                Ok(tree) => Ok((name, tree)),
                Err(error) => Err(Problem::invalid(codes::REQUEST_BODY, format!("the input `{name}`: {error}"))
                    .hint("see `liteagent explain` for templates; inputs read `trigger`, `env` and `sys`")),
            })
            .collect();
        Ok(ScheduleTrigger { cron, timezone, missed, overlap, jitter, enabled, inputs: inputs? })
    }
}

/// A schedule that is made.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewSchedule {
    /// The workflow, which is published.
    #[schema(example = "reports/sales")]
    pub(super) workflow: String,
    /// Its name: no trigger of the workflow and no other of its schedules has it.
    #[schema(example = "nightly")]
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) timing: Timing,
}

/// A schedule.
#[derive(Serialize, ToSchema)]
pub(super) struct ScheduleReply {
    /// The workflow.
    pub(super) workflow: String,
    /// Its name in the workflow.
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) timing: Timing,
    /// Where it stands: `definition`, or `api` when it was made here and can be changed here.
    pub(super) origin: Origin,
    /// Who made it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_by: Option<String>,
    /// Whether it fires when its time comes: it is enabled, not paused, and its workflow is published.
    pub(super) active: bool,
    /// Since when it is paused, and by whom.
    pub(super) paused: Option<Pause>,
    /// The next ten firings, jitter left aside; empty while it is not active.
    #[schema(format = DateTime)]
    pub(super) next: Vec<String>,
    /// The newest firing.
    pub(super) last: Option<FiringReply>,
    /// When the newest firing was due whose run succeeded.
    #[schema(format = DateTime)]
    pub(super) previous_at: Option<String>,
}

/// Where a schedule stands.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    Definition,
    Api,
}

/// A pause.
#[derive(Serialize, ToSchema)]
pub(super) struct Pause {
    /// Who paused it.
    pub(super) by: String,
    /// When.
    #[schema(format = DateTime)]
    pub(super) at: String,
}

/// What became of a firing.
#[derive(Serialize, ToSchema)]
pub(super) struct FiringReply {
    /// When it was due.
    #[schema(format = DateTime)]
    due_at: String,
    /// When it was handled.
    #[schema(format = DateTime)]
    fired_at: String,
    /// Why it fired: `time`, `hand` or `backfill`.
    cause: &'static str,
    /// `started`: its run goes on; `succeeded`, `failed`, `cancelled`: that ended; `skipped`: another run went on; `missed`: no
    /// server ran in time; `refused`: its run could not be started.
    outcome: &'static str,
    /// Its run.
    run: Option<String>,
    /// Why it has no run, or how that failed.
    message: Option<String>,
}

impl From<Firing> for FiringReply {
    fn from(firing: Firing) -> Self {
        Self {
            due_at: iso(firing.due_at),
            fired_at: iso(firing.fired_at),
            cause: firing.cause.as_str(),
            outcome: firing.outcome.as_str(),
            run: firing.run.map(|run| run.to_string()),
            message: firing.message,
        }
    }
}
