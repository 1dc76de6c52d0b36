//! What is kept how long, and what runs may use.

use std::time::Duration;

use liteagent_engine::definition::Limits;

/// How long what is over is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Runs that have ended, with their journals and files; `None` is for ever. Default: 30 days.
    pub runs: Option<Duration>,
    /// The audit log; `None` is for ever. Default: a year.
    pub audit: Option<Duration>,
    /// What was used of models, by day; `None` is for ever. Default: for ever.
    pub usage: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self { runs: Some(30 * DAY), audit: Some(365 * DAY), usage: None }
    }
}

/// What runs that the server starts may use of models, whatever their workflows say. Default: anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// One run, with the runs that it starts.
    pub run: Limits,
    /// The runs that an API key started and that ended on a day (UTC); the key may have limits of its own.
    pub key: Limits,
    /// The runs of the installation that ended in a month (UTC).
    pub month: Limits,
}
