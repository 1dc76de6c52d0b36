//! A database in one SQLite file that several processes share: one thread writes, with a full sync per group of writes.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    thread,
    time::Duration,
};

use liteagent_engine::store::StoreError;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

pub use self::{
    error::{Error, damaged, io_error},
    pool::Pool,
    writer::{Writer, Writes},
};

mod error;
mod pool;
mod writer;

/// How far apart to look whether another process has written.
const LOOK: Duration = Duration::from_micros(500);
/// How often to look before a write fails: 10 seconds.
const BUSY_LOOKS: i32 = 20_000;
/// How often to look before the turn of another process has passed: 50 milliseconds.
const TURN_LOOKS: u32 = 100;

/// Pages that the log may hold before they are moved into the file: a long log is written in place, again and again.
const CHECKPOINT_PAGES: u32 = 4_000;

/// A connection to the file. Nobody but its owner's thread uses it at a time.
pub struct Database {
    connection: Connection,
    turnstile: Option<File>,
}

impl Database {
    /// Opens the file to write it, makes it where it is not there, and brings its schema up to date: each migration is the
    /// SQL of one version, oldest first.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when it cannot be written, [`StoreError::Newer`] when a newer release wrote it,
    /// [`StoreError::Damaged`] when it is no database.
    pub fn open(file: &Path, migrations: &[&str]) -> Result<Self, StoreError> {
        let turnstile = open_lock(file)?;
        // Two processes that open a new file at once must not both make its tables.
        turnstile.lock().map_err(|error| io_error(&error, "the lock of the database"))?;
        let connection = connect(file).map_err(Error::from)?;
        migrate(&connection, migrations)?;
        pass(&turnstile);
        Ok(Self { connection, turnstile: Some(turnstile) })
    }

    /// Opens the file to read it. `immutable` says that nobody writes it, as on a disk that can only be read.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub fn open_read_only(file: &Path, immutable: bool) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let uri = format!("file:{path}{}", if immutable { "?immutable=1" } else { "" });
        let connection = Connection::open_with_flags(uri, flags).map_err(Error::from)?;
        wait_when_busy(&connection).map_err(Error::from)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection, turnstile: None })
    }

    /// The version of the schema: 0 for a new file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        Ok(version(&self.connection)?)
    }

    /// Begins a transaction that writes.
    ///
    /// # Errors
    /// When others write for longer than ten seconds, or nothing can be written.
    pub fn begin(&self) -> Result<(), Error> {
        let waits = self.wait_for_turn();
        let begun = self.execute("BEGIN IMMEDIATE", ());
        if let (true, Some(turnstile)) = (waits, &self.turnstile) {
            pass(turnstile);
        }
        begun.map(drop)
    }

    /// SQLite lets a process that writes all the time shut out the others, who look only now and then. So whoever
    /// waits to write holds the turnstile, and the one who has just written lets him go first; but not for ever,
    /// because a process that holds it may have been stopped.
    fn wait_for_turn(&self) -> bool {
        let Some(turnstile) = &self.turnstile else { return false };
        for _ in 0..TURN_LOOKS {
            match turnstile.try_lock() {
                Ok(()) => return true,
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
                Err(TryLockError::Error(_)) => return false,
            }
        }
        false
    }

    /// Makes the transaction durable.
    ///
    /// # Errors
    /// When it could not be; it is still open then.
    pub fn commit(&self) -> Result<(), Error> {
        self.execute("COMMIT", ()).map(drop)
    }

    /// Ends a transaction that is still open after a failure, and says whether one was; many failures have ended it
    /// already.
    pub fn rollback(&self) -> bool {
        if self.connection.is_autocommit() {
            return false;
        }
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
        true
    }

    /// Reads in one transaction: what is read is of one moment.
    ///
    /// # Errors
    /// Those of the work, and of the transaction.
    pub fn snapshot<T, E: From<Error>>(&self, work: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        self.execute("BEGIN", ())?;
        let done = work(self);
        self.rollback();
        done
    }

    /// Executes a statement and says how many rows it changed.
    ///
    /// # Errors
    /// When SQLite refuses it.
    pub fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, Error> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// When SQLite refuses it, or a column has another type.
    pub fn first<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// Every row.
    ///
    /// # Errors
    /// When SQLite refuses it, or a column has another type.
    pub fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        Ok(self.connection.prepare_cached(sql)?.query_map(params, read)?.collect::<Result<_, _>>()?)
    }

    /// Gives every row to a function, without a copy of what is in it.
    ///
    /// # Errors
    /// When SQLite refuses it, and those of the function.
    pub fn each<E: From<Error>>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.connection.prepare_cached(sql).map_err(Error::from)?;
        let mut rows = statement.query(params).map_err(Error::from)?;
        while let Some(row) = rows.next().map_err(Error::from)? {
            read(row)?;
        }
        Ok(())
    }

    /// The row that was inserted last.
    pub fn last_row(&self) -> i64 {
        self.connection.last_insert_rowid()
    }
}

/// Makes a folder that only its owner can look into.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error: io::Error| io_error(&error, &path.display().to_string()))
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
    wait_when_busy(&connection)?;
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

fn wait_when_busy(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(|looks| {
        thread::sleep(LOOK);
        looks < BUSY_LOOKS
    }))
}

/// Refuses a file that a newer release wrote.
///
/// # Errors
/// [`StoreError::Newer`].
pub fn check_version(found: i64, migrations: &[&str]) -> Result<(), StoreError> {
    let known = migrations.len() as i64;
    if found > known { Err(StoreError::Newer { found, known }) } else { Ok(()) }
}

fn migrate(connection: &Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let found = version(connection)?;
    check_version(found, migrations)?;
    for (version, migration) in (1_i64..).zip(migrations).skip(found as usize) {
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
