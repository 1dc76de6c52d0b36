//! Forgetting a subject, which is a person or whatever runs are about, and forgetting a conversation.

use std::collections::HashSet;

use super::{StoreError, Stores};
use crate::id::{Digest, RunId};

/// So many runs are deleted in one transaction: others write in between.
const BATCH: u32 = 100;

/// What came of forgetting a subject.
#[derive(Clone, Debug, PartialEq)]
pub enum Forget {
    /// Nothing was deleted: these runs have not ended.
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

/// What was deleted, or the runs that have not ended and for which nothing was.
pub type ForgetResult = Result<Result<Forgotten, Vec<RunId>>, StoreError>;

impl Stores {
    /// Deletes the runs of a subject with everything that belongs to them; nothing while one of them has not ended. Blobs
    /// go at once, unless another run names them; they are counted when they are gone.
    ///
    /// # Errors
    /// Those of the stores; what was deleted before stays deleted.
    pub async fn forget(&self, subject: &str) -> ForgetResult {
        self.forget_all(|limit| self.journal.forget(subject, limit)).await
    }

    /// Deletes a conversation, with its runs where that is wanted, as [`Self::forget`] does; nothing while one of its runs
    /// has not ended.
    ///
    /// # Errors
    /// Those of the stores; what was deleted before stays deleted.
    pub async fn forget_conversation(&self, id: &str, runs: bool) -> ForgetResult {
        self.forget_all(|limit| self.journal.forget_conversation(id, runs, limit)).await
    }

    async fn forget_all<F>(&self, forget: impl Fn(u32) -> F) -> ForgetResult
    where
        F: Future<Output = Result<Forget, StoreError>>,
    {
        let mut all = Forgotten::default();
        let mut blobs = HashSet::new();
        loop {
            let forgotten = match forget(BATCH).await? {
                Forget::Open(runs) => return Ok(Err(runs)),
                Forget::Done(forgotten) => forgotten,
            };
            all.runs += forgotten.runs;
            all.conversations += forgotten.conversations;
            all.outputs += forgotten.outputs;
            blobs.extend(forgotten.blobs);
            if forgotten.runs < u64::from(BATCH) {
                break;
            }
        }
        for blob in blobs {
            if !self.journal.has_blob_rows(&blob).await? && self.blobs.delete(&blob).await? {
                all.blobs.push(blob);
            }
        }
        Ok(Ok(all))
    }
}
