//! The reconciler of a process among others: finds the runs whose pointers are lost, and pushes them again.
//!
//! What was pushed when is kept in memory alone. Another reconciler knows less and pushes a little more, which is harmless:
//! a pointer that waits already is not added again.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

use super::{EngineError, Fleet, Inner, audience::publish, push::warn};
use crate::{
    id::RunId,
    queue::{Depth, Group, QueueError, Wake},
    store::{RunPhase, RunRow},
    units::Millis,
};

/// Of so many runs it is looked up in one round where their pointers are.
const BATCH: usize = 1_000;
/// So many runs are listed in one round.
const MOST: usize = 20_000;
/// A pointer that its queue has passed is pushed again when its last push is older than this.
const PASSED: Millis = 30_000;
/// When another process has looked a moment ago, this one does not.
const ELSEWHERE: Millis = 1_500;

/// What the reconciler remembers from round to round.
#[derive(Default)]
pub(super) struct Reconciler {
    /// The runs that someone should take, and when their pointers were last pushed.
    pushed: HashMap<RunId, (Group, Millis)>,
    /// The generation of each queue, and since when it is this one; `None` is since before this process.
    generations: HashMap<Group, (String, Option<Millis>)>,
    /// Whether the queue cannot be used, and this was said.
    is_down: bool,
}

/// How a queue stands.
struct Standing {
    depth: Depth,
    born: Option<Millis>,
}

impl Standing {
    /// Whether a pointer that was pushed at a time does not wait there any more.
    fn has_lost(&self, pushed: Millis, now: Millis) -> bool {
        let is_of_another = self.born.is_some_and(|born| pushed < born);
        let is_passed = now - pushed > PASSED && self.depth.oldest.is_none_or(|oldest| pushed < oldest);
        is_of_another || is_passed
    }
}

impl Inner {
    /// Another process looks for lost pointers.
    pub(super) fn reconciled_elsewhere(&self) {
        self.reconciled.store(self.clock.now(), Ordering::Relaxed);
    }

    /// Pushes pointers that are lost, unless another process has done so a moment ago. Returns how many.
    pub(super) async fn reconcile(self: &Arc<Self>, fleet: &Fleet) -> Result<usize, EngineError> {
        let now = self.clock.now();
        let since = now - self.reconciled.load(Ordering::Relaxed);
        if (0..ELSEWHERE).contains(&since) {
            return Ok(0);
        }
        let mut reconciler = self.reconciler.lock().await;
        publish(fleet, Wake::Reconciled(self.session)).await;
        match self.round(fleet, &mut reconciler, now).await {
            Err(EngineError::Queue(error)) => {
                if !std::mem::replace(&mut reconciler.is_down, true) {
                    warn(&error);
                }
                Err(EngineError::Queue(error))
            }
            round => {
                reconciler.is_down = false;
                round
            }
        }
    }

    async fn round(&self, fleet: &Fleet, known: &mut Reconciler, now: Millis) -> Result<usize, EngineError> {
        // Those that are known to wait in queues must not hide the others.
        let limit = (BATCH + known.pushed.len()).min(MOST);
        let runs = self.stores.journal.runnable(now, u32::try_from(limit).unwrap_or(u32::MAX)).await?;
        let there: HashSet<RunId> = runs.iter().copied().collect();
        known.pushed.retain(|run, _| there.contains(run));
        let mut queues = HashMap::new();
        for group in [Group::Workflow, Group::Indexing] {
            let standing = known.look(fleet, group, now).await?;
            queues.insert(group, standing);
        }
        let mut lost: HashMap<Group, Vec<_>> = HashMap::new();
        let (mut looked_up, mut count) = (0, 0);
        for run in runs {
            let of = known.pushed.get(&run).copied();
            let is_lost = |group: Group, at| queues.get(&group).is_none_or(|queue| queue.has_lost(at, now));
            if of.is_some_and(|(group, at)| !is_lost(group, at)) {
                continue;
            }
            if looked_up == BATCH {
                break;
            }
            looked_up += 1;
            let Some(row) = self.stores.journal.run(run).await? else { continue };
            let group = self.group_of(&row).await?;
            let pushed = of.map(|(_, at)| at).or_else(|| pushed_by_others(&row));
            if let Some(at) = pushed.filter(|at| !is_lost(group, *at)) {
                known.pushed.insert(run, (group, at));
                continue;
            }
            lost.entry(group).or_default().push(self.job_of(&row));
            known.pushed.insert(run, (group, now));
            count += 1;
        }
        for (group, jobs) in lost {
            if let Err(error) = fleet.queue.push(group, jobs).await {
                // What of them it has is not known; it does not add them twice.
                known.pushed.retain(|_, (_, at)| *at != now);
                return Err(error.into());
            }
        }
        Ok(count)
    }
}

impl Reconciler {
    async fn look(&mut self, fleet: &Fleet, group: Group, now: Millis) -> Result<Standing, QueueError> {
        let generation = fleet.queue.generation(group).await?;
        let known = self.generations.get(&group);
        let born = match known {
            Some((same, born)) if *same == generation => *born,
            Some(_) => Some(now),
            None => None,
        };
        self.generations.insert(group, (generation, born));
        Ok(Standing { depth: fleet.queue.depth(group).await?, born })
    }
}

/// When whoever created a run has pushed it: a run that was never taken. Of others nobody knows.
fn pushed_by_others(row: &RunRow) -> Option<Millis> {
    (row.phase == RunPhase::Queued && row.epoch == 0).then_some(row.updated_at)
}
