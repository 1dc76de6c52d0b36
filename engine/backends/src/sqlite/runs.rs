//! What the writing thread does with runs. Whatever is refused is refused before anything is changed.

use liteagent_engine::{
    event::Seq,
    id::{Digest, RunId, SessionId},
    store::{
        Append, AppendError, Created, EndPlace, IDEMPOTENCY_WINDOW, Message, NewRun, Release, RunPhase, StoreError,
        StoredRecord, Take, Taken, hold,
    },
    units::Millis,
};
use rusqlite::params;

use super::{
    db::Db,
    line,
    row::{hash, phase_number, run_columns, run_row, status_number},
    turns,
};
use crate::database::Error;

/// How many bits of a record's place hold its seq.
pub(super) const SEQ_BITS: u32 = 24;
const MAX_SEQ: Seq = (1 << SEQ_BITS) - 1;

pub(super) fn create(db: &Db, new: &NewRun, end: Option<&Release>) -> Result<Created, Error> {
    if db.first("SELECT 1 FROM runs WHERE id = ?1", [new.id.0.as_bytes()], |_| Ok(()))?.is_some() {
        return Ok(Created::Existing(new.id));
    }
    if let Some(known) = known_key(db, new)? {
        return Ok(known);
    }
    let holds = line::counted(db, new)?;
    if let Some(ahead) = line::refused(db, &holds)? {
        return Ok(Created::Full(ahead));
    }
    claim_key(db, new)?;
    let parent = new.parent.as_ref();
    db.execute(
        "INSERT INTO runs (id, workflow, digest, phase, epoch, seq, parent_run, parent_node, parent_attempt, trigger, \
         conversation, created_at, updated_at, subject, account) \
         VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12)",
        params![
            new.id.0.as_bytes(),
            new.workflow,
            hash(&new.digest),
            new.records.len() as i64,
            parent.map(|parent| parent.run.0.as_bytes()),
            parent.map(|parent| &parent.node),
            parent.map(|parent| parent.attempt),
            new.trigger,
            new.conversation,
            new.at,
            new.subject,
            new.account,
        ],
    )?;
    let row = db.last_row();
    insert_records(db, row, &new.records)?;
    name_blobs(db, new.id, &new.blobs)?;
    line::stand(db, new.id, row, &holds, new.at)?;
    turns::say(db, new)?;
    if let Some(end) = end {
        release(db, new.id, row, end)?;
    }
    Ok(Created::New)
}

/// What an idempotency key gave before.
fn known_key(db: &Db, new: &NewRun) -> Result<Option<Created>, Error> {
    let Some(key) = &new.idempotency else { return Ok(None) };
    let known = db.first(
        "SELECT body, run FROM start_keys WHERE caller = ?1 AND workflow = ?2 AND key = ?3 AND at > ?4",
        params![key.caller, new.workflow, key.key, new.at.saturating_sub(IDEMPOTENCY_WINDOW)],
        |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, uuid::Bytes>(1)?)),
    )?;
    Ok(known.map(|(body, run)| {
        let run = RunId(uuid::Uuid::from_bytes(run));
        if body == hash(&key.body) { Created::Existing(run) } else { Created::Conflict(run) }
    }))
}

/// Binds the idempotency key to this run.
fn claim_key(db: &Db, new: &NewRun) -> Result<(), Error> {
    let Some(key) = &new.idempotency else { return Ok(()) };
    let sql =
        "INSERT OR REPLACE INTO start_keys (caller, workflow, key, body, run, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.execute(sql, params![key.caller, new.workflow, key.key, hash(&key.body), new.id.0.as_bytes(), new.at]).map(drop)
}

fn insert_records(db: &Db, row: i64, records: &[StoredRecord]) -> Result<(), Error> {
    for record in records {
        let place = row << SEQ_BITS | record.seq as i64;
        let sql = "INSERT INTO records (place, at, body) VALUES (?1, ?2, ?3)";
        db.execute(sql, params![place, record.at, &*record.body])?;
    }
    Ok(())
}

pub(super) fn name_blobs(db: &Db, run: RunId, blobs: &[Digest]) -> Result<(), Error> {
    for blob in blobs {
        let sql = "INSERT OR IGNORE INTO blobs (run, digest) VALUES (?1, ?2)";
        db.execute(sql, params![run.0.as_bytes(), hash(blob)])?;
    }
    Ok(())
}

pub(super) fn take(db: &Db, run: RunId, session: SessionId, at: Millis) -> Result<Result<Take, StoreError>, Error> {
    let sql = "SELECT 1 FROM sessions WHERE id = ?1";
    if db.first(sql, [session.0.as_bytes()], |_| Ok(()))?.is_none() {
        return Ok(Err(not_open(session)));
    }
    let sql = concat!("SELECT ", run_columns!(), " FROM runs WHERE id = ?1");
    let Some(row) = db.first(sql, [run.0.as_bytes()], |row| Ok(run_row(row)))? else { return Ok(Ok(Take::Unknown)) };
    let row = row?;
    if row.phase == RunPhase::Ended {
        return Ok(Ok(Take::Ended));
    }
    if row.phase == RunPhase::Held {
        return Ok(Ok(Take::Held));
    }
    if let Some(owner) = row.owner.filter(|owner| *owner != session)
        && db.is_alive(owner, at)?
    {
        return Ok(Ok(Take::Owned(owner)));
    }
    let ahead = line::enter(db, run)?;
    if !ahead.is_empty() {
        return Ok(Ok(Take::Full(ahead)));
    }
    db.execute(
        "UPDATE runs SET epoch = epoch + 1, phase = 1, owner = ?2, wake_at = NULL, updated_at = ?3 WHERE id = ?1",
        params![run.0.as_bytes(), session.0.as_bytes(), at],
    )?;
    Ok(Ok(Take::Taken(Box::new(Taken { epoch: row.epoch + 1, row }))))
}

