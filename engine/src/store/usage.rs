//! What runs used of models, as stores keep it beyond the runs themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    time::iso,
    units::Millis,
    usage::{Usage, UsageReport},
};

/// The length of a day.
pub const DAY: Millis = 24 * 60 * 60 * 1000;

/// What a run used when it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunUsage {
    /// In all, with the runs that it started: what lists of runs show.
    pub total: Usage,
    /// What its own nodes used, by model: what is added up per day. The runs that it started count for themselves.
    pub own: BTreeMap<String, Usage>,
}

/// What the runs of a workflow that ended on a day used of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The first moment of the day, UTC.
    pub day: Millis,
    /// Name of the workflow.
    pub workflow: String,
    /// `provider/model`.
    pub model: String,
    /// How many runs.
    pub runs: u64,
    /// What they used together.
    pub usage: Usage,
}

/// A row of a report of usage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsageRowReport<'a> {
    /// The day, `2026-03-01`.
    pub day: String,
    /// Name of the workflow.
    pub workflow: &'a str,
    /// `provider/model`.
    pub model: &'a str,
    /// How many runs.
    pub runs: u64,
    /// What they used together.
    #[serde(flatten)]
    pub usage: UsageReport,
}

impl UsageRow {
    /// The form of replies.
    pub fn report(&self) -> UsageRowReport<'_> {
        let mut day = iso(self.day);
        day.truncate("2026-03-01".len());
        let Self { workflow, model, runs, usage, .. } = self;
        UsageRowReport { day, workflow, model, runs: *runs, usage: usage.report() }
    }
}

/// The first moment of the day of a moment, UTC.
pub const fn day_of(at: Millis) -> Millis {
    at.div_euclid(DAY) * DAY
}
