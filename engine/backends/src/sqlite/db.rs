//! The writing connection, its transactions and its schema.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use liteagent_engine::{
    id::RunId,
    store::StoreError,
    units::{self, Millis},
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    error::{Error, io_error},
    session,
};

/// Every migration, oldest first: the newest one's place is the version of the schema.
const MIGRATIONS: [&str; 5] = [
    include_str!("../../migrations/0001_runs.sql"),
    include_str!("../../migrations/0002_holds.sql"),
    include_str!("../../migrations/0003_subject.sql"),
    include_str!("../../migrations/0004_shared_files.sql"),
    include_str!("../../migrations/0005_usage.sql"),
];

/// How far apart to look whether another process has written.
const LOOK: Duration = Duration::from_micros(500);
/// How often to look before a write fails: 10 seconds.
const BUSY_LOOKS: i32 = 20_000;
/// How often to look before the turn of another process has passed: 50 milliseconds.
const TURN_LOOKS: u32 = 100;

/// Pages that the log may hold before they are moved into the file: a long log is written in place, again and again.
const CHECKPOINT_PAGES: u32 = 4_000;

/// What the writing thread works with.
pub(super) struct Db {
    connection: Connection,
    lease: Millis,
    sessions: PathBuf,
    rows: RefCell<HashMap<RunId, i64>>,
    turnstile: File,
}

impl Db {
    /// Opens the file, and brings its schema up to date.
    pub(super) fn open(file: &Path, sessions: PathBuf, lease: Duration) -> Result<Self, StoreError> {
        let turnstile = open_lock(file)?;
        // Two processes that open a new file at once must not both make its tables.
        turnstile.lock().map_err(|error| io_error(&error, "the lock of the database"))?;
        let connection = connect(file).map_err(Error::from)?;
        migrate(&connection)?;
        pass(&turnstile);
        Ok(Self { connection, lease: units::Duration(lease).millis(), sessions, rows: RefCell::default(), turnstile })
    }

    pub(super) fn begin(&self) -> Result<(), Error> {
        self.rollback();
        let waits = self.wait_for_turn();
        let begun = self.connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute(()));
        if waits {
            pass(&self.turnstile);
        }
        Ok(begun.map(drop)?)
    }

    /// SQLite lets a process that writes all the time shut out the others, who look only now and then. So whoever
    /// waits to write holds the turnstile, and the one who has just written lets him go first; but not for ever,
    /// because a process that holds it may have been stopped.
    fn wait_for_turn(&self) -> bool {
        for _ in 0..TURN_LOOKS {
            match self.turnstile.try_lock() {
                Ok(()) => return true,
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
                Err(TryLockError::Error(_)) => return false,
            }
        }
        false
    }

    pub(super) fn commit(&self) -> Result<(), StoreError> {
        let outcome = self.connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute(()));
        outcome.map(drop).map_err(|error| {
            self.rollback();
            Error::from(error).into()
        })
    }

    /// Ends a transaction that is still open after a failure; many failures have ended it already.
    pub(super) fn rollback(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        self.rows.borrow_mut().clear();
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    /// Executes a statement and says how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, Error> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }

    /// The first row, if there is one.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// Every row.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        Ok(self.connection.prepare_cached(sql)?.query_map(params, read)?.collect::<Result<_, _>>()?)
    }

    pub(super) fn last_row(&self) -> i64 {
        self.connection.last_insert_rowid()
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

fn open_lock(file: &Path) -> Result<File, StoreError> {
    let path = file.with_extension("lock");
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    lock.map_err(|error| io_error(&error, &path.display().to_string()))
}

fn pass(turnstile: &File) {
    if let Err(error) = turnstile.unlock() {
        tracing::warn!(%error, "the lock of the database was not given back");
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_handler(Some(|looks| {
        thread::sleep(LOOK);
        looks < BUSY_LOOKS
    }))?;
    connection.set_prepared_statement_cache_capacity(64);
    // `auto_vacuum` counts only before the first table, and before the log is switched on.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -8_000)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}

/// Refuses a file that a newer release wrote.
pub(super) fn check_version(found: i64) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    if found > known { Err(StoreError::Newer { found, known }) } else { Ok(()) }
}

fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    check_version(found)?;
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(found as usize) {
        let set_version = format!("DELETE FROM schema_version; INSERT INTO schema_version VALUES ({version});");
        let sql = format!(
            "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL); \
             {migration} {set_version} COMMIT;"
        );
        connection.execute_batch(&sql).map_err(Error::from)?;
    }
    Ok(())
}

/// 0 for a new file.
fn version(connection: &Connection) -> Result<i64, Error> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'";
    if connection.query_row(sql, (), |row| row.get::<_, i64>(0))? == 0 {
        return Ok(0);
    }
    Ok(connection.query_row("SELECT max(version) FROM schema_version", (), |row| row.get(0))?)
}
