//! The audit log.

use async_trait::async_trait;
use liteagent_backends::{
    database::Error,
    postgres::{Columns as _, Row, Tx, sql, stored},
};
use liteagent_engine::{store::StoreError, units::Millis};

use crate::store::{AuditFilter, AuditRow, AuditStore, Entry, postgres::PostgresStore};

/// Adds an entry in the transaction of what it tells.
pub(in crate::store::postgres) async fn record(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), Error> {
    let Entry { at, who, action, target, address, outcome } = entry;
    let add =
        sql("INSERT INTO audit (at, who, action, target, address, outcome) VALUES ($1, $2, $3, $4, $5, $6)").bind(at);
    let add = add.bind(stored(who)).bind(*action).bind(stored(target)).bind(stored(address)).bind(outcome.as_str());
    tx.execute(add).await.map(drop)
}

#[async_trait]
impl AuditStore for PostgresStore {
    async fn record(&self, entry: Entry) -> Result<(), StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                record(&mut tx, &entry).await?;
                tx.done(()).await
            })
            .await
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let AuditFilter { before, who, action, target, limit } = &filter;
        let text = |text: &Option<String>| text.as_deref().map(|text| stored(text).into_owned());
        let query = sql("SELECT id, at, who, action, target, address, outcome FROM audit \
                         WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR who = $2) \
                         AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR target = $4) \
                         ORDER BY id DESC LIMIT $5");
        let query = query.bind(before).bind(text(who)).bind(text(action)).bind(text(target)).bind(i64::from(*limit));
        Ok(self.0.rows(query).await?.iter().map(audit_row).collect::<Result<_, _>>()?)
    }

    async fn forget_audit(&self, before: Millis) -> Result<(), StoreError> {
        self.0.write(|| sql("DELETE FROM audit WHERE at < $1").bind(before)).await.map(drop)
    }
}

fn audit_row(row: &Row) -> Result<AuditRow, Error> {
    Ok(AuditRow {
        id: row.value(0)?,
        at: row.value(1)?,
        who: row.text(2)?,
        action: row.text(3)?,
        target: row.text(4)?,
        address: row.text(5)?,
        outcome: row.text(6)?,
    })
}
