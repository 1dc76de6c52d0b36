//! Schedules: those made through the API, how far each was handled, and what became of its firings.

use async_trait::async_trait;
use liteagent_engine::{id::RunId, store::StoreError, units::Millis};

/// Which schedule: those of one workflow have different names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleId {
    /// The workflow.
    pub workflow: String,
    /// The name of its trigger.
    pub name: String,
}

impl std::fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.workflow, self.name)
    }
}

/// A schedule that was made through the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Which.
    pub id: ScheduleId,
    /// The JSON of a `ScheduleTrigger`.
    pub definition: String,
    /// Who made it.
    pub created_by: String,
    /// When it last changed.
    pub updated_at: Millis,
}

/// How far a schedule was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleState {
    /// Which.
    pub id: ScheduleId,
    /// When it fires, as a text that is compared; empty while it does not fire.
    pub timing: String,
    /// Every firing up to here was handled.
    pub handled_at: Millis,
    /// Who paused it, and when.
    pub paused: Option<(String, Millis)>,
}

/// A firing of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// The schedule.
    pub id: ScheduleId,
    /// When it was due: with the schedule, its identity.
    pub due_at: Millis,
    /// When it was handled.
    pub fired_at: Millis,
    /// Why it fired.
    pub cause: Cause,
    /// What became of it.
    pub outcome: FiringOutcome,
    /// Its run.
    pub run: Option<RunId>,
    /// Why it has none, or how that failed.
    pub message: Option<String>,
}

/// Why a schedule fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its time had come.
    Time,
    /// Someone asked for it.
    Hand,
    /// Someone asked for a range of times.
    Backfill,
}

/// What became of a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FiringOutcome {
    /// Its run goes on, as far as is known.
    Started,
    /// Its run succeeded.
    Succeeded,
    /// Its run failed.
    Failed,
    /// Its run was cancelled.
    Cancelled,
    /// It was left out, because another run went on.
    Skipped,
    /// It was left out, because no server ran in time.
    Missed,
    /// Its run could not be started.
    Refused,
}

impl Cause {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Time, Self::Hand, Self::Backfill];

    /// The name in stores and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Hand => "hand",
            Self::Backfill => "backfill",
        }
    }
}

impl FiringOutcome {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::Started, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Skipped, Self::Missed, Self::Refused];

    /// The name in stores and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
            Self::Refused => "refused",
        }
    }
}

/// Schedules.
///
/// # Contract
/// * A firing has one row, by schedule and time. A firing that has a run keeps it; one without may get one later.
/// * `handled_at` never goes back, except when the timing of the schedule changes.
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// The schedules that were made through the API, by workflow and name.
    async fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError>;
    /// Adds a schedule; `false` when it is there.
    async fn add_schedule(&self, row: ScheduleRow) -> Result<bool, StoreError>;
    /// Changes what a schedule says; `false` when it is not there.
    async fn change_schedule(&self, id: &ScheduleId, definition: String, at: Millis) -> Result<bool, StoreError>;
    /// Deletes a schedule with its state; `false` when it is not there. What became of its firings stays.
    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool, StoreError>;

    /// How far each schedule was handled.
    async fn schedule_states(&self) -> Result<Vec<ScheduleState>, StoreError>;
    /// Begins anew at a time, with another timing; an empty one when it fires no more. A pause stays.
    async fn begin_schedule(&self, id: &ScheduleId, timing: &str, at: Millis) -> Result<(), StoreError>;
    /// Pauses a schedule; one that is paused stays as it is.
    async fn pause_schedule(&self, id: &ScheduleId, by: &str, at: Millis) -> Result<(), StoreError>;
    /// Lets a schedule go on from a time; `false` when it is not paused.
    async fn resume_schedule(&self, id: &ScheduleId, at: Millis) -> Result<bool, StoreError>;

    /// Keeps what became of a firing and, in the same transaction, how far its schedule was handled.
    async fn record_firing(&self, firing: Firing, handled_at: Option<Millis>) -> Result<(), StoreError>;
    /// Firings whose run goes on, as far as is known, oldest first.
    async fn open_firings(&self, limit: u32) -> Result<Vec<Firing>, StoreError>;
    /// Keeps how the run of a firing ended.
    async fn settle_firing(
        &self,
        id: &ScheduleId,
        due_at: Millis,
        outcome: FiringOutcome,
        message: Option<String>,
    ) -> Result<(), StoreError>;
    /// The firings of a schedule that were due before a time, newest first.
    async fn firings(&self, id: &ScheduleId, before: Millis, limit: u32) -> Result<Vec<Firing>, StoreError>;
    /// When the newest firing before a time was due whose run succeeded.
    async fn last_success(&self, id: &ScheduleId, before: Millis) -> Result<Option<Millis>, StoreError>;
    /// Deletes firings that were due before a time and have no run that goes on; the newest that succeeded and the newest of
    /// all of each schedule stay.
    async fn forget_firings(&self, before: Millis) -> Result<u64, StoreError>;

    /// Lets a process look at schedules until a time; `false` while another one does.
    async fn hold_scheduler(&self, holder: &str, now: Millis, until: Millis) -> Result<bool, StoreError>;
}
