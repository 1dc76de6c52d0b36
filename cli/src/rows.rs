//! The rows of a server: where they are, and the vault in them.

use std::{path::Path, sync::Arc};

use liteagent_backends::postgres::Pool;
use liteagent_server::store::{PostgresStore, SecretRow, SecretStore as _, SqliteStore, Store};

use crate::failure::Failure;

/// Opens the rows in the database that machines share, else in the data folder.
pub(crate) async fn open(data: &Path, database: Option<&Pool>) -> Result<Arc<dyn Store>, Failure> {
    Ok(match database {
        Some(pool) => Arc::new(PostgresStore::over(pool.clone()).await?),
        None => Arc::new(SqliteStore::open(data).await?),
    })
}

/// The vault, for who needs nothing else of the rows; a data folder without one is left as it is.
pub(crate) async fn secrets(data: &Path, database: Option<&Pool>) -> Result<Vec<SecretRow>, Failure> {
    Ok(match database {
        Some(pool) => PostgresStore::over(pool.clone()).await?.secrets().await?.1,
        None => SqliteStore::read_secrets(data)?,
    })
}
