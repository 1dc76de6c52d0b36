//! What was said in conversations: the tables `conversations` and `turns`.

use std::collections::{BTreeMap, HashMap};

use liteagent_engine::{
    id::RunId,
    store::{
        ConversationEnd, ConversationFilter, ConversationRow, NewRun, Rating, Speaker, StoredTurn, TurnPage, title_of,
    },
    units::Millis,
};
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row as _};

use super::{
    PostgresStore,
    changes::column,
    db::{Tx, sql},
    stored::{decoded, stored},
};
use crate::{
    database::Error,
    row::{conversation_row, rating_number, turn_columns, turn_row},
};

/// What the runs of a transaction say, and leave.
#[derive(Default)]
pub(super) struct Talk<'a> {
    /// The newest turn of each conversation.
    heads: HashMap<String, RunId>,
    /// What turns stand after.
    after: HashMap<RunId, Option<RunId>>,
    turns: Vec<(&'a NewRun, Option<RunId>)>,
    ends: Vec<(RunId, &'a ConversationEnd)>,
}

/// What a conversation becomes by new turns.
struct Said<'a> {
    workflow: String,
    title: String,
    speaker: Option<&'a Speaker>,
    created_at: Millis,
    head: RunId,
    updated_at: Millis,
}

impl<'a> Talk<'a> {
    /// Reads what new turns may stand after.
    pub(super) async fn read(&mut self, tx: &mut Tx<'_>, new: impl Iterator<Item = &'a NewRun>) -> Result<(), Error> {
        let new: Vec<_> = new.filter_map(|new| Some((new.conversation.as_deref()?, new.turn.as_ref()?))).collect();
        if new.is_empty() {
            return Ok(());
        }
        let text = "SELECT id, head FROM conversations WHERE id = ANY($1) AND head IS NOT NULL";
        for row in tx.rows(sql(text).bind(column(&new, |(conversation, _)| stored(conversation)))).await? {
            self.heads.insert(decoded(row.try_get(0)?), RunId(row.try_get(1)?));
        }
        let beside: Vec<_> = new.iter().filter_map(|(_, turn)| turn.beside.map(|run| run.0)).collect();
        if !beside.is_empty() {
            for row in tx.rows(sql("SELECT run, after FROM turns WHERE run = ANY($1)").bind(beside)).await? {
                self.after.insert(RunId(row.try_get(0)?), row.try_get::<Option<_>, _>(1)?.map(RunId));
            }
        }
        Ok(())
    }

    /// The turn of a run that begins to exist.
    pub(super) fn say(&mut self, new: &'a NewRun) {
        let (Some(conversation), Some(turn)) = (&new.conversation, &new.turn) else { return };
        let beside = turn.beside.and_then(|beside| self.after.get(&beside).copied());
        let after = beside.unwrap_or_else(|| self.heads.get(conversation).copied());
        self.heads.insert(conversation.clone(), new.id);
        self.after.insert(new.id, after);
        self.turns.push((new, after));
    }

    /// What a run leaves.
    pub(super) fn end(&mut self, run: RunId, end: &'a ConversationEnd) {
        self.ends.push((run, end));
    }

    pub(super) async fn write(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        if !self.turns.is_empty() {
            self.write_turns(tx).await?;
        }
        if !self.ends.is_empty() {
            self.write_ends(tx).await?;
        }
        Ok(())
    }

