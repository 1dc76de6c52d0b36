//! Connections: how they are made, and how statements are sent.

use std::time::Duration;

use liteagent_engine::{
    store::StoreError,
    units::{self, Millis},
};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres, Row as _, Transaction,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
};
use url::Url;

use super::{LeaseClock, PostgresOptions, migrate};
use crate::database::Error;

/// A statement with its parameters.
pub(super) type Sql<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// A statement.
pub(super) fn sql<'q>(text: &'static str) -> Sql<'q> {
    sqlx::query(text)
}

/// The milliseconds of the database's clock.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
pub(super) use now;

/// The database, for whoever reads or writes.
pub(super) struct Db {
    pool: PgPool,
    options: PgConnectOptions,
    /// Whether connections may keep prepared statements.
    pub(super) named: bool,
    /// Gives the timeline on which the server writes, as SQL.
    pub(super) timeline: &'static str,
    pub(super) lease: Millis,
    pub(super) clock: LeaseClock,
    pub(super) patience: Duration,
}

impl Db {
    pub(super) async fn open(url: &Url, settings: &PostgresOptions) -> Result<Self, StoreError> {
        let (options, named) = parse(url)?;
        let pool = PgPoolOptions::new()
            .max_connections(settings.readers.max(1))
            .acquire_timeout(settings.patience)
            .connect_lazy_with(options.clone());
        let lease = units::Duration(settings.lease).millis();
        let (clock, patience) = (settings.clock, settings.patience);
        let mut db = Self { pool, options, named, timeline: TIMELINES[0], lease, clock, patience };
        let mut connection = db.connect().await?;
        migrate::migrate(&mut connection, &migrate::MIGRATIONS).await?;
        db.timeline = readable_timeline(&mut connection).await?;
        connection.close().await.map_err(Error::from)?;
        Ok(db)
    }

    /// A connection of one's own.
    pub(super) async fn connect(&self) -> Result<PgConnection, Error> {
        let connected = tokio::time::timeout(self.patience, PgConnection::connect_with(&self.options)).await;
        Ok(connected.map_err(|_| late("the server did not answer"))??)
    }

    /// Begins a transaction on such a connection.
    pub(super) async fn begin_on<'c>(&self, connection: &'c mut PgConnection) -> Result<Tx<'c>, Error> {
        Ok(Tx { tx: connection.begin().await?, named: self.named })
    }

    /// Begins a transaction of a few writes.
    pub(super) async fn begin(&self) -> Result<Tx<'static>, Error> {
        Ok(Tx { tx: self.pool.begin().await?, named: self.named })
    }

    /// Begins a transaction whose statements see one moment.
    pub(super) async fn snapshot(&self) -> Result<Tx<'static>, Error> {
        let tx = self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(Tx { tx, named: self.named })
    }

    /// The rows of one statement. Through a pooler it needs a transaction, so that its parts come to the same connection.
    pub(super) async fn rows(&self, query: Sql<'_>) -> Result<Vec<PgRow>, Error> {
        if self.named {
            return Ok(query.fetch_all(&self.pool).await?);
        }
        let mut tx = self.begin().await?;
        let rows = tx.rows(query).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// The first row of one statement.
    pub(super) async fn first(&self, query: Sql<'_>) -> Result<Option<PgRow>, Error> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// Executes one statement, and says how many rows it changed.
    pub(super) async fn execute(&self, query: Sql<'_>) -> Result<u64, Error> {
        if self.named {
            return Ok(query.execute(&self.pool).await?.rows_affected());
        }
        let mut tx = self.begin().await?;
        let changed = tx.execute(query).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// The time by which sessions live, when it is not the database's.
    pub(super) fn given(&self, at: Millis) -> Option<Millis> {
        (self.clock == LeaseClock::Callers).then_some(at)
    }
}

/// A transaction. It is rolled back when it is dropped.
pub(super) struct Tx<'c> {
    tx: Transaction<'c, Postgres>,
    named: bool,
}

impl Tx<'_> {
    pub(super) async fn rows(&mut self, query: Sql<'_>) -> Result<Vec<PgRow>, Error> {
        Ok(query.persistent(self.named).fetch_all(&mut *self.tx).await?)
    }

    pub(super) async fn execute(&mut self, query: Sql<'_>) -> Result<u64, Error> {
        Ok(query.persistent(self.named).execute(&mut *self.tx).await?.rows_affected())
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }
}

/// The server took too long; the connection cannot be used any more.
pub(super) fn late(what: &str) -> Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what.to_owned())).into()
}

/// Reads a URL. Its text is in no message: it may hold a password.
fn parse(url: &Url) -> Result<(PgConnectOptions, bool), StoreError> {
    let wrong = |what: &str| StoreError::Failed(format!("the URL of the database: {what}"));
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(wrong(&format!("expected `postgres://`, found `{}://`", url.scheme())));
    }
    let mut plain = url.clone();
    plain.set_query(None);
    let mut pooled = false;
    for (key, value) in url.query_pairs() {
        match (&*key, &*value) {
            ("pgbouncer", "true") => pooled = true,
            ("pgbouncer", "false") => {}
            ("pgbouncer", _) => return Err(wrong(&format!("expected `pgbouncer=true` or `false`, found `{value}`"))),
            (key, _) if !KNOWN.contains(&key) && !key.starts_with("options[") => {
                return Err(wrong(&format!("expected one of {}, found `{key}`", KNOWN.join(", "))));
            }
            _ => drop(plain.query_pairs_mut().append_pair(&key, &value)),
        }
    }
    let options = PgConnectOptions::from_url(&plain).map_err(|error| match &error {
        sqlx::Error::Configuration(why) => wrong(&why.to_string()),
        _ => wrong(&error.to_string()),
    })?;
    // Poolers refuse settings that they do not know when a connection begins.
    let options = options.extra_float_digits(None).disable_statement_logging();
    let options =
        if options.get_application_name().is_none() { options.application_name("liteagent") } else { options };
    Ok((if pooled { options.statement_cache_capacity(0) } else { options }, !pooled))
}

/// What a URL may say.
const KNOWN: [&str; 13] = [
    "pgbouncer",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Where the timeline can be read, the best first: some services allow not all of it. The second is as old as the last
/// checkpoint. Without any, a failover that loses writes is known by epoch, session and sequence alone.
const TIMELINES: [&str; 3] = [
    "(SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint)",
    "(SELECT timeline_id::bigint FROM pg_control_checkpoint())",
    "0::bigint",
];

async fn readable_timeline(connection: &mut PgConnection) -> Result<&'static str, Error> {
    for timeline in TIMELINES {
        let text = sqlx::AssertSqlSafe(format!("SELECT {timeline}"));
        match sqlx::raw_sql(text).fetch_one(&mut *connection).await {
            Ok(row) => {
                row.try_get::<i64, _>(0)?;
                return Ok(timeline);
            }
            Err(sqlx::Error::Database(error)) => {
                tracing::warn!(%error, "the timeline of the server cannot be read this way");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(TIMELINES[2])
}
