//! The journal in memory: every call is one step under the lock.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    event::Seq,
    id::{Digest, RunId, SessionId},
    store::{
        Append, AppendError, ConversationFilter, ConversationRow, Created, EndPlace, Forget, Forgotten, InboxMessage,
        Installation, Journal, Message, NewRun, Rating, Release, ReleaseHeld, RunFilter, RunRow, Spending, StoreError,
        StoredRecord, StoredTurn, Take, TurnPage, UsageRow,
    },
    units::Millis,
    value::Value,
};

#[async_trait]
impl Journal for MemoryStore {
    async fn open_session(&self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        self.runs().open_session(session, at);
        Ok(())
    }

    async fn heartbeat(&self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        self.runs().heartbeat(session, at)
    }

    async fn is_alive(&self, session: SessionId, at: Millis) -> Result<bool, StoreError> {
        Ok(self.runs().is_alive(session, at))
    }

    async fn close_session(&self, session: SessionId) -> Result<(), StoreError> {
        self.runs().close_session(session);
        Ok(())
    }

    async fn put_bundle(&self, digest: &Digest, bundle: Arc<str>) -> Result<(), StoreError> {
        self.runs().bundles.entry(digest.clone()).or_insert(bundle);
        Ok(())
    }

    async fn bundle(&self, digest: &Digest) -> Result<Option<Arc<str>>, StoreError> {
        Ok(self.runs().bundles.get(digest).cloned())
    }

    async fn create(&self, run: NewRun) -> Result<Created, StoreError> {
        Ok(self.runs().create(run, None))
    }

    async fn create_ended(&self, run: NewRun, end: Release) -> Result<Created, StoreError> {
        Ok(self.runs().create(run, Some(end)))
    }

    async fn take(&self, run: RunId, session: SessionId, at: Millis) -> Result<Take, StoreError> {
        self.runs().take(run, session, at)
    }

    async fn append(&self, append: Append) -> Result<(), AppendError> {
        self.runs().append(append)
    }

    async fn read(&self, run: RunId, after: Seq, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        Ok(self.runs().read(run, after, limit))
    }

    async fn send(&self, run: RunId, message: Message) -> Result<bool, StoreError> {
        Ok(self.runs().send(run, message))
    }

    async fn inbox(&self, run: RunId) -> Result<Vec<InboxMessage>, StoreError> {
        Ok(self.runs().inbox(run))
    }

    async fn mail(&self, session: SessionId) -> Result<Vec<RunId>, StoreError> {
        Ok(self.runs().mail(session))
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        Ok(self.runs().row(run))
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        Ok(self.runs().list(&filter))
    }

    async fn runnable(&self, at: Millis, limit: u32) -> Result<Vec<RunId>, StoreError> {
        Ok(self.runs().runnable(at, limit))
    }

    async fn ahead(&self, run: RunId) -> Result<Vec<RunId>, StoreError> {
        Ok(self.runs().ahead(run))
    }

    async fn first_in_line(&self, key: &str) -> Result<Option<RunId>, StoreError> {
        Ok(self.runs().first_in_line(key))
    }

    async fn conversation(&self, id: &str) -> Result<Option<Value>, StoreError> {
        Ok(self.runs().talks.variables(id))
    }

    async fn turns_before(&self, run: RunId, most: usize) -> Result<Vec<StoredTurn>, StoreError> {
        Ok(self.runs().talks.before(run, most))
    }

    async fn turn(&self, run: RunId) -> Result<Option<StoredTurn>, StoreError> {
        Ok(self.runs().talks.turn(run))
    }

    async fn turns(&self, conversation: &str, page: TurnPage) -> Result<Vec<StoredTurn>, StoreError> {
        Ok(self.runs().talks.turns(conversation, page))
    }

    async fn rate(&self, run: RunId, rating: Option<Rating>) -> Result<bool, StoreError> {
        Ok(self.runs().talks.rate(run, rating))
    }

    async fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<ConversationRow>, StoreError> {
        Ok(self.runs().talks.list(filter))
    }

    async fn conversation_row(&self, id: &str) -> Result<Option<ConversationRow>, StoreError> {
        Ok(self.runs().talks.row(id))
    }

    async fn rename_conversation(&self, id: &str, title: &str) -> Result<bool, StoreError> {
        Ok(self.runs().talks.rename(id, title))
    }

    async fn forget_conversation(&self, id: &str, runs: bool, limit: u32) -> Result<Forget, StoreError> {
        let forgotten = self.runs().forget_conversation(id, runs, limit);
        Ok(self.forgotten(forgotten))
    }

    async fn ended(&self, after: EndPlace, limit: u32) -> Result<Vec<(EndPlace, RunRow)>, StoreError> {
        Ok(self.runs().ended(after, limit))
    }

    async fn delete(&self, runs: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        let gone = self.runs().delete_some(runs);
        self.values().files.retain(|(run, _), _| !gone.contains(run));
        Ok(runs.iter().copied().filter(|run| gone.contains(run)).collect())
    }

    async fn delete_ended(&self, before: Millis, limit: u32) -> Result<u64, StoreError> {
        let gone = self.runs().delete_ended(before, limit);
        self.values().files.retain(|(run, _), _| !gone.contains(run));
        Ok(gone.len() as u64)
    }

    async fn forget(&self, subject: &str, limit: u32) -> Result<Forget, StoreError> {
        let forgotten = self.runs().forget(subject, limit);
        Ok(self.forgotten(forgotten))
    }

    async fn usage(&self, from: Millis, until: Millis) -> Result<Vec<UsageRow>, StoreError> {
        Ok(self.runs().daily.rows(from, until))
    }

    async fn has_blob_rows(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.runs().names_blob(digest))
    }

    async fn forget_usage(&self, before: Millis) -> Result<(), StoreError> {
        let mut runs = self.runs();
        runs.daily.forget(before);
        runs.operation.forget(before);
        Ok(())
    }

    async fn spent(&self, account: Option<&str>, from: Millis, until: Millis) -> Result<Spending, StoreError> {
        Ok(self.runs().operation.spent(account, from, until))
    }

    async fn hold_runs(&self) -> Result<u64, StoreError> {
        Ok(self.runs().hold_runs())
    }

    async fn release_held(&self, which: &ReleaseHeld, limit: u32) -> Result<Vec<RunId>, StoreError> {
        Ok(self.runs().release_held(which, limit))
    }

    async fn queued(&self, most: u32) -> Result<u32, StoreError> {
        Ok(self.runs().queued(most))
    }

    async fn check_room(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn installation(&self) -> Result<Installation, StoreError> {
        Ok(self.runs().operation.installation.clone())
    }

    async fn backed_up(&self, at: Millis) -> Result<(), StoreError> {
        self.runs().operation.installation.backup_at = Some(at);
        Ok(())
    }
}

impl MemoryStore {
    /// What belonged to runs that were forgotten goes, too.
    fn forgotten(&self, forgotten: Result<(HashSet<RunId>, Forgotten), Vec<RunId>>) -> Forget {
        let (gone, mut forgotten) = match forgotten {
            Ok(done) => done,
            Err(open) => return Forget::Open(open),
        };
        let mut values = self.values();
        values.files.retain(|(run, _), _| !gone.contains(run));
        let before = values.cache.len();
        values.cache.retain(|_, (_, _, run)| !gone.contains(run));
        forgotten.outputs = (before - values.cache.len()) as u64;
        Forget::Done(forgotten)
    }
}
