//! Schemas and their versions. A release expands the schema before it, or a later one, contracts it: what only adds leaves
//! older programs as they are, so they go on beside it. Everything here is sent as plain text: a pooler may give each
//! statement another connection.

use liteagent_engine::store::StoreError;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::pool::Pool;
use crate::database::Error;

/// The versions of the schema of a component. Components share a database, and have tables of different names.
#[derive(Debug)]
pub struct Migrations {
    /// Its name.
    pub component: &'static str,
    /// Every version, oldest first: the newest one's place is the version of the schema.
    pub versions: &'static [Migration],
}

/// One version of a schema.
#[derive(Debug)]
pub enum Migration {
    /// Adds something: programs that know only the versions before go on.
    Expands(&'static str),
    /// Takes away what only programs need that do not know this version.
    Contracts(&'static str),
}

/// What became of the schema of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Which component.
    pub component: &'static str,
    /// The version before; 0 where there was none.
    pub from: i64,
    /// The version now.
    pub to: i64,
    /// How many versions wait until no older program runs any more.
    pub left: i64,
}

/// The lock that one process at a time migrates under.
const LOCK: i64 = 0x6c69_7465_6167_656e;

impl Migrations {
    /// The newest version that a program with these knows.
    fn known(&self) -> i64 {
        self.versions.len() as i64
    }

    /// The oldest version that such a program can use.
    fn needed(&self) -> i64 {
        self.last(self.known(), |migration| matches!(migration, Migration::Expands(_)))
    }

    /// The oldest version that programs must know that use a version.
    fn compatible_with(&self, version: i64) -> i64 {
        self.last(version, |migration| matches!(migration, Migration::Contracts(_))).max(1)
    }

    /// The last version of a kind up to one; 0 when there is none.
    fn last(&self, up_to: i64, is: impl Fn(&Migration) -> bool) -> i64 {
        let numbered = (1..=up_to).zip(self.versions);
        numbered.filter(|(_, migration)| is(migration)).map(|(version, _)| version).last().unwrap_or_default()
    }

    /// The versions after one that may be made now. What contracts waits, and so does all that comes after it.
    fn due(&self, found: i64, finish: bool) -> impl Iterator<Item = (i64, &Migration)> {
        let is_new = found == 0;
        let waiting = (1_i64..).zip(self.versions).skip(found as usize);
        waiting.take_while(move |(_, migration)| finish || is_new || matches!(migration, Migration::Expands(_)))
    }
}

impl Migration {
    const fn sql(&self) -> &'static str {
        let (Self::Expands(sql) | Self::Contracts(sql)) = self;
        sql
    }
}

impl Pool {
    /// Makes the schema of a component where there is none. Several processes may do so at once: the others wait, and find
    /// it done.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Older`] when this program cannot use what is there.
    pub async fn prepare(&self, migrations: &Migrations) -> Result<(), StoreError> {
        let mut connection = self.connect().await?;
        if check(&mut connection, migrations).await? == 0 {
            migrate(&mut connection, migrations, false).await?;
        }
        connection.close().await.map_err(Error::from)?;
        Ok(())
    }

    /// Whether this program can use the schema of a component.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Older`] when it cannot.
    pub async fn fits(&self, migrations: &Migrations) -> Result<(), StoreError> {
        let row = self.first(super::pool::sql(NEWEST).bind(migrations.component)).await?;
        let (found, compatible_with) = row.as_ref().map_or(Ok((0, 0)), version)?;
        judge(migrations, found, compatible_with)?;
        if found == 0 { Err(StoreError::Older { found, needed: migrations.needed() }) } else { Ok(()) }
    }

    /// Brings the schema of a component up to date: expands it, and with `finish` contracts it, too. Several processes may
    /// do so at once.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer release has been here.
    pub async fn migrate(&self, migrations: &Migrations, finish: bool) -> Result<Migrated, StoreError> {
        let mut connection = self.connect().await?;
        let migrated = migrate(&mut connection, migrations, finish).await?;
        connection.close().await.map_err(Error::from)?;
        Ok(migrated)
    }
}

async fn migrate(connection: &mut PgConnection, migrations: &Migrations, finish: bool) -> Result<Migrated, StoreError> {
    let component = migrations.component;
    let mut tx = connection.begin().await.map_err(Error::from)?;
    execute(&mut tx, format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
    let (from, compatible_with) = find(&mut tx, component).await?;
    if from > migrations.known() {
        judge(migrations, from, compatible_with)?;
    }
    execute(
        &mut tx,
        "CREATE TABLE IF NOT EXISTS schema_version (component text NOT NULL, version bigint NOT NULL, \
         compatible_with bigint NOT NULL, since timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (component, version))"
            .to_owned(),
    )
    .await?;
    let mut to = from;
    for (version, migration) in migrations.due(from, finish) {
        execute(&mut tx, migration.sql().to_owned()).await?;
        let compatible_with = migrations.compatible_with(version);
        let note = format!(
            "INSERT INTO schema_version (component, version, compatible_with) \
             VALUES ('{component}', {version}, {compatible_with})"
        );
        execute(&mut tx, note).await?;
        to = version;
    }
    tx.commit().await.map_err(Error::from)?;
    Ok(Migrated { component, from, to, left: (migrations.known() - to).max(0) })
}

async fn execute(connection: &mut PgConnection, text: String) -> Result<(), Error> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await?;
    Ok(())
}

/// The version of the schema, 0 where there is none; an error when it cannot be used.
async fn check(connection: &mut PgConnection, migrations: &Migrations) -> Result<i64, StoreError> {
    let (found, compatible_with) = find(connection, migrations.component).await?;
    judge(migrations, found, compatible_with)?;
    Ok(found)
}

/// Whether a program can use a version of the schema. Where there is none, it makes one.
fn judge(migrations: &Migrations, found: i64, compatible_with: i64) -> Result<(), StoreError> {
    let (known, needed) = (migrations.known(), migrations.needed());
    if found > known && compatible_with > known {
        return Err(StoreError::Newer { found, known });
    }
    if (1..needed).contains(&found) { Err(StoreError::Older { found, needed }) } else { Ok(()) }
}

const NEWEST: &str =
    "SELECT version, compatible_with FROM schema_version WHERE component = $1 ORDER BY version DESC LIMIT 1";

/// The newest version of a component, and with which programs it goes together.
async fn find(connection: &mut PgConnection, component: &str) -> Result<(i64, i64), Error> {
    // Not `to_regclass`: a connection remembers for a while that a table was not there.
    let sql = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'schema_version' AND pg_table_is_visible(oid))";
    if !sqlx::raw_sql(sql).fetch_one(&mut *connection).await?.try_get::<bool, _>(0)? {
        return Ok((0, 0));
    }
    let text = AssertSqlSafe(NEWEST.replace("$1", &format!("'{component}'")));
    let row = sqlx::raw_sql(text).fetch_optional(connection).await?;
    row.as_ref().map_or(Ok((0, 0)), version)
}

fn version(row: &sqlx::postgres::PgRow) -> Result<(i64, i64), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}
