//! What was said in conversations: the tables `conversations` and `turns`.

use std::collections::{BTreeMap, HashMap};

use liteagent_engine::{
    id::RunId,
    store::{ConversationEnd, ConversationRow, NewRun, StoredTurn, title_of},
    units::Millis,
};
use sqlx::Row as _;

use super::{
    PostgresStore,
    changes::column,
    db::{Tx, sql},
    stored::{decoded, stored},
};
use crate::{
    database::Error,
    row::{conversation_row, turn_row},
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
struct Said {
    workflow: String,
    title: String,
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
        let text = "INSERT INTO conversations (id, workflow, title, head, created_at, updated_at) SELECT * FROM \
                    unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[]) \
                    ON CONFLICT (id) DO UPDATE SET head = excluded.head, updated_at = excluded.updated_at, \
                    workflow = coalesce(conversations.workflow, excluded.workflow), \
                    title = coalesce(conversations.title, excluded.title), \
                    created_at = coalesce(conversations.created_at, excluded.created_at)";
        let statement = sql(text)
            .bind(column(&said, |(id, _)| stored(id)))
            .bind(column(&said, |(_, said)| stored(&said.workflow)))
            .bind(column(&said, |(_, said)| stored(&said.title)))
            .bind(column(&said, |(_, said)| said.head.0))
            .bind(column(&said, |(_, said)| said.created_at))
            .bind(column(&said, |(_, said)| said.updated_at));
        tx.execute(statement).await.map(drop)
    }

    /// Each conversation once: the first turn gives its title, the last one is its head.
    fn said(&self) -> BTreeMap<&str, Said> {
        let mut all = BTreeMap::new();
        for (new, _) in &self.turns {
            let (Some(conversation), Some(turn)) = (&new.conversation, &new.turn) else { continue };
            let said = all.entry(conversation.as_str()).or_insert_with(|| Said {
                workflow: new.workflow.clone(),
                title: title_of(&turn.message),
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
        let text = "WITH RECURSIVE chain (run, depth) AS ( \
                    SELECT after, 1::bigint FROM turns WHERE run = $1 \
                    UNION ALL SELECT turns.after, depth + 1 FROM chain JOIN turns USING (run) WHERE depth < $2) \
                    SELECT turns.run, after, message, files, answer, at FROM chain JOIN turns USING (run) ORDER BY depth DESC";
        let query = sql(text).bind(run.0).bind(i64::try_from(most).unwrap_or(i64::MAX));
        self.db().rows(query).await?.iter().map(turn_row).collect()
    }

    /// See [`liteagent_engine::store::Journal::turn`].
    pub(super) async fn turn_of(&self, run: RunId) -> Result<Option<StoredTurn>, Error> {
        let text = "SELECT run, after, message, files, answer, at FROM turns WHERE run = $1";
        self.db().first(sql(text).bind(run.0)).await?.as_ref().map(turn_row).transpose()
    }

    /// See [`liteagent_engine::store::Journal::conversations`].
    pub(super) async fn listed(&self, workflow: Option<&str>, limit: u32) -> Result<Vec<ConversationRow>, Error> {
        let text = "SELECT id, workflow, title, head, created_at, updated_at FROM conversations \
                    WHERE head IS NOT NULL AND ($1::text IS NULL OR workflow = $1) \
                    ORDER BY updated_at DESC, head DESC LIMIT $2";
        let query = sql(text).bind(workflow.map(stored)).bind(i64::from(limit));
        self.db().rows(query).await?.iter().map(conversation_row).collect()
    }
}
