//! Uploads in PostgreSQL.

use async_trait::async_trait;
use liteagent_backends::{
    database::Error,
    postgres::{Columns as _, Failure, Row, Sql, Tx, sql, stored},
};
use liteagent_engine::{
    store::{FileValue, StoreError},
    units::Millis,
};

use super::PostgresStore;
use crate::store::{UploadKey, UploadRow, UploadStore, Uploaded};

/// The columns that [`upload`] reads.
macro_rules! upload_columns {
    () => {
        "id, owner, name, mime, size, sha256, note, created_at"
    };
}

#[async_trait]
impl UploadStore for PostgresStore {
    async fn add_uploads(
        &self,
        owner: &str,
        rows: Vec<UploadRow>,
        key: Option<UploadKey>,
        since: Millis,
    ) -> Result<Uploaded, StoreError> {
        self.0.again(|| self.keep(owner, &rows, key.as_ref(), since)).await
    }

    async fn upload(&self, owner: &str, id: &str) -> Result<Option<UploadRow>, StoreError> {
        Ok(self.0.first(one(owner, id)).await?.as_ref().map(upload).transpose()?)
    }

    async fn uploads(
        &self,
        owner: &str,
        before: Option<(Millis, String)>,
        limit: u32,
    ) -> Result<Vec<UploadRow>, StoreError> {
        let (at, id) = before.unwrap_or((Millis::MAX, String::new()));
        let query = sql(concat!(
            "SELECT ",
            upload_columns!(),
            " FROM uploads WHERE owner = $1 AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4"
        ));
        let query = query.bind(stored(owner)).bind(at).bind(stored(&id)).bind(i64::from(limit));
        Ok(self.0.rows(query).await?.iter().map(upload).collect::<Result<_, _>>()?)
    }

    async fn delete_upload(&self, owner: &str, id: &str) -> Result<bool, StoreError> {
        let text = "DELETE FROM uploads WHERE owner = $1 AND id = $2";
        Ok(self.0.write(|| sql(text).bind(stored(owner)).bind(stored(id))).await? > 0)
    }

    async fn forget_uploads(&self, before: Millis) -> Result<u64, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                tx.execute(sql("DELETE FROM upload_keys WHERE created_at < $1").bind(before)).await?;
                let gone = tx.execute(sql("DELETE FROM uploads WHERE created_at < $1").bind(before)).await?;
                tx.done(gone).await
            })
            .await
    }
}

impl PostgresStore {
    async fn keep(
        &self,
        owner: &str,
        rows: &[UploadRow],
        key: Option<&UploadKey>,
        since: Millis,
    ) -> Result<Uploaded, Failure> {
        let mut tx = self.0.begin().await?;
        if let Some(key) = key
            && !claim(&mut tx, owner, key, rows, since).await?
        {
            return Ok(before(&mut tx, owner, key).await?);
        }
        for UploadRow { file, owner, note, created_at } in rows {
            let FileValue { id, name, mime, size, sha256 } = file;
            let text = concat!("INSERT INTO uploads (", upload_columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
            let add = sql(text)
                .bind(stored(id))
                .bind(stored(owner))
                .bind(stored(name))
                .bind(stored(mime))
                .bind(*size as i64)
                .bind(sha256)
                .bind(note.as_deref().map(stored))
                .bind(created_at);
            tx.execute(add).await?;
        }
        tx.done(Uploaded::New).await
    }
}

/// Takes a key for these uploads; `false` when a request had it since a time. One that comes at the same time is waited for.
async fn claim(
    tx: &mut Tx<'_>,
    owner: &str,
    key: &UploadKey,
    rows: &[UploadRow],
    since: Millis,
) -> Result<bool, Error> {
    let ids: Vec<&str> = rows.iter().map(|row| &*row.file.id).collect();
    let text = "INSERT INTO upload_keys AS old (owner, key, body, ids, created_at) VALUES ($1, $2, $3, $4, $5) \
                ON CONFLICT (owner, key) DO UPDATE SET body = $3, ids = $4, created_at = $5 WHERE old.created_at < $6";
    let claim = sql(text)
        .bind(stored(owner))
        .bind(stored(&key.key))
        .bind(key.body.as_str())
        .bind(ids.join(" "))
        .bind(rows.first().map_or(since, |row| row.created_at))
        .bind(since);
    Ok(tx.execute(claim).await? > 0)
}

/// What a key gave before.
async fn before(tx: &mut Tx<'_>, owner: &str, key: &UploadKey) -> Result<Uploaded, Error> {
    let query = sql("SELECT body, ids FROM upload_keys WHERE owner = $1 AND key = $2");
    let found = tx.first(query.bind(stored(owner)).bind(stored(&key.key))).await?;
    let (body, ids) = found.map_or(Ok(Default::default()), |found| Ok::<_, Error>((found.text(0)?, found.text(1)?)))?;
    if body != key.body.as_str() {
        return Ok(Uploaded::Conflict);
    }
    let mut rows = Vec::new();
    for id in ids.split(' ') {
        rows.extend(tx.first(one(owner, id)).await?.as_ref().map(upload).transpose()?);
    }
    Ok(Uploaded::Before(rows))
}

fn one<'q>(owner: &'q str, id: &'q str) -> Sql<'q> {
    sql(concat!("SELECT ", upload_columns!(), " FROM uploads WHERE owner = $1 AND id = $2"))
        .bind(stored(owner))
        .bind(stored(id))
}

fn upload(row: &Row) -> Result<UploadRow, Error> {
    let file = FileValue {
        id: row.text(0)?,
        name: row.text(2)?,
        mime: row.text(3)?,
        size: row.number(4)?,
        sha256: row.text(5)?,
    };
    Ok(UploadRow { file, owner: row.text(1)?, note: row.maybe_text(6)?, created_at: row.value(7)? })
}