    async fn write_turns(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let turns: Vec<_> =
            self.turns.iter().filter_map(|(new, after)| Some((new, after, new.turn.as_ref()?))).collect();
        let files = turns.iter().map(|(.., turn)| serde_json::to_string(&turn.files));
        let text = "INSERT INTO turns (run, conversation, after, message, files, at) SELECT * FROM \
                    unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::bigint[])";
        let statement = sql(text)
            .bind(column(&turns, |(new, ..)| new.id.0))
            .bind(column(&turns, |(new, ..)| new.conversation.as_deref().map(stored)))
            .bind(column(&turns, |(_, after, _)| after.map(|run| run.0)))
            .bind(column(&turns, |(.., turn)| stored(&turn.message)))
            .bind(files.collect::<Result<Vec<_>, _>>()?)
            .bind(column(&turns, |(new, ..)| new.at));
        tx.execute(statement).await?;

        let said: Vec<_> = self.said().into_iter().collect();
        let text = "INSERT INTO conversations (id, workflow, title, head, created_at, updated_at, space, speaker) \
                    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[], \
                    $7::text[], $8::text[]) ON CONFLICT (id) DO UPDATE SET \
                    space = CASE WHEN conversations.head IS NULL THEN excluded.space ELSE conversations.space END, \
                    speaker = CASE WHEN conversations.head IS NULL THEN excluded.speaker ELSE conversations.speaker END, \
                    head = excluded.head, updated_at = excluded.updated_at, \
                    workflow = coalesce(conversations.workflow, excluded.workflow), \
                    title = coalesce(conversations.title, excluded.title), \
                    created_at = coalesce(conversations.created_at, excluded.created_at)";
        let statement = sql(text)
            .bind(column(&said, |(id, _)| stored(id)))
            .bind(column(&said, |(_, said)| stored(&said.workflow)))
            .bind(column(&said, |(_, said)| stored(&said.title)))
            .bind(column(&said, |(_, said)| said.head.0))
            .bind(column(&said, |(_, said)| said.created_at))
            .bind(column(&said, |(_, said)| said.updated_at))
            .bind(column(&said, |(_, said)| said.speaker.map(|speaker| stored(&speaker.space))))
            .bind(column(&said, |(_, said)| said.speaker.map(|speaker| stored(&speaker.user))));
        tx.execute(statement).await.map(drop)
    }

    /// Each conversation once: the first turn gives its title, the last one is its head.
    fn said(&self) -> BTreeMap<&str, Said<'a>> {
        let mut all = BTreeMap::new();
        for (new, _) in &self.turns {
            let (Some(conversation), Some(turn)) = (&new.conversation, &new.turn) else { continue };
            let said = all.entry(conversation.as_str()).or_insert_with(|| Said {
                workflow: new.workflow.clone(),
                title: title_of(&turn.message),
                speaker: turn.speaker.as_ref(),
                created_at: new.at,
                head: new.id,
                updated_at: new.at,
            });
            (said.head, said.updated_at) = (new.id, new.at);
        }
        all
    }

    async fn write_ends(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let mut last = BTreeMap::new();
        for (_, end) in &self.ends {
            last.insert(end.id.as_str(), serde_json::to_string(&end.variables)?);
        }
        let text = "INSERT INTO conversations (id, variables) SELECT * FROM unnest($1::text[], $2::text[]) \
                    ON CONFLICT (id) DO UPDATE SET variables = excluded.variables";
        let (ids, variables): (Vec<_>, Vec<_>) =
            last.into_iter().map(|(id, variables)| (stored(id), variables)).unzip();
        tx.execute(sql(text).bind(ids).bind(variables)).await?;

        let text = "UPDATE turns SET answer = said.answer FROM unnest($1::uuid[], $2::text[]) AS said (run, answer) \
                    WHERE turns.run = said.run";
        let statement = sql(text)
            .bind(column(&self.ends, |(run, _)| run.0))
            .bind(column(&self.ends, |(_, end)| end.answer.as_deref().map(stored)));
        tx.execute(statement).await.map(drop)
    }
}

impl PostgresStore {
    /// See [`liteagent_engine::store::Journal::turns_before`].
    pub(super) async fn chain(&self, run: RunId, most: usize) -> Result<Vec<StoredTurn>, Error> {
        let text = concat!(
            "WITH RECURSIVE chain (run, depth) AS (SELECT after, 1::bigint FROM turns WHERE run = $1 \
             UNION ALL SELECT turns.after, depth + 1 FROM chain JOIN turns USING (run) WHERE depth < $2) SELECT ",
            turn_columns!(),
            " FROM chain JOIN turns USING (run) ORDER BY depth DESC"
        );
        let query = sql(text).bind(run.0).bind(i64::try_from(most).unwrap_or(i64::MAX));
        self.db().rows(query).await?.iter().map(turn_row).collect()
    }

