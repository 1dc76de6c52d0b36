//! Triggers that start runs after others, in SQLite.

use async_trait::async_trait;
use liteagent_backends::database::damaged;
use liteagent_engine::{
    id::RunId,
    store::{EndPlace, StoreError},
    units::Millis,
};
use rusqlite::Row;

use super::SqliteStore;
use crate::store::{AfterFiring, AfterState, AfterStore, ScheduleId};

#[async_trait]
impl AfterStore for SqliteStore {
    async fn after_states(&self) -> Result<Vec<AfterState>, StoreError> {
        let row = |row: &Row<'_>| {
            let id = ScheduleId { workflow: row.get(0)?, name: row.get(1)? };
            Ok(AfterState { id, watched: row.get(2)?, place: EndPlace(row.get(3)?) })
        };
        self.read(move |db| db.all("SELECT workflow, name, watched, place FROM after_states", (), row)).await
    }

    async fn begin_after(&self, state: AfterState) -> Result<(), StoreError> {
        let sql = "INSERT INTO after_states (workflow, name, watched, place) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT DO UPDATE SET watched = ?3, place = ?4 WHERE watched <> ?3";
        self.write(move |db| {
            let AfterState { id, watched, place } = &state;
            db.execute(sql, (&id.workflow, &id.name, watched, place.0)).map(drop)
        })
        .await
    }

    async fn end_after(&self, id: &ScheduleId) -> Result<(), StoreError> {
        let id = id.clone();
        let sql = "DELETE FROM after_states WHERE workflow = ?1 AND name = ?2";
        self.write(move |db| db.execute(sql, (&id.workflow, &id.name)).map(drop)).await
    }

    async fn record_after(&self, firing: AfterFiring) -> Result<(), StoreError> {
        let sql = "INSERT INTO after_firings (workflow, name, ended, place, at, run, message) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                   ON CONFLICT DO UPDATE SET at = ?5, run = ?6, message = ?7 WHERE run IS NULL";
        self.write(move |db| {
            let AfterFiring { id, ended, place, at, run, message } = &firing;
            let (ended, run) = (ended.to_string(), run.map(|run| run.to_string()));
            db.execute(sql, (&id.workflow, &id.name, ended, place.0, at, run, message)).map(drop)
        })
        .await
    }

    async fn advance_after(&self, place: EndPlace) -> Result<(), StoreError> {
        let sql = "UPDATE after_states SET place = ?1 WHERE place < ?1";
        self.write(move |db| db.execute(sql, [place.0]).map(drop)).await
    }

    async fn after_firings(&self, id: &ScheduleId, limit: u32) -> Result<Vec<AfterFiring>, StoreError> {
        let (key, id) = (id.clone(), id.clone());
        let sql = "SELECT ended, place, at, run, message FROM after_firings WHERE workflow = ?1 AND name = ?2 \
                   ORDER BY place DESC LIMIT ?3";
        let row = |row: &Row<'_>| {
            let (ended, run): (String, Option<String>) = (row.get(0)?, row.get(3)?);
            Ok((ended, EndPlace(row.get(1)?), row.get(2)?, run, row.get(4)?))
        };
        let rows = self.read(move |db| db.all(sql, (key.workflow, key.name, limit), row)).await?;
        let firing = |(ended, place, at, run, message): (String, _, _, Option<String>, _)| {
            let read = |text: &str| {
                text.parse::<RunId>().map_err(|_| damaged(format!("the trigger {id} has the run `{text}`")))
            };
            let run = run.as_deref().map(read).transpose()?;
            Ok(AfterFiring { id: id.clone(), ended: read(&ended)?, place, at, run, message })
        };
        rows.into_iter().map(firing).collect()
    }

    async fn forget_after_firings(&self, before: Millis) -> Result<(), StoreError> {
        self.write(move |db| db.execute("DELETE FROM after_firings WHERE at < ?1", [before]).map(drop)).await
    }
}
