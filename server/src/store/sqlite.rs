//! The rows of the server in one SQLite file.

use std::path::Path;

use async_trait::async_trait;
use liteagent_backends::database::{self, Database, Pool};
use liteagent_engine::store::StoreError;

use super::Store;

mod accounts;
mod workflows;

/// Name of the file in the data folder.
const FILE: &str = "platform.db";

/// Every migration, oldest first.
const MIGRATIONS: [&str; 2] =
    [include_str!("../../migrations/0001_workflows.sql"), include_str!("../../migrations/0002_accounts.sql")];

/// The rows of the server in one SQLite file. Several processes may use it.
#[derive(Clone)]
pub struct SqliteStore(Pool);

impl SqliteStore {
    /// Opens the file in a data folder; both are made when they are not there.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when the folder cannot be written, [`StoreError::Newer`] when a newer release wrote the
    /// file, [`StoreError::Damaged`] when it is no database.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self(Pool::open(&folder.join(FILE), &MIGRATIONS).await?))
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, database::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        Ok(self.0.read(work).await?)
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Database) -> Result<T, database::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.write(work).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|db| db.first("SELECT 1", (), |_| Ok(())).map(drop)).await
    }
}
