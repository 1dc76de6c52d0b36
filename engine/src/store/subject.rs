//! Forgetting a subject: a person, or whoever runs are about.

use crate::id::{Digest, RunId};

/// What came of forgetting a subject.
#[derive(Clone, Debug, PartialEq)]
pub enum Forget {
    /// Nothing was deleted: these runs of the subject have not ended.
    Open(Vec<RunId>),
    /// Everything that was found was deleted, at most as many runs as asked.
    Done(Forgotten),
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forgotten {
    /// Whole runs, with their records, inboxes and files.
    pub runs: u64,
    /// Conversations that the runs belonged to.
    pub conversations: u64,
    /// Cached outputs that the runs filled.
    pub outputs: u64,
    /// The blobs that the runs named, which others may name too.
    pub blobs: Vec<Digest>,
}
