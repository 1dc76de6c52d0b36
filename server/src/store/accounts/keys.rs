//! API keys.

use async_trait::async_trait;
use liteagent_engine::{store::StoreError, units::Millis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Entry, TokenHash};

/// What an API key is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyScope {
    /// To start runs of this workflow and to see them.
    Workflow(String),
    /// To search this knowledge base and to change its documents.
    KnowledgeBase(String),
}

/// What the runs of an API key may use. `None` is no limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// So many runs at once that have not ended.
    pub runs: Option<u32>,
    /// So many tokens of models a day.
    pub tokens: Option<u64>,
    /// So many millionths of a US dollar a day.
    pub cost: Option<u64>,
}

/// An API key, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: String,
    /// How the key begins: what a person knows it by.
    pub prefix: String,
    /// What its maker calls it.
    pub name: String,
    /// What it is for.
    pub scope: KeyScope,
    /// How many requests a minute it allows; `None` is any number.
    pub rate: Option<u32>,
    /// What its runs may use.
    pub limits: KeyLimits,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
    /// From when on it is refused.
    pub expires_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// When it was last used, give or take a minute.
    pub used_at: Option<Millis>,
    /// Whether it only looks: it starts and changes nothing.
    pub read_only: bool,
}

/// API keys.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Adds a key that is known by this hash.
    async fn add_key(&self, row: KeyRow, hash: TokenHash, entry: Entry) -> Result<(), StoreError>;
    /// The keys that were not revoked, newest first.
    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError>;
    /// The key that has this hash, also when it was revoked or has expired.
    async fn key(&self, hash: TokenHash) -> Result<Option<KeyRow>, StoreError>;
    /// Revokes a key; `false` when there is none, or it was revoked before.
    async fn revoke_key(&self, id: &str, entry: Entry) -> Result<bool, StoreError>;
    /// Notes that a key was used.
    async fn key_used(&self, id: &str, at: Millis) -> Result<(), StoreError>;
}
