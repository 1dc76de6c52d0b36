//! Keys and cached outputs.

use async_trait::async_trait;
use liteagent_engine::{
    id::{Digest, RunId},
    store::{Expect, Kv, KvEntry, OutputCache, StoreError},
    units::Millis,
    value::Value,
};
use rusqlite::params;

use super::{
    Shared, SqliteStore,
    db::Db,
    row::{entry_row, hash, text},
};
use crate::database::Error;

#[async_trait]
impl Kv for SqliteStore {
    async fn get(&self, namespace: &str, key: &str) -> Result<Option<KvEntry>, StoreError> {
        Ok(self.0.entry(namespace, key).await?)
    }

    async fn set(
        &self,
        namespace: &str,
        key: &str,
        value: Value,
        expect: Expect,
    ) -> Result<Result<KvEntry, Option<KvEntry>>, StoreError> {
        let place = (namespace.to_owned(), key.to_owned());
        self.0.writer.write(move |db| set(db, &place, &value, &expect)).await
    }

    async fn delete(&self, namespace: &str, key: &str) -> Result<bool, StoreError> {
        let place = (namespace.to_owned(), key.to_owned());
        let delete =
            move |db: &Db| db.execute("DELETE FROM kv WHERE namespace = ?1 AND key = ?2", params![place.0, place.1]);
        Ok(self.0.writer.write(delete).await? > 0)
    }
}

fn set(
    db: &Db,
    (namespace, key): &(String, String),
    value: &Value,
    expect: &Expect,
) -> Result<Result<KvEntry, Option<KvEntry>>, Error> {
    let sql = "SELECT value, version FROM kv WHERE namespace = ?1 AND key = ?2";
    let found = db.first(sql, params![namespace, key], |row| Ok(entry_row(row)))?.transpose()?;
    if !expect.fits(found.as_ref()) {
        return Ok(Err(found));
    }
    let entry = KvEntry { value: value.clone(), version: found.map_or(0, |entry| entry.version) + 1 };
    let sql = "INSERT OR REPLACE INTO kv (namespace, key, value, version) VALUES (?1, ?2, ?3, ?4)";
    db.execute(sql, params![namespace, key, serde_json::to_string(value)?, entry.version as i64])?;
    Ok(Ok(entry))
}

impl Shared {
    async fn entry(&self, namespace: &str, key: &str) -> Result<Option<KvEntry>, Error> {
        let sql = "SELECT value, version FROM kv WHERE namespace = ?1 AND key = ?2";
        let query = sqlx::query(sql).bind(namespace.to_owned()).bind(key.to_owned());
        query.fetch_optional(&self.readers).await?.as_ref().map(entry_row).transpose()
    }

    async fn output(&self, key: &Digest, at: Millis) -> Result<Option<Value>, Error> {
        let query = sqlx::query("SELECT output FROM outputs WHERE key = ?1 AND until > ?2").bind(hash(key)).bind(at);
        let Some(row) = query.fetch_optional(&self.readers).await? else { return Ok(None) };
        Ok(Some(serde_json::from_str(&text(&row, 0)?)?))
    }
}

#[async_trait]
impl OutputCache for SqliteStore {
    async fn lookup(&self, key: &Digest, at: Millis) -> Result<Option<Value>, StoreError> {
        Ok(self.0.output(key, at).await?)
    }

    async fn fill(&self, key: &Digest, output: &Value, until: Millis, run: RunId) -> Result<(), StoreError> {
        let (key, output) = (hash(key), serde_json::to_string(output).map_err(Error::from)?);
        let fill = move |db: &Db| {
            db.execute(
                "INSERT OR REPLACE INTO outputs (key, output, until, run) VALUES (?1, ?2, ?3, ?4)",
                params![key, output, until, run.0.as_bytes()],
            )
        };
        self.0.writer.write(fill).await.map(drop)
    }
}
