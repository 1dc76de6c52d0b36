//! The journal: writes go to the thread, reads to the pool.

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
use rusqlite::params;

use super::{SqliteStore, line, lists::Key, operation, retention, row::hash, runs, turns, usage};
use crate::database::Error;

/// The most runs that someone should take which are counted.
const MOST_RUNS: u32 = 10_000;

#[async_trait]
impl Journal for SqliteStore {
    async fn open_session(&self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        self.0.locks.hold(session)?;
        let open = self.0.writer.write(move |db| {
            retention::forget_dead_sessions(db)?;
            let sql = "INSERT INTO sessions (id, heartbeat) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET heartbeat = ?2";
            db.execute(sql, params![session.0.as_bytes(), at]).map(drop)
        });
        open.await.inspect_err(|_| self.0.locks.release(session))
    }

    async fn heartbeat(&self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        let beat = move |db: &super::Db| {
            let sql = "UPDATE sessions SET heartbeat = max(heartbeat, ?2) WHERE id = ?1";
            db.execute(sql, params![session.0.as_bytes(), at])
        };
        if self.0.writer.write(beat).await? == 0 { Err(runs::not_open(session)) } else { Ok(()) }
    }

    async fn is_alive(&self, session: SessionId, at: Millis) -> Result<bool, StoreError> {
        Ok(self.0.is_alive(session, at).await?)
    }

    async fn close_session(&self, session: SessionId) -> Result<(), StoreError> {
        let close = move |db: &super::Db| {
            let sql = "UPDATE runs SET phase = 0, owner = NULL WHERE phase < 3 AND phase = 1 AND owner = ?1";
            db.execute(sql, [session.0.as_bytes()])?;
            db.execute("DELETE FROM sessions WHERE id = ?1", [session.0.as_bytes()])
        };
        self.0.writer.write(close).await?;
        self.0.locks.release(session);
        Ok(())
    }

    async fn put_bundle(&self, digest: &Digest, bundle: Arc<str>) -> Result<(), StoreError> {
        let known = "SELECT '' FROM bundles WHERE digest = ?1";
        if self.0.text(known, Key::Bytes(hash(digest))).await?.is_some() {
            return Ok(());
        }
        let digest = hash(digest);
        let put = move |db: &super::Db| {
            db.execute("INSERT OR IGNORE INTO bundles (digest, body) VALUES (?1, ?2)", params![digest, &*bundle])
        };
        self.0.writer.write(put).await.map(drop)
    }

    async fn bundle(&self, digest: &Digest) -> Result<Option<Arc<str>>, StoreError> {
        let sql = "SELECT body FROM bundles WHERE digest = ?1";
        Ok(self.0.text(sql, Key::Bytes(hash(digest))).await?.map(Arc::from))
    }

    async fn create(&self, run: NewRun) -> Result<Created, StoreError> {
        self.0.options.reserve.check(&self.0.folder)?;
        self.0.writer.write(move |db| runs::create(db, &run, None)).await
    }

    async fn create_ended(&self, run: NewRun, end: Release) -> Result<Created, StoreError> {
        self.0.writer.write(move |db| runs::create(db, &run, Some(&end))).await
    }

    async fn create_taken(&self, run: NewRun, session: SessionId) -> Result<Result<Take, Created>, StoreError> {
        self.0.options.reserve.check(&self.0.folder)?;
        let begin = move |db: &super::Db| match runs::create(db, &run, None)? {
            Created::New => Ok(runs::take(db, run.id, session, run.at)?.map(Ok)),
            other => Ok(Ok(Err(other))),
        };
        self.0.writer.write(begin).await?
    }

    async fn take(&self, run: RunId, session: SessionId, at: Millis) -> Result<Take, StoreError> {
        self.0.writer.write(move |db| runs::take(db, run, session, at)).await?
    }

    async fn append(&self, append: Append) -> Result<(), AppendError> {
        self.0.writer.write(move |db| runs::append(db, &append)).await?
    }

    async fn read(&self, run: RunId, after: Seq, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        Ok(self.0.read(run, after, limit).await?)
    }

    async fn send(&self, run: RunId, message: Message) -> Result<bool, StoreError> {
        self.0.writer.write(move |db| runs::send(db, run, &message)).await
    }

    async fn inbox(&self, run: RunId) -> Result<Vec<InboxMessage>, StoreError> {
        Ok(self.0.inbox(run).await?)
    }

    async fn mail(&self, session: SessionId) -> Result<Vec<RunId>, StoreError> {
        Ok(self.0.mail(session).await?)
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        Ok(self.0.run(run).await?)
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        Ok(self.0.runs(filter).await?)
    }

