//! Workflows and their versions in SQLite.

use async_trait::async_trait;
use liteagent_backends::database::{self, Database, damaged};
use liteagent_engine::{store::StoreError, units::Millis};
use rusqlite::Row;

use super::{SqliteStore, accounts::record};
use crate::store::{Entry, NewVersion, Source, StoredVersion, VersionRow, WorkflowRow, WorkflowStore};

const VERSION: &str = "workflow, version, digest, note, created_by, created_at";

#[async_trait]
impl WorkflowStore for SqliteStore {
    async fn workflows(&self, after: Option<&str>, limit: u32) -> Result<Vec<WorkflowRow>, StoreError> {
        let after = after.unwrap_or_default().to_owned();
        let sql = "SELECT name, latest, published, updated_at FROM workflows WHERE name > ?1 AND NOT deleted \
                   ORDER BY name LIMIT ?2";
        self.read(move |db| db.all(sql, (after, limit), workflow)).await
    }

    async fn workflow(&self, name: &str) -> Result<Option<WorkflowRow>, StoreError> {
        let name = name.to_owned();
        let sql = "SELECT name, latest, published, updated_at FROM workflows WHERE name = ?1 AND NOT deleted";
        self.read(move |db| db.first(sql, [name], workflow)).await
    }

    async fn add_version(&self, new: NewVersion, entry: Entry) -> Result<VersionRow, StoreError> {
        let files = serde_json::to_string(&new.source.files).expect("texts are JSON");
        self.write(move |db| add_version(db, &new, &files, &entry)).await
    }

    async fn versions(&self, name: &str, before: Option<u32>, limit: u32) -> Result<Vec<VersionRow>, StoreError> {
        let (name, before) = (name.to_owned(), before.unwrap_or(u32::MAX));
        let sql = format!(
            "SELECT {VERSION} FROM versions WHERE workflow = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3"
        );
        let rows = self.read(move |db| db.all(&sql, (name, before, limit), version)).await?;
        rows.into_iter().map(checked).collect()
    }

    async fn version(&self, name: &str, number: u32) -> Result<Option<StoredVersion>, StoreError> {
        let name = name.to_owned();
        let sql = format!("SELECT {VERSION}, source, files FROM versions WHERE workflow = ?1 AND version = ?2");
        let found = self.read(move |db| {
            db.first(&sql, (name, number), |row| {
                Ok((version(row)?, row.get::<_, String>(6)?, row.get::<_, String>(7)?))
            })
        });
        let Some((row, text, files)) = found.await? else { return Ok(None) };
        let files = serde_json::from_str(&files).map_err(database::Error::from)?;
        Ok(Some(StoredVersion { row: checked(row)?, source: Source { text, files } }))
    }

    async fn published(&self) -> Result<Vec<VersionRow>, StoreError> {
        let sql = format!(
            "SELECT {VERSION} FROM versions JOIN workflows ON name = workflow AND published = version \
             WHERE NOT deleted ORDER BY name"
        );
        let rows = self.read(move |db| db.all(&sql, (), version)).await?;
        rows.into_iter().map(checked).collect()
    }

    async fn publish(&self, name: &str, number: Option<u32>, entry: Entry) -> Result<bool, StoreError> {
        let name = name.to_owned();
        let sql = "UPDATE workflows SET published = ?2, updated_at = ?3 WHERE name = ?1 AND NOT deleted AND \
                   (?2 IS NULL OR EXISTS (SELECT 1 FROM versions WHERE workflow = ?1 AND version = ?2))";
        self.write(move |db| done(db, db.execute(sql, (&name, number, entry.at))?, &entry)).await
    }

    async fn delete_workflow(&self, name: &str, entry: Entry) -> Result<bool, StoreError> {
        let name = name.to_owned();
        let sql = "UPDATE workflows SET deleted = 1, published = NULL, updated_at = ?2 WHERE name = ?1 AND NOT deleted";
        self.write(move |db| done(db, db.execute(sql, (&name, entry.at))?, &entry)).await
    }
}

/// Whether a change was made; then the audit log has it.
fn done(db: &Database, rows: usize, entry: &Entry) -> Result<bool, database::Error> {
    if rows > 0 {
        record(db, entry)?;
    }
    Ok(rows > 0)
}

fn add_version(db: &Database, new: &NewVersion, files: &str, entry: &Entry) -> Result<VersionRow, database::Error> {
    let sql = format!(
        "SELECT {VERSION} FROM versions JOIN workflows ON name = workflow AND latest = version AND NOT deleted \
         WHERE workflow = ?1 AND digest = ?2 AND source = ?3 AND files = ?4"
    );
    let same = db.first(&sql, (&new.workflow, new.digest.as_str(), &new.source.text, files), version)?;
    let row = if let Some(row) = same {
        checked(row)?
    } else {
        record(db, entry)?;
        insert(db, new, files, entry)?
    };
    if new.publish {
        let sql = "UPDATE workflows SET published = ?2, updated_at = ?3 WHERE name = ?1 AND published IS NOT ?2";
        db.execute(sql, (&new.workflow, row.version, entry.at))?;
    }
    Ok(row)
}

fn insert(db: &Database, new: &NewVersion, files: &str, entry: &Entry) -> Result<VersionRow, database::Error> {
    let sql = "INSERT INTO workflows (name, latest, updated_at) VALUES (?1, 1, ?2) \
               ON CONFLICT (name) DO UPDATE SET latest = latest + 1, deleted = 0, updated_at = ?2 RETURNING latest";
    let number: Option<u32> = db.first(sql, (&new.workflow, entry.at), |row| row.get(0))?;
    let number = number.ok_or_else(|| damaged("a statement that returns a row returned none"))?;
    let sql = "INSERT INTO versions (workflow, version, digest, source, files, note, created_by, created_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    db.execute(
        sql,
        (&new.workflow, number, new.digest.as_str(), &new.source.text, files, &new.note, &entry.who, entry.at),
    )?;
    Ok(VersionRow {
        workflow: new.workflow.clone(),
        version: number,
        digest: new.digest.clone(),
        note: new.note.clone(),
        created_by: entry.who.clone(),
        created_at: entry.at,
    })
}

fn workflow(row: &Row<'_>) -> rusqlite::Result<WorkflowRow> {
    Ok(WorkflowRow { name: row.get(0)?, latest: row.get(1)?, published: row.get(2)?, updated_at: row.get(3)? })
}

/// A version whose digest was not looked at yet.
type RawVersion = (String, u32, String, Option<String>, String, Millis);

fn version(row: &Row<'_>) -> rusqlite::Result<RawVersion> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn checked((workflow, version, digest, note, created_by, created_at): RawVersion) -> Result<VersionRow, StoreError> {
    let digest = digest.parse().map_err(|error: String| StoreError::Damaged(error))?;
    Ok(VersionRow { workflow, version, digest, note, created_by, created_at })
}
