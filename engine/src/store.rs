//! Where runs live: the traits that stores implement, and the store in memory.
//!
//! One conformance suite ([`crate::testing::conformance`]) says what each sentence here means.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::{
    backlog::Backlog,
    conversation::{
        ConversationEnd, ConversationFilter, ConversationRow, NewTurn, Rating, Speaker, StoredHistory, StoredTurn,
        TurnPage, title_of,
    },
    ended::EndPlace,
    error::{AppendError, ObjectsFault, StoreError},
    filter::RunFilter,
    hold::Hold,
    memory::{DEFAULT_LEASE, MemoryStore},
    message::{InboxMessage, Message, MessageBody, StepResult},
    operation::{Installation, ReleaseHeld, Spending},
    stores::Stores,
    subject::{Forget, ForgetResult, Forgotten},
    usage::{DAY, RunUsage, UsageRow, UsageRowReport, day_of},
    values::{Blobs, Expect, FileValue, Files, Kv, KvEntry, OutputCache, Pieces, file_id},
};
use crate::{
    error::ErrorReport,
    event::{RunStatus, Seq},
    id::{Digest, RunId, SessionId},
    units::Millis,
    usage::Usage,
    value::Value,
};

mod backlog;
mod conversation;
mod ended;
mod error;
mod filter;
pub mod hold;
mod memory;
mod message;
mod operation;
mod stores;
mod subject;
mod usage;
mod values;

pub(crate) use self::values::file_ids;

/// How long an idempotency key stands for its run: 24 hours.
pub const IDEMPOTENCY_WINDOW: Millis = 24 * 60 * 60 * 1000;

/// A record as a store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// Position in its run.
    pub seq: Seq,
    /// When it happened.
    pub at: Millis,
    /// The JSON of the whole [`crate::event::Record`].
    pub body: Arc<str>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// It may be taken.
    Queued,
    /// A session owns it.
    Running,
    /// It waits for a time or a message.
    Waiting,
    /// It came out of a backup: nobody takes it before a person releases it. Messages reach its inbox all the same.
    Held,
    /// It ended.
    Ended,
}

impl RunPhase {
    /// The name in stores and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Ended => "ended",
        }
    }
}

/// A run that is about to exist.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id. Creating the same id again changes nothing and gives [`Created::Existing`].
    pub id: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Its bundle, which the store has.
    pub digest: Digest,
    /// The parent run, and where its end is reported: (run, path of the node, attempt).
    pub parent: Option<Parent>,
    /// What started it: `api`, `cli`, `schedule`, `parent`, `fork`.
    pub trigger: String,
    /// The conversation.
    pub conversation: Option<String>,
    /// What a person says with it, in its conversation.
    pub turn: Option<NewTurn>,
    /// Whom it is about; its children are about the same.
    pub subject: Option<String>,
    /// Who pays: what it uses, with the runs that it starts, is added up for this name too. Means nothing for a child.
    pub account: Option<String>,
    /// What it is counted under.
    pub holds: Vec<Hold>,
    /// Gives the same run for the same caller, workflow and key for 24 hours.
    pub idempotency: Option<Idempotency>,
    /// Now.
    pub at: Millis,
    /// `RunStarted`, and after a fork the kept records. Seq begins at 1.
    pub records: Vec<StoredRecord>,
    /// The blobs that the records name.
    pub blobs: Vec<Digest>,
}

/// Where the end of a child is reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// The parent run.
    pub run: RunId,
    /// The path of its node.
    pub node: String,
    /// The attempt of that node.
    pub attempt: u32,
}

/// A caller's key for one start.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// Who calls; the key means nothing for another caller or workflow.
    pub caller: String,
    /// The key.
    pub key: String,
    /// Digest of the inputs: another one under the same key is a conflict.
    pub body: Digest,
}

/// What became of a new run.
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// It exists now.
    New,
    /// It existed already: the same id, or the same idempotency key and body.
    Existing(RunId),
    /// The idempotency key was used with another body.
    Conflict(RunId),
    /// It does not exist: these runs are in its way, and it does not wait.
    Full(Vec<RunId>),
}

