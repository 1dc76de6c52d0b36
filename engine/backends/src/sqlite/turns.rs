//! What was said in conversations: the tables `conversations` and `turns`.

use liteagent_engine::{
    id::RunId,
    store::{ConversationEnd, ConversationFilter, ConversationRow, NewRun, Rating, StoredTurn, TurnPage, title_of},
};
use rusqlite::params;
use sqlx::{QueryBuilder, Sqlite};

use super::{
    SqliteStore,
    db::Db,
    row::{conversation_row, rating_number, turn_columns, turn_row},
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
        "INSERT INTO conversations (id, workflow, title, head, created_at, updated_at, space, user) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7) \
         ON CONFLICT (id) DO UPDATE SET \
         space = CASE WHEN head IS NULL THEN excluded.space ELSE space END, \
         user = CASE WHEN head IS NULL THEN excluded.user ELSE user END, \
         head = excluded.head, updated_at = excluded.updated_at, \
         workflow = ifnull(workflow, excluded.workflow), title = ifnull(title, excluded.title), \
         created_at = ifnull(created_at, excluded.created_at)",
        params![
            conversation,
            new.workflow,
            title_of(&turn.message),
            run,
            new.at,
            turn.speaker.as_ref().map(|speaker| &speaker.space),
            turn.speaker.as_ref().map(|speaker| &speaker.user),
        ],
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

/// Says what a person thinks of an answer.
pub(super) fn rate(db: &Db, run: RunId, rating: Option<Rating>) -> Result<bool, Error> {
    let rating = rating.map(rating_number);
    Ok(db.execute("UPDATE turns SET rating = ?2 WHERE run = ?1", params![run.0.as_bytes(), rating])? > 0)
}

/// Gives a conversation another title.
pub(super) fn rename(db: &Db, id: &str, title: &str) -> Result<bool, Error> {
    let sql = "UPDATE conversations SET title = ?2 WHERE id = ?1 AND head IS NOT NULL";
    Ok(db.execute(sql, params![id, title])? > 0)
}

impl SqliteStore {
    /// See [`liteagent_engine::store::Journal::turns_before`].
    pub(super) async fn chain(&self, run: RunId, most: usize) -> Result<Vec<StoredTurn>, Error> {
        let sql = concat!(
            "WITH RECURSIVE chain (run, depth) AS (SELECT after, 1 FROM turns WHERE run = ?1 \
             UNION ALL SELECT turns.after, depth + 1 FROM chain JOIN turns USING (run) WHERE depth < ?2) SELECT ",
            turn_columns!(),
            " FROM chain JOIN turns USING (run) ORDER BY depth DESC"
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = sqlx::query(sql).bind(run.0.as_bytes().to_vec()).bind(most).fetch_all(&self.0.readers).await?;
        rows.iter().map(turn_row).collect()
    }

    /// See [`liteagent_engine::store::Journal::turns`].
    pub(super) async fn path(&self, conversation: &str, page: TurnPage) -> Result<Vec<StoredTurn>, Error> {
        // The depth of the newest is 0.
        const CHAIN: &str = "WITH RECURSIVE chain (run, depth) AS ( \
             SELECT head, 0 FROM conversations WHERE id = ?1 AND head IS NOT NULL \
             UNION ALL SELECT turns.after, depth + 1 FROM chain JOIN turns USING (run) WHERE turns.after IS NOT NULL)";
        let (comes_after, order) = if page.newest_first { (">", "ASC") } else { ("<", "DESC") };
        let sql = format!(
            "{CHAIN} SELECT {} FROM chain JOIN turns USING (run) \
             WHERE ?2 IS NULL OR depth {comes_after} (SELECT depth FROM chain WHERE run = ?2) \
             ORDER BY depth {order} LIMIT ?3",
            turn_columns!()
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(conversation);
        let query = query.bind(page.after.map(|run| run.0.into_bytes().to_vec())).bind(page.limit);
        query.fetch_all(&self.0.readers).await?.iter().map(turn_row).collect()
    }

    /// See [`liteagent_engine::store::Journal::turn`].
    pub(super) async fn turn_of(&self, run: RunId) -> Result<Option<StoredTurn>, Error> {
        let sql = concat!("SELECT ", turn_columns!(), " FROM turns WHERE run = ?1");
        let row = sqlx::query(sql).bind(run.0.as_bytes().to_vec()).fetch_optional(&self.0.readers).await?;
        row.as_ref().map(turn_row).transpose()
    }

    /// See [`liteagent_engine::store::Journal::conversations`].
    pub(super) async fn listed(&self, filter: &ConversationFilter) -> Result<Vec<ConversationRow>, Error> {
        let mut query = select_conversations();
        let is = [("workflow", &filter.workflow), ("space", &filter.space), ("user", &filter.user)];
        for (column, wanted) in is.into_iter().filter_map(|(column, wanted)| Some((column, wanted.as_ref()?))) {
            query.push(format!(" AND conversations.{column} = ")).push_bind(wanted.clone());
        }
        if let Some((at, head)) = filter.before {
            query.push(" AND (conversations.updated_at, conversations.head) < (").push_bind(at);
            query.push(", ").push_bind(head.0.into_bytes().to_vec()).push(")");
        }
        query.push(" ORDER BY conversations.updated_at DESC, conversations.head DESC LIMIT ").push_bind(filter.limit());
        query.build().fetch_all(&self.0.readers).await?.iter().map(conversation_row).collect()
    }

    /// See [`liteagent_engine::store::Journal::conversation_row`].
    pub(super) async fn listed_one(&self, id: &str) -> Result<Option<ConversationRow>, Error> {
        let mut query = select_conversations();
        query.push(" AND conversations.id = ").push_bind(id.to_owned());
        query.build().fetch_optional(&self.0.readers).await?.as_ref().map(conversation_row).transpose()
    }
}

/// The conversations with something said in them; conditions may follow.
fn select_conversations() -> QueryBuilder<Sqlite> {
    QueryBuilder::new(concat!(
        "SELECT ",
        turn_columns!(),
        ", conversations.id, workflow, title, space, user, created_at, updated_at, \
         (SELECT count(*) FROM turns AS every WHERE every.conversation = conversations.id) \
         FROM conversations JOIN turns ON turns.run = conversations.head WHERE conversations.head IS NOT NULL"
    ))
}
