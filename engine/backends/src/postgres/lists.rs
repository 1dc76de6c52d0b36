//! What is read, beside the writers.

use std::collections::BTreeSet;

use liteagent_engine::{
    event::Seq,
    id::{RunId, SessionId},
    store::{Backlog, EndPlace, InboxMessage, RunFilter, RunRow, StoredRecord},
    units::Millis,
};
use sqlx::{Postgres, QueryBuilder, Row as _};
use uuid::Uuid;

use super::{
    PostgresStore,
    db::{now, sql},
    lines::{Lines, waits_for_room},
    stored::{decoded, stored},
};
use crate::{
    database::Error,
    row::{RUN_COLUMNS, int, phase_number, run_columns, run_row, status_number, text},
};

impl PostgresStore {
    pub(super) async fn records(&self, run: RunId, after: Seq, limit: usize) -> Result<Vec<StoredRecord>, Error> {
        let query = "SELECT seq, at, body FROM records WHERE run = (SELECT number FROM runs WHERE id = $1) AND seq > $2 \
                     ORDER BY seq LIMIT $3";
        let (after, limit) = (i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.db().rows(sql(query).bind(run.0).bind(after).bind(limit)).await?;
        let record =
            |row: &_| Ok(StoredRecord { seq: int(row, 0)? as Seq, at: int(row, 1)?, body: text(row, 2)?.into() });
        rows.iter().map(record).collect()
    }

    pub(super) async fn messages(&self, run: RunId) -> Result<Vec<InboxMessage>, Error> {
        let query = "SELECT number, body FROM inbox \
                     WHERE run = (SELECT number FROM runs WHERE id = $1) AND body IS NOT NULL ORDER BY number";
        let message = |row: &_| Ok(InboxMessage { row: int(row, 0)?, message: serde_json::from_str(&text(row, 1)?)? });
        self.db().rows(sql(query).bind(run.0)).await?.iter().map(message).collect()
    }

    pub(super) async fn with_mail(&self, session: SessionId) -> Result<Vec<RunId>, Error> {
        let query = "SELECT id FROM runs WHERE phase = 1 AND owner = $1 AND EXISTS \
                     (SELECT FROM inbox WHERE inbox.run = runs.number AND body IS NOT NULL) ORDER BY number";
        self.db().rows(sql(query).bind(session.0)).await?.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect()
    }

    pub(super) async fn row(&self, run: RunId) -> Result<Option<RunRow>, Error> {
        let query = concat!("SELECT ", run_columns!(), " FROM runs WHERE id = $1");
        self.db().first(sql(query).bind(run.0)).await?.as_ref().map(run_row).transpose()
    }

    pub(super) async fn rows(&self, filter: RunFilter) -> Result<Vec<RunRow>, Error> {
        let mut query = select_runs(&filter);
        self.db().rows(query.build()).await?.iter().map(run_row).collect()
    }

    pub(super) async fn ends(&self, after: EndPlace, limit: u32) -> Result<Vec<(EndPlace, RunRow)>, Error> {
        let query = concat!("SELECT ", run_columns!(), ", ended FROM runs WHERE ended > $1 ORDER BY ended LIMIT $2");
        let rows = self.db().rows(sql(query).bind(after.0).bind(i64::from(limit))).await?;
        rows.iter().map(|row| Ok((EndPlace(int(row, RUN_COLUMNS)?), run_row(row)?))).collect()
    }

    /// How much there is to execute; these runs are those that someone should take.
    pub(super) async fn counts(&self, at: Millis, runnable: &[RunId]) -> Result<Backlog, Error> {
        let query = "SELECT (SELECT count(*) FROM runs WHERE phase = 0), (SELECT count(*) FROM runs WHERE phase = 1), \
                     (SELECT count(*) FROM runs WHERE phase = 2), \
                     (SELECT min(wake_at) FROM runs WHERE phase = 2 AND wake_at <= $1), \
                     (SELECT min(CASE WHEN phase = 2 AND wake_at <= $1 THEN wake_at ELSE updated_at END) FROM runs \
                      WHERE id = ANY($2))";
        let ids: Vec<Uuid> = runnable.iter().map(|run| run.0).collect();
        let Some(row) = self.db().first(sql(query).bind(at).bind(ids)).await? else { return Ok(Backlog::default()) };
        let count = |column: usize| int(&row, column).map(|count| count as u64);
        Ok(Backlog {
            queued: count(0)?,
            running: count(1)?,
            waiting: count(2)?,
            runnable: runnable.len() as u64,
            runnable_since: row.try_get(4)?,
            overdue_since: row.try_get(3)?,
        })
    }

    /// Runs that someone should take.
    pub(super) async fn takeable(&self, at: Millis, limit: u32) -> Result<Vec<RunId>, Error> {
        // Each part names its index and gives its oldest ones, and the oldest of all are taken.
        let query = concat!(
            "(SELECT number, id FROM runs WHERE phase = 0 AND NOT (",
            waits_for_room!(),
            ") ORDER BY number LIMIT $2) UNION \
             (SELECT number, id FROM runs WHERE phase = 2 AND wake_at <= $1 ORDER BY number LIMIT $2) UNION \
             (SELECT number, id FROM runs WHERE phase = 2 \
              AND number IN (SELECT run FROM inbox WHERE body IS NOT NULL) ORDER BY number LIMIT $2) UNION \
             (SELECT number, id FROM runs WHERE phase = 1 AND NOT EXISTS (SELECT FROM sessions \
              WHERE sessions.id = runs.owner AND heartbeat >= coalesce($3, ",
            now!(),
            ") - $4) ORDER BY number LIMIT $2) ORDER BY number LIMIT $2"
        );
        let db = self.db();
        let query = sql(query).bind(at).bind(i64::from(limit)).bind(db.given(at)).bind(db.lease);
        let mut runs = BTreeSet::new();
        for row in db.rows(query).await? {
            runs.insert((row.try_get::<i64, _>(0)?, RunId(row.try_get(1)?)));
        }
        runs.extend(self.with_room().await?);
        Ok(runs.into_iter().take(limit as usize).map(|(_, run)| run).collect())
    }

    /// The first of each line where runs wait, when it has room.
    async fn with_room(&self) -> Result<BTreeSet<(i64, RunId)>, Error> {
        if self.db().first(sql("SELECT 1 FROM holds WHERE NOT held LIMIT 1")).await?.is_none() {
            return Ok(BTreeSet::new());
        }
        let mut tx = self.db().snapshot().await?;
        let rows = tx.rows(sql("SELECT DISTINCT key FROM holds WHERE NOT held")).await?;
        let keys = rows.iter().map(|row| Ok(decoded(row.try_get(0)?))).collect::<Result<_, Error>>()?;
        let firsts = Lines::read(&mut tx, keys, false, Vec::new()).await?.firsts();
        // Who is held keeps its place, and goes nowhere.
        let ids: Vec<Uuid> = firsts.iter().map(|(_, run)| run.0).collect();
        let queued = tx.rows(sql("SELECT number, id FROM runs WHERE id = ANY($1) AND phase = 0").bind(ids)).await?;
        queued.iter().map(|row| Ok((row.try_get(0)?, RunId(row.try_get(1)?)))).collect()
    }

    pub(super) async fn in_the_way(&self, run: RunId) -> Result<Vec<RunId>, Error> {
        let mut tx = self.db().snapshot().await?;
        let waits = "SELECT number FROM runs WHERE id = $1 AND epoch = 0 \
                     AND EXISTS (SELECT FROM holds WHERE holds.id = runs.id AND NOT held)";
        let Some(row) = tx.rows(sql(waits).bind(run.0)).await?.pop() else { return Ok(Vec::new()) };
        let keys = Lines::keys_of(&mut tx, vec![run.0]).await?;
        Ok(Lines::read(&mut tx, keys, false, vec![run.0]).await?.ahead(row.try_get(0)?))
    }

    pub(super) async fn next_of(&self, key: &str) -> Result<Option<RunId>, Error> {
        let mut tx = self.db().snapshot().await?;
        // The lines of every key for which those stand that wait for this one.
        let waiting = "SELECT id FROM holds WHERE key = $1 AND NOT held";
        let rows = tx.rows(sql(waiting).bind(stored(key))).await?;
        let waiting: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let keys = Lines::keys_of(&mut tx, waiting).await?;
        Ok(Lines::read(&mut tx, keys, false, Vec::new()).await?.first(key).map(|(_, run)| run))
    }
}

fn select_runs(filter: &RunFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(concat!("SELECT ", run_columns!(), " FROM runs WHERE number < "));
    match filter.before {
        None => query.push("9223372036854775807"),
        Some(run) => query.push("coalesce((SELECT number FROM runs WHERE id = ").push_bind(run.0).push("), 0)"),
    };
    if let Some(workflow) = &filter.workflow {
        query.push(" AND workflow = ").push_bind(stored(workflow).into_owned());
    }
    if let Some(phase) = filter.phase {
        query.push(format!(" AND phase = {}", phase_number(phase)));
    }
    if let Some(status) = filter.status {
        query.push(format!(" AND phase = 3 AND status = {}", status_number(status)));
    }
    if let Some(subject) = &filter.subject {
        query.push(" AND subject = ").push_bind(stored(subject).into_owned());
    }
    if let Some(parent) = filter.parent {
        query.push(" AND parent_run = ").push_bind(parent.0);
    }
    query.push(format!(" ORDER BY number DESC LIMIT {}", filter.limit()));
    query
}
