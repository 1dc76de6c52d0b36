//! The schema and its versions. A version expands before a later one contracts: what only adds says that older programs may
//! go on beside it.

use liteagent_engine::store::StoreError;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::database::Error;

/// One version of the schema.
pub(super) struct Migration {
    pub(super) sql: &'static str,
    /// The oldest version whose programs can use the schema after this one.
    pub(super) compatible_with: i64,
}

/// Every version, oldest first: the newest one's place is the version of the schema.
pub(super) const MIGRATIONS: [Migration; 1] =
    [Migration { sql: include_str!("../../migrations/postgres/0001_runs.sql"), compatible_with: 1 }];

/// The lock that one process at a time migrates under.
const LOCK: i64 = 0x6c69_7465_6167_656e;

/// Brings the schema up to date. Several processes may start at once: the others wait, and find it done.
pub(super) async fn migrate(connection: &mut PgConnection, migrations: &'static [Migration]) -> Result<(), StoreError> {
    let known = migrations.len() as i64;
    if check(connection, known).await? >= known {
        return Ok(());
    }
    let mut tx = connection.begin().await.map_err(Error::from)?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).persistent(false);
    lock.execute(&mut *tx).await.map_err(Error::from)?;
    let found = check(&mut tx, known).await?;
    if found == 0 {
        let table = "CREATE TABLE schema_version (version bigint PRIMARY KEY, compatible_with bigint NOT NULL, \
                     since timestamptz NOT NULL DEFAULT now())";
        sqlx::raw_sql(table).execute(&mut *tx).await.map_err(Error::from)?;
    }
    for (version, migration) in (1_i64..).zip(migrations).skip(found as usize) {
        sqlx::raw_sql(migration.sql).execute(&mut *tx).await.map_err(Error::from)?;
        let sql = "INSERT INTO schema_version (version, compatible_with) VALUES ($1, $2)";
        let insert = sqlx::query(sql).bind(version).bind(migration.compatible_with).persistent(false);
        insert.execute(&mut *tx).await.map_err(Error::from)?;
    }
    tx.commit().await.map_err(Error::from)?;
    Ok(())
}

/// The version of the schema, 0 for an empty database; an error when a program that knows so many cannot use it.
async fn check(connection: &mut PgConnection, known: i64) -> Result<i64, StoreError> {
    let sql = "SELECT to_regclass('schema_version') IS NOT NULL";
    let exists = sqlx::query(sql).persistent(false).fetch_one(&mut *connection).await.map_err(Error::from)?;
    if !exists.try_get::<bool, _>(0).map_err(Error::from)? {
        return Ok(0);
    }
    let sql = "SELECT version, compatible_with FROM schema_version ORDER BY version DESC LIMIT 1";
    let row = sqlx::query(sql).persistent(false).fetch_one(connection).await.map_err(Error::from)?;
    let found: i64 = row.try_get(0).map_err(Error::from)?;
    let compatible_with: i64 = row.try_get(1).map_err(Error::from)?;
    if found > known && compatible_with > known { Err(StoreError::Newer { found, known }) } else { Ok(found) }
}
