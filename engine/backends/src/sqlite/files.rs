//! The rows of files.

use async_trait::async_trait;
use liteagent_engine::{
    id::{Digest, RunId},
    store::{FileValue, StoreError},
    units::Millis,
};
use rusqlite::params;

use super::{
    SqliteStore,
    row::{file_row, hash},
    runs,
};
use crate::{
    database::{Error, damaged},
    files::FileRows,
};

#[async_trait]
impl FileRows for SqliteStore {
    async fn put_file(&self, run: RunId, file: &FileValue, at: Millis) -> Result<(), StoreError> {
        let digest: Digest = file.sha256.parse().map_err(damaged)?;
        let file = file.clone();
        let put = move |db: &super::Db| {
            runs::name_blobs(db, run, std::slice::from_ref(&digest))?;
            db.execute(
                "INSERT OR IGNORE INTO files (id, run, name, mime, size, digest, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![file.id, run.0.as_bytes(), file.name, file.mime, file.size as i64, hash(&digest), at],
            )
        };
        self.0.writer.write(put).await.map(drop)
    }

    async fn drop_files(&self, run: RunId) -> Result<(), StoreError> {
        let drop_all = move |db: &super::Db| {
            for table in ["files", "blobs"] {
                let sql =
                    format!("DELETE FROM {table} WHERE run = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?1)");
                db.execute(&sql, params![run.0.as_bytes()])?;
            }
            Ok(())
        };
        self.0.writer.write(drop_all).await
    }

    async fn share_files(&self, from: RunId, to: RunId, ids: Vec<String>, at: Millis) -> Result<(), StoreError> {
        let share = move |db: &super::Db| {
            for id in &ids {
                let (from, to) = (from.0.as_bytes(), to.0.as_bytes());
                db.execute(
                    "INSERT OR IGNORE INTO files (id, run, name, mime, size, digest, created_at) \
                     SELECT id, ?3, name, mime, size, digest, ?4 FROM files WHERE run = ?2 AND id = ?1",
                    params![id, from, to, at],
                )?;
                db.execute(
                    "INSERT OR IGNORE INTO blobs (run, digest) SELECT run, digest FROM files WHERE run = ?2 AND id = ?1",
                    params![id, to],
                )?;
            }
            Ok(())
        };
        self.0.writer.write(share).await
    }

    async fn file(&self, run: RunId, id: &str) -> Result<Option<(FileValue, Digest)>, StoreError> {
        let sql = "SELECT id, name, mime, size, digest FROM files WHERE id = ?1 AND run = ?2";
        let query = sqlx::query(sql).bind(id.to_owned()).bind(run.0.into_bytes().to_vec());
        let row = query.fetch_optional(&self.0.readers).await.map_err(Error::from)?;
        Ok(row.as_ref().map(file_row).transpose()?)
    }
}
