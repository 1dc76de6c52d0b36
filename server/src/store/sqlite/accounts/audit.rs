//! The audit log.

use async_trait::async_trait;
use liteagent_backends::database::{self, Database};
use liteagent_engine::{store::StoreError, units::Millis};

use crate::store::{AuditFilter, AuditRow, AuditStore, Entry, sqlite::SqliteStore};

/// Adds an entry in the transaction of what it tells.
pub(in crate::store::sqlite) fn record(db: &Database, entry: &Entry) -> Result<(), database::Error> {
    let Entry { at, who, action, target, address, outcome } = entry;
    let sql = "INSERT INTO audit (at, who, action, target, address, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.execute(sql, (at, who, action, target, address, outcome.as_str())).map(drop)
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn record(&self, entry: Entry) -> Result<(), StoreError> {
        self.write(move |db| record(db, &entry)).await
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let AuditFilter { before, who, action, target, limit } = filter;
        let sql = "SELECT id, at, who, action, target, address, outcome FROM audit \
                   WHERE (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR who = ?2) AND (?3 IS NULL OR action = ?3) \
                   AND (?4 IS NULL OR target = ?4) ORDER BY id DESC LIMIT ?5";
        self.read(move |db| {
            db.all(sql, (before, who, action, target, limit), |row| {
                Ok(AuditRow {
                    id: row.get(0)?,
                    at: row.get(1)?,
                    who: row.get(2)?,
                    action: row.get(3)?,
                    target: row.get(4)?,
                    address: row.get(5)?,
                    outcome: row.get(6)?,
                })
            })
        })
        .await
    }

    async fn forget_audit(&self, before: Millis) -> Result<(), StoreError> {
        self.write(move |db| db.execute("DELETE FROM audit WHERE at < ?1", [before]).map(drop)).await
    }
}
