//! Connections to a database, and how statements are sent and transactions done.

use std::{sync::Arc, time::Duration};

use liteagent_engine::store::StoreError;
use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, Transaction,
    postgres::{PgArguments, PgPoolOptions, PgRow},
};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::{
    address::{self, Address},
    columns::Columns as _,
    failure::Failure,
};
use crate::database::Error;

/// A statement with its parameters.
pub type Sql<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// A statement.
pub fn sql<'q>(text: &'static str) -> Sql<'q> {
    sqlx::query(text)
}

/// How often a transaction is done again that met another one.
pub(super) const REDOS: u32 = 32;
/// How far apart to try to reach a server that has gone.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A PostgreSQL database. Clones share its connections.
#[derive(Clone)]
pub struct Pool(Arc<Connections>);

struct Connections {
    pool: PgPool,
    address: Address,
    patience: Duration,
}

impl Pool {
    /// The database at a URL, over at most so many connections; each is made when it is needed. `patience` is for how long a
    /// server that cannot be reached is waited for, and a transaction may take. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the URL cannot be read.
    pub fn open(url: &Url, connections: u32, patience: Duration) -> Result<Self, StoreError> {
        let address =
            address::parse(url).map_err(|what| StoreError::Failed(format!("the URL of the database: {what}")))?;
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(patience)
            .connect_lazy_with(address.options.clone());
        Ok(Self(Arc::new(Connections { pool, address, patience })))
    }

    /// What server it is: its host and its version.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn describe(&self) -> Result<String, StoreError> {
        let row = self.first(sql("SELECT current_setting('server_version')")).await?;
        let version = row.map(|row| row.text(0)).transpose()?;
        let options = &self.0.address.options;
        Ok(format!("PostgreSQL {} at {}:{}", version.unwrap_or_default(), options.get_host(), options.get_port()))
    }

    /// A connection of one's own.
    pub(super) async fn connect(&self) -> Result<PgConnection, Error> {
        let connecting = PgConnection::connect_with(&self.0.address.options);
        Ok(timeout(self.0.patience, connecting).await.map_err(|_| late("the server did not answer"))??)
    }

    /// Begins a transaction on such a connection.
    pub(super) async fn begin_on<'c>(&self, connection: &'c mut PgConnection) -> Result<Tx<'c>, Error> {
        Ok(Tx { tx: connection.begin().await?, named: self.named() })
    }

    /// Begins a transaction of a few writes.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn begin(&self) -> Result<Tx<'static>, Error> {
        Ok(Tx { tx: self.0.pool.begin().await?, named: self.named() })
    }

    /// Begins a transaction that only reads, and whose statements see one moment.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn snapshot(&self) -> Result<Tx<'static>, Error> {
        let tx = self.0.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(Tx { tx, named: self.named() })
    }

    /// Does a transaction: `once` begins it and ends with [`Tx::done`]. It is done again when another transaction was in the
    /// way, or the connection broke before the commit, and so nothing of it is there.
    ///
    /// # Errors
    /// What the server refuses; [`StoreError::Failed`] also when it is not known whether it was done.
    pub async fn again<T, F>(&self, mut once: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let (begun, mut redos) = (Instant::now(), 0);
        loop {
            let failure = match timeout(self.0.patience, once()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Unknown(late("the transaction took too long")),
            };
            match failure {
                Failure::Conflict(_) if redos < REDOS => redos += 1,
                Failure::Broken(_) if begun.elapsed() < self.0.patience => sleep(PAUSE).await,
                failure => return Err(failure.into()),
            }
        }
    }

    /// Does one statement that writes, as [`Self::again`]; says how many rows it changed.
    ///
    /// # Errors
    /// Those of [`Self::again`].
    pub async fn write<'q>(&self, mut statement: impl FnMut() -> Sql<'q>) -> Result<u64, StoreError> {
        self.again(|| {
            let statement = statement();
            async move {
                let mut tx = self.begin().await?;
                let changed = tx.execute(statement).await?;
                tx.done(changed).await
            }
        })
        .await
    }

    /// The rows of one statement. Through a pooler it needs a transaction, so that its parts come to the same connection.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses it.
    pub async fn rows(&self, query: Sql<'_>) -> Result<Vec<PgRow>, Error> {
        if self.named() {
            return Ok(query.fetch_all(&self.0.pool).await?);
        }
        let mut tx = self.begin().await?;
        let rows = tx.rows(query).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// The first row of one statement.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub async fn first(&self, query: Sql<'_>) -> Result<Option<PgRow>, Error> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// Executes one statement once, and says how many rows it changed.
    pub(super) async fn execute(&self, query: Sql<'_>) -> Result<u64, Error> {
        if self.named() {
            return Ok(query.execute(&self.0.pool).await?.rows_affected());
        }
        let mut tx = self.begin().await?;
        let changed = tx.execute(query).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Whether connections may keep prepared statements.
    pub(super) fn named(&self) -> bool {
        self.0.address.named
    }

    pub(super) fn patience(&self) -> Duration {
        self.0.patience
    }
}

/// A transaction. It is rolled back when it is dropped.
pub struct Tx<'c> {
    tx: Transaction<'c, Postgres>,
    named: bool,
}

impl Tx<'_> {
    /// The rows of a statement.
    ///
    /// # Errors
    /// When the server refuses it; the transaction can only be dropped then.
    pub async fn rows(&mut self, query: Sql<'_>) -> Result<Vec<PgRow>, Error> {
        Ok(query.persistent(self.named).fetch_all(&mut *self.tx).await?)
    }

    /// The first row of a statement.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub async fn first(&mut self, query: Sql<'_>) -> Result<Option<PgRow>, Error> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// Executes a statement, and says how many rows it changed.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub async fn execute(&mut self, query: Sql<'_>) -> Result<u64, Error> {
        Ok(query.persistent(self.named).execute(&mut *self.tx).await?.rows_affected())
    }

    /// Makes what was done durable, and gives what came out of it.
    ///
    /// # Errors
    /// [`Failure::Unknown`] when the server did not say whether it is.
    pub async fn done<T>(self, outcome: T) -> Result<T, Failure> {
        match self.commit().await {
            Ok(()) => Ok(outcome),
            Err(error) if error.is_refusal() => Err(error.into()),
            Err(error) => Err(Failure::Unknown(error)),
        }
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }
}

/// The server took too long; the connection cannot be used any more.
pub(super) fn late(what: &str) -> Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what.to_owned())).into()
}
