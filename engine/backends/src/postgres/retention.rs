//! What is deleted: old runs with all that belongs to them, and outputs that have expired.

use std::collections::BTreeSet;

use liteagent_engine::{
    id::{Digest, RunId},
    store::{Forget, Forgotten},
    units::Millis,
};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{
    PostgresStore,
    changes::column,
    db::{Tx, sql},
    locked::Names,
    stored::{decoded, stored},
};
use crate::database::Error;

/// The runs of a conversation, with those that they started.
macro_rules! all_of_conversation {
    () => {
        "WITH RECURSIVE mine (id) AS (SELECT id FROM runs WHERE conversation = $1 \
         UNION SELECT runs.id FROM runs JOIN mine ON parent_run = mine.id)"
    };
}
impl PostgresStore {
    /// Deletes whole ended runs, oldest first, and what was left behind by runs that never came to be.
    pub(super) async fn delete_old(&self, before: Millis, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db().begin().await?;
        // Who deletes at the same time, or looks at one, is not waited for: the next time it goes.
        let text = "SELECT number, id FROM runs WHERE ended_at < $1 ORDER BY ended_at, number LIMIT $2 \
                    FOR UPDATE SKIP LOCKED";
        let old = tx.rows(sql(text).bind(before).bind(i64::from(limit))).await?;
        delete_runs(&mut tx, &old).await?;
        // Files of runs with `durability: end` whose process died before the run was stored.
        let text = "WITH orphans AS (DELETE FROM files WHERE created_at < $1 \
                    AND NOT EXISTS (SELECT FROM runs WHERE runs.id = files.run) RETURNING run) \
                    DELETE FROM blobs WHERE run IN (SELECT run FROM orphans)";
        tx.execute(sql(text).bind(before)).await?;
        tx.execute(sql("DELETE FROM outputs WHERE until < $1").bind(before)).await?;
        tx.commit().await?;
        Ok(old.len() as u64)
    }

    /// Deletes those of some runs that have ended; says which.
    pub(super) async fn delete_these(&self, runs: &[RunId]) -> Result<Vec<RunId>, Error> {
        let mut tx = self.db().begin().await?;
        let text = "SELECT number, id FROM runs WHERE id = ANY($1) AND phase = 3 ORDER BY id FOR UPDATE";
        let found = tx.rows(sql(text).bind(column(runs, |run| run.0))).await?;
        delete_runs(&mut tx, &found).await?;
        tx.commit().await?;
        let gone = BTreeSet::from_iter(ids(&found)?);
        Ok(runs.iter().copied().filter(|run| gone.contains(&run.0)).collect())
    }

    /// Deletes the runs of a subject, and what is known of it beside them.
    pub(super) async fn forget_subject(&self, subject: &str, limit: u32) -> Result<Forget, Error> {
        let mut tx = self.db().begin().await?;
        let open = "SELECT id FROM runs WHERE subject = $1 AND phase < 3 ORDER BY number";
        if let Some(open) = open_runs(&mut tx, open, subject).await? {
            return Ok(open);
        }
        let text = "SELECT number, id, conversation FROM runs WHERE id = ANY(ARRAY \
                    (SELECT id FROM runs WHERE subject = $1 AND phase = 3 ORDER BY number LIMIT $2)) ORDER BY id FOR UPDATE";
        let runs = tx.rows(sql(text).bind(stored(subject)).bind(i64::from(limit))).await?;
        let conversations = runs.iter().map(|row| Ok(row.try_get::<Option<String>, _>(2)?.map(decoded)));
        let conversations: Vec<Option<String>> = conversations.collect::<Result<_, Error>>()?;
        let forgotten = forget_conversations(&mut tx, conversations.into_iter().flatten().collect()).await?;
        let forgotten = Forgotten { conversations: forgotten, ..forget_runs(&mut tx, &runs).await? };
        tx.commit().await?;
        Ok(Forget::Done(forgotten))
    }

