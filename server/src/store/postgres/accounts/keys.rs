//! API keys.

use async_trait::async_trait;
use liteagent_backends::{
    database::{Error, damaged},
    postgres::{Columns as _, Row, sql, stored},
};
use liteagent_engine::{store::StoreError, units::Millis};

use super::record;
use crate::store::{Entry, KeyLimits, KeyRow, KeyScope, KeyStore, TokenHash, postgres::PostgresStore};

/// The columns that [`key`] reads.
macro_rules! key_columns {
    () => {
        "id, prefix, name, kind, scope, rate, created_by, created_at, expires_at, revoked_at, used_at, runs, tokens, cost, \
         read_only"
    };
}
const WORKFLOW: &str = "workflow";
const KNOWLEDGE_BASE: &str = "knowledge_base";

#[async_trait]
impl KeyStore for PostgresStore {
    async fn add_key(&self, row: KeyRow, hash: TokenHash, entry: Entry) -> Result<(), StoreError> {
        let (kind, scope) = match &row.scope {
            KeyScope::Workflow(name) => (WORKFLOW, name),
            KeyScope::KnowledgeBase(name) => (KNOWLEDGE_BASE, name),
        };
        let add = || {
            sql(concat!(
                "INSERT INTO api_keys (hash, ",
                key_columns!(),
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
            ))
            .bind(hash)
            .bind(&row.id)
            .bind(&row.prefix)
            .bind(stored(&row.name))
            .bind(kind)
            .bind(stored(scope))
            .bind(row.rate.map(i64::from))
            .bind(stored(&row.created_by))
            .bind(row.created_at)
            .bind(row.expires_at)
            .bind(row.revoked_at)
            .bind(row.used_at)
            .bind(row.limits.runs.map(i64::from))
            .bind(row.limits.tokens.map(amount))
            .bind(row.limits.cost.map(amount))
            .bind(row.read_only)
        };
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                tx.execute(add()).await?;
                record(&mut tx, &entry).await?;
                tx.done(()).await
            })
            .await
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let query = sql(concat!(
            "SELECT ",
            key_columns!(),
            " FROM api_keys WHERE revoked_at IS NULL ORDER BY created_at DESC, id"
        ));
        Ok(self.0.rows(query).await?.iter().map(key).collect::<Result<_, _>>()?)
    }

    async fn key(&self, hash: TokenHash) -> Result<Option<KeyRow>, StoreError> {
        let query = sql(concat!("SELECT ", key_columns!(), " FROM api_keys WHERE hash = $1")).bind(hash);
        Ok(self.0.first(query).await?.as_ref().map(key).transpose()?)
    }

    async fn revoke_key(&self, id: &str, entry: Entry) -> Result<bool, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                let revoke = sql("UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL");
                let is_revoked = tx.execute(revoke.bind(stored(id)).bind(entry.at)).await? > 0;
                if is_revoked {
                    record(&mut tx, &entry).await?;
                }
                tx.done(is_revoked).await
            })
            .await
    }

    async fn key_used(&self, id: &str, at: Millis) -> Result<(), StoreError> {
        let text = "UPDATE api_keys SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)";
        self.0.write(|| sql(text).bind(stored(id)).bind(at)).await.map(drop)
    }
}

/// As much as a column holds.
fn amount(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

fn key(row: &Row) -> Result<KeyRow, Error> {
    let (kind, scope) = (row.text(3)?, row.text(4)?);
    let scope = match kind.as_str() {
        WORKFLOW => KeyScope::Workflow(scope),
        KNOWLEDGE_BASE => KeyScope::KnowledgeBase(scope),
        _ => return Err(damaged(format!("an API key is for a `{kind}`"))),
    };
    Ok(KeyRow {
        id: row.text(0)?,
        prefix: row.text(1)?,
        name: row.text(2)?,
        scope,
        rate: row.maybe_number(5)?,
        limits: KeyLimits { runs: row.maybe_number(11)?, tokens: row.maybe_number(12)?, cost: row.maybe_number(13)? },
        created_by: row.text(6)?,
        created_at: row.value(7)?,
        expires_at: row.value(8)?,
        revoked_at: row.value(9)?,
        used_at: row.value(10)?,
        read_only: row.value(14)?,
    })
}
