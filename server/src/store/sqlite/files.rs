//! Uploads in SQLite.

use async_trait::async_trait;
use liteagent_backends::database::{self, Database};
use liteagent_engine::{
    store::{FileValue, StoreError},
    units::Millis,
};
use rusqlite::Row;

use super::SqliteStore;
use crate::store::{UploadKey, UploadRow, UploadStore, Uploaded};

const UPLOAD: &str = "id, owner, name, mime, size, sha256, note, created_at";

#[async_trait]
impl UploadStore for SqliteStore {
    async fn add_uploads(
        &self,
        owner: &str,
        rows: Vec<UploadRow>,
        key: Option<UploadKey>,
        since: Millis,
    ) -> Result<Uploaded, StoreError> {
        let owner = owner.to_owned();
        self.write(move |db| {
            if let Some(key) = &key
                && let Some(before) = before(db, &owner, key, since)?
            {
                return Ok(before);
            }
            let sql = format!("INSERT INTO uploads ({UPLOAD}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
            for UploadRow { file, owner, note, created_at } in &rows {
                let FileValue { id, name, mime, size, sha256 } = file;
                db.execute(&sql, (id, owner, name, mime, *size as i64, sha256, note, created_at))?;
            }
            if let (Some(key), Some(first)) = (&key, rows.first()) {
                let ids: Vec<&str> = rows.iter().map(|row| &*row.file.id).collect();
                let sql = "INSERT OR REPLACE INTO upload_keys (owner, key, body, ids, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
                db.execute(sql, (&owner, &key.key, key.body.as_str(), ids.join(" "), first.created_at))?;
            }
            Ok(Uploaded::New)
        })
        .await
    }

    async fn upload(&self, owner: &str, id: &str) -> Result<Option<UploadRow>, StoreError> {
        let (owner, id) = (owner.to_owned(), id.to_owned());
        self.read(move |db| one(db, &owner, &id)).await
    }

    async fn uploads(
        &self,
        owner: &str,
        before: Option<(Millis, String)>,
        limit: u32,
    ) -> Result<Vec<UploadRow>, StoreError> {
        let owner = owner.to_owned();
        let (at, id) = before.unwrap_or((Millis::MAX, String::new()));
        let sql = format!(
            "SELECT {UPLOAD} FROM uploads WHERE owner = ?1 AND (created_at, id) < (?2, ?3) \
             ORDER BY created_at DESC, id DESC LIMIT ?4"
        );
        self.read(move |db| db.all(&sql, (owner, at, id, limit), upload)).await
    }

    async fn delete_upload(&self, owner: &str, id: &str) -> Result<bool, StoreError> {
        let (owner, id) = (owner.to_owned(), id.to_owned());
        let sql = "DELETE FROM uploads WHERE owner = ?1 AND id = ?2";
        self.write(move |db| Ok(db.execute(sql, (&owner, &id))? > 0)).await
    }

    async fn forget_uploads(&self, before: Millis) -> Result<u64, StoreError> {
        self.write(move |db| {
            db.execute("DELETE FROM upload_keys WHERE created_at < ?1", [before])?;
            Ok(db.execute("DELETE FROM uploads WHERE created_at < ?1", [before])? as u64)
        })
        .await
    }
}

/// What a key gave before.
fn before(db: &Database, owner: &str, key: &UploadKey, since: Millis) -> Result<Option<Uploaded>, database::Error> {
    let sql = "SELECT body, ids FROM upload_keys WHERE owner = ?1 AND key = ?2 AND created_at >= ?3";
    let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let Some((body, ids)) = db.first(sql, (owner, &key.key, since), read)? else { return Ok(None) };
    if body != key.body.as_str() {
        return Ok(Some(Uploaded::Conflict));
    }
    let rows = ids.split(' ').filter_map(|id| one(db, owner, id).transpose()).collect::<Result<_, _>>()?;
    Ok(Some(Uploaded::Before(rows)))
}

fn one(db: &Database, owner: &str, id: &str) -> Result<Option<UploadRow>, database::Error> {
    let sql = format!("SELECT {UPLOAD} FROM uploads WHERE owner = ?1 AND id = ?2");
    db.first(&sql, (owner, id), upload)
}

fn upload(row: &Row<'_>) -> rusqlite::Result<UploadRow> {
    let size: i64 = row.get(4)?;
    let file = FileValue {
        id: row.get(0)?,
        name: row.get(2)?,
        mime: row.get(3)?,
        size: u64::try_from(size).unwrap_or_default(),
        sha256: row.get(5)?,
    };
    Ok(UploadRow { file, owner: row.get(1)?, note: row.get(6)?, created_at: row.get(7)? })
}
