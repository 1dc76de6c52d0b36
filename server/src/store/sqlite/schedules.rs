//! Schedules in SQLite.

use async_trait::async_trait;
use liteagent_backends::database::damaged;
use liteagent_engine::{id::RunId, store::StoreError, units::Millis};
use rusqlite::Row;

use super::SqliteStore;
use crate::store::{Cause, Firing, FiringOutcome, ScheduleId, ScheduleRow, ScheduleState, ScheduleStore};

const FIRING: &str = "workflow, name, due_at, fired_at, cause, outcome, run, message";

#[async_trait]
impl ScheduleStore for SqliteStore {
    async fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError> {
        let sql = "SELECT workflow, name, definition, created_by, updated_at FROM schedules ORDER BY workflow, name";
        let row = |row: &Row<'_>| {
            Ok(ScheduleRow { id: id(row)?, definition: row.get(2)?, created_by: row.get(3)?, updated_at: row.get(4)? })
        };
        self.read(move |db| db.all(sql, (), row)).await
    }

    async fn add_schedule(&self, row: ScheduleRow) -> Result<bool, StoreError> {
        let sql = "INSERT INTO schedules (workflow, name, definition, created_by, updated_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO NOTHING";
        self.write(move |db| {
            let ScheduleRow { id, definition, created_by, updated_at } = &row;
            Ok(db.execute(sql, (&id.workflow, &id.name, definition, created_by, updated_at))? > 0)
        })
        .await
    }

    async fn change_schedule(&self, id: &ScheduleId, definition: String, at: Millis) -> Result<bool, StoreError> {
        let id = id.clone();
        let sql = "UPDATE schedules SET definition = ?3, updated_at = ?4 WHERE workflow = ?1 AND name = ?2";
        self.write(move |db| Ok(db.execute(sql, (&id.workflow, &id.name, &definition, at))? > 0)).await
    }

    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write(move |db| {
            let key = (&id.workflow, &id.name);
            let is_there = db.execute("DELETE FROM schedules WHERE workflow = ?1 AND name = ?2", key)? > 0;
            if is_there {
                db.execute("DELETE FROM schedule_states WHERE workflow = ?1 AND name = ?2", key)?;
            }
            Ok(is_there)
        })
        .await
    }

    async fn schedule_states(&self) -> Result<Vec<ScheduleState>, StoreError> {
        let sql = "SELECT workflow, name, timing, handled_at, paused_by, paused_at FROM schedule_states";
        let row = |row: &Row<'_>| {
            let (by, at): (Option<String>, Option<Millis>) = (row.get(4)?, row.get(5)?);
            Ok(ScheduleState { id: id(row)?, timing: row.get(2)?, handled_at: row.get(3)?, paused: by.zip(at) })
        };
        self.read(move |db| db.all(sql, (), row)).await
    }

    async fn begin_schedule(&self, id: &ScheduleId, timing: &str, at: Millis) -> Result<(), StoreError> {
        let (id, timing) = (id.clone(), timing.to_owned());
        let sql = "INSERT INTO schedule_states (workflow, name, timing, handled_at) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT DO UPDATE SET timing = ?3, handled_at = ?4 WHERE timing <> ?3";
        self.write(move |db| db.execute(sql, (&id.workflow, &id.name, &timing, at)).map(drop)).await
    }

    async fn pause_schedule(&self, id: &ScheduleId, by: &str, at: Millis) -> Result<(), StoreError> {
        let (id, by) = (id.clone(), by.to_owned());
        let sql = "INSERT INTO schedule_states (workflow, name, timing, handled_at, paused_by, paused_at) \
                   VALUES (?1, ?2, '', ?4, ?3, ?4) \
                   ON CONFLICT DO UPDATE SET paused_by = ?3, paused_at = ?4 WHERE paused_at IS NULL";
        self.write(move |db| db.execute(sql, (&id.workflow, &id.name, &by, at)).map(drop)).await
    }

    async fn resume_schedule(&self, id: &ScheduleId, at: Millis) -> Result<bool, StoreError> {
        let id = id.clone();
        let sql = "UPDATE schedule_states SET paused_by = NULL, paused_at = NULL, handled_at = max(handled_at, ?3) \
                   WHERE workflow = ?1 AND name = ?2 AND paused_at IS NOT NULL";
        self.write(move |db| Ok(db.execute(sql, (&id.workflow, &id.name, at))? > 0)).await
    }

    async fn record_firing(&self, firing: Firing, handled_at: Option<Millis>) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO firings ({FIRING}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET \
             fired_at = ?4, cause = ?5, outcome = ?6, run = ?7, message = ?8 WHERE run IS NULL"
        );
        let handled =
            "UPDATE schedule_states SET handled_at = ?3 WHERE workflow = ?1 AND name = ?2 AND handled_at < ?3";
        self.write(move |db| {
            let Firing { id, due_at, fired_at, cause, outcome, run, message } = &firing;
            let (cause, outcome, run) = (cause.as_str(), outcome.as_str(), run.map(|run| run.to_string()));
            db.execute(&sql, (&id.workflow, &id.name, due_at, fired_at, cause, outcome, run, message))?;
            if let Some(handled_at) = handled_at {
                db.execute(handled, (&id.workflow, &id.name, handled_at))?;
            }
            Ok(())
        })
        .await
    }

    async fn open_firings(&self, limit: u32) -> Result<Vec<Firing>, StoreError> {
        let sql = format!("SELECT {FIRING} FROM firings WHERE outcome = 'started' ORDER BY due_at LIMIT ?1");
        let rows = self.read(move |db| db.all(&sql, [limit], firing)).await?;
        rows.into_iter().map(checked).collect()
    }

    async fn settle_firing(
        &self,
        id: &ScheduleId,
        due_at: Millis,
        outcome: FiringOutcome,
        message: Option<String>,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        let sql = "UPDATE firings SET outcome = ?4, message = ?5 \
                   WHERE workflow = ?1 AND name = ?2 AND due_at = ?3 AND outcome = 'started'";
        self.write(move |db| db.execute(sql, (&id.workflow, &id.name, due_at, outcome.as_str(), &message)).map(drop))
            .await
    }

    async fn firings(&self, id: &ScheduleId, before: Millis, limit: u32) -> Result<Vec<Firing>, StoreError> {
        let id = id.clone();
        let sql = format!(
            "SELECT {FIRING} FROM firings WHERE workflow = ?1 AND name = ?2 AND due_at < ?3 ORDER BY due_at DESC LIMIT ?4"
        );
        let rows = self.read(move |db| db.all(&sql, (id.workflow, id.name, before, limit), firing)).await?;
        rows.into_iter().map(checked).collect()
    }

    async fn last_success(&self, id: &ScheduleId, before: Millis) -> Result<Option<Millis>, StoreError> {
        let id = id.clone();
        let sql = "SELECT due_at FROM firings WHERE workflow = ?1 AND name = ?2 AND due_at < ?3 AND outcome = 'succeeded' \
                   ORDER BY due_at DESC LIMIT 1";
        self.read(move |db| db.first(sql, (id.workflow, id.name, before), |row| row.get(0))).await
    }

    async fn forget_firings(&self, before: Millis) -> Result<u64, StoreError> {
        let sql = "DELETE FROM firings AS old WHERE due_at < ?1 AND outcome <> 'started' \
                   AND EXISTS (SELECT 1 FROM firings AS newer WHERE newer.workflow = old.workflow AND newer.name = old.name \
                       AND newer.due_at > old.due_at) \
                   AND (outcome <> 'succeeded' OR EXISTS (SELECT 1 FROM firings AS newer WHERE newer.workflow = old.workflow \
                       AND newer.name = old.name AND newer.due_at > old.due_at AND newer.outcome = 'succeeded'))";
        self.write(move |db| Ok(db.execute(sql, [before])? as u64)).await
    }

    async fn hold_scheduler(&self, holder: &str, now: Millis, until: Millis) -> Result<bool, StoreError> {
        let (holder, own) = (holder.to_owned(), holder.to_owned());
        // Most looks need no write: the lease is renewed when half of it is over.
        let sql = "SELECT 1 FROM scheduler WHERE holder = ?1 AND until - ?2 > (?3 - ?2) / 2";
        if self.read(move |db| db.first(sql, (own, now, until), |_| Ok(()))).await?.is_some() {
            return Ok(true);
        }
        let sql = "INSERT INTO scheduler (one, holder, until) VALUES (1, ?1, ?3) \
                   ON CONFLICT DO UPDATE SET holder = ?1, until = ?3 WHERE holder = ?1 OR until <= ?2";
        self.write(move |db| Ok(db.execute(sql, (&holder, now, until))? > 0)).await
    }
}

/// A firing whose words were not looked at yet.
type RawFiring = (ScheduleId, Millis, Millis, String, String, Option<String>, Option<String>);

fn id(row: &Row<'_>) -> rusqlite::Result<ScheduleId> {
    Ok(ScheduleId { workflow: row.get(0)?, name: row.get(1)? })
}

fn firing(row: &Row<'_>) -> rusqlite::Result<RawFiring> {
    Ok((id(row)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?))
}

fn checked((id, due_at, fired_at, cause, outcome, run, message): RawFiring) -> Result<Firing, StoreError> {
    let unknown = |word: &str| damaged(format!("the firing of {id} at {due_at} has `{word}`"));
    let cause = Cause::ALL.into_iter().find(|known| known.as_str() == cause).ok_or_else(|| unknown(&cause))?;
    let outcome =
        FiringOutcome::ALL.into_iter().find(|known| known.as_str() == outcome).ok_or_else(|| unknown(&outcome))?;
    let run = run.map(|run| run.parse::<RunId>().map_err(|_| unknown(&run))).transpose()?;
    Ok(Firing { id, due_at, fired_at, cause, outcome, run, message })
}
