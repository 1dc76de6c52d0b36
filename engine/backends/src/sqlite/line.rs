//! Who is counted under which key: the rules of `store::hold` over the table `holds`, on the writing thread.

use liteagent_engine::{
    definition::WhenFull,
    id::RunId,
    store::{
        Hold, NewRun,
        hold::{self, Lines},
    },
    units::Millis,
};
use rusqlite::params;
use uuid::Uuid;

use super::{db::Db, runs};
use crate::database::Error;

/// The condition for runs that wait for room: they were never taken, and are not asked to stop.
macro_rules! waits_for_room {
    () => {
        "epoch = 0 AND EXISTS (SELECT 1 FROM holds WHERE holds.run = runs.row AND held = 0) AND NOT EXISTS \
         (SELECT 1 FROM inbox WHERE inbox.run = runs.row AND body IS NOT NULL \
          AND json_extract(body, '$.body.type') = 'cancel')"
    };
}
pub(super) use waits_for_room;

impl Lines for Db {
    type Error = Error;

    fn keys(&self, run: i64) -> Result<Vec<(String, u32)>, Error> {
        self.all("SELECT key, room FROM holds WHERE run = ?1", [run], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn holders(&self, key: &str, most: u32) -> Result<Vec<i64>, Error> {
        let sql = "SELECT run FROM holds WHERE key = ?1 AND held = 1 ORDER BY run LIMIT ?2";
        self.all(sql, params![key, most], |row| row.get(0))
    }

    fn waiting(&self, key: &str, before: i64, most: u32) -> Result<Vec<i64>, Error> {
        let sql = "SELECT run FROM holds WHERE key = ?1 AND held = 0 AND run < ?2 ORDER BY run LIMIT ?3";
        self.all(sql, params![key, before, most], |row| row.get(0))
    }
}

/// What a new run is counted under: not what a run above it is.
pub(super) fn counted(db: &Db, new: &NewRun) -> Result<Vec<Hold>, Error> {
    let mut holds = new.holds.clone();
    let mut above = new.parent.as_ref().map(|parent| parent.run.0.into_bytes().to_vec());
    while let (false, Some(run)) = (holds.is_empty(), above) {
        let sql = "SELECT row, parent_run FROM runs WHERE id = ?1";
        let found = db.first(sql, [run], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<Vec<u8>>>(1)?)))?;
        let Some((row, parent)) = found else { break };
        let keys = db.keys(row)?;
        holds.retain(|hold| !keys.iter().any(|(key, _)| *key == hold.key));
        above = parent;
    }
    Ok(holds)
}

/// The runs for which a new one is refused.
pub(super) fn refused(db: &Db, holds: &[Hold]) -> Result<Option<Vec<RunId>>, Error> {
    let way = hold::in_the_way(db, i64::MAX, &keys(holds.iter().filter(|hold| hold.when_full == WhenFull::Reject)))?;
    if way.is_empty() { Ok(None) } else { ids(db, &way).map(Some) }
}

/// Puts a new run into its lines, and asks those to stop that it replaces.
pub(super) fn stand(db: &Db, id: RunId, row: i64, holds: &[Hold], at: Millis) -> Result<(), Error> {
    if holds.is_empty() {
        return Ok(());
    }
    let has_room = hold::in_the_way(db, i64::MAX, &keys(holds.iter()))?.is_empty();
    for hold in holds {
        for run in ids(db, &hold::replaced(db, hold)?)? {
            runs::send(db, run, &hold::cancelled_for(id, at))?;
        }
    }
    for hold in holds {
        let sql = "INSERT INTO holds (key, run, room, held) VALUES (?1, ?2, ?3, ?4)";
        db.execute(sql, params![hold.key, row, hold.limit, has_room])?;
    }
    Ok(())
}

/// Gives a run that is about to be taken its room, or says which runs it waits for.
pub(super) fn enter(db: &Db, id: RunId) -> Result<Vec<RunId>, Error> {
    let waits = concat!("SELECT row FROM runs WHERE id = ?1 AND ", waits_for_room!());
    if let Some(row) = db.first(waits, [id.0.as_bytes()], |row| row.get::<_, i64>(0))? {
        let way = hold::in_the_way(db, row, &db.keys(row)?)?;
        if !way.is_empty() {
            return ids(db, &way);
        }
        db.execute("UPDATE holds SET held = 1 WHERE run = ?1", [row])?;
    }
    Ok(Vec::new())
}

pub(super) fn leave(db: &Db, row: i64) -> Result<(), Error> {
    db.execute("DELETE FROM holds WHERE run = ?1", [row]).map(drop)
}

pub(super) fn ahead(db: &Db, id: RunId) -> Result<Vec<RunId>, Error> {
    let waits = "SELECT row FROM runs WHERE id = ?1 AND epoch = 0 \
                 AND EXISTS (SELECT 1 FROM holds WHERE holds.run = runs.row AND held = 0)";
    let Some(row) = db.first(waits, [id.0.as_bytes()], |row| row.get::<_, i64>(0))? else { return Ok(Vec::new()) };
    ids(db, &hold::in_the_way(db, row, &db.keys(row)?)?)
}

pub(super) fn first_in_line(db: &Db, key: &str) -> Result<Option<RunId>, Error> {
    let first = hold::first_in_line(db, key)?;
    Ok(ids(db, first.as_slice())?.pop())
}

/// The first of each line where runs wait, when it has room; oldest first.
pub(super) fn with_room(db: &Db, limit: u32) -> Result<Vec<(i64, RunId)>, Error> {
    let lines: Vec<String> = db.all("SELECT DISTINCT key FROM holds WHERE held = 0", (), |row| row.get(0))?;
    let mut rows = Vec::new();
    for key in lines {
        rows.extend(hold::first_in_line(db, &key)?);
    }
    rows.sort_unstable();
    rows.dedup();
    rows.truncate(limit as usize);
    // Who is held keeps its place, and goes nowhere.
    let is_queued = |row: &i64| db.first("SELECT 1 FROM runs WHERE row = ?1 AND phase = 0", [row], |_| Ok(()));
    let mut queued = Vec::new();
    for row in rows {
        queued.extend(is_queued(&row)?.map(|()| row));
    }
    let ids = ids(db, &queued)?;
    Ok(queued.into_iter().zip(ids).collect())
}

fn keys<'a>(holds: impl Iterator<Item = &'a Hold>) -> Vec<(String, u32)> {
    holds.map(|hold| (hold.key.clone(), hold.limit)).collect()
}

fn ids(db: &Db, rows: &[i64]) -> Result<Vec<RunId>, Error> {
    let id = |row: &i64| {
        let found = db.first("SELECT id FROM runs WHERE row = ?1", [row], |row| row.get::<_, uuid::Bytes>(0))?;
        found
            .map(|id| RunId(Uuid::from_bytes(id)))
            .ok_or_else(|| crate::database::damaged("a run in a line is not there"))
    };
    rows.iter().map(id).collect()
}