/// A run that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The new epoch; every append must name it.
    pub epoch: u64,
    /// The run as it was before.
    pub row: RunRow,
}

/// What a take found.
#[derive(Clone, Debug)]
pub enum Take {
    /// The caller owns the run.
    Taken(Box<Taken>),
    /// A living session owns it.
    Owned(SessionId),
    /// It waits for these runs to end.
    Full(Vec<RunId>),
    /// It came out of a backup, and nobody has released it.
    Held,
    /// It has ended.
    Ended,
    /// There is no such run.
    Unknown,
}

/// A run in lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Its bundle.
    pub digest: Digest,
    /// Where it stands.
    pub phase: RunPhase,
    /// How it ended.
    pub status: Option<RunStatus>,
    /// Counts its owners.
    pub epoch: u64,
    /// Its newest record.
    pub seq: Seq,
    /// Who owns it.
    pub owner: Option<SessionId>,
    /// When it must be woken.
    pub wake_at: Option<Millis>,
    /// The parent run.
    pub parent: Option<Parent>,
    /// What started it.
    pub trigger: String,
    /// The conversation.
    pub conversation: Option<String>,
    /// Whom it is about.
    pub subject: Option<String>,
    /// Code and message of the failure.
    pub error: Option<String>,
    /// What it used of models, with the runs that it started; known once it has ended.
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    pub usage: Usage,
    /// When it was created.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
}

/// Records and what must become durable with them, all or nothing.
#[derive(Clone, Debug)]
pub struct Append {
    /// The run.
    pub run: RunId,
    /// The epoch under which the caller took it.
    pub epoch: u64,
    /// The caller's session.
    pub session: SessionId,
    /// The newest seq that the caller has folded: the records begin at the next one.
    pub expected: Seq,
    /// The records; may be empty when only a release is wanted.
    pub records: Vec<StoredRecord>,
    /// Messages of the inbox that the records answer.
    pub consumed: Vec<i64>,
    /// The blobs that the records name.
    pub blobs: Vec<Digest>,
    /// Child runs that begin to exist. One that is rejected does not, and its parent is told at once that it failed.
    pub children: Vec<NewRun>,
    /// Messages to other runs.
    pub send: Vec<(RunId, Message)>,
    /// Gives the run up. To wait or to end is refused with [`AppendError::InboxNotEmpty`] when a message is left.
    pub release: Option<Release>,
    /// Now.
    pub at: Millis,
}

impl Append {
    /// The fence: whether the caller owns this run and its records follow the newest one.
    pub fn fits(&self, row: &RunRow) -> bool {
        row.phase == RunPhase::Running
            && row.epoch == self.epoch
            && row.owner == Some(self.session)
            && row.seq == self.expected
            && self.records.iter().zip(self.expected + 1..).all(|(record, seq)| record.seq == seq)
    }
}

/// How a run is given up.
#[derive(Clone, Debug)]
pub enum Release {
    /// It can be taken at once, by anyone.
    Queued,
    /// It waits for a message, and for a time if there is one.
    Waiting {
        /// When it must be woken.
        wake_at: Option<Millis>,
    },
    /// It ended.
    Ended {
        /// How.
        status: RunStatus,
        /// Why it did not succeed.
        error: Option<ErrorReport>,
        /// What it leaves in its conversation, stored in the same transaction.
        conversation: Option<ConversationEnd>,
        /// What it used of models, counted in the same transaction.
        usage: Box<RunUsage>,
    },
}

