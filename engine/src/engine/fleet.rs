//! This process among others: where work waits for workers, and what of it this process takes.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, atomic::Ordering},
};

use super::{Engine, EngineError, Inner, Outcome, audience::publish};
use crate::{
    executor::OwnerError,
    id::RunId,
    queue::{Group, Job, Pointer, Queue, Wake, Wakes},
    store::{RunPhase, RunRow, StoreError},
};

/// The priority of runs that have begun, and of those that others started: what was begun ends before something new begins.
const BEGUN: u8 = 6;

/// This process among others.
#[derive(Clone)]
pub struct Fleet {
    /// Where work waits.
    pub queue: Arc<dyn Queue>,
    /// Tells the others at once that something happened.
    pub wakes: Arc<dyn Wakes>,
    /// The groups whose work is done here; none where others do it all.
    pub serves: BTreeSet<Group>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("serves", &self.serves).finish_non_exhaustive()
    }
}

impl Engine {
    /// Executes a run whose pointer was taken from a queue, and returns when it is executed here no longer: it has ended, waits,
    /// or belongs to another process. Then the pointer is done.
    ///
    /// # Errors
    /// When this process cannot execute it: another one may.
    pub async fn work(&self, run: RunId) -> Result<(), EngineError> {
        let inner = &self.inner;
        if let Some(handle) = inner.active().get(&run) {
            // It may be released at this moment, and be taken again then.
            handle.woken.store(true, Ordering::Relaxed);
            handle.wake.notify_one();
            return Ok(());
        }
        if let Some(why) = inner.why_left(run) {
            return Err((&*why).into());
        }
        let Some(mut end) = inner.drive(run, None) else { return Ok(()) };
        // An error means that the run's task is gone: the reconciler finds what is left of it.
        let outcome = end.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        match outcome {
            // It was deleted meanwhile.
            Some(Outcome::Failed(error)) if matches!(*error, OwnerError::Unknown) => Ok(()),
            Some(Outcome::Failed(error)) => Err((&*error).into()),
            _ => Ok(()),
        }
    }

    /// The groups whose work is done in this process; all where there are no others.
    pub fn serves(&self) -> BTreeSet<Group> {
        self.inner.fleet.as_ref().map_or_else(|| Group::ALL.into(), |fleet| fleet.serves.clone())
    }
}

impl Inner {
    /// Whether work of a group is done here.
    pub(super) fn serves(&self, group: Group) -> bool {
        self.fleet.as_ref().is_none_or(|fleet| fleet.serves.contains(&group))
    }

    /// Whether runs that were started here go to others, because there is no room.
    pub(crate) fn is_crowded(&self) -> bool {
        self.fleet.is_some() && !self.has_room()
    }

    /// The group of a run.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn group_of(&self, row: &RunRow) -> Result<Group, StoreError> {
        match self.plan(&row.digest, &row.workflow).await {
            Ok(plan) => Ok(plan.group()),
            Err(OwnerError::Store(error)) => Err(error),
            // Of a newer release: whoever takes it may know it.
            Err(_) => Ok(Group::Workflow),
        }
    }

    /// The pointer to a run, as it is pushed.
    pub(super) fn job(&self, run: RunId, workflow: &str, subject: Option<&str>, has_begun: bool) -> Job {
        let job = Job::new(Pointer::Run(run), self.clock.now()).key(subject.unwrap_or(workflow));
        if has_begun { job.priority(BEGUN) } else { job }
    }

    /// The same, for a run that exists.
    pub(super) fn job_of(&self, row: &RunRow) -> Job {
        self.job(row.id, &row.workflow, row.subject.as_deref(), row.epoch > 0 || row.parent.is_some())
    }

    /// Lets a queue have a pointer, soon. What it never gets is found in the stores.
    pub(super) fn push(&self, group: Group, job: Job) {
        if let Some(pusher) = &self.pusher {
            pusher.push(group, job);
        }
    }

    /// Wakes a run that is not executed here: its owner is told, and without one it is executed here, where that is
    /// done and there is room, or its pointer is pushed.
    pub(super) async fn pass_on(self: Arc<Self>, run: RunId) {
        let Some(fleet) = &self.fleet else { return };
        publish(fleet, Wake::Mail(run)).await;
        if let Err(error) = self.try_pass_on(run).await {
            // The reconciler finds it later.
            tracing::warn!(%run, %error, "a run could not be passed on");
        }
    }

    async fn try_pass_on(self: &Arc<Self>, run: RunId) -> Result<(), StoreError> {
        let Some(row) = self.stores.journal.run(run).await? else { return Ok(()) };
        let is_free = match row.phase {
            RunPhase::Queued | RunPhase::Waiting => true,
            RunPhase::Running => match row.owner {
                // An append of unknown outcome may have made it so: nobody executes it.
                Some(owner) if owner == self.session => true,
                Some(owner) => !self.stores.journal.is_alive(owner, self.clock.now()).await?,
                None => true,
            },
            RunPhase::Held | RunPhase::Ended => false,
        };
        if !is_free || self.is_active(run) {
            return Ok(());
        }
        let group = self.group_of(&row).await?;
        let is_here = self.serves(group) && self.may_execute(run) && self.has_room() && !*self.closing.borrow();
        if is_here || row.owner == Some(self.session) {
            self.drive(run, None);
        } else {
            self.push(group, self.job_of(&row));
        }
        Ok(())
    }

    /// Pushes the pointer of a run that was given back because this process ends.
    pub(super) async fn hand_over(&self, run: RunId) {
        if self.fleet.is_none() {
            return;
        }
        match self.stores.journal.run(run).await {
            Ok(Some(row)) if row.phase == RunPhase::Queued => match self.group_of(&row).await {
                Ok(group) => self.push(group, self.job_of(&row)),
                Err(error) => tracing::warn!(%run, %error, "a run that was given back is found later"),
            },
            Ok(_) => {}
            Err(error) => tracing::warn!(%run, %error, "a run that was given back is found later"),
        }
    }
}
