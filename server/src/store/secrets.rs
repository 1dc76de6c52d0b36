//! The vault: secrets as they are stored.

use async_trait::async_trait;
use liteagent_engine::{store::StoreError, units::Millis};

use super::Entry;

/// A secret as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// Its name.
    pub name: String,
    /// Counts its changes, from 1.
    pub version: u32,
    /// Which key it is sealed with.
    pub key: String,
    /// The sealed value.
    pub sealed: Vec<u8>,
    /// Where it may be sent; `None` does not say.
    pub hosts: Option<Vec<String>>,
    /// Which workflows may declare it; `None` does not say.
    pub workflows: Option<Vec<String>>,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Millis,
    /// Who made it.
    pub created_by: String,
    /// When it last changed.
    pub updated_at: Millis,
    /// Who changed it.
    pub updated_by: String,
}

/// The rows of the vault.
///
/// # Contract
/// * A change and its entry in the audit log are durable together, and count the revision up.
/// * What changed meanwhile is not overwritten: each change names the version that it replaces.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Every secret by name, with the revision that they are of.
    async fn secrets(&self) -> Result<(i64, Vec<SecretRow>), StoreError>;
    /// Counts the changes of the vault.
    async fn secrets_revision(&self) -> Result<i64, StoreError>;
    /// Adds a secret of version 1, or replaces the version before; `false` when something else is there.
    async fn put_secret(&self, row: SecretRow, entry: Entry) -> Result<bool, StoreError>;
    /// Replaces the versions before of all of them; `false`, and no change at all, when something else is there.
    async fn reseal_secrets(&self, rows: Vec<SecretRow>, entry: Entry) -> Result<bool, StoreError>;
    /// Deletes a secret; `false` when there is none.
    async fn delete_secret(&self, name: &str, entry: Entry) -> Result<bool, StoreError>;
}
