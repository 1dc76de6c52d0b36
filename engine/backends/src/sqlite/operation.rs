//! What whoever operates an installation asks: held runs, which installation it is, what a restore makes of it.

use std::path::Path;

use liteagent_engine::{
    id::RunId,
    store::{Installation, ReleaseHeld, StoreError},
    units::Millis,
};
use rusqlite::params;
use uuid::Uuid;

use super::{
    FILE, Shared,
    db::{Db, MIGRATIONS},
    row::{Cells as _, int, text},
};
use crate::database::{Database, Error};

/// What a restore did to runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// So many runs had not ended: they are held.
    pub held: u64,
    /// The new epoch of the installation.
    pub epoch: u64,
}

/// Makes the runs in a folder those of a new epoch: what had not ended is held, and no session is alive. Nobody else may have
/// opened the folder.
///
/// # Errors
/// Those of opening the database; [`StoreError::Damaged`] when there is none.
pub fn begin_epoch(folder: &Path, at: Millis) -> Result<Restored, StoreError> {
    let file = folder.join(FILE);
    if !file.exists() {
        return Err(StoreError::Damaged(format!("there is no `{FILE}`")));
    }
    let db = Database::open(&file, &MIGRATIONS)?;
    Ok(renew(&db, at)?)
}

fn renew(db: &Database, at: Millis) -> Result<Restored, Error> {
    db.begin()?;
    let held = hold_runs(db)?;
    db.execute("DELETE FROM sessions", ())?;
    // The backup is of the life before.
    let sql = "UPDATE installation SET epoch = epoch + 1, restored_at = ?1, backup_at = NULL RETURNING epoch";
    let epoch = db.first(sql, [at], |row| row.get::<_, i64>(0))?.unwrap_or_default() as u64;
    db.commit()?;
    Ok(Restored { held, epoch })
}

pub(super) fn hold_runs(db: &Database) -> Result<u64, Error> {
    let sql = "UPDATE runs SET phase = -1, owner = NULL WHERE phase < 3 AND phase >= 0";
    Ok(db.execute(sql, ())? as u64)
}

pub(super) fn release_held(db: &Db, which: &ReleaseHeld, limit: u32) -> Result<Vec<RunId>, Error> {
    // `chosen` holds runs that are meant, held or not, and all that they started.
    const RELEASE: &str = "UPDATE runs SET phase = 0, wake_at = NULL WHERE phase = -1 AND row IN ( \
        WITH RECURSIVE chosen (row, id) AS ( \
            SELECT row, id FROM runs WHERE phase < 3 AND (?1 IS NULL OR workflow = ?1) \
                AND (?2 IS NULL OR id IN (SELECT unhex(value) FROM json_each(?2))) \
            UNION SELECT runs.row, runs.id FROM runs JOIN chosen ON runs.parent_run = chosen.id) \
        SELECT runs.row FROM runs JOIN chosen ON chosen.row = runs.row WHERE phase = -1 ORDER BY runs.row LIMIT ?3) \
        RETURNING row, id";
    let (workflow, ids) = match which {
        ReleaseHeld::All { workflow } => (workflow.clone(), None),
        ReleaseHeld::Runs(runs) => {
            let ids: Vec<String> = runs.iter().map(|run| run.0.simple().to_string()).collect();
            (None, Some(serde_json::to_string(&ids)?))
        }
    };
    let mut released = db.all(RELEASE, params![workflow, ids, limit], |row| {
        Ok((row.get::<_, i64>(0)?, RunId(Uuid::from_bytes(row.get(1)?))))
    })?;
    released.sort_unstable_by_key(|(row, _)| *row);
    Ok(released.into_iter().map(|(_, run)| run).collect())
}

impl Shared {
    pub(super) async fn queued(&self, most: u32) -> Result<u32, Error> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM runs WHERE phase < 3 AND phase = 0 LIMIT ?1)";
        let row = sqlx::query(sql).bind(most).fetch_one(&self.readers).await?;
        Ok(u32::try_from(int(&row, 0)?).unwrap_or(most))
    }

    pub(super) async fn installation(&self) -> Result<Installation, Error> {
        let sql = "SELECT id, epoch, restored_at, backup_at FROM installation";
        let row = sqlx::query(sql).fetch_one(&self.readers).await?;
        Ok(Installation {
            id: text(&row, 0)?,
            epoch: int(&row, 1)? as u64,
            restored_at: row.int(2)?,
            backup_at: row.int(3)?,
        })
    }
}
