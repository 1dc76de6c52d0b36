//! Schedules in PostgreSQL.

use async_trait::async_trait;
use liteagent_backends::{
    database::{Error, damaged},
    postgres::{Columns as _, Row, sql, stored},
};
use liteagent_engine::{id::RunId, store::StoreError, units::Millis};

use super::PostgresStore;
use crate::store::{Cause, Firing, FiringOutcome, ScheduleId, ScheduleRow, ScheduleState, ScheduleStore};

/// The columns that [`firing_of`] reads.
macro_rules! firing_columns {
    () => {
        "workflow, name, due_at, fired_at, cause, outcome, run, message"
    };
}

#[async_trait]
impl ScheduleStore for PostgresStore {
    async fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError> {
        let query =
            sql("SELECT workflow, name, definition, created_by, updated_at FROM schedules ORDER BY workflow, name");
        let row = |row: &Row| -> Result<ScheduleRow, Error> {
            Ok(ScheduleRow {
                id: id_of(row)?,
                definition: row.text(2)?,
                created_by: row.text(3)?,
                updated_at: row.value(4)?,
            })
        };
        Ok(self.0.rows(query).await?.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn add_schedule(&self, row: ScheduleRow) -> Result<bool, StoreError> {
        let ScheduleRow { id, definition, created_by, updated_at } = &row;
        let text = "INSERT INTO schedules (workflow, name, definition, created_by, updated_at) VALUES ($1, $2, $3, $4, $5) \
                    ON CONFLICT DO NOTHING";
        let add = || {
            let add = sql(text).bind(stored(&id.workflow)).bind(stored(&id.name));
            add.bind(stored(definition)).bind(stored(created_by)).bind(updated_at)
        };
        Ok(self.0.write(add).await? > 0)
    }

    async fn change_schedule(&self, id: &ScheduleId, definition: String, at: Millis) -> Result<bool, StoreError> {
        let text = "UPDATE schedules SET definition = $3, updated_at = $4 WHERE workflow = $1 AND name = $2";
        let change = || sql(text).bind(stored(&id.workflow)).bind(stored(&id.name)).bind(stored(&definition)).bind(at);
        Ok(self.0.write(change).await? > 0)
    }

    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                let of = |text| sql(text).bind(stored(&id.workflow)).bind(stored(&id.name));
                let is_there = tx.execute(of("DELETE FROM schedules WHERE workflow = $1 AND name = $2")).await? > 0;
                if is_there {
                    tx.execute(of("DELETE FROM schedule_states WHERE workflow = $1 AND name = $2")).await?;
                }
                tx.done(is_there).await
            })
            .await
    }

    async fn schedule_states(&self) -> Result<Vec<ScheduleState>, StoreError> {
        let query = sql("SELECT workflow, name, timing, handled_at, paused_by, paused_at FROM schedule_states");
        let row = |row: &Row| -> Result<ScheduleState, Error> {
            let paused = row.maybe_text(4)?.zip(row.value(5)?);
            Ok(ScheduleState { id: id_of(row)?, timing: row.text(2)?, handled_at: row.value(3)?, paused })
        };
        Ok(self.0.rows(query).await?.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn begin_schedule(&self, id: &ScheduleId, timing: &str, at: Millis) -> Result<(), StoreError> {
        let text = "INSERT INTO schedule_states AS old (workflow, name, timing, handled_at) VALUES ($1, $2, $3, $4) \
                    ON CONFLICT (workflow, name) DO UPDATE SET timing = $3, handled_at = $4 WHERE old.timing <> $3";
        let begin = || sql(text).bind(stored(&id.workflow)).bind(stored(&id.name)).bind(stored(timing)).bind(at);
        self.0.write(begin).await.map(drop)
    }

    async fn pause_schedule(&self, id: &ScheduleId, by: &str, at: Millis) -> Result<(), StoreError> {
        let text = "INSERT INTO schedule_states AS old (workflow, name, timing, handled_at, paused_by, paused_at) \
                    VALUES ($1, $2, '', $4, $3, $4) \
                    ON CONFLICT (workflow, name) DO UPDATE SET paused_by = $3, paused_at = $4 WHERE old.paused_at IS NULL";
        let pause = || sql(text).bind(stored(&id.workflow)).bind(stored(&id.name)).bind(stored(by)).bind(at);
        self.0.write(pause).await.map(drop)
    }

    async fn resume_schedule(&self, id: &ScheduleId, at: Millis) -> Result<bool, StoreError> {
        let text = "UPDATE schedule_states SET paused_by = NULL, paused_at = NULL, handled_at = greatest(handled_at, $3) \
                    WHERE workflow = $1 AND name = $2 AND paused_at IS NOT NULL";
        let resume = || sql(text).bind(stored(&id.workflow)).bind(stored(&id.name)).bind(at);
        Ok(self.0.write(resume).await? > 0)
    }

    async fn record_firing(&self, firing: Firing, handled_at: Option<Millis>) -> Result<(), StoreError> {
        let Firing { id, due_at, fired_at, cause, outcome, run, message } = &firing;
        let add = || {
            sql(concat!(
                "INSERT INTO schedule_firings AS old (",
                firing_columns!(),
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (workflow, name, due_at) DO UPDATE SET \
                 fired_at = $4, cause = $5, outcome = $6, run = $7, message = $8 WHERE old.run IS NULL"
            ))
            .bind(stored(&id.workflow))
            .bind(stored(&id.name))
            .bind(due_at)
            .bind(fired_at)
            .bind(cause.as_str())
            .bind(outcome.as_str())
            .bind(run.map(|run| run.0))
            .bind(message.as_deref().map(stored))
        };
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                tx.execute(add()).await?;
                if let Some(handled_at) = handled_at {
                    let text = "UPDATE schedule_states SET handled_at = $3 \
                                WHERE workflow = $1 AND name = $2 AND handled_at < $3";
                    let handled = sql(text).bind(stored(&id.workflow)).bind(stored(&id.name)).bind(handled_at);
                    tx.execute(handled).await?;
                }
                tx.done(()).await
            })
            .await
    }

    async fn open_firings(&self, limit: u32) -> Result<Vec<Firing>, StoreError> {
        let query = sql(concat!(
            "SELECT ",
            firing_columns!(),
            " FROM schedule_firings WHERE outcome = 'started' ORDER BY due_at LIMIT $1"
        ));
        let rows = self.0.rows(query.bind(i64::from(limit))).await?;
        Ok(rows.iter().map(firing_of).collect::<Result<_, _>>()?)
    }

    async fn settle_firing(
        &self,
        id: &ScheduleId,
        due_at: Millis,
        outcome: FiringOutcome,
        message: Option<String>,
    ) -> Result<(), StoreError> {
        let text = "UPDATE schedule_firings SET outcome = $4, message = $5 \
                    WHERE workflow = $1 AND name = $2 AND due_at = $3 AND outcome = 'started'";
        let settle = || {
            let settle = sql(text).bind(stored(&id.workflow)).bind(stored(&id.name)).bind(due_at);
            settle.bind(outcome.as_str()).bind(message.as_deref().map(stored))
        };
        self.0.write(settle).await.map(drop)
    }

    async fn firings(&self, id: &ScheduleId, before: Millis, limit: u32) -> Result<Vec<Firing>, StoreError> {
        let query = sql(concat!(
            "SELECT ",
            firing_columns!(),
            " FROM schedule_firings WHERE workflow = $1 AND name = $2 AND due_at < $3 ORDER BY due_at DESC LIMIT $4"
        ));
        let query = query.bind(stored(&id.workflow)).bind(stored(&id.name)).bind(before).bind(i64::from(limit));
        Ok(self.0.rows(query).await?.iter().map(firing_of).collect::<Result<_, _>>()?)
    }

    async fn last_success(&self, id: &ScheduleId, before: Millis) -> Result<Option<Millis>, StoreError> {
        let query = sql("SELECT due_at FROM schedule_firings WHERE workflow = $1 AND name = $2 AND due_at < $3 \
                         AND outcome = 'succeeded' ORDER BY due_at DESC LIMIT 1");
        let found = self.0.first(query.bind(stored(&id.workflow)).bind(stored(&id.name)).bind(before)).await?;
        Ok(found.map(|row| row.value(0)).transpose()?)
    }

    async fn forget_firings(&self, before: Millis) -> Result<u64, StoreError> {
        let text = "DELETE FROM schedule_firings AS old WHERE due_at < $1 AND outcome <> 'started' \
                    AND EXISTS (SELECT FROM schedule_firings AS newer WHERE newer.workflow = old.workflow \
                        AND newer.name = old.name AND newer.due_at > old.due_at) \
                    AND (outcome <> 'succeeded' OR EXISTS (SELECT FROM schedule_firings AS newer \
                        WHERE newer.workflow = old.workflow AND newer.name = old.name AND newer.due_at > old.due_at \
                        AND newer.outcome = 'succeeded'))";
        self.0.write(|| sql(text).bind(before)).await
    }

    async fn hold_scheduler(&self, holder: &str, now: Millis, until: Millis) -> Result<bool, StoreError> {
        // Most looks need no write: the lease is renewed when half of it is over.
        let query = sql("SELECT 1 FROM scheduler WHERE holder = $1 AND until - $2 > ($3 - $2) / 2");
        if self.0.first(query.bind(stored(holder)).bind(now).bind(until)).await?.is_some() {
            return Ok(true);
        }
        let text = "INSERT INTO scheduler AS old (one, holder, until) VALUES (1, $1, $3) \
                    ON CONFLICT (one) DO UPDATE SET holder = $1, until = $3 WHERE old.holder = $1 OR old.until <= $2";
        Ok(self.0.write(|| sql(text).bind(stored(holder)).bind(now).bind(until)).await? > 0)
    }
}

fn id_of(row: &Row) -> Result<ScheduleId, Error> {
    Ok(ScheduleId { workflow: row.text(0)?, name: row.text(1)? })
}

fn firing_of(row: &Row) -> Result<Firing, Error> {
    let (id, due_at, cause, outcome) = (id_of(row)?, row.value(2)?, row.text(4)?, row.text(5)?);
    let unknown = |word: &str| damaged(format!("the firing of {id} at {due_at} has `{word}`"));
    let cause = Cause::ALL.into_iter().find(|known| known.as_str() == cause).ok_or_else(|| unknown(&cause))?;
    let outcome =
        FiringOutcome::ALL.into_iter().find(|known| known.as_str() == outcome).ok_or_else(|| unknown(&outcome))?;
    let (run, message) = (row.value::<Option<_>>(6)?.map(RunId), row.maybe_text(7)?);
    Ok(Firing { id, due_at, fired_at: row.value(3)?, cause, outcome, run, message })
}
