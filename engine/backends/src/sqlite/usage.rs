//! What runs used of models, per day, workflow and model: the table `usage`.

use liteagent_engine::{
    store::{DAY, RunUsage, Spending, StoreError, UsageRow, day_of},
    units::Millis,
    usage::Usage,
};
use rusqlite::params;

use super::{
    SqliteStore,
    db::Db,
    row::{int, usage_row},
};
use crate::database::Error;

/// Counts a run that has just ended: on the day when it last changed.
pub(super) fn count(db: &Db, run: i64, usage: &RunUsage) -> Result<(), Error> {
    for (model, used) in &usage.own {
        db.execute(
            "INSERT INTO usage (day, workflow, model, runs, calls, input_tokens, cached_tokens, output_tokens, \
             reasoning_tokens, cost, unpriced) \
             SELECT updated_at / 86400000, workflow, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM runs WHERE row = ?1 \
             ON CONFLICT DO UPDATE SET runs = runs + 1, calls = calls + excluded.calls, \
             input_tokens = input_tokens + excluded.input_tokens, \
             cached_tokens = cached_tokens + excluded.cached_tokens, \
             output_tokens = output_tokens + excluded.output_tokens, \
             reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens, \
             cost = cost + excluded.cost, unpriced = unpriced + excluded.unpriced",
            params![
                run,
                model,
                amount(used.calls),
                amount(used.input_tokens),
                amount(used.cached_tokens),
                amount(used.output_tokens),
                amount(used.reasoning_tokens),
                amount(used.cost),
                amount(used.unpriced),
            ],
        )?;
    }
    spend(db, run, &usage.total)
}

/// Adds what a run used to what was spent by its account, and by all. What a child used is told by its parent.
fn spend(db: &Db, run: i64, total: &Usage) -> Result<(), Error> {
    if total.is_nothing() {
        return Ok(());
    }
    let sql = "INSERT INTO spent (account, day, tokens, cost) \
               SELECT value, updated_at / 86400000, ?2, ?3 FROM runs JOIN json_each(json_array('', account)) \
               WHERE row = ?1 AND parent_run IS NULL AND value IS NOT NULL \
               ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens, cost = cost + excluded.cost";
    db.execute(sql, params![run, amount(total.tokens()), amount(total.cost)]).map(drop)
}

/// Deletes what was used on the days before that of `before`.
pub(super) fn forget(db: &Db, before: Millis) -> Result<(), Error> {
    let day = day_of(before) / DAY;
    db.execute("DELETE FROM usage WHERE day < ?1", [day])?;
    db.execute("DELETE FROM spent WHERE day < ?1", [day]).map(drop)
}

/// Half of what a column holds, so that a sum of two still fits.
fn amount(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

impl SqliteStore {
    /// What was spent on these days; `account` is empty for all.
    pub(super) async fn spent_on(&self, account: &str, from: Millis, until: Millis) -> Result<Spending, StoreError> {
        let sql = "SELECT coalesce(sum(tokens), 0), coalesce(sum(cost), 0) FROM spent \
                   WHERE account = ?1 AND day BETWEEN ?2 AND ?3";
        let query = sqlx::query(sql).bind(account.to_owned()).bind(day_of(from) / DAY).bind(day_of(until) / DAY);
        let row = query.fetch_one(&self.0.readers).await.map_err(Error::from)?;
        Ok(Spending { tokens: int(&row, 0)? as u64, cost: int(&row, 1)? as u64 })
    }

    /// The rows of these days.
    pub(super) async fn usage_rows(&self, from: Millis, until: Millis) -> Result<Vec<UsageRow>, StoreError> {
        let sql = "SELECT day, workflow, model, runs, calls, input_tokens, cached_tokens, output_tokens, \
                   reasoning_tokens, cost, unpriced FROM usage WHERE day BETWEEN ?1 AND ?2 ORDER BY day, workflow, model";
        let query = sqlx::query(sql).bind(day_of(from) / DAY).bind(day_of(until) / DAY);
        let rows = query.fetch_all(&self.0.readers).await.map_err(Error::from)?;
        Ok(rows.iter().map(usage_row).collect::<Result<_, _>>()?)
    }
}
