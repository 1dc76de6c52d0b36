//! The audit log: who changed what, when, from where.

use async_trait::async_trait;
use liteagent_engine::{store::StoreError, units::Millis};

/// Something that someone did. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Millis,
    /// The e-mail address of a user, `key:NAME`, `developer`, or `nobody`.
    pub who: String,
    /// What: `users.create`, `keys.revoke`.
    pub action: &'static str,
    /// To what: an e-mail address, the id of a key, the name of a workflow.
    pub target: String,
    /// From where: an IP address.
    pub address: String,
    /// How it came out.
    pub outcome: Outcome,
}

impl Entry {
    /// The same, done to something that is known only now.
    pub fn to(self, target: impl Into<String>) -> Self {
        Self { target: target.into(), ..self }
    }

    /// The same, done by someone who is known only now.
    pub fn by(self, who: impl Into<String>) -> Self {
        Self { who: who.into(), ..self }
    }
}

/// How something came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// The name in stores and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Counts the entries.
    pub id: i64,
    /// When.
    pub at: Millis,
    /// Who.
    pub who: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// From where.
    pub address: String,
    /// How it came out.
    pub outcome: String,
}

/// Which entries.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Those before this id.
    pub before: Option<i64>,
    /// Those of this person or key.
    pub who: Option<String>,
    /// Those of this action.
    pub action: Option<String>,
    /// Those about this.
    pub target: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// The audit log.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Adds an entry about something that is stored nowhere else.
    async fn record(&self, entry: Entry) -> Result<(), StoreError>;
    /// Entries, newest first.
    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditRow>, StoreError>;
    /// Deletes the entries that are older than a time.
    async fn forget_audit(&self, before: Millis) -> Result<(), StoreError>;
}
