//! Triggers that start runs after others, in PostgreSQL.

use async_trait::async_trait;
use liteagent_backends::{
    database::Error,
    postgres::{Columns as _, Row, sql, stored},
};
use liteagent_engine::{
    id::RunId,
    store::{EndPlace, StoreError},
    units::Millis,
};

use super::PostgresStore;
use crate::store::{AfterFiring, AfterState, AfterStore, ScheduleId};

#[async_trait]
impl AfterStore for PostgresStore {
    async fn after_states(&self) -> Result<Vec<AfterState>, StoreError> {
        let row = |row: &Row| -> Result<AfterState, Error> {
            let id = ScheduleId { workflow: row.text(0)?, name: row.text(1)? };
            Ok(AfterState { id, watched: row.text(2)?, place: EndPlace(row.value(3)?) })
        };
        let rows = self.0.rows(sql("SELECT workflow, name, watched, place FROM after_states")).await?;
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn begin_after(&self, state: AfterState) -> Result<(), StoreError> {
        let AfterState { id, watched, place } = &state;
        let text = "INSERT INTO after_states AS old (workflow, name, watched, place) VALUES ($1, $2, $3, $4) \
                    ON CONFLICT (workflow, name) DO UPDATE SET watched = $3, place = $4 WHERE old.watched <> $3";
        let begin = || sql(text).bind(stored(&id.workflow)).bind(stored(&id.name)).bind(stored(watched)).bind(place.0);
        self.0.write(begin).await.map(drop)
    }

    async fn end_after(&self, id: &ScheduleId) -> Result<(), StoreError> {
        let text = "DELETE FROM after_states WHERE workflow = $1 AND name = $2";
        self.0.write(|| sql(text).bind(stored(&id.workflow)).bind(stored(&id.name))).await.map(drop)
    }

    async fn record_after(&self, firing: AfterFiring) -> Result<(), StoreError> {
        let AfterFiring { id, ended, place, at, run, message } = &firing;
        let text = "INSERT INTO after_firings AS old (workflow, name, ended, place, at, run, message) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workflow, name, ended) \
                    DO UPDATE SET at = $5, run = $6, message = $7 WHERE old.run IS NULL";
        let add = || {
            let add = sql(text).bind(stored(&id.workflow)).bind(stored(&id.name)).bind(ended.0).bind(place.0).bind(at);
            add.bind(run.map(|run| run.0)).bind(message.as_deref().map(stored))
        };
        self.0.write(add).await.map(drop)
    }

    async fn advance_after(&self, place: EndPlace) -> Result<(), StoreError> {
        // In one order, so that two processes do not wait for each other.
        let text = "WITH behind AS MATERIALIZED (SELECT workflow, name FROM after_states WHERE place < $1 \
                    ORDER BY workflow, name FOR UPDATE) UPDATE after_states AS old SET place = $1 FROM behind \
                    WHERE (old.workflow, old.name) = (behind.workflow, behind.name) AND old.place < $1";
        self.0.write(|| sql(text).bind(place.0)).await.map(drop)
    }

    async fn after_firings(&self, id: &ScheduleId, limit: u32) -> Result<Vec<AfterFiring>, StoreError> {
        let query = sql("SELECT ended, place, at, run, message FROM after_firings WHERE workflow = $1 AND name = $2 \
                         ORDER BY place DESC LIMIT $3");
        let query = query.bind(stored(&id.workflow)).bind(stored(&id.name)).bind(i64::from(limit));
        let firing = |row: &Row| -> Result<AfterFiring, Error> {
            Ok(AfterFiring {
                id: id.clone(),
                ended: RunId(row.value(0)?),
                place: EndPlace(row.value(1)?),
                at: row.value(2)?,
                run: row.value::<Option<_>>(3)?.map(RunId),
                message: row.maybe_text(4)?,
            })
        };
        Ok(self.0.rows(query).await?.iter().map(firing).collect::<Result<_, _>>()?)
    }

    async fn forget_after_firings(&self, before: Millis) -> Result<(), StoreError> {
        self.0.write(|| sql("DELETE FROM after_firings WHERE at < $1").bind(before)).await.map(drop)
    }
}
