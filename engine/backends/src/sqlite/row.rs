//! Rows of runs, as both libraries give them.

use liteagent_engine::{
    event::RunStatus,
    id::{Digest, RunId, SessionId},
    store::{Parent, RunPhase, RunRow},
};
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

use crate::database::{Error, damaged};

/// The columns that [`run_row`] reads, in its order.
macro_rules! run_columns {
    () => {
        "id, workflow, digest, phase, status, epoch, seq, owner, wake_at, parent_run, parent_node, parent_attempt, \
         trigger, conversation, error, created_at, updated_at, subject, usage"
    };
}
pub(super) use run_columns;
/// The first column after them.
pub(super) const ENDED: usize = 19;

/// A row of a result.
pub(super) trait Cells {
    fn int(&self, column: usize) -> Result<Option<i64>, Error>;
    fn text(&self, column: usize) -> Result<Option<String>, Error>;
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, Error>;
}

impl Cells for rusqlite::Row<'_> {
    fn int(&self, column: usize) -> Result<Option<i64>, Error> {
        Ok(self.get(column)?)
    }
    fn text(&self, column: usize) -> Result<Option<String>, Error> {
        Ok(self.get(column)?)
    }
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.get(column)?)
    }
}

impl Cells for SqliteRow {
    fn int(&self, column: usize) -> Result<Option<i64>, Error> {
        Ok(self.try_get(column)?)
    }
    fn text(&self, column: usize) -> Result<Option<String>, Error> {
        Ok(self.try_get(column)?)
    }
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.try_get(column)?)
    }
}

/// A run, from the columns of [`run_columns`].
pub(super) fn run_row(row: &impl Cells) -> Result<RunRow, Error> {
    Ok(RunRow {
        id: RunId(uuid(&bytes(row, 0)?)?),
        workflow: text(row, 1)?,
        digest: Digest::from_hash(&bytes(row, 2)?),
        phase: phase(int(row, 3)?)?,
        status: row.int(4)?.map(status).transpose()?,
        epoch: int(row, 5)? as u64,
        seq: int(row, 6)? as u64,
        owner: row.bytes(7)?.map(|owner| uuid(&owner).map(SessionId)).transpose()?,
        wake_at: row.int(8)?,
        parent: parent(row)?,
        trigger: text(row, 12)?,
        conversation: row.text(13)?,
        error: row.text(14)?,
        created_at: int(row, 15)?,
        updated_at: int(row, 16)?,
        subject: row.text(17)?,
        usage: row.text(18)?.map(|usage| serde_json::from_str(&usage)).transpose()?.unwrap_or_default(),
    })
}

fn parent(row: &impl Cells) -> Result<Option<Parent>, Error> {
    let Some(run) = row.bytes(9)? else { return Ok(None) };
    Ok(Some(Parent { run: RunId(uuid(&run)?), node: text(row, 10)?, attempt: int(row, 11)? as u32 }))
}

pub(super) fn int(row: &impl Cells, column: usize) -> Result<i64, Error> {
    row.int(column)?.ok_or_else(|| empty(column))
}

pub(super) fn text(row: &impl Cells, column: usize) -> Result<String, Error> {
    row.text(column)?.ok_or_else(|| empty(column))
}

pub(super) fn bytes(row: &impl Cells, column: usize) -> Result<Vec<u8>, Error> {
    row.bytes(column)?.ok_or_else(|| empty(column))
}

fn empty(column: usize) -> Error {
    damaged(format!("column {column} is empty"))
}

pub(super) fn uuid(bytes: &[u8]) -> Result<Uuid, Error> {
    Uuid::from_slice(bytes).map_err(damaged)
}

/// The 32 bytes of a digest.
pub(super) fn hash(digest: &Digest) -> Vec<u8> {
    let digit = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
    digest.as_str().as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

pub(super) const fn phase_number(phase: RunPhase) -> i64 {
    match phase {
        RunPhase::Queued => 0,
        RunPhase::Running => 1,
        RunPhase::Waiting => 2,
        // Below 3 like every run that has not ended; none of those that can be taken.
        RunPhase::Held => -1,
        RunPhase::Ended => 3,
    }
}

fn phase(number: i64) -> Result<RunPhase, Error> {
    let phases = [RunPhase::Queued, RunPhase::Running, RunPhase::Waiting, RunPhase::Held, RunPhase::Ended];
    phases.into_iter().find(|phase| phase_number(*phase) == number).ok_or_else(|| damaged(format!("phase {number}")))
}

pub(super) const fn status_number(status: RunStatus) -> i64 {
    match status {
        RunStatus::Succeeded => 0,
        RunStatus::Failed => 1,
        RunStatus::Cancelled => 2,
    }
}

fn status(number: i64) -> Result<RunStatus, Error> {
    let all = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];
    all.into_iter().find(|status| status_number(*status) == number).ok_or_else(|| damaged(format!("status {number}")))
}