    /// See [`liteagent_engine::store::Journal::turns`].
    pub(super) async fn path(&self, conversation: &str, page: TurnPage) -> Result<Vec<StoredTurn>, Error> {
        // The depth of the newest is 0.
        const CHAIN: &str = "WITH RECURSIVE chain (run, depth) AS ( \
             SELECT head, 0::bigint FROM conversations WHERE id = $1 AND head IS NOT NULL \
             UNION ALL SELECT turns.after, depth + 1 FROM chain JOIN turns USING (run) WHERE turns.after IS NOT NULL)";
        let (comes_after, order) = if page.newest_first { (">", "ASC") } else { ("<", "DESC") };
        let text = format!(
            "{CHAIN} SELECT {} FROM chain JOIN turns USING (run) \
             WHERE $2::uuid IS NULL OR depth {comes_after} (SELECT depth FROM chain WHERE run = $2) \
             ORDER BY depth {order} LIMIT $3",
            turn_columns!()
        );
        let query = sqlx::query(AssertSqlSafe(text)).bind(stored(conversation));
        let query = query.bind(page.after.map(|run| run.0)).bind(i64::from(page.limit));
        self.db().rows(query).await?.iter().map(turn_row).collect()
    }

    /// See [`liteagent_engine::store::Journal::turn`].
    pub(super) async fn turn_of(&self, run: RunId) -> Result<Option<StoredTurn>, Error> {
        let text = concat!("SELECT ", turn_columns!(), " FROM turns WHERE run = $1");
        self.db().first(sql(text).bind(run.0)).await?.as_ref().map(turn_row).transpose()
    }

    /// See [`liteagent_engine::store::Journal::rate`].
    pub(super) async fn rate_turn(&self, run: RunId, rating: Option<Rating>) -> Result<bool, Error> {
        let rate = sql("UPDATE turns SET rating = $2 WHERE run = $1");
        Ok(self.db().execute(rate.bind(run.0).bind(rating.map(rating_number))).await? > 0)
    }

    /// See [`liteagent_engine::store::Journal::conversations`].
    pub(super) async fn listed(&self, filter: &ConversationFilter) -> Result<Vec<ConversationRow>, Error> {
        let mut query = select_conversations();
        let is = [("workflow", &filter.workflow), ("space", &filter.space), ("speaker", &filter.user)];
        for (column, wanted) in is.into_iter().filter_map(|(column, wanted)| Some((column, wanted.as_ref()?))) {
            query.push(format!(" AND conversations.{column} = ")).push_bind(stored(wanted).into_owned());
        }
        if let Some((at, head)) = filter.before {
            query.push(" AND (conversations.updated_at, conversations.head) < (").push_bind(at);
            query.push(", ").push_bind(head.0).push(")");
        }
        query.push(" ORDER BY conversations.updated_at DESC, conversations.head DESC LIMIT ");
        query.push_bind(i64::from(filter.limit()));
        self.db().rows(query.build()).await?.iter().map(conversation_row).collect()
    }

    /// See [`liteagent_engine::store::Journal::conversation_row`].
    pub(super) async fn listed_one(&self, id: &str) -> Result<Option<ConversationRow>, Error> {
        let mut query = select_conversations();
        query.push(" AND conversations.id = ").push_bind(stored(id).into_owned());
        self.db().first(query.build()).await?.as_ref().map(conversation_row).transpose()
    }

    /// See [`liteagent_engine::store::Journal::rename_conversation`].
    pub(super) async fn rename(&self, id: &str, title: &str) -> Result<bool, Error> {
        let rename = sql("UPDATE conversations SET title = $2 WHERE id = $1 AND head IS NOT NULL");
        Ok(self.db().execute(rename.bind(stored(id)).bind(stored(title))).await? > 0)
    }
}

/// The conversations with something said in them; conditions may follow.
fn select_conversations() -> QueryBuilder<Postgres> {
    QueryBuilder::new(concat!(
        "SELECT ",
        turn_columns!(),
        ", conversations.id, workflow, title, space, speaker, created_at, updated_at, \
         (SELECT count(*) FROM turns AS every WHERE every.conversation = conversations.id) \
         FROM conversations JOIN turns ON turns.run = conversations.head WHERE conversations.head IS NOT NULL"
    ))
}
