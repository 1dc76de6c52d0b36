//! What a transaction writes: collected while a group is decided on, and written with one statement for each table.

use std::collections::BTreeSet;

use liteagent_engine::{
    id::{Digest, RunId},
    store::{EndPlace, Hold, Message, MessageBody, NewRun, StoredRecord},
    units::Millis,
};
use uuid::Uuid;

use super::{
    db::{Db, Sql, Tx, sql},
    failure::Failure,
    locked::{Change, Locked, Runs},
    stored::stored,
    talk::Talk,
    usage::Used,
};
use crate::{
    database::Error,
    row::{hash, phase_number, status_number},
};

/// A run that ends.
struct End {
    number: i64,
    id: Uuid,
    at: Millis,
}

/// What is written beside the rows of runs.
#[derive(Default)]
pub(super) struct Changes<'a> {
    records: Vec<(i64, &'a StoredRecord)>,
    blobs: BTreeSet<(Uuid, Vec<u8>)>,
    /// Messages that were answered: run, and place in the inbox.
    consumed: Vec<(i64, i64)>,
    messages: Vec<(i64, Message)>,
    ended: Vec<End>,
    stands: Vec<(i64, Uuid, Hold, bool)>,
    held: Vec<Uuid>,
    start_keys: Vec<&'a NewRun>,
    pub(super) talk: Talk<'a>,
    pub(super) used: Used,
}

impl<'a> Changes<'a> {
    pub(super) fn record(&mut self, run: i64, records: &'a [StoredRecord]) {
        self.records.extend(records.iter().map(|record| (run, record)));
    }

    pub(super) fn name_blobs(&mut self, run: RunId, blobs: &[Digest]) {
        self.blobs.extend(blobs.iter().map(|blob| (run.0, hash(blob))));
    }

    pub(super) fn consume(&mut self, run: i64, messages: &[i64]) {
        self.consumed.extend(messages.iter().map(|message| (run, *message)));
    }

    pub(super) fn send(&mut self, run: i64, message: Message) {
        self.messages.push((run, message));
    }

    pub(super) fn end(&mut self, run: &Locked) {
        self.ended.push(End { number: run.number, id: run.row.id.0, at: run.row.updated_at });
    }

    pub(super) fn stand(&mut self, run: &Locked, holds: Vec<Hold>, has_room: bool) {
        self.stands.extend(holds.into_iter().map(|hold| (run.number, run.row.id.0, hold, has_room)));
    }

    pub(super) fn hold(&mut self, run: RunId) {
        self.held.push(run.0);
    }

    pub(super) fn claim_key(&mut self, new: &'a NewRun) {
        self.start_keys.extend(new.idempotency.is_some().then_some(new));
    }

    /// Writes everything.
    pub(super) async fn write(self, tx: &mut Tx<'_>, db: &Db, runs: &Runs) -> Result<(), Failure> {
        insert_runs(tx, db, &runs.changed(|change| change == Change::New)).await?;
        grow(tx, &runs.changed(|change| change == Change::More), &self.records).await?;
        update_runs(tx, db, &runs.changed(|change| change == Change::Whole)).await?;
        write(tx, self.consumed.is_empty(), || self.consumption()).await?;
        write(tx, self.blobs.is_empty(), || self.naming()).await?;
        write(tx, self.ended.is_empty(), || self.ending()).await?;
        let ended: BTreeSet<Uuid> = self.ended.iter().map(|end| end.id).collect();
        let stands: Vec<_> = self.stands.iter().filter(|(_, id, ..)| !ended.contains(id)).collect();
        write(tx, stands.is_empty(), || standing(&stands)).await?;
        write(tx, self.held.is_empty(), || {
            sql("UPDATE holds SET held = true WHERE id = ANY($1)").bind(self.held.clone())
        })
        .await?;
        write(tx, self.start_keys.is_empty(), || self.claiming()).await?;
        self.talk.write(tx).await?;
        let messages = sending(&self.messages)?;
        write(tx, self.messages.is_empty(), || messages).await?;
        self.used.write(tx).await?;
        // The last thing: nobody else can end a run before the commit.
        Ok(write(tx, self.ended.is_empty(), || placing(&self.ended)).await?)
    }