    /// Deletes a conversation, and its runs where that is wanted.
    pub(super) async fn forget_talk(&self, id: &str, with_runs: bool, limit: u32) -> Result<Forget, Error> {
        let mut tx = self.db().begin().await?;
        let open = if with_runs {
            concat!(all_of_conversation!(), " SELECT id FROM runs JOIN mine USING (id) WHERE phase < 3 ORDER BY number")
        } else {
            "SELECT id FROM runs WHERE conversation = $1 AND phase < 3 ORDER BY number"
        };
        if let Some(open) = open_runs(&mut tx, open, id).await? {
            return Ok(open);
        }
        let mut forgotten = Forgotten::default();
        if with_runs {
            // Children are newer than their parents, which lead to them.
            let text = concat!(
                all_of_conversation!(),
                ", last AS (SELECT id FROM runs JOIN mine USING (id) WHERE phase = 3 ORDER BY number DESC LIMIT $2) \
                 SELECT number, id FROM runs WHERE id = ANY(ARRAY(SELECT id FROM last)) ORDER BY id FOR UPDATE"
            );
            let runs = tx.rows(sql(text).bind(stored(id)).bind(i64::from(limit))).await?;
            forgotten = forget_runs(&mut tx, &runs).await?;
        }
        forgotten.conversations = forget_conversations(&mut tx, BTreeSet::from([id.to_owned()])).await?;
        tx.commit().await?;
        Ok(Forget::Done(forgotten))
    }
}

/// Why nothing is forgotten.
async fn open_runs(tx: &mut Tx<'_>, text: &'static str, of: &str) -> Result<Option<Forget>, Error> {
    let open = tx.rows(sql(text).bind(stored(of))).await?;
    if open.is_empty() {
        return Ok(None);
    }
    let open = open.iter().map(|row| Ok(RunId(row.try_get(0)?)));
    open.collect::<Result<_, Error>>().map(|open| Some(Forget::Open(open)))
}

/// Deletes ended runs, which this transaction has locked, and the cached outputs that they filled.
async fn forget_runs(tx: &mut Tx<'_>, runs: &[PgRow]) -> Result<Forgotten, Error> {
    let mut forgotten = Forgotten { runs: runs.len() as u64, ..Forgotten::default() };
    let ids = ids(runs)?;
    let named = "SELECT DISTINCT digest FROM blobs WHERE run = ANY($1) ORDER BY digest";
    for row in tx.rows(sql(named).bind(ids.clone())).await? {
        forgotten.blobs.push(Digest::from_hash(&row.try_get::<Vec<u8>, _>(0)?));
    }
    forgotten.outputs = tx.execute(sql("DELETE FROM outputs WHERE run = ANY($1)").bind(ids)).await?;
    delete_runs(tx, runs).await?;
    Ok(forgotten)
}

fn ids(runs: &[PgRow]) -> Result<Vec<Uuid>, Error> {
    runs.iter().map(|row| Ok(row.try_get(1)?)).collect()
}

async fn forget_conversations(tx: &mut Tx<'_>, conversations: BTreeSet<String>) -> Result<u64, Error> {
    let mut names = Names::default();
    for id in &conversations {
        names.conversation(id);
    }
    names.lock(tx).await?;
    let all: Vec<String> = conversations.iter().map(|id| stored(id).into_owned()).collect();
    tx.execute(sql("DELETE FROM turns WHERE conversation = ANY($1)").bind(all.clone())).await?;
    tx.execute(sql("DELETE FROM conversations WHERE id = ANY($1)").bind(all)).await
}

/// Deletes ended runs, which this transaction has locked: their numbers and ids.
async fn delete_runs(tx: &mut Tx<'_>, runs: &[PgRow]) -> Result<(), Error> {
    if runs.is_empty() {
        return Ok(());
    }
    let numbers = runs.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    let ids = ids(runs)?;
    tx.execute(sql("DELETE FROM records WHERE run = ANY($1)").bind(numbers.clone())).await?;
    tx.execute(sql("DELETE FROM inbox WHERE run = ANY($1)").bind(numbers)).await?;
    for text in [
        "DELETE FROM blobs WHERE run = ANY($1)",
        "DELETE FROM files WHERE run = ANY($1)",
        "WITH own AS MATERIALIZED (SELECT caller, workflow, key FROM start_keys WHERE run = ANY($1) \
         ORDER BY caller, workflow, key FOR UPDATE) DELETE FROM start_keys USING own \
         WHERE (start_keys.caller, start_keys.workflow, start_keys.key) = (own.caller, own.workflow, own.key) \
         AND run = ANY($1)",
        "DELETE FROM runs WHERE id = ANY($1)",
    ] {
        tx.execute(sql(text).bind(ids.clone())).await?;
    }
    Ok(())
}
