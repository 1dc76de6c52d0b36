//! Keys and cached outputs.

use async_trait::async_trait;
use liteagent_engine::{
    id::{Digest, RunId},
    store::{Expect, Kv, KvEntry, OutputCache, StoreError},
    units::Millis,
    value::Value,
};

use super::{
    PostgresStore,
    db::{Sql, sql},
    stored::stored,
};
use crate::{
    database::Error,
    row::{entry_row, hash, int, text},
};

#[async_trait]
impl Kv for PostgresStore {
    async fn get(&self, namespace: &str, key: &str) -> Result<Option<KvEntry>, StoreError> {
        Ok(self.entry(namespace, key).await?)
    }

    async fn set(
        &self,
        namespace: &str,
        key: &str,
        value: Value,
        expect: Expect,
    ) -> Result<Result<KvEntry, Option<KvEntry>>, StoreError> {
        loop {
            let set = setting(&value, &expect)?.bind(stored(namespace)).bind(stored(key));
            if let Some(row) = self.db().first(set).await? {
                return Ok(Ok(KvEntry { value, version: int(&row, 0)? as u64 }));
            }
            let found = self.entry(namespace, key).await?;
            if !expect.fits(found.as_ref()) {
                return Ok(Err(found));
            }
            // It changed between the two statements.
        }
    }

    async fn delete(&self, namespace: &str, key: &str) -> Result<bool, StoreError> {
        let delete = sql("DELETE FROM kv WHERE namespace = $1 AND key = $2");
        Ok(self.db().execute(delete.bind(stored(namespace)).bind(stored(key))).await? > 0)
    }
}

/// Sets a value where what is there is as expected, and gives the version; namespace and key follow.
fn setting(value: &Value, expect: &Expect) -> Result<Sql<'static>, Error> {
    let (text, version) = match expect {
        Expect::Any => (
            "INSERT INTO kv (value, version, namespace, key) VALUES ($1, 1 + $2, $3, $4) \
             ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, version = kv.version + 1 RETURNING version",
            0,
        ),
        Expect::Absent => (
            "INSERT INTO kv (value, version, namespace, key) VALUES ($1, 1 + $2, $3, $4) \
             ON CONFLICT DO NOTHING RETURNING version",
            0,
        ),
        Expect::Version(version) => (
            "UPDATE kv SET value = $1, version = version + 1 \
             WHERE version = $2 AND namespace = $3 AND key = $4 RETURNING version",
            i64::try_from(*version).unwrap_or(i64::MAX),
        ),
    };
    Ok(sql(text).bind(serde_json::to_string(value)?).bind(version))
}

impl PostgresStore {
    async fn entry(&self, namespace: &str, key: &str) -> Result<Option<KvEntry>, Error> {
        let query = sql("SELECT value, version FROM kv WHERE namespace = $1 AND key = $2");
        let row = self.db().first(query.bind(stored(namespace)).bind(stored(key))).await?;
        row.as_ref().map(entry_row).transpose()
    }

    async fn output(&self, key: &Digest, at: Millis) -> Result<Option<Value>, Error> {
        let query = sql("SELECT output FROM outputs WHERE key = $1 AND until > $2").bind(hash(key)).bind(at);
        let Some(row) = self.db().first(query).await? else { return Ok(None) };
        Ok(Some(serde_json::from_str(&text(&row, 0)?)?))
    }
}

#[async_trait]
impl OutputCache for PostgresStore {
    async fn lookup(&self, key: &Digest, at: Millis) -> Result<Option<Value>, StoreError> {
        Ok(self.output(key, at).await?)
    }

    async fn fill(&self, key: &Digest, output: &Value, until: Millis, run: RunId) -> Result<(), StoreError> {
        let output = serde_json::to_string(output).map_err(Error::from)?;
        let fill = "INSERT INTO outputs (key, output, until, run) VALUES ($1, $2, $3, $4) ON CONFLICT (key) \
                    DO UPDATE SET output = excluded.output, until = excluded.until, run = excluded.run";
        self.db().execute(sql(fill).bind(hash(key)).bind(output).bind(until).bind(run.0)).await?;
        Ok(())
    }
}
