//! API keys.

use async_trait::async_trait;
use liteagent_backends::database::{Database, damaged};
use liteagent_engine::{store::StoreError, units::Millis};
use rusqlite::{Row, params};

use super::record;
use crate::store::{Entry, KeyLimits, KeyRow, KeyScope, KeyStore, TokenHash, sqlite::SqliteStore};

const KEY: &str = "id, prefix, name, kind, scope, rate, created_by, created_at, expires_at, revoked_at, used_at, runs, tokens, cost, \
     read_only";
const WORKFLOW: &str = "workflow";
const KNOWLEDGE_BASE: &str = "knowledge_base";

#[async_trait]
impl KeyStore for SqliteStore {
    async fn add_key(&self, row: KeyRow, hash: TokenHash, entry: Entry) -> Result<(), StoreError> {
        self.write(move |db| {
            let (kind, scope) = match &row.scope {
                KeyScope::Workflow(name) => (WORKFLOW, name),
                KeyScope::KnowledgeBase(name) => (KNOWLEDGE_BASE, name),
            };
            let sql = format!(
                "INSERT INTO api_keys (hash, {KEY}) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
            );
            let values = params![
                hash,
                row.id,
                row.prefix,
                row.name,
                kind,
                scope,
                row.rate,
                row.created_by,
                row.created_at,
                row.expires_at,
                row.revoked_at,
                row.used_at,
                row.limits.runs,
                row.limits.tokens.map(amount),
                row.limits.cost.map(amount),
                row.read_only,
            ];
            db.execute(&sql, values)?;
            record(db, &entry)
        })
        .await
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let sql = format!("SELECT {KEY} FROM api_keys WHERE revoked_at IS NULL ORDER BY created_at DESC, id");
        let rows = self.read(move |db| db.all(&sql, (), key)).await?;
        rows.into_iter().collect()
    }

    async fn key(&self, hash: TokenHash) -> Result<Option<KeyRow>, StoreError> {
        let sql = format!("SELECT {KEY} FROM api_keys WHERE hash = ?1");
        self.read(move |db| db.first(&sql, [hash], key)).await?.transpose()
    }

    async fn revoke_key(&self, id: &str, entry: Entry) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write(move |db| {
            let sql = "UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
            let revoked = db.execute(sql, (&id, entry.at))? > 0;
            if revoked {
                record(db, &entry)?;
            }
            Ok(revoked)
        })
        .await
    }

    async fn key_used(&self, id: &str, at: Millis) -> Result<(), StoreError> {
        let id = id.to_owned();
        let sql = "UPDATE api_keys SET used_at = ?2 WHERE id = ?1 AND (used_at IS NULL OR used_at < ?2)";
        self.write(move |db: &Database| db.execute(sql, (&id, at)).map(drop)).await
    }
}

/// As much as a column holds.
fn amount(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

fn key(row: &Row<'_>) -> rusqlite::Result<Result<KeyRow, StoreError>> {
    let (kind, scope): (String, String) = (row.get(3)?, row.get(4)?);
    let scope = match kind.as_str() {
        WORKFLOW => KeyScope::Workflow(scope),
        KNOWLEDGE_BASE => KeyScope::KnowledgeBase(scope),
        _ => return Ok(Err(damaged(format!("an API key is for a `{kind}`")).into())),
    };
    Ok(Ok(KeyRow {
        id: row.get(0)?,
        prefix: row.get(1)?,
        name: row.get(2)?,
        scope,
        rate: row.get(5)?,
        limits: KeyLimits {
            runs: row.get(11)?,
            tokens: row.get::<_, Option<i64>>(12)?.map(i64::cast_unsigned),
            cost: row.get::<_, Option<i64>>(13)?.map(i64::cast_unsigned),
        },
        created_by: row.get(6)?,
        created_at: row.get(7)?,
        expires_at: row.get(8)?,
        revoked_at: row.get(9)?,
        used_at: row.get(10)?,
        read_only: row.get(14)?,
    }))
}
