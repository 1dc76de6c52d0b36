//! What a restore makes of the rows of the server.

use std::path::Path;

use liteagent_backends::database::{self, Database};
use liteagent_engine::{store::StoreError, units::Millis};

use super::{FILE, MIGRATIONS, accounts::record};
use crate::store::{Entry, Outcome};

/// Who restores, as the audit log and the pauses of schedules say it.
const BY: &str = "restore";

/// Begins a new life of the installation in a folder: schedules pause, sessions and one-time links end. Nobody else may have
/// opened the folder. Says how many schedules were paused; `None` when no server kept anything there.
///
/// # Errors
/// Those of opening the database.
pub fn begin_epoch(folder: &Path, at: Millis) -> Result<Option<u64>, StoreError> {
    let file = folder.join(FILE);
    if !file.exists() {
        return Ok(None);
    }
    let db = Database::open(&file, &MIGRATIONS)?;
    Ok(Some(renew(&db, at)?))
}

fn renew(db: &Database, at: Millis) -> Result<u64, database::Error> {
    db.begin()?;
    let schedules = "INSERT OR IGNORE INTO schedule_states (workflow, name, timing, handled_at) \
                     SELECT workflow, name, '', ?1 FROM schedules";
    db.execute(schedules, [at])?;
    let pause = "UPDATE schedule_states SET paused_by = ?1, paused_at = ?2 WHERE paused_at IS NULL";
    let paused = db.execute(pause, (BY, at))? as u64;
    for table in ["sessions", "refresh_tokens", "links", "scheduler"] {
        db.execute(&format!("DELETE FROM {table}"), ())?;
    }
    let entry = Entry {
        at,
        who: BY.to_owned(),
        action: "installation.restore",
        target: "all".to_owned(),
        address: String::new(),
        outcome: Outcome::Done,
    };
    record(db, &entry)?;
    db.commit()?;
    Ok(paused)
}
