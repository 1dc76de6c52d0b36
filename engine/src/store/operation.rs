//! What whoever operates an installation asks of its stores.

use crate::{id::RunId, units::Millis, usage::Usage};

/// Which held runs go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseHeld {
    /// All, or those of a workflow; with those that they started.
    All {
        /// The workflow.
        workflow: Option<String>,
    },
    /// These, with those that they started.
    Runs(Vec<RunId>),
}

/// Tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// Tokens of models.
    pub tokens: u64,
    /// Millionths of a US dollar; calls without a known price are not among them.
    pub cost: u64,
}

impl Spending {
    /// Adds what was used.
    pub fn add(&mut self, usage: &Usage) {
        self.tokens = self.tokens.saturating_add(usage.tokens());
        self.cost = self.cost.saturating_add(usage.cost);
    }
}

/// Which installation a store belongs to, and how it came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// Its id: it stays the same when a backup of it is restored.
    pub id: String,
    /// Counts its lives: one more with each restore.
    pub epoch: u64,
    /// When it was last made from a backup.
    pub restored_at: Option<Millis>,
    /// When a backup of it was last finished.
    pub backup_at: Option<Millis>,
}
