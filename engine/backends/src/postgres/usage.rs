//! What runs used of models, per day, workflow and model: the table `usage`.

use std::collections::BTreeMap;

use liteagent_engine::{
    store::{DAY, RunRow, RunUsage, UsageRow, day_of},
    units::Millis,
    usage::Usage,
};

use super::{
    PostgresStore,
    changes::column,
    db::{Tx, sql},
    stored::stored,
};
use crate::{database::Error, row::usage_row};

/// What the runs of a transaction used, added up.
#[derive(Default)]
pub(super) struct Used(BTreeMap<(i64, String, String), (i64, Usage)>);

impl Used {
    /// Counts a run that has just ended: on the day when it last changed.
    pub(super) fn count(&mut self, run: &RunRow, usage: &RunUsage) {
        for (model, used) in &usage.own {
            let place = (run.updated_at / DAY, run.workflow.clone(), model.clone());
            let (runs, sum) = self.0.entry(place).or_default();
            *runs += 1;
            *sum += *used;
        }
    }

    pub(super) async fn write(self, tx: &mut Tx<'_>) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let all: Vec<_> = self.0.into_iter().collect();
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
}

/// Half of what a column holds, so that a sum of two still fits.
fn half(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

macro_rules! sum {
    ($column:literal) => {
        concat!($column, " = least(usage.", $column, ", 4611686018427387903) + excluded.", $column)
    };
}

const COUNT: &str = concat!(
    "INSERT INTO usage (day, workflow, model, runs, calls, input_tokens, cached_tokens, output_tokens, reasoning_tokens, \
     cost, unpriced) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], \
     $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]) \
     ON CONFLICT (day, workflow, model) DO UPDATE SET runs = usage.runs + excluded.runs, ",
    sum!("calls"),
    ", ",
    sum!("input_tokens"),
    ", ",
    sum!("cached_tokens"),
    ", ",
    sum!("output_tokens"),
    ", ",
    sum!("reasoning_tokens"),
    ", ",
    sum!("cost"),
    ", ",
    sum!("unpriced"),
);

impl PostgresStore {
    /// The rows of these days.
    pub(super) async fn usage_rows(&self, from: Millis, until: Millis) -> Result<Vec<UsageRow>, Error> {
        let text = "SELECT day, workflow, model, runs, calls, input_tokens, cached_tokens, output_tokens, \
                    reasoning_tokens, cost, unpriced FROM usage WHERE day BETWEEN $1 AND $2 \
                    ORDER BY day, workflow COLLATE \"C\", model COLLATE \"C\"";
        let query = sql(text).bind(day_of(from) / DAY).bind(day_of(until) / DAY);
        self.db().rows(query).await?.iter().map(usage_row).collect()
    }
}
