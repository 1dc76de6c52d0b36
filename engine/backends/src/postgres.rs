//! Everything in one PostgreSQL database that many processes share: a few writers take what is queued and do it in one
//! transaction, with statements over whole groups; a pool reads.
//!
//! Whoever locks, locks in one order, so that no two transactions wait for each other: sessions; rows of runs by id; what
//! has no row of its own (lines, start keys, conversations), by advisory locks of the transaction; then the rest, each
//! table sorted by its key.

use std::{sync::Arc, time::Duration};

use liteagent_engine::store::{DEFAULT_LEASE, StoreError};
use url::Url;

pub use self::{
    address::check,
    columns::Columns,
    failure::Failure,
    migrate::{Migrated, Migration, Migrations},
    pool::{Pool, Sql, Tx, sql},
    stored::stored,
};
use self::{db::Db, queue::Queue};
/// A row of a result; [`Columns`] reads it.
pub use sqlx::postgres::PgRow as Row;

mod address;
mod append;
mod changes;
mod columns;
mod create;
mod db;
mod failure;
mod files;
mod group;
pub mod import;
mod journal;
mod lines;
mod lists;
mod locked;
mod migrate;
mod operation;
mod plain;
mod pool;
mod queue;
mod retention;
mod session;
pub(crate) mod stored;
mod take;
mod talk;
mod usage;
mod values;
mod writer;

/// The schema of runs.
pub const RUNS: Migrations = Migrations {
    component: "runs",
    versions: &[Migration::Expands(include_str!("../migrations/postgres/0001_runs.sql"))],
};

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// A session whose heartbeat is older is dead. Default: 30 s.
    pub lease: Duration,
    /// Whose clock judges heartbeats. Default: the database's.
    pub clock: LeaseClock,
    /// How many transactions may be under way at once; each has a connection of its own. Default: 2.
    pub writers: usize,
    /// At most so many connections read. Default: 8.
    pub readers: u32,
    /// For so long writes wait for a server that cannot be reached, and a statement may take. Default: 10 s.
    pub patience: Duration,
}

/// Whose clock judges heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseClock {
    /// The database's: the clocks of processes may differ.
    Database,
    /// The times that callers give: for tests whose clock stands still.
    Callers,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            lease: DEFAULT_LEASE,
            clock: LeaseClock::Database,
            writers: 2,
            readers: 8,
            patience: Duration::from_secs(10),
        }
    }
}

/// Runs, keys and cached outputs in one PostgreSQL database. Any number of processes may use it.
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>);

struct Shared {
    db: Arc<Db>,
    queue: Arc<Queue>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl PostgresStore {
    /// Opens the store at a URL, `postgres://user:password@host:5432/database`, and makes its schema where there is
    /// none. Must be called in a Tokio runtime.
    ///
    /// `sslmode` (`disable`, `prefer`, `require`, `verify-ca`, `verify-full`), `sslrootcert` and `host` (a folder of sockets)
    /// mean what they mean to `psql`. `pgbouncer=true` says that a pooler gives each transaction another connection:
    /// no statement is prepared then.
    ///
    /// # Errors
    /// Those of [`Pool::open`] and [`Self::over`].
    pub async fn open(url: &Url, options: PostgresOptions) -> Result<Self, StoreError> {
        Self::over(Pool::open(url, options.readers, options.patience)?, options).await
    }

    /// The store over connections that are there; the options say nothing of those that read.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Older`] when this release cannot use the schema; [`StoreError::Failed`] when the
    /// server cannot be reached.
    pub async fn over(pool: Pool, options: PostgresOptions) -> Result<Self, StoreError> {
        let db = Arc::new(Db::open(pool, &options).await?);
        let queue = Arc::new(Queue::default());
        for _ in 0..options.writers.max(1) {
            tokio::spawn(writer::serve(db.clone(), queue.clone()));
        }
        Ok(Self(Arc::new(Shared { db, queue })))
    }

    fn db(&self) -> &Db {
        &self.0.db
    }
}