    fn consumption(&self) -> Sql<'static> {
        let text = "UPDATE inbox SET body = NULL FROM unnest($1::bigint[], $2::bigint[]) AS consumed (run, number) \
                    WHERE inbox.number = consumed.number AND inbox.run = consumed.run";
        let (runs, numbers): (Vec<i64>, Vec<i64>) = self.consumed.iter().copied().unzip();
        sql(text).bind(runs).bind(numbers)
    }

    fn naming(&self) -> Sql<'static> {
        let (runs, digests): (Vec<Uuid>, Vec<Vec<u8>>) = self.blobs.iter().cloned().unzip();
        sql("INSERT INTO blobs (run, digest) SELECT * FROM unnest($1::uuid[], $2::bytea[]) ON CONFLICT DO NOTHING")
            .bind(runs)
            .bind(digests)
    }

    fn ending(&self) -> Sql<'static> {
        let text = "WITH gone AS (DELETE FROM inbox WHERE run = ANY($1)) DELETE FROM holds WHERE id = ANY($2)";
        sql(text).bind(column(&self.ended, |end| end.number)).bind(column(&self.ended, |end| end.id))
    }

    fn claiming(&self) -> Sql<'static> {
        let mut keys: Vec<_> = self
            .start_keys
            .iter()
            .filter_map(|new| {
                new.idempotency.as_ref().map(|key| (&key.caller, &new.workflow, &key.key, &key.body, new))
            })
            .collect();
        keys.sort_unstable_by_key(|(caller, workflow, key, ..)| (*caller, *workflow, *key));
        let text = "INSERT INTO start_keys (caller, workflow, key, body, run, at) \
                    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::uuid[], $6::bigint[]) \
                    ON CONFLICT (caller, workflow, key) \
                    DO UPDATE SET body = excluded.body, run = excluded.run, at = excluded.at";
        sql(text)
            .bind(column(&keys, |(caller, ..)| stored(caller)))
            .bind(column(&keys, |(_, workflow, ..)| stored(workflow)))
            .bind(column(&keys, |(_, _, key, ..)| stored(key)))
            .bind(column(&keys, |(_, _, _, body, _)| hash(body)))
            .bind(column(&keys, |(.., new)| new.id.0))
            .bind(column(&keys, |(.., new)| new.at))
    }
}

/// Executes a statement, unless there is nothing to say with it.
async fn write<'q>(tx: &mut Tx<'_>, is_empty: bool, statement: impl FnOnce() -> Sql<'q>) -> Result<(), Error> {
    if is_empty { Ok(()) } else { tx.execute(statement()).await.map(drop) }
}

/// One column of many rows.
pub(super) fn column<'a, R, T>(rows: &'a [R], value: impl FnMut(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// The commonest write of all: records, and the sequence of their runs.
async fn grow(tx: &mut Tx<'_>, runs: &[&Locked], records: &[(i64, &StoredRecord)]) -> Result<(), Error> {
    if runs.is_empty() && records.is_empty() {
        return Ok(());
    }
    let text = "WITH grown AS (UPDATE runs SET seq = more.seq, updated_at = more.at \
                FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS more (id, seq, at) WHERE runs.id = more.id) \
                INSERT INTO records (run, seq, at, body) \
                SELECT * FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::text[])";
    let statement = sql(text)
        .bind(column(runs, |run| run.row.id.0))
        .bind(column(runs, |run| run.row.seq as i64))
        .bind(column(runs, |run| run.row.updated_at))
        .bind(column(records, |(run, _)| *run))
        .bind(column(records, |(_, record)| record.seq as i64))
        .bind(column(records, |(_, record)| record.at))
        .bind(column(records, |(_, record)| &*record.body));
    tx.execute(statement).await.map(drop)
}

async fn insert_runs(tx: &mut Tx<'_>, db: &Db, runs: &[&Locked]) -> Result<(), Failure> {
    if runs.is_empty() {
        return Ok(());
    }
    let mut runs = runs.to_vec();
    runs.sort_unstable_by_key(|run| run.row.id);
    let text = format!(
        "INSERT INTO runs (id, number, workflow, digest, parent_run, parent_node, parent_attempt, trigger, conversation, \
         subject, account, created_at, phase, status, epoch, seq, owner, wake_at, error, usage, updated_at, ended_at, timeline) \
         SELECT *, {} FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bytea[], $5::uuid[], $6::text[], $7::bigint[], \
         $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], \
         $16::bigint[], $17::uuid[], $18::bigint[], $19::text[], $20::text[], $21::bigint[], $22::bigint[]) \
         ON CONFLICT (id) DO NOTHING",
        db.timeline
    );
    let statement = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(column(&runs, |run| run.row.id.0))
        .bind(column(&runs, |run| run.number))
        .bind(column(&runs, |run| stored(&run.row.workflow)))
        .bind(column(&runs, |run| hash(&run.row.digest)))
        .bind(column(&runs, |run| run.row.parent.as_ref().map(|parent| parent.run.0)))
        .bind(column(&runs, |run| run.row.parent.as_ref().map(|parent| stored(&parent.node))))
        .bind(column(&runs, |run| run.row.parent.as_ref().map(|parent| i64::from(parent.attempt))))
        .bind(column(&runs, |run| stored(&run.row.trigger)))
        .bind(column(&runs, |run| run.row.conversation.as_deref().map(stored)))
        .bind(column(&runs, |run| run.row.subject.as_deref().map(stored)))
        .bind(column(&runs, |run| run.account.as_deref().map(stored)))
        .bind(column(&runs, |run| run.row.created_at));
    let inserted = tx.execute(place(statement, &runs)?).await?;
    if inserted < runs.len() as u64 {
        // Another transaction created one of them meanwhile; seen from the start, it is there.
        return Err(Failure::overtaken());
    }
    Ok(())
}

async fn update_runs(tx: &mut Tx<'_>, db: &Db, runs: &[&Locked]) -> Result<(), Error> {
    if runs.is_empty() {
        return Ok(());
    }
    let text = format!(
        "UPDATE runs SET phase = new.phase, status = new.status, epoch = new.epoch, seq = new.seq, owner = new.owner, \
         wake_at = new.wake_at, error = new.error, usage = new.usage, updated_at = new.updated_at, \
         ended_at = new.ended_at, timeline = {} \
         FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[], \
         $8::text[], $9::text[], $10::bigint[], $11::bigint[]) \
         AS new (id, phase, status, epoch, seq, owner, wake_at, error, usage, updated_at, ended_at) WHERE runs.id = new.id",
        db.timeline
    );
    let statement = sqlx::query(sqlx::AssertSqlSafe(text)).bind(column(runs, |run| run.row.id.0));
    tx.execute(place(statement, runs)?).await.map(drop)
}

/// The columns that change in the life of a run.
fn place<'q>(statement: Sql<'q>, runs: &[&Locked]) -> Result<Sql<'q>, Error> {
    let usage = |run: &&Locked| {
        let total = Some(&run.row.usage).filter(|total| !total.is_nothing());
        total.map(serde_json::to_string).transpose()
    };
    let ended_at = |run: &&Locked| run.row.status.map(|_| run.row.updated_at);
    Ok(statement
        .bind(column(runs, |run| phase_number(run.row.phase)))
        .bind(column(runs, |run| run.row.status.map(status_number)))
        .bind(column(runs, |run| run.row.epoch as i64))
        .bind(column(runs, |run| run.row.seq as i64))
        .bind(column(runs, |run| run.row.owner.map(|owner| owner.0)))
        .bind(column(runs, |run| run.row.wake_at))
        .bind(column(runs, |run| run.row.error.as_deref().map(stored)))
        .bind(runs.iter().map(usage).collect::<Result<Vec<_>, _>>()?)
        .bind(column(runs, |run| run.row.updated_at))
        .bind(column::<_, Option<Millis>>(runs, ended_at)))
}

