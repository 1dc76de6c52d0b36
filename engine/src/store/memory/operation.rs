//! What whoever operates an installation asks, in plain collections.

use std::collections::{BTreeMap, HashSet};

use super::runs::Runs;
use crate::{
    id::RunId,
    store::{Installation, ReleaseHeld, RunPhase, RunRow, Spending, day_of},
    units::Millis,
    usage::Usage,
};

/// What was spent, and which installation it is.
pub(super) struct Operation {
    /// By day and account; all together under no account.
    spent: BTreeMap<(Millis, Option<String>), Spending>,
    pub(super) installation: Installation,
}

impl Default for Operation {
    fn default() -> Self {
        let id = RunId::random().0.simple().to_string();
        Self { spent: BTreeMap::new(), installation: Installation { id, epoch: 1, ..Installation::default() } }
    }
}

impl Operation {
    /// Counts what a run used that ended when its row last changed. What a child used is told by its parent.
    pub(super) fn spend(&mut self, run: &RunRow, account: Option<&str>, total: &Usage) {
        if run.parent.is_some() || total.is_nothing() {
            return;
        }
        let day = day_of(run.updated_at);
        self.spent.entry((day, None)).or_default().add(total);
        if let Some(account) = account {
            self.spent.entry((day, Some(account.to_owned()))).or_default().add(total);
        }
    }

    pub(super) fn spent(&self, account: Option<&str>, from: Millis, until: Millis) -> Spending {
        let days = day_of(from)..=day_of(until);
        let fitting = self.spent.iter().filter(|((day, of), _)| days.contains(day) && of.as_deref() == account);
        fitting.fold(Spending::default(), |sum, (_, spent)| Spending {
            tokens: sum.tokens.saturating_add(spent.tokens),
            cost: sum.cost.saturating_add(spent.cost),
        })
    }

    pub(super) fn forget(&mut self, before: Millis) {
        self.spent.retain(|(day, _), _| *day >= day_of(before));
    }
}

impl Runs {
    pub(super) fn hold_runs(&mut self) -> u64 {
        let mut held = 0;
        for order in &self.open {
            let Some(run) = self.order.get(order).and_then(|id| self.by_id.get_mut(id)) else { continue };
            held += u64::from(run.row.phase != RunPhase::Held);
            (run.row.phase, run.row.owner) = (RunPhase::Held, None);
        }
        held
    }

    pub(super) fn release_held(&mut self, which: &ReleaseHeld, limit: u32) -> Vec<RunId> {
        let mut chosen = HashSet::new();
        let mut released = Vec::new();
        // A child is younger than its parent.
        for id in self.open.iter().filter_map(|order| self.order.get(order)) {
            let Some(run) = self.by_id.get_mut(id) else { continue };
            let is_meant = match which {
                ReleaseHeld::All { workflow } => workflow.as_ref().is_none_or(|name| *name == run.row.workflow),
                ReleaseHeld::Runs(runs) => runs.contains(id),
            };
            if !is_meant && !run.row.parent.as_ref().is_some_and(|parent| chosen.contains(&parent.run)) {
                continue;
            }
            chosen.insert(*id);
            if run.row.phase == RunPhase::Held && released.len() < limit as usize {
                run.row.phase = RunPhase::Queued;
                released.push(*id);
            }
        }
        released
    }

    pub(super) fn queued(&self, most: u32) -> u32 {
        let open = self.open.iter().filter_map(|order| self.by_id.get(self.order.get(order)?));
        let queued = open.filter(|run| run.row.phase == RunPhase::Queued).take(most as usize).count();
        u32::try_from(queued).unwrap_or(most)
    }
}
