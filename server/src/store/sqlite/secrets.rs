//! The vault in SQLite.

use std::path::Path;

use async_trait::async_trait;
use liteagent_backends::database::{self, Database};
use liteagent_engine::store::StoreError;
use rusqlite::Row;

use super::{FILE, SqliteStore, accounts::record};
use crate::store::{Entry, SecretRow, SecretStore};

const SECRET: &str =
    "name, version, key, sealed, hosts, workflows, description, created_at, created_by, updated_at, updated_by";
/// The version of the schema that has the vault.
const SINCE: i64 = 4;

#[async_trait]
impl SecretStore for SqliteStore {
    async fn secrets(&self) -> Result<(i64, Vec<SecretRow>), StoreError> {
        let found = self.read(|db| db.snapshot(|db| Ok::<_, database::Error>((revision(db)?, all(db)?))));
        let (revision, rows) = found.await?;
        Ok((revision, checked(rows)?))
    }

    async fn secrets_revision(&self) -> Result<i64, StoreError> {
        self.read(revision).await
    }

    async fn put_secret(&self, row: SecretRow, entry: Entry) -> Result<bool, StoreError> {
        let lists = lists(&row);
        self.write(move |db| {
            let is_done = put(db, &row, &lists)?;
            if is_done {
                changed(db, &entry)?;
            }
            Ok(is_done)
        })
        .await
    }

    async fn reseal_secrets(&self, rows: Vec<SecretRow>, entry: Entry) -> Result<bool, StoreError> {
        let rows: Vec<_> = rows.into_iter().map(|row| (lists(&row), row)).collect();
        self.write(move |db| {
            let is_there = |row: &SecretRow| {
                let sql = "SELECT 1 FROM secrets WHERE name = ?1 AND version = ?2";
                Ok::<_, database::Error>(db.first(sql, (&row.name, row.version - 1), |_| Ok(()))?.is_some())
            };
            // Looked at before anything is written: a refusal changes nothing.
            for (_, row) in &rows {
                if !is_there(row)? {
                    return Ok(false);
                }
            }
            for (lists, row) in &rows {
                put(db, row, lists)?;
            }
            changed(db, &entry)?;
            Ok(true)
        })
        .await
    }

    async fn delete_secret(&self, name: &str, entry: Entry) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |db| {
            let is_done = db.execute("DELETE FROM secrets WHERE name = ?1", [&name])? > 0;
            if is_done {
                changed(db, &entry)?;
            }
            Ok(is_done)
        })
        .await
    }
}

impl SqliteStore {
    /// The vault of a data folder, for who needs nothing else of it; nothing where there is none. Must not be called where waiting
    /// is not allowed.
    ///
    /// # Errors
    /// When it is there, and cannot be read.
    pub fn read_secrets(folder: &Path) -> Result<Vec<SecretRow>, StoreError> {
        let file = folder.join(FILE);
        if !file.exists() {
            return Ok(Vec::new());
        }
        // On a disk that can only be read there is no log, and none can be begun.
        let opened = Database::open_read_only(&file, false).and_then(|db| db.version().map(|version| (version, db)));
        let (version, db) = match opened {
            Ok(opened) => opened,
            Err(error) if file.with_extension("db-wal").exists() => return Err(error),
            Err(_) => Database::open_read_only(&file, true).and_then(|db| Ok((db.version()?, db)))?,
        };
        if version < SINCE { Ok(Vec::new()) } else { checked(all(&db)?) }
    }
}

fn revision(db: &Database) -> Result<i64, database::Error> {
    Ok(db.first("SELECT revision FROM secret_changes", (), |row| row.get(0))?.unwrap_or_default())
}

/// Counts a change that was made, and tells of it.
fn changed(db: &Database, entry: &Entry) -> Result<(), database::Error> {
    db.execute("UPDATE secret_changes SET revision = revision + 1", ())?;
    record(db, entry)
}

type Lists = (Option<String>, Option<String>);

fn lists(row: &SecretRow) -> Lists {
    let text = |list: &Option<Vec<String>>| list.as_ref().map(|list| serde_json::json!(list).to_string());
    (text(&row.hosts), text(&row.workflows))
}

fn put(db: &Database, row: &SecretRow, (hosts, workflows): &Lists) -> Result<bool, database::Error> {
    let SecretRow { name, version, key, sealed, description, created_at, created_by, updated_at, updated_by, .. } = row;
    let sql = if *version == 1 {
        format!("INSERT OR IGNORE INTO secrets ({SECRET}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")
    } else {
        "UPDATE secrets SET version = ?2, key = ?3, sealed = ?4, hosts = ?5, workflows = ?6, description = ?7, \
         created_at = ?8, created_by = ?9, updated_at = ?10, updated_by = ?11 WHERE name = ?1 AND version = ?2 - 1"
            .to_owned()
    };
    let values =
        (name, version, key, sealed, hosts, workflows, description, created_at, created_by, updated_at, updated_by);
    Ok(db.execute(&sql, values)? > 0)
}

/// A secret whose lists were not looked at yet.
type Raw = (SecretRow, Option<String>, Option<String>);

fn all(db: &Database) -> Result<Vec<Raw>, database::Error> {
    db.all(&format!("SELECT {SECRET} FROM secrets ORDER BY name"), (), raw)
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let secret = SecretRow {
        name: row.get(0)?,
        version: row.get(1)?,
        key: row.get(2)?,
        sealed: row.get(3)?,
        hosts: None,
        workflows: None,
        description: row.get(6)?,
        created_at: row.get(7)?,
        created_by: row.get(8)?,
        updated_at: row.get(9)?,
        updated_by: row.get(10)?,
    };
    Ok((secret, row.get(4)?, row.get(5)?))
}

fn checked(rows: Vec<Raw>) -> Result<Vec<SecretRow>, StoreError> {
    let list = |text: Option<String>| text.map(|text| serde_json::from_str(&text)).transpose();
    let row = |(row, hosts, workflows): Raw| {
        let lists = list(hosts).and_then(|hosts| Ok((hosts, list(workflows)?)));
        let (hosts, workflows) =
            lists.map_err(|error| StoreError::Damaged(format!("the rules of the secret `{}`: {error}", row.name)))?;
        Ok(SecretRow { hosts, workflows, ..row })
    };
    rows.into_iter().map(row).collect()
}