pub(super) fn not_open(session: SessionId) -> StoreError {
    StoreError::Failed(format!("the session {session} is not open"))
}

pub(super) fn append(db: &Db, append: &Append) -> Result<Result<(), AppendError>, Error> {
    let Some(row) = db.row_of(append.run)? else { return Ok(Err(AppendError::Fenced)) };
    if let Err(refusal) = check(db, row, append)? {
        return Ok(Err(refusal));
    }
    let advanced = db.execute(
        "UPDATE runs SET seq = ?5, updated_at = ?6 WHERE row = ?1 AND phase = 1 AND epoch = ?2 AND owner = ?3 AND seq = ?4",
        params![
            row,
            append.epoch as i64,
            append.session.0.as_bytes(),
            append.expected as i64,
            append.expected as i64 + append.records.len() as i64,
            append.at,
        ],
    )?;
    if advanced == 0 {
        db.forget_row(append.run);
        return Ok(Err(AppendError::Fenced));
    }
    insert_records(db, row, &append.records)?;
    for message in &append.consumed {
        db.execute("UPDATE inbox SET body = NULL WHERE row = ?1 AND run = ?2", params![message, row])?;
    }
    name_blobs(db, append.run, &append.blobs)?;
    for child in &append.children {
        if let (Created::Full(ahead), Some(parent)) = (create(db, child, None)?, &child.parent) {
            send(db, parent.run, &hold::rejected_child(child, parent, &ahead))?;
        }
    }
    if let Some(release) = &append.release {
        self::release(db, append.run, row, release)?;
    }
    for (run, message) in &append.send {
        send(db, *run, message)?;
    }
    Ok(Ok(()))
}

/// What can be refused besides the fence, without changing anything.
fn check(db: &Db, row: i64, append: &Append) -> Result<Result<(), AppendError>, Error> {
    if !append.records.iter().zip(append.expected + 1..).all(|(record, seq)| record.seq == seq) {
        return Ok(Err(AppendError::Fenced));
    }
    if append.expected + append.records.len() as Seq > MAX_SEQ {
        let text = format!("a run has at most {MAX_SEQ} records");
        return Ok(Err(StoreError::Full(text).into()));
    }
    let Some(Release::Waiting { .. } | Release::Ended { .. }) = append.release else { return Ok(Ok(())) };
    let sql = "SELECT row FROM inbox WHERE run = ?1 AND body IS NOT NULL";
    let open: Vec<i64> = db.all(sql, [row], |row| row.get(0))?;
    if open.iter().all(|message| append.consumed.contains(message)) {
        return Ok(Ok(()));
    }
    let sql = "SELECT 1 FROM runs WHERE row = ?1 AND phase = 1 AND epoch = ?2 AND owner = ?3 AND seq = ?4";
    let fence = params![row, append.epoch as i64, append.session.0.as_bytes(), append.expected as i64];
    let owned = db.first(sql, fence, |_| Ok(()))?.is_some();
    Ok(Err(if owned { AppendError::InboxNotEmpty } else { AppendError::Fenced }))
}

fn release(db: &Db, run: RunId, row: i64, release: &Release) -> Result<(), Error> {
    db.forget_row(run);
    let rest = |phase: RunPhase, wake_at: Option<Millis>| {
        let sql = "UPDATE runs SET phase = ?2, owner = NULL, wake_at = ?3 WHERE row = ?1";
        db.execute(sql, params![row, phase_number(phase), wake_at]).map(drop)
    };
    match release {
        Release::Queued => rest(RunPhase::Queued, None),
        Release::Waiting { wake_at } => rest(RunPhase::Waiting, *wake_at),
        Release::Ended { status, error, conversation, usage } => {
            let error = error.as_ref().map(ToString::to_string);
            let total =
                Some(&usage.total).filter(|total| !total.is_nothing()).map(serde_json::to_string).transpose()?;
            let sql = "UPDATE runs SET phase = 3, owner = NULL, wake_at = NULL, status = ?2, error = ?3, usage = ?4, \
                       ended = max(updated_at * ?5, \
                           coalesce((SELECT max(ended) FROM runs WHERE ended IS NOT NULL), 0) + 1) \
                       WHERE row = ?1";
            db.execute(sql, params![row, status_number(*status), error, total, EndPlace::PER_MS])?;
            super::usage::count(db, row, usage)?;
            db.execute("DELETE FROM inbox WHERE run = ?1", [row])?;
            line::leave(db, row)?;
            conversation.as_ref().map_or(Ok(()), |end| turns::end(db, run, end))
        }
    }
}

pub(super) fn send(db: &Db, run: RunId, message: &Message) -> Result<bool, Error> {
    let sql = "SELECT row FROM runs WHERE id = ?1 AND phase < 3";
    let Some(row) = db.first(sql, [run.0.as_bytes()], |row| row.get::<_, i64>(0))? else { return Ok(false) };
    let sql = "INSERT INTO inbox (run, id, body) VALUES (?1, ?2, ?3) ON CONFLICT (run, id) DO NOTHING";
    db.execute(sql, params![row, message.id, serde_json::to_string(message)?])?;
    Ok(true)
}
