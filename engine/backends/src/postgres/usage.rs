//! What runs used of models, per day, workflow and model: the table `usage`.

use std::collections::BTreeMap;

use liteagent_engine::{
    store::{DAY, RunUsage, Spending, UsageRow, day_of},
    units::Millis,
    usage::Usage,
};

use super::{
    PostgresStore,
    changes::column,
    db::{Tx, sql},
    locked::Locked,
    stored::stored,
};
use crate::{
    database::Error,
    row::{int, usage_row},
};

macro_rules! sum {
    ($table:literal, $column:literal) => {
        concat!($column, " = least(", $table, ".", $column, ", 4611686018427387903) + excluded.", $column)
    };
}

/// What the runs of a transaction used, added up.
#[derive(Default)]
pub(super) struct Used {
    /// By day, workflow and model: how many runs, and what.
    by_model: BTreeMap<(i64, String, String), (i64, Usage)>,
    /// By account and day; that of all is empty.
    by_account: BTreeMap<(String, i64), Spending>,
}

impl Used {
    /// Counts a run that has just ended: on the day when it last changed.
    pub(super) fn count(&mut self, run: &Locked, usage: &RunUsage) {
        let day = run.row.updated_at.div_euclid(DAY);
        for (model, used) in &usage.own {
            let place = (day, run.row.workflow.clone(), model.clone());
            let (runs, sum) = self.by_model.entry(place).or_default();
            *runs += 1;
            *sum += *used;
        }
        // What a child used is told by its parent.
        if run.row.parent.is_none() && !usage.total.is_nothing() {
            for account in run.account.iter().cloned().chain([String::new()]) {
                self.by_account.entry((account, day)).or_default().add(&usage.total);
            }
        }
    }

    pub(super) async fn write(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        if !self.by_model.is_empty() {
            self.write_models(tx).await?;
        }
        if !self.by_account.is_empty() {
            self.write_accounts(tx).await?;
        }
        Ok(())
    }

    async fn write_models(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let all: Vec<_> = self.by_model.iter().collect();
        let amounts = |amount: fn(&Usage) -> u64| column(&all, |(_, (_, usage))| half(amount(usage)));
        let statement = sql(COUNT)
            .bind(column(&all, |((day, ..), _)| *day))
            .bind(column(&all, |((_, workflow, _), _)| stored(workflow)))
            .bind(column(&all, |((.., model), _)| stored(model)))
            .bind(column(&all, |(_, (runs, _))| *runs))
            .bind(amounts(|usage| usage.calls))
            .bind(amounts(|usage| usage.input_tokens))
            .bind(amounts(|usage| usage.cached_tokens))
            .bind(amounts(|usage| usage.output_tokens))
            .bind(amounts(|usage| usage.reasoning_tokens))
            .bind(amounts(|usage| usage.cost))
            .bind(amounts(|usage| usage.unpriced));
        tx.execute(statement).await.map(drop)
    }

    async fn write_accounts(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let all: Vec<_> = self.by_account.iter().collect();
        let text = concat!(
            "INSERT INTO spent (account, day, tokens, cost) \
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) \
             ON CONFLICT (account, day) DO UPDATE SET ",
            sum!("spent", "tokens"),
            ", ",
            sum!("spent", "cost")
        );
        let statement = sql(text)
            .bind(column(&all, |((account, _), _)| stored(account)))
            .bind(column(&all, |((_, day), _)| *day))
            .bind(column(&all, |(_, spending)| half(spending.tokens)))
            .bind(column(&all, |(_, spending)| half(spending.cost)));
        tx.execute(statement).await.map(drop)
    }
}

/// Half of what a column holds, so that a sum of two still fits.
fn half(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

const COUNT: &str = concat!(
    "INSERT INTO usage (day, workflow, model, runs, calls, input_tokens, cached_tokens, output_tokens, reasoning_tokens, \
     cost, unpriced) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], \
     $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]) \
     ON CONFLICT (day, workflow, model) DO UPDATE SET runs = usage.runs + excluded.runs, ",
    sum!("usage", "calls"),
    ", ",
    sum!("usage", "input_tokens"),
    ", ",
    sum!("usage", "cached_tokens"),
    ", ",
    sum!("usage", "output_tokens"),
    ", ",
    sum!("usage", "reasoning_tokens"),
    ", ",
    sum!("usage", "cost"),
    ", ",
    sum!("usage", "unpriced"),
);

impl PostgresStore {
    /// What was spent on these days; `account` is empty for all.
    pub(super) async fn spent_on(&self, account: &str, from: Millis, until: Millis) -> Result<Spending, Error> {
        let text = "SELECT least(coalesce(sum(tokens), 0), 9223372036854775807)::bigint, \
                    least(coalesce(sum(cost), 0), 9223372036854775807)::bigint FROM spent \
                    WHERE account = $1 AND day BETWEEN $2 AND $3";
        let query = sql(text).bind(stored(account)).bind(day_of(from) / DAY).bind(day_of(until) / DAY);
        let Some(row) = self.db().first(query).await? else { return Ok(Spending::default()) };
        Ok(Spending { tokens: int(&row, 0)? as u64, cost: int(&row, 1)? as u64 })
    }

    /// Deletes what was used on the days before that of `before`.
    pub(super) async fn forget_days(&self, before: Millis) -> Result<(), Error> {
        let text = "WITH old AS (DELETE FROM usage WHERE day < $1) DELETE FROM spent WHERE day < $1";
        self.db().execute(sql(text).bind(day_of(before) / DAY)).await.map(drop)
    }

    /// The rows of these days.
    pub(super) async fn usage_rows(&self, from: Millis, until: Millis) -> Result<Vec<UsageRow>, Error> {
        let text = "SELECT day, workflow, model, runs, calls, input_tokens, cached_tokens, output_tokens, \
                    reasoning_tokens, cost, unpriced FROM usage WHERE day BETWEEN $1 AND $2 \
                    ORDER BY day, workflow COLLATE \"C\", model COLLATE \"C\"";
        let query = sql(text).bind(day_of(from) / DAY).bind(day_of(until) / DAY);
        self.db().rows(query).await?.iter().map(usage_row).collect()
    }
}
