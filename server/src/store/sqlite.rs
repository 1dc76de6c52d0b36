//! The rows of the server in one SQLite file.

use std::{fs::OpenOptions, path::Path};

use async_trait::async_trait;
use liteagent_backends::database::{self, Database, Pool};
use liteagent_engine::store::StoreError;

use super::Store;

mod accounts;
mod after;
mod epoch;
mod files;
mod schedules;
mod secrets;
mod workflows;

pub use self::epoch::begin_epoch;

/// Name of the file in the data folder.
pub const FILE: &str = "platform.db";

/// Every migration, oldest first.
const MIGRATIONS: [&str; 8] = [
    include_str!("../../migrations/0001_workflows.sql"),
    include_str!("../../migrations/0002_accounts.sql"),
    include_str!("../../migrations/0003_triggers.sql"),
    include_str!("../../migrations/0004_secrets.sql"),
    include_str!("../../migrations/0005_files.sql"),
    include_str!("../../migrations/0006_read_only_keys.sql"),
    include_str!("../../migrations/0007_operation.sql"),
    include_str!("../../migrations/0008_after.sql"),
];

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
        let file = folder.join(FILE);
        make_private(&file)?;
        Ok(Self(Pool::open(&file, &MIGRATIONS).await?))
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

/// Makes the file, for its owner alone: it holds hashes of passwords. SQLite gives its other files the same mode.
fn make_private(file: &Path) -> Result<(), StoreError> {
    file.parent().map_or(Ok(()), database::make_folder)?;
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop).map_err(|error| database::io_error(&error, &file.display().to_string()))
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|db| db.first("SELECT 1", (), |_| Ok(())).map(drop)).await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn nobody_else_can_read_the_hashes_of_passwords() {
        let folder = tempfile::tempdir().unwrap();
        let _store = SqliteStore::open(folder.path()).await.unwrap();
        for name in ["platform.db", "platform.db-wal"] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
        }
    }
}
