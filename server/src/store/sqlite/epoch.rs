//! What a restore makes of the rows of the server.

use std::path::Path;

use liteagent_backends::database::{self, Database};
use liteagent_engine::{
    store::{EndPlace, StoreError},
    units::Millis,
};

use super::{FILE, MIGRATIONS, accounts::record};
use crate::store::{Entry, Outcome};

/// Who restores, as the audit log and the pauses of schedules say it.
const BY: &str = "restore";

/// Begins a new life of the installation in a folder: schedules pause, sessions and one-time links end, and what ended before
/// starts no runs after it. Nobody else may have
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
    // What was to begin after them has most likely begun elsewhere since.
    db.execute("UPDATE after_states SET place = max(place, ?1)", [EndPlace::before(at).0])?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AfterState, AfterStore as _, ScheduleId, sqlite::SqliteStore};

    #[tokio::test]
    async fn what_had_ended_before_a_restore_starts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).await.unwrap();
        let id = |name: &str| ScheduleId { workflow: "report".to_owned(), name: name.to_owned() };
        for (name, place) in [("behind", EndPlace::before(5)), ("ahead", EndPlace::before(5_000))] {
            let state = AfterState { id: id(name), watched: String::new(), place };
            store.begin_after(state).await.unwrap();
        }
        drop(store);
        begin_epoch(folder.path(), 1_000).unwrap();
        let store = SqliteStore::open(folder.path()).await.unwrap();
        let mut states = store.after_states().await.unwrap();
        states.sort_by_key(|state| state.place);
        let places: Vec<_> = states.into_iter().map(|state| (state.id, state.place)).collect();
        assert_eq!(places, [(id("behind"), EndPlace::before(1_000)), (id("ahead"), EndPlace::before(5_000))]);
    }
}