/// Runs, their journals and their inboxes.
///
/// # Contract
/// * `append` checks run, epoch, session and seq in the transaction that inserts; a refused append leaves those of
///   other runs that share the transaction untouched.
/// * What `append` returned for is durable, and everything before it.
/// * A run becomes `waiting` or `ended` only in a transaction that sees its inbox empty.
/// * A run that has room holds its keys from the transaction that creates or takes it to the one that ends it. One that
///   was never taken and has no room is not taken, unless its inbox asks it to stop: see [`hold`].
#[async_trait]
pub trait Journal: Send + Sync {
    /// Announces a session. Until it is closed or its process dies, the runs that it takes are its own.
    async fn open_session(&self, session: SessionId, at: Millis) -> Result<(), StoreError>;
    /// Says that a session is alive.
    async fn heartbeat(&self, session: SessionId, at: Millis) -> Result<(), StoreError>;
    /// Whether a session is open, and its process lives.
    async fn is_alive(&self, session: SessionId, at: Millis) -> Result<bool, StoreError>;
    /// Gives up a session, and puts the runs that it still owns back into the queue: nobody died.
    async fn close_session(&self, session: SessionId) -> Result<(), StoreError>;

    /// Stores a bundle; it never changes.
    async fn put_bundle(&self, digest: &Digest, bundle: Arc<str>) -> Result<(), StoreError>;
    /// A bundle.
    async fn bundle(&self, digest: &Digest) -> Result<Option<Arc<str>>, StoreError>;

    /// Creates a run, `queued`, with its first records. What it replaces is asked to stop in the same transaction.
    async fn create(&self, run: NewRun) -> Result<Created, StoreError>;
    /// Creates a run together with its end: for `durability: end`.
    async fn create_ended(&self, run: NewRun, end: Release) -> Result<Created, StoreError>;
    /// Makes an open session the owner of a run, and increments its epoch, in one statement. A session may take what
    /// it owns already: after an append of unknown outcome it must.
    async fn take(&self, run: RunId, session: SessionId, at: Millis) -> Result<Take, StoreError>;
    /// Creates a run and takes it, in one transaction where the store can: [`Self::create`], and then [`Self::take`].
    /// `Err` inside says why there is no new run.
    async fn create_taken(&self, run: NewRun, session: SessionId) -> Result<Result<Take, Created>, StoreError> {
        let (id, at) = (run.id, run.at);
        match self.create(run).await? {
            Created::New => self.take(id, session, at).await.map(Ok),
            other => Ok(Err(other)),
        }
    }
    /// Appends records.
    async fn append(&self, append: Append) -> Result<(), AppendError>;
    /// Records after `after`, in order, at most `limit`.
    async fn read(&self, run: RunId, after: Seq, limit: usize) -> Result<Vec<StoredRecord>, StoreError>;

    /// Puts a message into the inbox of a run and makes the run takeable if it waits. `false` when the run has ended
    /// or is not there. A message whose id the run has seen changes nothing.
    async fn send(&self, run: RunId, message: Message) -> Result<bool, StoreError>;
    /// The messages of a run that no append has consumed, in order.
    async fn inbox(&self, run: RunId) -> Result<Vec<InboxMessage>, StoreError>;

    /// The running runs of a session whose inbox is not empty: others may have written to it.
    async fn mail(&self, session: SessionId) -> Result<Vec<RunId>, StoreError>;

