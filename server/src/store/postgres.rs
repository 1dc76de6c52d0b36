//! The rows of the server in PostgreSQL, in the database of the runs. Several servers write at once: what must not happen
//! twice is a condition of the statement that does it, or stands behind a lock of the row, or of the table, that decides.

use async_trait::async_trait;
use liteagent_backends::postgres::{Migration, Migrations, Pool};
use liteagent_engine::store::StoreError;

pub use self::import::TABLES;
use super::Store;

mod accounts;
mod after;
mod files;
mod import;
mod schedules;
mod secrets;
mod workflows;

/// The schema of the rows of the server.
pub const SERVER: Migrations = Migrations {
    component: "server",
    versions: &[Migration::Expands(include_str!("../../migrations/postgres/0001_server.sql"))],
};

/// The rows of the server in a PostgreSQL database. Any number of processes may use it.
#[derive(Clone)]
pub struct PostgresStore(Pool);

impl PostgresStore {
    /// The rows in a database; their schema is made where there is none.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Older`] when this release cannot use the schema; [`StoreError::Failed`] when the
    /// server cannot be reached.
    pub async fn over(pool: Pool) -> Result<Self, StoreError> {
        pool.prepare(&SERVER).await?;
        Ok(Self(pool))
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.0.fits(&SERVER).await
    }
}
