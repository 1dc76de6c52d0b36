//! What is deleted: old runs with all that belongs to them, sessions of dead processes, outputs that have expired.

use std::collections::BTreeSet;

use liteagent_engine::{
    id::{Digest, RunId, SessionId},
    store::{Forget, Forgotten},
    units::Millis,
};
use rusqlite::params;
use uuid::Uuid;

use super::{db::Db, runs::SEQ_BITS, session, turns};
use crate::database::Error;

/// Pages given back to the disk by one deletion: about 40 MB, some ten milliseconds.
const VACUUM_PAGES: u32 = 10_000;

/// Deletes whole ended runs, oldest first, and what was left behind by runs that never came to be.
pub(super) fn delete_ended(db: &Db, before: Millis, limit: u32) -> Result<u64, Error> {
    let sql = "SELECT row, id FROM runs WHERE phase = 3 AND updated_at < ?1 ORDER BY updated_at, row LIMIT ?2";
    let old = db.all(sql, params![before, limit], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    for (row, id) in &old {
        delete_run(db, *row, id)?;
    }
    delete_orphans(db, before)?;
    db.execute("DELETE FROM outputs WHERE until < ?1", [before])?;
    vacuum(db)?;
    Ok(old.len() as u64)
}

/// Deletes those of some runs that have ended; says which.
pub(super) fn delete(db: &Db, runs: &[RunId]) -> Result<Vec<RunId>, Error> {
    let mut gone = Vec::new();
    for run in runs {
        let sql = "SELECT row FROM runs WHERE id = ?1 AND phase = 3";
        if let Some(row) = db.first(sql, [run.0.as_bytes()], |row| row.get::<_, i64>(0))? {
            delete_run(db, row, run.0.as_bytes())?;
            gone.push(*run);
        }
    }
    vacuum(db)?;
    Ok(gone)
}

/// Deletes the runs of a subject, and what is known of it beside them.
pub(super) fn forget(db: &Db, subject: &str, limit: u32) -> Result<Forget, Error> {
    let open = open(db, "SELECT id FROM runs WHERE subject = ?1 AND phase < 3 ORDER BY row", subject)?;
    if !open.is_empty() {
        return Ok(Forget::Open(open));
    }
    let sql = "SELECT row, id, conversation FROM runs WHERE subject = ?1 ORDER BY row LIMIT ?2";
    securely(db, || {
        let runs = runs(db, sql, params![subject, limit])?;
        let mut forgotten = forget_runs(db, &runs)?;
        for conversation in runs.iter().filter_map(|run| run.conversation.as_deref()) {
            forgotten.conversations += turns::forget(db, conversation)?;
        }
        Ok(forgotten)
    })
}

/// Deletes a conversation, and its runs where that is wanted.
pub(super) fn forget_conversation(db: &Db, id: &str, with_runs: bool, limit: u32) -> Result<Forget, Error> {
    /// The runs of a conversation, with those that they started.
    const ALL: &str = "WITH RECURSIVE mine (id) AS (SELECT id FROM runs WHERE conversation = ?1 \
                       UNION SELECT runs.id FROM runs JOIN mine ON parent_run = mine.id)";
    let open = if with_runs {
        let sql = format!("{ALL} SELECT id FROM runs JOIN mine USING (id) WHERE phase < 3 ORDER BY row");
        open(db, &sql, id)?
    } else {
        open(db, "SELECT id FROM runs WHERE conversation = ?1 AND phase < 3 ORDER BY row", id)?
    };
    if !open.is_empty() {
        return Ok(Forget::Open(open));
    }
    securely(db, || {
        let mut forgotten = Forgotten::default();
        if with_runs {
            // Children are newer than their parents, which lead to them.
            let sql =
                format!("{ALL} SELECT row, id, conversation FROM runs JOIN mine USING (id) ORDER BY row DESC LIMIT ?2");
            forgotten = forget_runs(db, &runs(db, &sql, params![id, limit])?)?;
        }
        forgotten.conversations = turns::forget(db, id)?;
        Ok(forgotten)
    })
}

/// A run that is about to be deleted.
struct Gone {
    row: i64,
    id: Vec<u8>,
    conversation: Option<String>,
}

fn open(db: &Db, sql: &str, of: &str) -> Result<Vec<RunId>, Error> {
    db.all(sql, [of], |row| Ok(RunId(Uuid::from_bytes(row.get(0)?))))
}

fn runs(db: &Db, sql: &str, of: impl rusqlite::Params) -> Result<Vec<Gone>, Error> {
    db.all(sql, of, |row| Ok(Gone { row: row.get(0)?, id: row.get(1)?, conversation: row.get(2)? }))
}

/// Deletes so that the file does not keep it: what is deleted is overwritten.
fn securely(db: &Db, delete: impl FnOnce() -> Result<Forgotten, Error>) -> Result<Forget, Error> {
    db.all("PRAGMA secure_delete = ON", (), |_| Ok(()))?;
    let done = delete();
    db.all("PRAGMA secure_delete = OFF", (), |_| Ok(()))?;
    let done = done?;
    vacuum(db)?;
    Ok(Forget::Done(done))
}

fn forget_runs(db: &Db, runs: &[Gone]) -> Result<Forgotten, Error> {
    let mut forgotten = Forgotten { runs: runs.len() as u64, ..Forgotten::default() };
    let mut blobs = BTreeSet::new();
    for Gone { row, id, .. } in runs {
        let named = db.all("SELECT digest FROM blobs WHERE run = ?1", [id], |row| row.get::<_, Vec<u8>>(0))?;
        blobs.extend(named.iter().map(|hash| Digest::from_hash(hash)));
        forgotten.outputs += db.execute("DELETE FROM outputs WHERE run = ?1", [id])? as u64;
        delete_run(db, *row, id)?;
    }
    forgotten.blobs = blobs.into_iter().collect();
    Ok(forgotten)
}

fn delete_run(db: &Db, row: i64, id: &[u8]) -> Result<(), Error> {
    let (first, last) = (row << SEQ_BITS, (row + 1) << SEQ_BITS);
    db.execute("DELETE FROM records WHERE place > ?1 AND place < ?2", [first, last])?;
    db.execute("DELETE FROM inbox WHERE run = ?1", [row])?;
    for sql in [
        "DELETE FROM blobs WHERE run = ?1",
        "DELETE FROM files WHERE run = ?1",
        "DELETE FROM start_keys WHERE run = ?1",
        "DELETE FROM runs WHERE id = ?1",
    ] {
        db.execute(sql, [id])?;
    }
    Ok(())
}

fn vacuum(db: &Db) -> Result<(), Error> {
    db.all(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"), (), |_| Ok(())).map(drop)
}

/// Files of runs with `durability: end` whose process died before the run was stored.
fn delete_orphans(db: &Db, before: Millis) -> Result<(), Error> {
    let sql = "SELECT DISTINCT run FROM files WHERE created_at < ?1 AND run NOT IN (SELECT id FROM runs)";
    for run in db.all(sql, [before], |row| row.get::<_, Vec<u8>>(0))? {
        db.execute("DELETE FROM blobs WHERE run = ?1", [&run])?;
        db.execute("DELETE FROM files WHERE run = ?1", [&run])?;
    }
    Ok(())
}

/// Sessions whose process is gone. Their runs have owners without a session, and those are dead.
pub(super) fn forget_dead_sessions(db: &Db) -> Result<(), Error> {
    for id in db.all("SELECT id FROM sessions", (), |row| row.get::<_, uuid::Bytes>(0))? {
        let session = SessionId(Uuid::from_bytes(id));
        if !session::is_locked(db.sessions(), session) {
            db.execute("DELETE FROM sessions WHERE id = ?1", [id])?;
            session::remove(db.sessions(), session);
        }
    }
    Ok(())
}
