//! The database of runs, for whoever reads or writes.

use std::ops::Deref;

use liteagent_engine::{
    store::StoreError,
    units::{self, Millis},
};
use sqlx::{Connection as _, PgConnection, Row as _};

pub(super) use super::pool::{Sql, Tx, late, sql};
use super::{LeaseClock, PostgresOptions, RUNS, pool::Pool};
use crate::database::Error;

/// The milliseconds of the database's clock.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
pub(super) use now;

/// The database, and what is known of it.
pub(super) struct Db {
    pool: Pool,
    /// Gives the timeline on which the server writes, as SQL.
    pub(super) timeline: &'static str,
    pub(super) lease: Millis,
    pub(super) clock: LeaseClock,
}

impl Deref for Db {
    type Target = Pool;
    fn deref(&self) -> &Pool {
        &self.pool
    }
}

impl Db {
    pub(super) async fn open(pool: Pool, settings: &PostgresOptions) -> Result<Self, StoreError> {
        pool.prepare(&RUNS).await?;
        let mut connection = pool.connect().await?;
        let timeline = readable_timeline(&mut connection).await?;
        connection.close().await.map_err(Error::from)?;
        Ok(Self { pool, timeline, lease: units::Duration(settings.lease).millis(), clock: settings.clock })
    }

    /// The time by which sessions live, when it is not the database's.
    pub(super) fn given(&self, at: Millis) -> Option<Millis> {
        (self.clock == LeaseClock::Callers).then_some(at)
    }
}

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
