//! `[retention]`, `[budget]` and `[limits]` of `liteagent.toml`: what is kept how long, and what runs may use.

use liteagent_engine::{
    definition::Limits,
    engine::Capacity,
    units::{Duration, Money},
};
use liteagent_server::{Budgets, Retention};
use serde::{Deserialize, Deserializer, de::Error as _};

/// `[retention]`: how long what is over is kept; `forever` is a time too.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetentionConfig {
    /// Runs that have ended, with their journals and files; 30d.
    runs: Option<Keep>,
    /// The audit log; 365d.
    audit: Option<Keep>,
    /// What was used of models, by day; forever.
    usage: Option<Keep>,
}

/// How long something is kept.
#[derive(Clone, Copy, Debug)]
enum Keep {
    For(Duration),
    Forever,
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "forever" => Ok(Self::Forever),
            text => {
                Duration::parse(text).map(Self::For).map_err(|error| D::Error::custom(format!("{error}, or `forever`")))
            }
        }
    }
}

impl RetentionConfig {
    pub(crate) fn retention(&self) -> Retention {
        let usual = Retention::default();
        let keep = |keep: Option<Keep>, usual| match keep {
            None => usual,
            Some(Keep::For(time)) => Some(time.0),
            Some(Keep::Forever) => None,
        };
        Retention {
            runs: keep(self.runs, usual.runs),
            audit: keep(self.audit, usual.audit),
            usage: keep(self.usage, usual.usage),
        }
    }
}

/// `[budget]`: what runs of a server may use of models. A table that is there stands for the whole default.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BudgetConfig {
    /// One run; 5,000,000 tokens.
    run: Amounts,
    /// The runs of an API key that end on one day; 50,000,000 tokens.
    key: Amounts,
    /// The runs of the installation that end in one month; 500,000,000 tokens.
    month: Amounts,
}

/// Tokens and money; what is missing is not limited.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Amounts {
    tokens: Option<u64>,
    cost: Option<Money>,
}

impl Amounts {
    const fn tokens(tokens: u64) -> Self {
        Self { tokens: Some(tokens), cost: None }
    }

    const fn limits(self) -> Limits {
        Limits { tokens: self.tokens, cost: self.cost, nodes: None }
    }
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { run: Amounts::tokens(5_000_000), key: Amounts::tokens(50_000_000), month: Amounts::tokens(500_000_000) }
    }
}

impl BudgetConfig {
    pub(crate) fn budgets(&self) -> Budgets {
        Budgets { run: self.run.limits(), key: self.key.limits(), month: self.month.limits() }
    }
}

/// `[limits]`: how many runs go on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    /// So many runs a server executes at once; 1000.
    runs: std::num::NonZeroU32,
    /// So many runs may wait in the queue for that; 10000.
    waiting: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        const RUNS: std::num::NonZeroU32 = std::num::NonZeroU32::new(1_000).expect("1000 is not 0");
        Self { runs: RUNS, waiting: 10_000 }
    }
}

impl LimitsConfig {
    pub(crate) fn capacity(self) -> Capacity {
        Capacity { at_once: self.runs.get() as usize, waiting: self.waiting }
    }
}
