//! What is read, beside the writing thread.

use liteagent_engine::{
    event::Seq,
    id::{RunId, SessionId},
    store::{Backlog, EndPlace, InboxMessage, RunFilter, RunRow, StoredRecord},
    units::Millis,
};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{
    Shared,
    line::waits_for_room,
    row::{RUN_COLUMNS, bytes, int, phase_number, run_columns, run_row, status_number, text, uuid},
    runs::SEQ_BITS,
    session,
};
use crate::database::Error;

impl Shared {
    pub(super) async fn read(&self, run: RunId, after: Seq, limit: usize) -> Result<Vec<StoredRecord>, Error> {
        let sql = "SELECT place & 0xffffff, at, body FROM records \
                   WHERE place > ((SELECT row FROM runs WHERE id = ?1) << 24) + ?2 \
                   AND place <= ((SELECT row FROM runs WHERE id = ?1) << 24) + 0xffffff ORDER BY place LIMIT ?3";
        let after = i64::try_from(after).unwrap_or(i64::MAX).min((1 << SEQ_BITS) - 1);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query(sql).bind(run.0.into_bytes().to_vec()).bind(after).bind(limit);
        let record =
            |row: &_| Ok(StoredRecord { seq: int(row, 0)? as Seq, at: int(row, 1)?, body: text(row, 2)?.into() });
        query.fetch_all(&self.readers).await?.iter().map(record).collect()
    }

    pub(super) async fn inbox(&self, run: RunId) -> Result<Vec<InboxMessage>, Error> {
        let sql = "SELECT row, body FROM inbox \
                   WHERE run = (SELECT row FROM runs WHERE id = ?1) AND body IS NOT NULL ORDER BY row";
        let query = sqlx::query(sql).bind(run.0.into_bytes().to_vec());
        let message = |row: &_| Ok(InboxMessage { row: int(row, 0)?, message: serde_json::from_str(&text(row, 1)?)? });
        query.fetch_all(&self.readers).await?.iter().map(message).collect()
    }

    pub(super) async fn mail(&self, session: SessionId) -> Result<Vec<RunId>, Error> {
        let sql = "SELECT runs.id FROM inbox JOIN runs ON runs.row = inbox.run \
                   WHERE inbox.body IS NOT NULL AND phase = 1 AND owner = ?1 GROUP BY runs.row";
        let query = sqlx::query(sql).bind(session.0.into_bytes().to_vec());
        query.fetch_all(&self.readers).await?.iter().map(|row| Ok(RunId(uuid(&bytes(row, 0)?)?))).collect()
    }

    pub(super) async fn run(&self, run: RunId) -> Result<Option<RunRow>, Error> {
        let sql = concat!("SELECT ", run_columns!(), " FROM runs WHERE id = ?1");
        let row = sqlx::query(sql).bind(run.0.into_bytes().to_vec()).fetch_optional(&self.readers).await?;
        row.as_ref().map(run_row).transpose()
    }

    pub(super) async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, Error> {
        let mut query = select_runs(&filter);
        query.build().fetch_all(&self.readers).await?.iter().map(run_row).collect()
    }

