//! Workflows and their versions.

use std::collections::BTreeMap;

use async_trait::async_trait;
use liteagent_engine::{id::Digest, store::StoreError, units::Millis};

use super::Entry;

/// A workflow of the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRow {
    /// Its name.
    pub name: String,
    /// Its newest version.
    pub latest: u32,
    /// The version that new runs are of; `None` while there is none.
    pub published: Option<u32>,
    /// When it last changed.
    pub updated_at: Millis,
}

/// A version of a workflow, without its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The workflow.
    pub workflow: String,
    /// Counts the versions, from 1.
    pub version: u32,
    /// Its bundle.
    pub digest: Digest,
    /// What its maker says about it.
    pub note: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
}

/// A version of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    /// What it is.
    pub row: VersionRow,
    /// Its texts.
    pub source: Source,
}

/// The texts of a definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The definition, byte for byte.
    pub text: String,
    /// The files that it includes, by their path from its folder.
    pub files: BTreeMap<String, String>,
}

/// A version that is about to exist.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// The workflow; made when it is not there.
    pub workflow: String,
    /// Its bundle.
    pub digest: Digest,
    /// Its texts.
    pub source: Source,
    /// What its maker says about it.
    pub note: Option<String>,
    /// Whether new runs are of it from now on.
    pub publish: bool,
}

/// Workflows and their versions.
///
/// # Contract
/// * A version never changes, and its number is never given again, even after its workflow was deleted.
/// * Only a version that is there is published.
/// * A change and its entry in the audit log, which says who makes it and when, are durable together.
#[async_trait]
pub trait WorkflowStore: Send + Sync {
    /// The workflows with names after `after`, by name.
    async fn workflows(&self, after: Option<&str>, limit: u32) -> Result<Vec<WorkflowRow>, StoreError>;
    /// One workflow; `None` when it is not there or was deleted.
    async fn workflow(&self, name: &str) -> Result<Option<WorkflowRow>, StoreError>;
    /// Adds a version, unless the newest one has the same texts and bundle: then that one is given.
    async fn add_version(&self, new: NewVersion, entry: Entry) -> Result<VersionRow, StoreError>;
    /// The versions of a workflow before `before`, newest first.
    async fn versions(&self, name: &str, before: Option<u32>, limit: u32) -> Result<Vec<VersionRow>, StoreError>;
    /// One version.
    async fn version(&self, name: &str, version: u32) -> Result<Option<StoredVersion>, StoreError>;
    /// The published version of every workflow.
    async fn published(&self) -> Result<Vec<VersionRow>, StoreError>;
    /// Lets new runs be of a version, or of none; `false` when it is not there.
    async fn publish(&self, name: &str, version: Option<u32>, entry: Entry) -> Result<bool, StoreError>;
    /// Deletes a workflow; `false` when it is not there. Its versions stay readable for the runs that are of them.
    async fn delete_workflow(&self, name: &str, entry: Entry) -> Result<bool, StoreError>;
}
