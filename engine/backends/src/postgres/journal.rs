//! The journal: what belongs to runs goes to the writers, the rest and what is read to the pool.

use std::sync::Arc;

use async_trait::async_trait;
use liteagent_engine::{
    event::Seq,
    id::{Digest, RunId, SessionId},
    store::{
        Append, AppendError, Backlog, ConversationFilter, ConversationRow, Created, EndPlace, Forget, InboxMessage,
        Installation, Journal, Message, NewRun, Rating, Release, ReleaseHeld, RunFilter, RunRow, Spending, StoreError,
        StoredRecord, StoredTurn, Take, TurnPage, UsageRow,
    },
    units::Millis,
    value::Value,
};

use super::{
    PostgresStore,
    db::sql,
    queue::{Begun, Creation, Taking},
    stored::stored,
};
use crate::{
    database::Error,
    row::{hash, text},
};

/// The most runs that someone should take which are counted.
const MOST_RUNS: u32 = 10_000;

impl PostgresStore {
    async fn begin_run(&self, creation: Creation) -> Result<Begun, StoreError> {
        self.0.queue.ask(creation, |group| &mut group.creations).await
    }
}

#[async_trait]
impl Journal for PostgresStore {
    async fn open_session(&self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        Ok(self.begin_session(session, at).await?)
    }

    async fn heartbeat(&self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        self.beat(session, at).await
    }

    async fn is_alive(&self, session: SessionId, at: Millis) -> Result<bool, StoreError> {
        Ok(self.lives(session, at).await?)
    }

    async fn close_session(&self, session: SessionId) -> Result<(), StoreError> {
        Ok(self.end_session(session).await?)
    }

    async fn put_bundle(&self, digest: &Digest, bundle: Arc<str>) -> Result<(), StoreError> {
        let put = "INSERT INTO bundles (digest, body) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.db().execute(sql(put).bind(hash(digest)).bind(stored(&bundle))).await?;
        Ok(())
    }

    async fn bundle(&self, digest: &Digest) -> Result<Option<Arc<str>>, StoreError> {
        let row = self.db().first(sql("SELECT body FROM bundles WHERE digest = $1").bind(hash(digest))).await?;
        Ok(row.map(|row| text(&row, 0)).transpose()?.map(Arc::from))
    }

    async fn create(&self, run: NewRun) -> Result<Created, StoreError> {
        Ok(self.begin_run(Creation { new: run, end: None, taker: None }).await?.created)
    }

    async fn create_ended(&self, run: NewRun, end: Release) -> Result<Created, StoreError> {
        Ok(self.begin_run(Creation { new: run, end: Some(end), taker: None }).await?.created)
    }

    async fn create_taken(&self, run: NewRun, session: SessionId) -> Result<Result<Take, Created>, StoreError> {
        let begun = self.begin_run(Creation { new: run, end: None, taker: Some(session) }).await?;
        match begun.take {
            Some(take) => take.map(Ok),
            None => Ok(Err(begun.created)),
        }
    }

    async fn take(&self, run: RunId, session: SessionId, at: Millis) -> Result<Take, StoreError> {
        self.0.queue.ask(Taking { run, session, at }, |group| &mut group.takes).await?
    }

    async fn append(&self, append: Append) -> Result<(), AppendError> {
        self.0.queue.ask(append, |group| &mut group.appends).await?
    }

    async fn read(&self, run: RunId, after: Seq, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        Ok(self.records(run, after, limit).await?)
    }

    async fn send(&self, run: RunId, message: Message) -> Result<bool, StoreError> {
        self.0.queue.ask((run, message), |group| &mut group.sends).await
    }

    async fn inbox(&self, run: RunId) -> Result<Vec<InboxMessage>, StoreError> {
        Ok(self.messages(run).await?)
    }

    async fn mail(&self, session: SessionId) -> Result<Vec<RunId>, StoreError> {
        Ok(self.with_mail(session).await?)
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        Ok(self.row(run).await?)
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        Ok(self.rows(filter).await?)
    }

    async fn runnable(&self, at: Millis, limit: u32) -> Result<Vec<RunId>, StoreError> {
        Ok(self.takeable(at, limit).await?)
    }

    async fn backlog(&self, at: Millis) -> Result<Backlog, StoreError> {
        let runnable = self.takeable(at, MOST_RUNS).await?;
        Ok(self.counts(at, &runnable).await?)
    }