    pub(super) async fn ended(&self, after: EndPlace, limit: u32) -> Result<Vec<(EndPlace, RunRow)>, Error> {
        let sql = concat!("SELECT ", run_columns!(), ", ended FROM runs WHERE ended > ?1 ORDER BY ended LIMIT ?2");
        let rows = sqlx::query(sql).bind(after.0).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((EndPlace(int(row, RUN_COLUMNS)?), run_row(row)?))).collect()
    }

    /// Runs that someone should take, with their rows; those that wait for room aside.
    pub(super) async fn runnable(&self, at: Millis, limit: u32) -> Result<Vec<(i64, RunId)>, Error> {
        // `phase < 3` names the index; each part gives its oldest ones, and the oldest of all are taken.
        let sql = concat!(
            "SELECT row, id FROM (
            SELECT * FROM (SELECT row, id FROM runs WHERE phase < 3 AND phase = 0 AND NOT (",
            waits_for_room!(),
            ") ORDER BY row LIMIT ?2)
            UNION SELECT row, id FROM runs WHERE phase < 3 AND phase = 2 AND wake_at <= ?1
            UNION SELECT row, id FROM runs WHERE phase = 2 AND row IN (SELECT run FROM inbox WHERE body IS NOT NULL)
            UNION SELECT row, id FROM runs WHERE phase < 3 AND phase = 1
                  AND owner IN (SELECT unhex(value) FROM json_each(?3))
            ) ORDER BY row LIMIT ?2"
        );
        let dead = serde_json::to_string(&self.dead_owners(at).await?)?;
        let rows = sqlx::query(sql).bind(at).bind(limit).bind(dead).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((int(row, 0)?, RunId(uuid(&bytes(row, 1)?)?)))).collect()
    }

    /// How much there is to execute; these runs are those that someone should take.
    pub(super) async fn backlog(&self, at: Millis, runnable: &[RunId]) -> Result<Backlog, Error> {
        // The index of open runs holds all that the first part reads.
        let sql = "SELECT total(phase = 0), total(phase = 1), total(phase = 2), \
                   min(CASE WHEN phase = 2 AND wake_at <= ?1 THEN wake_at END), \
                   (SELECT min(CASE WHEN phase = 2 AND wake_at <= ?1 THEN wake_at ELSE updated_at END) FROM runs \
                    WHERE id IN (SELECT unhex(value) FROM json_each(?2))) \
                   FROM runs WHERE phase < 3";
        let ids: Vec<String> = runnable.iter().map(|run| run.0.simple().to_string()).collect();
        let row = sqlx::query(sql).bind(at).bind(serde_json::to_string(&ids)?).fetch_one(&self.readers).await?;
        let count = |column: usize| Ok::<_, Error>(row.try_get::<f64, _>(column)? as u64);
        Ok(Backlog {
            queued: count(0)?,
            running: count(1)?,
            waiting: count(2)?,
            runnable: runnable.len() as u64,
            runnable_since: row.try_get(4)?,
            overdue_since: row.try_get(3)?,
        })
    }

    /// Whether a session is open, and its process lives.
    pub(super) async fn is_alive(&self, session: SessionId, at: Millis) -> Result<bool, Error> {
        let query = sqlx::query("SELECT heartbeat FROM sessions WHERE id = ?1").bind(session.0.into_bytes().to_vec());
        let Some(row) = query.fetch_optional(&self.readers).await? else { return Ok(false) };
        let lease = liteagent_engine::units::Duration(self.options.lease).millis();
        Ok(session::is_alive(&self.sessions, session, int(&row, 0)?, lease, at))
    }

    /// The owners of running runs that are dead, in hexadecimal.
    async fn dead_owners(&self, at: Millis) -> Result<Vec<String>, Error> {
        let sql = "SELECT DISTINCT owner, heartbeat FROM runs LEFT JOIN sessions ON sessions.id = owner \
                   WHERE phase < 3 AND phase = 1 AND owner IS NOT NULL";
        let lease = liteagent_engine::units::Duration(self.options.lease).millis();
        let mut dead = Vec::new();
        for row in sqlx::query(sql).fetch_all(&self.readers).await? {
            let owner = SessionId(uuid(&bytes(&row, 0)?)?);
            let heartbeat: Option<Millis> = row.try_get(1)?;
            let is_alive = |heartbeat| session::is_alive(&self.sessions, owner, heartbeat, lease, at);
            if !heartbeat.is_some_and(is_alive) {
                dead.push(owner.to_string());
            }
        }
        Ok(dead)
    }

    /// The first column of the first row.
    pub(super) async fn text(&self, sql: &'static str, key: Key<'_>) -> Result<Option<String>, Error> {
        let query = sqlx::query(sql);
        let query = match key {
            Key::Text(key) => query.bind(key.to_owned()),
            Key::Bytes(key) => query.bind(key),
            Key::Number(key) => query.bind(key),
        };
        query.fetch_optional(&self.readers).await?.map(|row| text(&row, 0)).transpose()
    }
}

/// What a row is found by.
pub(super) enum Key<'a> {
    Text(&'a str),
    Bytes(Vec<u8>),
    Number(i64),
}

fn select_runs(filter: &RunFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(concat!("SELECT ", run_columns!(), " FROM runs WHERE row < "));
    match filter.before {
        None => query.push("9223372036854775807"),
        Some(run) => query
            .push("coalesce((SELECT row FROM runs WHERE id = ")
            .push_bind(run.0.into_bytes().to_vec())
            .push("), 0)"),
    };
    if let Some(workflow) = &filter.workflow {
        query.push(" AND workflow = ").push_bind(workflow.clone());
    }
    if let Some(phase) = filter.phase {
        query.push(format!(" AND phase = {}", phase_number(phase)));
    }
    if let Some(status) = filter.status {
        query.push(format!(" AND phase = 3 AND status = {}", status_number(status)));
    }
    if let Some(parent) = filter.parent {
        query.push(" AND parent_run = ").push_bind(parent.0.into_bytes().to_vec());
    }
    if let Some(subject) = &filter.subject {
        query.push(" AND subject = ").push_bind(subject.clone());
    }
    query.push(format!(" ORDER BY row DESC LIMIT {}", filter.limit()));
    query
}
