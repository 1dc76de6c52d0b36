//! How every run of the server begins.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use axum::http::StatusCode;
use chrono::{DateTime, Datelike as _, Months, NaiveTime};
use liteagent_engine::{
    codes,
    definition::{Limits, WhenFull},
    engine::{Cut, EngineError, Start, Terms},
    id::RunId,
    store::{DAY, Hold, Spending, StoreError, day_of},
    time::iso,
    units::{Millis, Money},
};

use crate::{
    access::{Caller, KeyCaller},
    app::App,
    problem::Problem,
    store::KeyLimits,
    traces,
};

/// How long it is believed what was spent: runs that go on are counted at their end anyway.
const BELIEVED: Millis = 1_000;
/// The most accounts that are remembered.
const MOST: usize = 10_000;

/// What was spent, as it was read a moment ago: by account and the first day.
#[derive(Default)]
pub(crate) struct Spent(Mutex<HashMap<(String, Millis), (Spending, Millis)>>);

/// Why a run did not begin.
pub(crate) enum NotBegun {
    /// A budget is used up.
    Spent(Box<Problem>),
    /// The engine says so.
    Engine(EngineError),
}

impl From<EngineError> for NotBegun {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<StoreError> for NotBegun {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<NotBegun> for Problem {
    fn from(why: NotBegun) -> Self {
        match why {
            NotBegun::Spent(problem) => *problem,
            NotBegun::Engine(error) => error.into(),
        }
    }
}

impl App {
    /// Starts a run, for a caller or a trigger, unless that is more than may be used. What the run may use is no more than what
    /// is left.
    pub(crate) async fn begin(&self, caller: Option<&Caller>, mut start: Start) -> Result<RunId, NotBegun> {
        let Terms { account, budget, holds } = self.terms(caller).await?;
        start.budget = start.budget.min(budget);
        start.account = account;
        start.holds.extend(holds);
        Ok(self.engine.start(traces::join(start)).await?)
    }

    /// Starts a run from a cut of another one, on the same terms.
    pub(crate) async fn begin_again(
        &self,
        caller: Option<&Caller>,
        id: RunId,
        from: RunId,
        cut: Cut,
    ) -> Result<RunId, NotBegun> {
        Ok(self.engine.fork_as(id, from, cut, self.terms(caller).await?).await?)
    }

    /// What a run may use that begins now.
    async fn terms(&self, caller: Option<&Caller>) -> Result<Terms, NotBegun> {
        let budgets = &self.settings.budgets;
        let now = self.clock.now();
        let mut terms = Terms { budget: budgets.run, ..Terms::default() };
        if let Some(Caller::Key(key)) = caller {
            let account = format!("key:{}", key.id);
            let period = Period { whose: format!("the API key `{}`", key.name), per: "day", from: day_of(now) };
            let left = self.left(Some(&account), of_key(&key.limits, budgets.key), &period, day_of(now) + DAY).await?;
            terms.budget = terms.budget.min(left);
            terms.account = Some(account);
            terms.holds.extend(hold(key));
        }
        let (from, until) = month(now);
        let period = Period { whose: "the installation".to_owned(), per: "month", from };
        terms.budget = terms.budget.min(self.left(None, budgets.month, &period, until).await?);
        Ok(terms)
    }

    /// Which part of the budget of this month the runs that have ended used, of each kind that it limits.
    pub(crate) async fn month_used(&self) -> Result<Vec<(&'static str, f64)>, StoreError> {
        let (budget, now) = (self.settings.budgets.month, self.clock.now());
        if budget.is_none() {
            return Ok(Vec::new());
        }
        let spent = self.stores.journal.spent(None, month(now).0, now).await?;
        let tokens = budget.tokens.map(|most| ("tokens", spent.tokens as f64 / most.max(1) as f64));
        let cost = budget.cost.map(|most| ("cost", spent.cost as f64 / most.0.max(1) as f64));
        Ok(tokens.into_iter().chain(cost).collect())
    }

    /// What is left of a budget until it begins anew.
    async fn left(
        &self,
        account: Option<&str>,
        budget: Limits,
        period: &Period,
        until: Millis,
    ) -> Result<Limits, NotBegun> {
        if budget.is_none() {
            return Ok(budget);
        }
        let now = self.clock.now();
        let spent = if let Some(spent) = self.spent.recent(account, period.from, now) {
            spent
        } else {
            let spent = self.stores.journal.spent(account, period.from, now).await?;
            self.spent.keep(account, period.from, now, spent);
            spent
        };
        let refuse = |used: String, most: String| {
            let detail = format!("the budget of {} is {most} a {}, and {used} were used", period.whose, period.per);
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, codes::BUDGET_SPENT, detail)
                .hint(format!("it begins anew at {}; an owner can raise it", iso(until)))
                .retry_after(u64::try_from((until - now) / 1_000).unwrap_or(0).max(1));
            Err(NotBegun::Spent(Box::new(problem)))
        };
        if let Some(most) = budget.tokens.filter(|most| spent.tokens >= *most) {
            return refuse(format!("{} tokens", spent.tokens), format!("{most} tokens"));
        }
        if let Some(most) = budget.cost.filter(|most| spent.cost >= most.0) {
            return refuse(Money(spent.cost).to_string(), most.to_string());
        }
        Ok(Limits {
            tokens: budget.tokens.map(|most| most - spent.tokens),
            cost: budget.cost.map(|most| Money(most.0 - spent.cost)),
            nodes: None,
        })
    }
}

/// Whose budget it is, and of which time.
struct Period {
    whose: String,
    per: &'static str,
    from: Millis,
}

/// What an API key may use a day: its own limits, where it has some.
fn of_key(own: &KeyLimits, usual: Limits) -> Limits {
    Limits { tokens: own.tokens.or(usual.tokens), cost: own.cost.map(Money).or(usual.cost), nodes: None }
}

/// What the runs of an API key are counted under that may have so many at once.
fn hold(key: &KeyCaller) -> Option<Hold> {
    let limit = key.limits.runs?;
    Some(Hold { key: format!("API key {}", key.id), limit, when_full: WhenFull::Reject })
}

/// The first moments of this month and of the next, UTC.
fn month(now: Millis) -> (Millis, Millis) {
    let at = DateTime::from_timestamp_millis(now).unwrap_or_default().date_naive();
    let first = at.with_day(1).unwrap_or(at);
    let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
    let millis = |date: chrono::NaiveDate| date.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    (millis(first), millis(next))
}

impl Spent {
    fn recent(&self, account: Option<&str>, from: Millis, now: Millis) -> Option<Spending> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (spent, read_at) = kept.get(&(account.unwrap_or_default().to_owned(), from))?;
        ((*read_at..*read_at + BELIEVED).contains(&now)).then_some(*spent)
    }

    fn keep(&self, account: Option<&str>, from: Millis, now: Millis, spent: Spending) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert((account.unwrap_or_default().to_owned(), from), (spent, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_and_end_where_the_calendar_says() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        for (now, from, until) in [
            ("2026-02-28T23:59:59.999Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2028-01-31T12:00:00Z", "2028-01-01T00:00:00Z", "2028-02-01T00:00:00Z"),
        ] {
            assert_eq!(month(at(now)), (at(from), at(until)), "{now}");
        }
    }
}
