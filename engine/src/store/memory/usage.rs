//! What runs used, per day, workflow and model.

use std::collections::BTreeMap;

use crate::{
    store::{RunRow, RunUsage, UsageRow, day_of},
    units::Millis,
    usage::Usage,
};

/// Sums by (day, workflow, model).
#[derive(Default)]
pub(super) struct Daily(BTreeMap<(Millis, String, String), (u64, Usage)>);

impl Daily {
    /// Counts a run that ended when its row last changed.
    pub(super) fn add(&mut self, run: &RunRow, usage: &RunUsage) {
        for (model, used) in &usage.own {
            let place = (day_of(run.updated_at), run.workflow.clone(), model.clone());
            let (runs, sum) = self.0.entry(place).or_default();
            *runs += 1;
            *sum += *used;
        }
    }

    pub(super) fn forget(&mut self, before: Millis) {
        self.0.retain(|(day, ..), _| *day >= day_of(before));
    }

    pub(super) fn rows(&self, from: Millis, until: Millis) -> Vec<UsageRow> {
        let days = day_of(from)..=day_of(until);
        let fitting = self.0.iter().filter(|((day, ..), _)| days.contains(day));
        let row = |((day, workflow, model), (runs, usage)): (&(Millis, String, String), &(u64, Usage))| UsageRow {
            day: *day,
            workflow: workflow.clone(),
            model: model.clone(),
            runs: *runs,
            usage: *usage,
        };
        fitting.map(row).collect()
    }
}
