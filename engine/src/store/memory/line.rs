//! Who is counted under which key: the rules of [`hold`](crate::store::hold) over plain collections.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
};

use super::runs::Runs;
use crate::{
    definition::WhenFull,
    id::RunId,
    store::{
        Hold, NewRun,
        hold::{self, Lines as _},
    },
    units::Millis,
};

/// Every line.
#[derive(Default)]
pub(super) struct Lines {
    /// By key and order of creation.
    by_key: HashMap<String, BTreeMap<i64, Stand>>,
    keys: HashMap<i64, Vec<String>>,
}

/// A run in a line.
#[derive(Clone, Copy)]
struct Stand {
    limit: u32,
    holds: bool,
}

impl hold::Lines for Lines {
    type Error = Infallible;

    fn keys(&self, run: i64) -> Result<Vec<(String, u32)>, Infallible> {
        let keys = self.keys.get(&run).into_iter().flatten();
        Ok(keys.map(|key| (key.clone(), self.by_key[key][&run].limit)).collect())
    }

    fn holders(&self, key: &str, most: u32) -> Result<Vec<i64>, Infallible> {
        let all = self.by_key.get(key).into_iter().flatten();
        Ok(all.filter(|(_, stand)| stand.holds).map(|(run, _)| *run).take(most as usize).collect())
    }

    fn waiting(&self, key: &str, before: i64, most: u32) -> Result<Vec<i64>, Infallible> {
        let all = self.by_key.get(key).into_iter().flat_map(|line| line.range(..before));
        Ok(all.filter(|(_, stand)| !stand.holds).map(|(run, _)| *run).take(most as usize).collect())
    }
}

impl Lines {
    fn join(&mut self, run: i64, hold: &Hold, holds: bool) {
        self.by_key.entry(hold.key.clone()).or_default().insert(run, Stand { limit: hold.limit, holds });
        self.keys.entry(run).or_default().push(hold.key.clone());
    }

    /// From now on the run holds its keys.
    pub(super) fn hold(&mut self, run: i64) {
        for key in self.keys.get(&run).into_iter().flatten() {
            if let Some(stand) = self.by_key.get_mut(key).and_then(|line| line.get_mut(&run)) {
                stand.holds = true;
            }
        }
    }

    pub(super) fn leave(&mut self, run: i64) {
        for key in self.keys.remove(&run).unwrap_or_default() {
            if let Some(line) = self.by_key.get_mut(&key) {
                line.remove(&run);
                if line.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }

    /// Whether a run waits for nothing, or is the first of a line and has room.
    pub(super) fn is_next(&self, run: i64) -> bool {
        let Some(keys) = self.keys.get(&run) else { return true };
        let waits = keys.iter().any(|key| !self.by_key[key][&run].holds);
        !waits || keys.iter().any(|key| hold::first_in_line(self, key) == Ok(Some(run)))
    }

    fn in_the_way(&self, run: i64) -> Vec<i64> {
        let Some(keys) = self.keys.get(&run) else { return Vec::new() };
        if keys.iter().all(|key| self.by_key[key][&run].holds) {
            return Vec::new();
        }
        let Ok(keys) = self.keys(run);
        let Ok(way) = hold::in_the_way(self, run, &keys);
        way
    }
}

impl Runs {
    pub(super) fn ahead(&self, run: RunId) -> Vec<RunId> {
        let Some(run) = self.by_id.get(&run).filter(|run| run.row.epoch == 0) else { return Vec::new() };
        self.ids(&self.lines.in_the_way(run.order as i64))
    }

    pub(super) fn first_in_line(&self, key: &str) -> Option<RunId> {
        let Ok(first) = hold::first_in_line(&self.lines, key);
        self.order.get(&(first? as u64)).copied()
    }

    /// What a new run is counted under: not what a run above it is.
    pub(super) fn counted(&self, new: &NewRun) -> Vec<Hold> {
        let mut holds = new.holds.clone();
        let mut above = new.parent.as_ref().map(|parent| parent.run);
        while let Some(run) = above.and_then(|run| self.by_id.get(&run)).filter(|_| !holds.is_empty()) {
            let keys = self.lines.keys.get(&(run.order as i64)).map_or(&[][..], Vec::as_slice);
            holds.retain(|hold| !keys.contains(&hold.key));
            above = run.row.parent.as_ref().map(|parent| parent.run);
        }
        holds
    }

    /// The runs for which a new one is refused.
    pub(super) fn refused(&self, holds: &[Hold]) -> Option<Vec<RunId>> {
        let rejecting = holds.iter().filter(|hold| hold.when_full == WhenFull::Reject);
        let keys: Vec<_> = rejecting.map(|hold| (hold.key.clone(), hold.limit)).collect();
        let Ok(way) = hold::in_the_way(&self.lines, i64::MAX, &keys);
        (!way.is_empty()).then(|| self.ids(&way))
    }

    /// Puts a new run into its lines, and asks those to stop that it replaces.
    pub(super) fn stand(&mut self, id: RunId, holds: &[Hold], at: Millis) {
        let keys: Vec<_> = holds.iter().map(|hold| (hold.key.clone(), hold.limit)).collect();
        let Ok(way) = hold::in_the_way(&self.lines, i64::MAX, &keys);
        for hold in holds {
            let Ok(told) = hold::replaced(&self.lines, hold);
            for run in self.ids(&told) {
                self.send(run, hold::cancelled_for(id, at));
            }
        }
        for hold in holds {
            self.lines.join(self.created as i64, hold, way.is_empty());
        }
    }

    /// Creates a child; when it is rejected, its parent is told.
    pub(super) fn create_child(&mut self, child: NewRun) {
        let parent = child.parent.clone();
        if let crate::store::Created::Full(ahead) = self.create(child.clone(), None)
            && let Some(parent) = parent
        {
            self.send(parent.run, hold::rejected_child(&child, &parent, &ahead));
        }
    }

    fn ids(&self, runs: &[i64]) -> Vec<RunId> {
        runs.iter().filter_map(|run| self.order.get(&(*run as u64)).copied()).collect()
    }
}
