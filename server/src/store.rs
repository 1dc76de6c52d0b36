//! The rows of the server: workflows, accounts, schedules. Runs, and what belongs to them, are in the stores of the engine.

use async_trait::async_trait;
use liteagent_engine::store::StoreError;

pub use self::{
    accounts::{
        AccountStore, AuditFilter, AuditRow, AuditStore, Changed, Counted, Entry, FORGOTTEN, KeyLimits, KeyRow,
        KeyScope, KeyStore, LinkFor, NewLink, NewSession, NewUser, Outcome, Rotated, SessionStore, TokenHash,
        UserChange, UserRow, UserStore, pause,
    },
    after::{AfterFiring, AfterState, AfterStore},
    files::{UploadKey, UploadRow, UploadStore, Uploaded},
    postgres::{PostgresStore, SERVER, TABLES},
    schedules::{Cause, Firing, FiringOutcome, ScheduleId, ScheduleRow, ScheduleState, ScheduleStore},
    secrets::{SecretRow, SecretStore},
    sqlite::{FILE, SqliteStore, begin_epoch},
    workflows::{NewVersion, Source, StoredVersion, VersionRow, WorkflowRow, WorkflowStore},
};

mod accounts;
mod after;
mod files;
mod postgres;
mod schedules;
mod secrets;
mod sqlite;
#[cfg(test)]
mod testing;
mod workflows;

/// Everything that the server stores.
#[async_trait]
pub trait Store: WorkflowStore + AccountStore + ScheduleStore + AfterStore + SecretStore + UploadStore {
    /// One read: whether the store answers, and still has a schema that this release can use.
    async fn ping(&self) -> Result<(), StoreError>;
}
