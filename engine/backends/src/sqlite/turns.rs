//! What was said in conversations: the tables `conversations` and `turns`.

use liteagent_engine::{
    id::RunId,
    store::{ConversationEnd, ConversationRow, NewRun, StoredTurn, title_of},
};
use rusqlite::params;

use super::{
    SqliteStore,
    db::Db,
    row::{conversation_row, turn_row},
};
use crate::database::Error;

/// The turn of a run that begins to exist.
pub(super) fn say(db: &Db, new: &NewRun) -> Result<(), Error> {
    let (Some(conversation), Some(turn)) = (&new.conversation, &new.turn) else { return Ok(()) };
    let run = new.id.0.as_bytes();
    let beside = turn.beside.map(|beside| beside.0.into_bytes());
    db.execute(
        "INSERT INTO turns (run, conversation, after, message, files, at) VALUES (?1, ?2, \
         CASE WHEN EXISTS (SELECT 1 FROM turns WHERE run = ?3) THEN (SELECT after FROM turns WHERE run = ?3) \
         ELSE (SELECT head FROM conversations WHERE id = ?2) END, ?4, ?5, ?6)",
        params![run, conversation, beside, turn.message, serde_json::to_string(&turn.files)?, new.at],
    )?;
    db.execute(
        "INSERT INTO conversations (id, workflow, title, head, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5) \
         ON CONFLICT (id) DO UPDATE SET head = excluded.head, updated_at = excluded.updated_at, \
         workflow = ifnull(workflow, excluded.workflow), title = ifnull(title, excluded.title), \
         created_at = ifnull(created_at, excluded.created_at)",
        params![conversation, new.workflow, title_of(&turn.message), run, new.at],
    )
    .map(drop)
}

/// What a run leaves.
pub(super) fn end(db: &Db, run: RunId, end: &ConversationEnd) -> Result<(), Error> {
    db.execute(
        "INSERT INTO conversations (id, variables) VALUES (?1, ?2) \
         ON CONFLICT (id) DO UPDATE SET variables = excluded.variables",
        params![end.id, serde_json::to_string(&end.variables)?],
    )?;
    db.execute("UPDATE turns SET answer = ?2 WHERE run = ?1", params![run.0.as_bytes(), end.answer]).map(drop)
}

/// Deletes a conversation with its turns; how many there were.
pub(super) fn forget(db: &Db, id: &str) -> Result<u64, Error> {
    db.execute("DELETE FROM turns WHERE conversation = ?1", [id])?;
    Ok(db.execute("DELETE FROM conversations WHERE id = ?1", [id])? as u64)
}

impl SqliteStore {
    /// See [`liteagent_engine::store::Journal::turns_before`].
    pub(super) async fn chain(&self, run: RunId, most: usize) -> Result<Vec<StoredTurn>, Error> {
        let sql = "WITH RECURSIVE chain (run, depth) AS ( \
                   SELECT after, 1 FROM turns WHERE run = ?1 \
                   UNION ALL SELECT turns.after, depth + 1 FROM chain JOIN turns USING (run) WHERE depth < ?2) \
                   SELECT turns.run, after, message, files, answer, at FROM chain JOIN turns USING (run) ORDER BY depth DESC";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = sqlx::query(sql).bind(run.0.as_bytes().to_vec()).bind(most).fetch_all(&self.0.readers).await?;
        rows.iter().map(turn_row).collect()
    }

    /// See [`liteagent_engine::store::Journal::turn`].
    pub(super) async fn turn_of(&self, run: RunId) -> Result<Option<StoredTurn>, Error> {
        let sql = "SELECT run, after, message, files, answer, at FROM turns WHERE run = ?1";
        let row = sqlx::query(sql).bind(run.0.as_bytes().to_vec()).fetch_optional(&self.0.readers).await?;
        row.as_ref().map(turn_row).transpose()
    }

    /// See [`liteagent_engine::store::Journal::conversations`].
    pub(super) async fn listed(&self, workflow: Option<&str>, limit: u32) -> Result<Vec<ConversationRow>, Error> {
        let sql = "SELECT id, workflow, title, head, created_at, updated_at FROM conversations \
                   WHERE head IS NOT NULL AND (?1 IS NULL OR workflow = ?1) ORDER BY updated_at DESC, head DESC LIMIT ?2";
        let rows = sqlx::query(sql).bind(workflow).bind(limit).fetch_all(&self.0.readers).await?;
        rows.iter().map(conversation_row).collect()
    }
}