    async fn ahead(&self, run: RunId) -> Result<Vec<RunId>, StoreError> {
        Ok(self.in_the_way(run).await?)
    }

    async fn first_in_line(&self, key: &str) -> Result<Option<RunId>, StoreError> {
        Ok(self.next_of(key).await?)
    }

    async fn conversation(&self, id: &str) -> Result<Option<Value>, StoreError> {
        let variables = "SELECT variables FROM conversations WHERE id = $1 AND variables IS NOT NULL";
        let Some(row) = self.db().first(sql(variables).bind(stored(id))).await? else { return Ok(None) };
        Ok(Some(serde_json::from_str(&text(&row, 0)?).map_err(Error::from)?))
    }

    async fn turns_before(&self, run: RunId, most: usize) -> Result<Vec<StoredTurn>, StoreError> {
        Ok(self.chain(run, most).await?)
    }

    async fn turn(&self, run: RunId) -> Result<Option<StoredTurn>, StoreError> {
        Ok(self.turn_of(run).await?)
    }

    async fn turns(&self, conversation: &str, page: TurnPage) -> Result<Vec<StoredTurn>, StoreError> {
        Ok(self.path(conversation, page).await?)
    }

    async fn rate(&self, run: RunId, rating: Option<Rating>) -> Result<bool, StoreError> {
        Ok(self.rate_turn(run, rating).await?)
    }

    async fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<ConversationRow>, StoreError> {
        Ok(self.listed(filter).await?)
    }

    async fn conversation_row(&self, id: &str) -> Result<Option<ConversationRow>, StoreError> {
        Ok(self.listed_one(id).await?)
    }

    async fn rename_conversation(&self, id: &str, title: &str) -> Result<bool, StoreError> {
        Ok(self.rename(id, title).await?)
    }

    async fn forget_conversation(&self, id: &str, runs: bool, limit: u32) -> Result<Forget, StoreError> {
        Ok(self.forget_talk(id, runs, limit).await?)
    }

    async fn ended(&self, after: EndPlace, limit: u32) -> Result<Vec<(EndPlace, RunRow)>, StoreError> {
        Ok(self.ends(after, limit).await?)
    }

    async fn delete(&self, runs: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        Ok(self.delete_these(runs).await?)
    }

    async fn delete_ended(&self, before: Millis, limit: u32) -> Result<u64, StoreError> {
        Ok(self.delete_old(before, limit).await?)
    }

    async fn forget(&self, subject: &str, limit: u32) -> Result<Forget, StoreError> {
        Ok(self.forget_subject(subject, limit).await?)
    }

    async fn usage(&self, from: Millis, until: Millis) -> Result<Vec<UsageRow>, StoreError> {
        Ok(self.usage_rows(from, until).await?)
    }

    async fn has_blob_rows(&self, digest: &Digest) -> Result<bool, StoreError> {
        let any = "SELECT 1 FROM blobs WHERE digest = $1 LIMIT 1";
        Ok(self.db().first(sql(any).bind(hash(digest))).await?.is_some())
    }
    async fn forget_usage(&self, before: Millis) -> Result<(), StoreError> {
        Ok(self.forget_days(before).await?)
    }

    async fn spent(&self, account: Option<&str>, from: Millis, until: Millis) -> Result<Spending, StoreError> {
        Ok(self.spent_on(account.unwrap_or_default(), from, until).await?)
    }

    async fn hold_runs(&self) -> Result<u64, StoreError> {
        Ok(self.hold_all().await?)
    }

    async fn release_held(&self, which: &ReleaseHeld, limit: u32) -> Result<Vec<RunId>, StoreError> {
        Ok(self.release(which, limit).await?)
    }

    async fn queued(&self, most: u32) -> Result<u32, StoreError> {
        Ok(self.count_queued(most).await?)
    }

    /// The disk is that of the server, which says itself when it is full.
    async fn check_room(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn installation(&self) -> Result<Installation, StoreError> {
        Ok(self.which_installation().await?)
    }

    async fn backed_up(&self, at: Millis) -> Result<(), StoreError> {
        self.db().execute(sql("UPDATE installation SET backup_at = $1").bind(at)).await?;
        Ok(())
    }
}