    /// One run.
    async fn run(&self, run: RunId) -> Result<Option<RunRow>, StoreError>;
    /// Runs, newest first.
    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError>;
    /// Runs that have ended, in the order of their ends, after a place in it; each with its own place, at most `limit`.
    async fn ended(&self, after: EndPlace, limit: u32) -> Result<Vec<(EndPlace, RunRow)>, StoreError>;
    /// Runs that someone should take: `queued` with room; `running` whose session is dead; `waiting` whose time has come or
    /// whose inbox is not empty. Oldest first.
    async fn runnable(&self, at: Millis, limit: u32) -> Result<Vec<RunId>, StoreError>;
    /// How much there is to execute; counts beyond 10,000 may be cut.
    async fn backlog(&self, at: Millis) -> Result<Backlog, StoreError> {
        backlog::count(self, at).await
    }
    /// The runs that a queued run waits for; none when it has room.
    async fn ahead(&self, run: RunId) -> Result<Vec<RunId>, StoreError>;
    /// The oldest run that waits for a key and has room now.
    async fn first_in_line(&self, key: &str) -> Result<Option<RunId>, StoreError>;
    /// The variables of a conversation.
    async fn conversation(&self, id: &str) -> Result<Option<Value>, StoreError>;
    /// The turns that the turn of a run stands after, oldest first, at most the last `most`; none when it has no turn.
    async fn turns_before(&self, run: RunId, most: usize) -> Result<Vec<StoredTurn>, StoreError>;
    /// The turn of a run.
    async fn turn(&self, run: RunId) -> Result<Option<StoredTurn>, StoreError>;
    /// The turns that lead to the newest one of a conversation.
    async fn turns(&self, conversation: &str, page: TurnPage) -> Result<Vec<StoredTurn>, StoreError>;
    /// Says what a person thinks of the answer of a turn; `false` when there is no such turn.
    async fn rate(&self, run: RunId, rating: Option<Rating>) -> Result<bool, StoreError>;
    /// Conversations with something said in them, the newest first.
    async fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<ConversationRow>, StoreError>;
    /// A conversation with something said in it.
    async fn conversation_row(&self, id: &str) -> Result<Option<ConversationRow>, StoreError>;
    /// Gives a conversation another title; `false` when there is no such conversation.
    async fn rename_conversation(&self, id: &str, title: &str) -> Result<bool, StoreError>;
    /// Deletes a conversation with its turns and variables; with `runs` its runs too, at most `limit`, and what
    /// [`Self::forget`] deletes with them. Nothing while one of them has not ended.
    async fn forget_conversation(&self, id: &str, runs: bool, limit: u32) -> Result<Forget, StoreError>;
    /// Deletes whole ended runs that ended before `before`, with their records, inboxes and blob rows; at most
    /// `limit`. Returns how many.
    async fn delete_ended(&self, before: Millis, limit: u32) -> Result<u64, StoreError>;
    /// Deletes those of these runs that have ended, whole. Returns which.
    async fn delete(&self, runs: &[RunId]) -> Result<Vec<RunId>, StoreError>;
    /// Deletes the runs of a subject, at most `limit`, with all that belongs to them, the conversations that they belong
    /// to and the cached outputs that they filled; nothing while one of the runs has not ended.
    async fn forget(&self, subject: &str, limit: u32) -> Result<Forget, StoreError>;
    /// What the runs that ended on these days used, by day, workflow and model, in that order. `from` and `until` are
    /// moments of the first and the last day. It outlives the runs, and says nothing about whom they were about.
    async fn usage(&self, from: Millis, until: Millis) -> Result<Vec<UsageRow>, StoreError>;
    /// Deletes what was used on the days before that of `before`.
    async fn forget_usage(&self, before: Millis) -> Result<(), StoreError>;
    /// What runs used that ended on these days, with the runs that they started: those of an account, or all.
    async fn spent(&self, account: Option<&str>, from: Millis, until: Millis) -> Result<Spending, StoreError>;
    /// Whether some run names a blob.
    async fn has_blob_rows(&self, digest: &Digest) -> Result<bool, StoreError>;

    /// Holds every run that has not ended, and says how many. It is taken from its owner; what waits for it goes on to wait.
    async fn hold_runs(&self) -> Result<u64, StoreError>;
    /// Puts held runs back into the queue, at most `limit`, oldest first, and says which.
    async fn release_held(&self, which: &ReleaseHeld, limit: u32) -> Result<Vec<RunId>, StoreError>;
    /// How many runs are queued; whoever asks counts no further than `most`.
    async fn queued(&self, most: u32) -> Result<u32, StoreError>;
    /// Whether there is room for a new run.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is not.
    async fn check_room(&self) -> Result<(), StoreError>;
    /// Which installation this is.
    async fn installation(&self) -> Result<Installation, StoreError>;
    /// Keeps that a backup was finished.
    async fn backed_up(&self, at: Millis) -> Result<(), StoreError>;
}
