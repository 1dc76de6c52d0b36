//! Everything in one SQLite file: one thread writes, with a full sync per group of writes; a small pool reads.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use liteagent_engine::store::{DEFAULT_LEASE, StoreError};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

pub use self::operation::{Restored, begin_epoch};
use self::{db::Db, session::Locks};
use crate::{
    database::{self, Error, Writer, make_folder},
    disk::Reserve,
    row,
};

mod db;
mod files;
mod journal;
mod line;
mod lists;
mod operation;
mod retention;
mod runs;
mod session;
#[cfg(test)]
mod tests;
mod turns;
mod usage;
mod values;

/// Name of the file in the data folder.
pub const FILE: &str = "liteagent.db";

const READERS: u32 = 4;
const READER_BUSY: Duration = Duration::from_secs(10);

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// A session whose heartbeat is older is dead, even when its process is there. Default: 30 s.
    pub lease: Duration,
    /// What must stay free on the disk. Default: 10 %, and 64 MiB.
    pub reserve: Reserve,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { lease: DEFAULT_LEASE, reserve: Reserve::default() }
    }
}

/// Runs, keys and cached outputs in one SQLite file. Several processes may use the same file.
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    options: SqliteOptions,
    writer: Writer<Db>,
    readers: SqlitePool,
    locks: Locks,
    sessions: PathBuf,
}

impl SqliteStore {
    /// Opens the store in a data folder; both are made when they are not there. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when the folder cannot be written, [`StoreError::Newer`] when a newer release wrote
    /// the file, [`StoreError::Damaged`] when it is not a database.
    pub async fn open(folder: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let (sessions, file) = (folder.join("sessions"), folder.join(FILE));
        let lease = options.lease;
        let writer = tokio::task::spawn_blocking({
            let (sessions, file) = (sessions.clone(), file.clone());
            move || {
                make_folder(&sessions)?;
                Writer::start(Db::open(&file, sessions, lease)?)
            }
        });
        let writer = writer.await.map_err(|error| StoreError::Failed(error.to_string()))??;
        Ok(Self::new(folder, options, writer, readers(reading(&file))))
    }

    /// Opens a store that this user, or this disk, only lets be read. Every write is refused.
    ///
    /// # Errors
    /// When there is no store, or it cannot be read.
    pub async fn open_read_only(folder: &Path) -> Result<Self, StoreError> {
        let file = folder.join(FILE);
        // Without a log that others write, the file alone is the whole truth; and a log cannot be begun here.
        let is_whole = !file.with_extension("db-wal").exists();
        let readers = readers(reading(&file).immutable(is_whole));
        let version = sqlx::query_scalar("SELECT max(version) FROM schema_version").fetch_one(&readers).await;
        database::check_version(version.map_err(Error::from)?, &db::MIGRATIONS)?;
        let why = format!("{} can only be read", folder.display()).into();
        Ok(Self::new(folder, SqliteOptions::default(), Writer::Nobody(why), readers))
    }

    fn new(folder: &Path, options: SqliteOptions, writer: Writer<Db>, readers: SqlitePool) -> Self {
        let sessions = folder.join("sessions");
        let locks = Locks::new(sessions.clone());
        Self(Arc::new(Shared { folder: folder.to_owned(), options, writer, readers, locks, sessions }))
    }
}

fn reading(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(READER_BUSY)
}

fn readers(options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false).connect_lazy_with(options)
}
