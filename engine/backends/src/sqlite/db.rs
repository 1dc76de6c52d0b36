//! The writing connection of runs: their schema, their sessions, and where their rows are.

use std::{
    cell::RefCell,
    collections::HashMap,
    ops::Deref,
    path::{Path, PathBuf},
    time::Duration,
};

use liteagent_engine::{
    id::RunId,
    store::StoreError,
    units::{self, Millis},
};

use super::session;
use crate::database::{Database, Error, Writes};

/// Every migration, oldest first: the newest one's place is the version of the schema.
pub(super) const MIGRATIONS: [&str; 9] = [
    include_str!("../../migrations/0001_runs.sql"),
    include_str!("../../migrations/0002_holds.sql"),
    include_str!("../../migrations/0003_subject.sql"),
    include_str!("../../migrations/0004_shared_files.sql"),
    include_str!("../../migrations/0005_usage.sql"),
    include_str!("../../migrations/0006_turns.sql"),
    include_str!("../../migrations/0007_operation.sql"),
    include_str!("../../migrations/0008_speakers.sql"),
    include_str!("../../migrations/0009_ends.sql"),
];

/// What the writing thread works with.
pub(super) struct Db {
    database: Database,
    lease: Millis,
    sessions: PathBuf,
    rows: RefCell<HashMap<RunId, i64>>,
}

impl Deref for Db {
    type Target = Database;
    fn deref(&self) -> &Database {
        &self.database
    }
}

impl Writes for Db {
    fn database(&self) -> &Database {
        &self.database
    }

    fn rolled_back(&self) {
        self.rows.borrow_mut().clear();
    }
}

impl Db {
    /// Opens the file, and brings its schema up to date.
    pub(super) fn open(file: &Path, sessions: PathBuf, lease: Duration) -> Result<Self, StoreError> {
        let database = Database::open(file, &MIGRATIONS)?;
        Ok(Self { database, lease: units::Duration(lease).millis(), sessions, rows: RefCell::default() })
    }

    /// The row of a run. A row never changes hands, so what was found once stays true.
    pub(super) fn row_of(&self, run: RunId) -> Result<Option<i64>, Error> {
        if let Some(row) = self.rows.borrow().get(&run) {
            return Ok(Some(*row));
        }
        let row = self.first("SELECT row FROM runs WHERE id = ?1", [run.0.as_bytes()], |row| row.get(0))?;
        if let Some(row) = row {
            self.rows.borrow_mut().insert(run, row);
        }
        Ok(row)
    }

    /// Nobody will append to this run for now.
    pub(super) fn forget_row(&self, run: RunId) {
        self.rows.borrow_mut().remove(&run);
    }

    /// Whether a session may still write under its name.
    pub(super) fn is_alive(&self, session: liteagent_engine::id::SessionId, at: Millis) -> Result<bool, Error> {
        let sql = "SELECT heartbeat FROM sessions WHERE id = ?1";
        let heartbeat: Option<Millis> = self.first(sql, [session.0.as_bytes()], |row| row.get(0))?;
        Ok(heartbeat.is_some_and(|heartbeat| session::is_alive(&self.sessions, session, heartbeat, self.lease, at)))
    }

    pub(super) fn sessions(&self) -> &Path {
        &self.sessions
    }
}
