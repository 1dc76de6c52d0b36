//! The vault in PostgreSQL.

use async_trait::async_trait;
use liteagent_backends::{
    database::{Error, damaged},
    postgres::{Columns as _, Row, Tx, sql, stored},
};
use liteagent_engine::store::StoreError;

use super::{PostgresStore, accounts::record};
use crate::store::{Entry, SecretRow, SecretStore};

#[async_trait]
impl SecretStore for PostgresStore {
    async fn secrets(&self) -> Result<(i64, Vec<SecretRow>), StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.snapshot().await?;
                let revision = tx.first(sql(REVISION)).await?.map_or(Ok(0), |row| row.value(0))?;
                let query =
                    sql("SELECT name, version, key, sealed, hosts, workflows, description, created_at, created_by, \
                                 updated_at, updated_by FROM secrets ORDER BY name");
                let rows = tx.rows(query).await?;
                Ok((revision, rows.iter().map(secret).collect::<Result<_, _>>()?))
            })
            .await
    }

    async fn secrets_revision(&self) -> Result<i64, StoreError> {
        Ok(self.0.first(sql(REVISION)).await?.map_or(Ok(0), |row| row.value(0))?)
    }

    async fn put_secret(&self, row: SecretRow, entry: Entry) -> Result<bool, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                if !put(&mut tx, &row).await? {
                    return Ok(false);
                }
                changed(&mut tx, &entry).await?;
                tx.done(true).await
            })
            .await
    }

    async fn reseal_secrets(&self, mut rows: Vec<SecretRow>, entry: Entry) -> Result<bool, StoreError> {
        // In one order, so that two processes do not wait for each other.
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                for row in &rows {
                    // What was done before is undone with the transaction.
                    if !put(&mut tx, row).await? {
                        return Ok(false);
                    }
                }
                changed(&mut tx, &entry).await?;
                tx.done(true).await
            })
            .await
    }

    async fn delete_secret(&self, name: &str, entry: Entry) -> Result<bool, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                if tx.execute(sql("DELETE FROM secrets WHERE name = $1").bind(stored(name))).await? == 0 {
                    return Ok(false);
                }
                changed(&mut tx, &entry).await?;
                tx.done(true).await
            })
            .await
    }
}

const REVISION: &str = "SELECT revision FROM secret_changes";

/// Counts a change that was made, and tells of it.
async fn changed(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), Error> {
    tx.execute(sql("UPDATE secret_changes SET revision = revision + 1")).await?;
    record(tx, entry).await
}

/// Adds a secret of version 1, or replaces the version before; `false` when something else is there.
async fn put(tx: &mut Tx<'_>, row: &SecretRow) -> Result<bool, Error> {
    let text = if row.version == 1 {
        "INSERT INTO secrets (name, version, key, sealed, hosts, workflows, description, created_at, created_by, updated_at, \
         updated_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE secrets SET version = $2, key = $3, sealed = $4, hosts = $5, workflows = $6, description = $7, \
         created_at = $8, created_by = $9, updated_at = $10, updated_by = $11 WHERE name = $1 AND version = $2 - 1"
    };
    let list = |list: &Option<Vec<String>>| list.as_ref().map(serde_json::to_string).transpose();
    let put = sql(text)
        .bind(stored(&row.name))
        .bind(i64::from(row.version))
        .bind(&row.key)
        .bind(&row.sealed)
        .bind(list(&row.hosts)?)
        .bind(list(&row.workflows)?)
        .bind(row.description.as_deref().map(stored))
        .bind(row.created_at)
        .bind(stored(&row.created_by))
        .bind(row.updated_at)
        .bind(stored(&row.updated_by));
    Ok(tx.execute(put).await? > 0)
}

fn secret(row: &Row) -> Result<SecretRow, Error> {
    let name = row.text(0)?;
    let list = |column| -> Result<Option<Vec<String>>, Error> {
        let list = row.maybe_text(column)?.map(|text| serde_json::from_str(&text)).transpose();
        list.map_err(|error| damaged(format!("the rules of the secret `{name}`: {error}")))
    };
    Ok(SecretRow {
        version: row.number(1)?,
        key: row.text(2)?,
        sealed: row.value(3)?,
        hosts: list(4)?,
        workflows: list(5)?,
        description: row.maybe_text(6)?,
        created_at: row.value(7)?,
        created_by: row.text(8)?,
        updated_at: row.value(9)?,
        updated_by: row.text(10)?,
        name,
    })
}
