//! The rows of files.

use async_trait::async_trait;
use liteagent_engine::{
    id::{Digest, RunId},
    store::{FileValue, StoreError},
    units::Millis,
};

use super::{PostgresStore, changes::column, db::sql, stored::stored};
use crate::{
    database::damaged,
    files::FileRows,
    row::{file_row, hash},
};

#[async_trait]
impl FileRows for PostgresStore {
    async fn put_file(&self, run: RunId, file: &FileValue, at: Millis) -> Result<(), StoreError> {
        let digest: Digest = file.sha256.parse().map_err(damaged)?;
        let text = "WITH named AS (INSERT INTO blobs (run, digest) VALUES ($1, $6) ON CONFLICT DO NOTHING) \
                    INSERT INTO files (run, id, name, mime, size, digest, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                    ON CONFLICT DO NOTHING";
        let put = sql(text)
            .bind(run.0)
            .bind(stored(&file.id))
            .bind(stored(&file.name))
            .bind(stored(&file.mime))
            .bind(file.size as i64)
            .bind(hash(&digest))
            .bind(at);
        self.db().execute(put).await?;
        Ok(())
    }

    async fn share_files(&self, from: RunId, to: RunId, ids: Vec<String>, at: Millis) -> Result<(), StoreError> {
        let text = "WITH own AS MATERIALIZED (SELECT * FROM files WHERE run = $1 AND id = ANY($3)), \
                    named AS (INSERT INTO blobs (run, digest) SELECT DISTINCT $2::uuid, digest FROM own ORDER BY digest \
                    ON CONFLICT DO NOTHING) \
                    INSERT INTO files (run, id, name, mime, size, digest, created_at) \
                    SELECT $2, id, name, mime, size, digest, $4 FROM own ORDER BY id ON CONFLICT DO NOTHING";
        let share = sql(text).bind(from.0).bind(to.0).bind(column(&ids, |id| stored(id))).bind(at);
        self.db().execute(share).await?;
        Ok(())
    }

    async fn drop_files(&self, run: RunId) -> Result<(), StoreError> {
        let text = "WITH gone AS (DELETE FROM files WHERE run = $1 AND NOT EXISTS (SELECT FROM runs WHERE id = $1)) \
                    DELETE FROM blobs WHERE run = $1 AND NOT EXISTS (SELECT FROM runs WHERE id = $1)";
        self.db().execute(sql(text).bind(run.0)).await?;
        Ok(())
    }

    async fn file(&self, run: RunId, id: &str) -> Result<Option<(FileValue, Digest)>, StoreError> {
        let query = sql("SELECT id, name, mime, size, digest FROM files WHERE id = $1 AND run = $2");
        let row = self.db().first(query.bind(stored(id)).bind(run.0)).await?;
        Ok(row.as_ref().map(file_row).transpose()?)
    }
}