    async fn runnable(&self, at: Millis, limit: u32) -> Result<Vec<RunId>, StoreError> {
        let mut runs = self.0.runnable(at, limit).await?;
        if self.0.text("SELECT 'yes' FROM holds WHERE held = ?1 LIMIT 1", Key::Number(0)).await?.is_some() {
            runs.extend(self.0.writer.write(move |db| line::with_room(db, limit)).await?);
            runs.sort_unstable();
            runs.truncate(limit as usize);
        }
        Ok(runs.into_iter().map(|(_, run)| run).collect())
    }

    async fn backlog(&self, at: Millis) -> Result<Backlog, StoreError> {
        let runnable = self.runnable(at, MOST_RUNS).await?;
        Ok(self.0.backlog(at, &runnable).await?)
    }

    async fn ahead(&self, run: RunId) -> Result<Vec<RunId>, StoreError> {
        self.0.writer.write(move |db| line::ahead(db, run)).await
    }

    async fn first_in_line(&self, key: &str) -> Result<Option<RunId>, StoreError> {
        let key = key.to_owned();
        self.0.writer.write(move |db| line::first_in_line(db, &key)).await
    }

    async fn conversation(&self, id: &str) -> Result<Option<Value>, StoreError> {
        let sql = "SELECT variables FROM conversations WHERE id = ?1 AND variables IS NOT NULL";
        let text = self.0.text(sql, Key::Text(id)).await?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose().map_err(Error::from)?)
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
        self.0.writer.write(move |db| turns::rate(db, run, rating)).await
    }

    async fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<ConversationRow>, StoreError> {
        Ok(self.listed(filter).await?)
    }

    async fn conversation_row(&self, id: &str) -> Result<Option<ConversationRow>, StoreError> {
        Ok(self.listed_one(id).await?)
    }

    async fn rename_conversation(&self, id: &str, title: &str) -> Result<bool, StoreError> {
        let (id, title) = (id.to_owned(), title.to_owned());
        self.0.writer.write(move |db| turns::rename(db, &id, &title)).await
    }

    async fn forget_conversation(&self, id: &str, runs: bool, limit: u32) -> Result<Forget, StoreError> {
        let id = id.to_owned();
        self.0.writer.write(move |db| retention::forget_conversation(db, &id, runs, limit)).await
    }

    async fn ended(&self, after: EndPlace, limit: u32) -> Result<Vec<(EndPlace, RunRow)>, StoreError> {
        Ok(self.0.ended(after, limit).await?)
    }

    async fn delete(&self, runs: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        let runs = runs.to_owned();
        self.0.writer.write(move |db| retention::delete(db, &runs)).await
    }

    async fn delete_ended(&self, before: Millis, limit: u32) -> Result<u64, StoreError> {
        self.0.writer.write(move |db| retention::delete_ended(db, before, limit)).await
    }

    async fn forget(&self, subject: &str, limit: u32) -> Result<Forget, StoreError> {
        let subject = subject.to_owned();
        self.0.writer.write(move |db| retention::forget(db, &subject, limit)).await
    }

    async fn usage(&self, from: Millis, until: Millis) -> Result<Vec<UsageRow>, StoreError> {
        self.usage_rows(from, until).await
    }

    async fn has_blob_rows(&self, digest: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT 'yes' FROM blobs WHERE digest = ?1 LIMIT 1";
        Ok(self.0.text(sql, Key::Bytes(hash(digest))).await?.is_some())
    }

    async fn forget_usage(&self, before: Millis) -> Result<(), StoreError> {
        self.0.writer.write(move |db| usage::forget(db, before)).await
    }

    async fn spent(&self, account: Option<&str>, from: Millis, until: Millis) -> Result<Spending, StoreError> {
        self.spent_on(account.unwrap_or_default(), from, until).await
    }

    async fn hold_runs(&self) -> Result<u64, StoreError> {
        self.0.writer.write(|db| operation::hold_runs(db)).await
    }

    async fn release_held(&self, which: &ReleaseHeld, limit: u32) -> Result<Vec<RunId>, StoreError> {
        let which = which.clone();
        self.0.writer.write(move |db| operation::release_held(db, &which, limit)).await
    }

    async fn queued(&self, most: u32) -> Result<u32, StoreError> {
        Ok(self.0.queued(most).await?)
    }

    async fn check_room(&self) -> Result<(), StoreError> {
        self.0.options.reserve.check(&self.0.folder)
    }

    async fn installation(&self) -> Result<Installation, StoreError> {
        Ok(self.0.installation().await?)
    }

    async fn backed_up(&self, at: Millis) -> Result<(), StoreError> {
        let sql = "UPDATE installation SET backup_at = ?1";
        self.0.writer.write(move |db| db.execute(sql, [at]).map(drop)).await
    }
}
