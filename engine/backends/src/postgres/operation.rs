//! What whoever operates an installation asks: held runs, and which installation it is.

use liteagent_engine::{
    id::RunId,
    store::{Installation, ReleaseHeld},
};
use sqlx::Row as _;
use uuid::Uuid;

use super::{PostgresStore, db::sql, stored::stored};
use crate::{
    database::{Error, damaged},
    row::{Cells as _, int, text},
};

impl PostgresStore {
    pub(super) async fn hold_all(&self) -> Result<u64, Error> {
        let text = "WITH open AS MATERIALIZED (SELECT id FROM runs WHERE phase IN (0, 1, 2) ORDER BY id FOR UPDATE) \
                    UPDATE runs SET phase = -1, owner = NULL FROM open WHERE runs.id = open.id";
        self.db().execute(sql(text)).await
    }

    pub(super) async fn release(&self, which: &ReleaseHeld, limit: u32) -> Result<Vec<RunId>, Error> {
        // `chosen` holds runs that are meant, held or not, and all that they started.
        const RELEASE: &str = "WITH RECURSIVE chosen (id) AS ( \
                SELECT id FROM runs WHERE phase < 3 AND ($1::text IS NULL OR workflow = $1) \
                    AND ($2::uuid[] IS NULL OR id = ANY($2)) \
                UNION SELECT runs.id FROM runs JOIN chosen ON runs.parent_run = chosen.id), \
            first AS (SELECT id FROM runs JOIN chosen USING (id) WHERE phase = -1 ORDER BY number LIMIT $3), \
            held AS MATERIALIZED (SELECT id FROM runs WHERE id = ANY(ARRAY(SELECT id FROM first)) AND phase = -1 \
                ORDER BY id FOR UPDATE) \
            UPDATE runs SET phase = 0, wake_at = NULL FROM held WHERE runs.id = held.id RETURNING runs.number, runs.id";
        let (workflow, ids) = match which {
            ReleaseHeld::All { workflow } => (workflow.as_deref().map(stored), None),
            ReleaseHeld::Runs(runs) => (None, Some(runs.iter().map(|run| run.0).collect::<Vec<Uuid>>())),
        };
        let rows = self.db().rows(sql(RELEASE).bind(workflow).bind(ids).bind(i64::from(limit))).await?;
        let released = rows.iter().map(|row| Ok((row.try_get::<i64, _>(0)?, RunId(row.try_get(1)?))));
        let mut released: Vec<_> = released.collect::<Result<_, Error>>()?;
        released.sort_unstable();
        Ok(released.into_iter().map(|(_, run)| run).collect())
    }

    pub(super) async fn count_queued(&self, most: u32) -> Result<u32, Error> {
        let text = "SELECT count(*) FROM (SELECT FROM runs WHERE phase = 0 LIMIT $1) AS queued";
        let row = self.db().first(sql(text).bind(i64::from(most))).await?;
        let count = row.as_ref().map_or(Ok(0), |row| int(row, 0))?;
        Ok(u32::try_from(count).unwrap_or(most))
    }

    pub(super) async fn which_installation(&self) -> Result<Installation, Error> {
        let row = self.db().first(sql("SELECT id, epoch, restored_at, backup_at FROM installation")).await?;
        let row = row.ok_or_else(|| damaged("the installation has no row"))?;
        Ok(Installation {
            id: text(&row, 0)?,
            epoch: int(&row, 1)? as u64,
            restored_at: row.int(2)?,
            backup_at: row.int(3)?,
        })
    }
}
