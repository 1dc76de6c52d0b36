//! The schema and its versions. A version expands before a later one contracts: what only adds says that older programs may
//! go on beside it. Everything here is sent as plain text: a pooler may give each statement another connection.

use liteagent_engine::store::StoreError;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

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
    let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *tx).await.map_err(Error::from)?;
    let found = check(&mut tx, known).await?;
    if found == 0 {
        let table = "CREATE TABLE schema_version (version bigint PRIMARY KEY, compatible_with bigint NOT NULL, \
                     since timestamptz NOT NULL DEFAULT now())";
        sqlx::raw_sql(table).execute(&mut *tx).await.map_err(Error::from)?;
    }
    for (version, migration) in (1_i64..).zip(migrations).skip(found as usize) {
        sqlx::raw_sql(migration.sql).execute(&mut *tx).await.map_err(Error::from)?;
        let compatible_with = migration.compatible_with;
        let note =
            format!("INSERT INTO schema_version (version, compatible_with) VALUES ({version}, {compatible_with})");
        sqlx::raw_sql(AssertSqlSafe(note)).execute(&mut *tx).await.map_err(Error::from)?;
    }
    tx.commit().await.map_err(Error::from)?;
    Ok(())
}

/// The version of the schema, 0 for an empty database; an error when a program that knows so many cannot use it.
async fn check(connection: &mut PgConnection, known: i64) -> Result<i64, StoreError> {
    // Not `to_regclass`: a connection remembers for a while that a table was not there.
    let sql = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'schema_version' AND pg_table_is_visible(oid))";
    let exists = sqlx::raw_sql(sql).fetch_one(&mut *connection).await.map_err(Error::from)?;
    if !exists.try_get::<bool, _>(0).map_err(Error::from)? {
        return Ok(0);
    }
    let sql = "SELECT version, compatible_with FROM schema_version ORDER BY version DESC LIMIT 1";
    let row = sqlx::raw_sql(sql).fetch_one(connection).await.map_err(Error::from)?;
    let found: i64 = row.try_get(0).map_err(Error::from)?;
    let compatible_with: i64 = row.try_get(1).map_err(Error::from)?;
    if found > known && compatible_with > known { Err(StoreError::Newer { found, known }) } else { Ok(found) }
}
