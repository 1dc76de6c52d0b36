//! Triggers that start runs after others: how far each was handled, and what became of the ends that it saw.

use async_trait::async_trait;
use liteagent_engine::{
    id::RunId,
    store::{EndPlace, StoreError},
    units::Millis,
};

use super::ScheduleId;

/// How far a trigger was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfterState {
    /// Which trigger.
    pub id: ScheduleId,
    /// Which ends it waits for, as a text that is compared.
    pub watched: String,
    /// Every end up to here was handled.
    pub place: EndPlace,
}

/// The end of a run that a trigger waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfterFiring {
    /// Which trigger.
    pub id: ScheduleId,
    /// The run that ended: with the trigger, the identity of this.
    pub ended: RunId,
    /// The place of its end.
    pub place: EndPlace,
    /// When it was handled.
    pub at: Millis,
    /// The run that was started.
    pub run: Option<RunId>,
    /// Why none was.
    pub message: Option<String>,
}

/// Triggers that start runs after others.
///
/// # Contract
/// * A trigger and an end have one row; one that has a run keeps it.
/// * The place of a trigger never goes back, except when other ends are waited for.
#[async_trait]
pub trait AfterStore: Send + Sync {
    /// How far each trigger was handled.
    async fn after_states(&self) -> Result<Vec<AfterState>, StoreError>;
    /// Begins anew, unless the same ends are waited for already.
    async fn begin_after(&self, state: AfterState) -> Result<(), StoreError>;
    /// Forgets how far a trigger was handled that is no longer there.
    async fn end_after(&self, id: &ScheduleId) -> Result<(), StoreError>;
    /// Keeps what became of an end.
    async fn record_after(&self, firing: AfterFiring) -> Result<(), StoreError>;
    /// Every trigger was handled up to here.
    async fn advance_after(&self, place: EndPlace) -> Result<(), StoreError>;
    /// What became of the ends that a trigger saw, newest first.
    async fn after_firings(&self, id: &ScheduleId, limit: u32) -> Result<Vec<AfterFiring>, StoreError>;
    /// Deletes what was handled before a time.
    async fn forget_after_firings(&self, before: Millis) -> Result<(), StoreError>;
}