/// Gives ends their places: each has one more than the one before it, or that of its time.
fn placing(ended: &[End]) -> Sql<'static> {
    let text = "WITH newest AS MATERIALIZED (SELECT place FROM ends FOR UPDATE), \
                placed AS MATERIALIZED (SELECT id, nth + greatest(newest.place, max(at * $3 - nth) OVER (ORDER BY nth)) AS place \
                FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS ended (id, at, nth), newest), \
                kept AS (UPDATE ends SET place = (SELECT max(place) FROM placed)) \
                UPDATE runs SET ended = placed.place FROM placed WHERE runs.id = placed.id";
    const LATEST: Millis = i64::MAX / EndPlace::PER_MS / 2;
    sql(text).bind(column(ended, |end| end.id)).bind(column(ended, |end| end.at.min(LATEST))).bind(EndPlace::PER_MS)
}

fn standing(stands: &[&(i64, Uuid, Hold, bool)]) -> Sql<'static> {
    let text = "INSERT INTO holds (key, number, id, room, held) \
                SELECT * FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::bigint[], $5::boolean[])";
    sql(text)
        .bind(column(stands, |(_, _, hold, _)| stored(&hold.key)))
        .bind(column(stands, |(number, ..)| *number))
        .bind(column(stands, |(_, id, ..)| *id))
        .bind(column(stands, |(_, _, hold, _)| i64::from(hold.limit)))
        .bind(column(stands, |(.., has_room)| *has_room))
}

fn sending(messages: &[(i64, Message)]) -> Result<Sql<'static>, Error> {
    let text = "INSERT INTO inbox (run, id, body, cancels) \
                SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[]) ON CONFLICT (run, id) DO NOTHING";
    let bodies = messages.iter().map(|(_, message)| serde_json::to_string(message)).collect::<Result<Vec<_>, _>>()?;
    Ok(sql(text)
        .bind(column(messages, |(run, _)| *run))
        .bind(column(messages, |(_, message)| stored(&message.id)))
        .bind(bodies)
        .bind(column(messages, |(_, message)| matches!(message.body, MessageBody::Cancel { .. }))))
}
