//! Rows of runs, as every library gives them.

use liteagent_engine::{
    event::RunStatus,
    id::{Digest, RunId, SessionId},
    store::{
        ConversationRow, DAY, FileValue, KvEntry, Parent, Rating, RunPhase, RunRow, Speaker, StoredTurn, UsageRow,
    },
    usage::Usage,
    value::Value,
};
use sqlx::{Column as _, Row as _, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    database::{Error, damaged},
    postgres::stored,
};

/// The columns that [`run_row`] reads, in its order.
macro_rules! run_columns {
    () => {
        "id, workflow, digest, phase, status, epoch, seq, owner, wake_at, parent_run, parent_node, parent_attempt, \
         trigger, conversation, error, created_at, updated_at, subject, usage"
    };
}
pub(super) use run_columns;

/// How many those are.
pub(super) const RUN_COLUMNS: usize = 19;

/// The columns that [`turn_row`] reads, in its order.
macro_rules! turn_columns {
    () => {
        "turns.run, turns.after, turns.message, turns.files, turns.answer, turns.at, turns.rating, \
         turns.conversation"
    };
}
pub(super) use turn_columns;
/// How many those are.
const TURN_COLUMNS: usize = 8;

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

impl Cells for PgRow {
    fn int(&self, column: usize) -> Result<Option<i64>, Error> {
        Ok(self.try_get(column)?)
    }
    fn text(&self, column: usize) -> Result<Option<String>, Error> {
        Ok(self.try_get::<Option<String>, _>(column)?.map(stored::decoded))
    }
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, Error> {
        if <Uuid as sqlx::Type<sqlx::Postgres>>::compatible(self.try_column(column)?.type_info()) {
            return Ok(self.try_get::<Option<Uuid>, _>(column)?.map(|id| id.into_bytes().to_vec()));
        }
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

/// A turn, from the columns of [`turn_columns`].
pub(super) fn turn_row(row: &impl Cells) -> Result<StoredTurn, Error> {
    let rating = match row.int(6)? {
        None => None,
        Some(1) => Some(Rating::Up),
        Some(-1) => Some(Rating::Down),
        Some(other) => return Err(damaged(format!("a turn has the rating {other}"))),
    };
    Ok(StoredTurn {
        run: RunId(uuid(&bytes(row, 0)?)?),
        conversation: text(row, 7)?,
        after: row.bytes(1)?.map(|run| uuid(&run).map(RunId)).transpose()?,
        message: text(row, 2)?,
        files: serde_json::from_str::<Value>(&text(row, 3)?)?,
        answer: row.text(4)?,
        at: int(row, 5)?,
        rating,
    })
}

/// A conversation, from the columns of its head, and then id, workflow, title, space, user, both times, and its turns.
pub(super) fn conversation_row(row: &impl Cells) -> Result<ConversationRow, Error> {
    let [id, workflow, title, space, user, created_at, updated_at, turns] = std::array::from_fn(|at| TURN_COLUMNS + at);
    let speaker = row.text(space)?.zip(row.text(user)?).map(|(space, user)| Speaker { space, user });
    Ok(ConversationRow {
        id: text(row, id)?,
        workflow: text(row, workflow)?,
        title: text(row, title)?,
        speaker,
        turns: int(row, turns)? as u64,
        last: turn_row(row)?,
        created_at: int(row, created_at)?,
        updated_at: int(row, updated_at)?,
    })
}

pub(super) const fn rating_number(rating: Rating) -> i64 {
    match rating {
        Rating::Up => 1,
        Rating::Down => -1,
    }
}

/// Usage: day, workflow, model, runs, and the amounts.
pub(super) fn usage_row(row: &impl Cells) -> Result<UsageRow, Error> {
    let amount = |column: usize| int(row, column).map(|amount| amount as u64);
    Ok(UsageRow {
        day: int(row, 0)? * DAY,
        workflow: text(row, 1)?,
        model: text(row, 2)?,
        runs: amount(3)?,
        usage: Usage {
            calls: amount(4)?,
            input_tokens: amount(5)?,
            cached_tokens: amount(6)?,
            output_tokens: amount(7)?,
            reasoning_tokens: amount(8)?,
            cost: amount(9)?,
            unpriced: amount(10)?,
        },
    })
}

/// A file and its content: id, name, mime, size, digest.
pub(super) fn file_row(row: &impl Cells) -> Result<(FileValue, Digest), Error> {
    let digest = Digest::from_hash(&bytes(row, 4)?);
    let file = FileValue {
        id: text(row, 0)?,
        name: text(row, 1)?,
        mime: text(row, 2)?,
        size: int(row, 3)? as u64,
        sha256: digest.to_string(),
    };
    Ok((file, digest))
}

/// An entry: value, version.
pub(super) fn entry_row(row: &impl Cells) -> Result<KvEntry, Error> {
    Ok(KvEntry { value: serde_json::from_str(&text(row, 0)?)?, version: int(row, 1)? as u64 })
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
