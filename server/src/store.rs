//! The rows of the server: workflows, accounts, schedules. Runs, and what belongs to them, are in the stores of the engine.

use async_trait::async_trait;
use liteagent_engine::store::StoreError;

pub use self::{
    schedules::{Cause, Firing, FiringOutcome, ScheduleId, ScheduleRow, ScheduleState, ScheduleStore},
    sqlite::SqliteStore,
    workflows::{NewVersion, Source, StoredVersion, VersionRow, WorkflowRow, WorkflowStore},
};

mod schedules;
mod sqlite;
mod workflows;

/// Everything that the server stores.
#[async_trait]
pub trait Store: WorkflowStore + ScheduleStore {
    /// One read: whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}
