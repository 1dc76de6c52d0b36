//! Waiting for a run, and looking at it.

use futures::future::BoxFuture;

use super::{Ears, Engine, EngineError, Outcome};
use crate::{
    error::ErrorReport,
    event::{RunStatus, Seq, Wait},
    executor::{self, OwnerError},
    id::RunId,
    store::{RunPhase, RunRow, StoreError},
    stream::{RunStream, StreamId},
    usage::Spent,
    value::Value,
    view::{RunView, ViewStatus},
};

/// Where a run came to rest.
#[derive(Clone, Debug)]
pub enum Settled {
    /// It ended.
    Ended(RunEnd),
    /// It waits, also through the runs that it started.
    Waiting(Vec<OpenWait>),
    /// It has not begun: it waits for these runs to end, or for room in this process.
    Queued(Vec<RunId>),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// How.
    pub status: RunStatus,
    /// The outputs; an object, empty unless it succeeded.
    pub outputs: Value,
    /// Why it did not succeed.
    pub error: Option<ErrorReport>,
    /// How many failures were handled by `on_error`.
    pub handled_errors: u32,
    /// What it used of models, with the runs that it started.
    pub usage: Spent,
}

impl From<&OwnerError> for EngineError {
    fn from(error: &OwnerError) -> Self {
        match error {
            OwnerError::Store(error) => Self::Store(error.clone()),
            other => Self::Stuck(other.to_string()),
        }
    }
}

/// A node that waits.
#[derive(Clone, Debug)]
pub struct OpenWait {
    /// Its run: the one asked about, or one that it started.
    pub run: RunId,
    /// Its path.
    pub node: String,
    /// What it waits for.
    pub wait: Wait,
}

impl Engine {
    /// Returns when a run has ended, or waits and cannot go on by itself for longer than `hold`.
    ///
    /// # Errors
    /// When there is no such run, or it cannot go on here; without a [`Fleet`](super::Fleet) also when another process executes it.
    pub async fn settled(&self, run: RunId) -> Result<Settled, EngineError> {
        let mut ears: Option<Ears> = None;
        loop {
            let end = self.inner.active().get(&run).map(|handle| handle.end.subscribe());
            if let Some(mut end) = end {
                // An error means that the run's task is gone; its row says the rest.
                let outcome = end.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
                match outcome {
                    Some(Outcome::Failed(error)) => return Err((&*error).into()),
                    Some(Outcome::Ended(Some(end))) => return Ok(Settled::Ended((*end).clone())),
                    _ => {}
                }
            }
            if let Some(why) = self.inner.why_left(run) {
                return Err((&*why).into());
            }
            let row = self.inner.stores.journal.run(run).await?.ok_or(EngineError::UnknownRun(run))?;
            match row.phase {
                RunPhase::Ended => return self.end(run, row.seq).await.map(Settled::Ended),
                RunPhase::Waiting if !self.goes_on(&row).await? => {
                    return Ok(Settled::Waiting(self.open_waits(run).await?));
                }
                RunPhase::Held => return Err(EngineError::Held(run)),
                _ if self.inner.is_active(run) => continue,
                RunPhase::Queued if self.inner.fleet.is_some() => {
                    let ahead = self.inner.stores.journal.ahead(run).await?;
                    if !ahead.is_empty() {
                        return Ok(Settled::Queued(ahead));
                    }
                }
                RunPhase::Queued => {
                    let ahead = self.inner.stores.journal.ahead(run).await?;
                    let is_queued = !ahead.is_empty() || self.inner.is_short();
                    return Ok(if is_queued { Settled::Queued(ahead) } else { Settled::Waiting(Vec::new()) });
                }
                RunPhase::Running if self.inner.fleet.is_none() => return Err(EngineError::Elsewhere(run)),
                RunPhase::Running | RunPhase::Waiting => {}
            }
            match &mut ears {
                // Looked at once more: what happened in between was not heard.
                None => ears = Ears::open(&self.inner, run).await,
                Some(ears) => {
                    ears.say();
                    ears.beyond(row.seq).await;
                }
            }
        }
    }

    /// Whether another process is about to go on with a run that waits.
    async fn goes_on(&self, row: &RunRow) -> Result<bool, EngineError> {
        if self.inner.fleet.is_none() {
            return Ok(false);
        }
        let is_due = row.wake_at.is_some_and(|wake_at| wake_at <= self.inner.clock.now());
        Ok(is_due || !self.inner.stores.journal.inbox(row.id).await?.is_empty())
    }

    /// What goes out of a run from a place on, or from its beginning: its records, and the texts of its answers as they
    /// come. A reader that is slow holds nobody up.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn stream(&self, run: RunId, after: Option<StreamId>) -> Result<RunStream, EngineError> {
        if !self.inner.is_active(run) && self.inner.stores.journal.run(run).await?.is_none() {
            return Err(EngineError::UnknownRun(run));
        }
        Ok(RunStream::new(self.inner.clone(), run, after))
    }

    /// What is known of a run: a fold of its journal that needs no plan.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn view(&self, run: RunId) -> Result<Option<RunView>, EngineError> {
        if self.inner.stores.journal.run(run).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(RunView::load(&self.inner.stores, run).await?))
    }

    /// The terminal record is the last one: nothing before it is read.
    async fn end(&self, run: RunId, seq: Seq) -> Result<RunEnd, EngineError> {
        let records = executor::load_records(&self.inner.stores, run, seq.saturating_sub(1)).await?;
        let damaged = || StoreError::Damaged(format!("the run `{run}` has ended, but its journal has no end"));
        Ok(RunView::of(&records).end.ok_or_else(damaged)?)
    }

    /// The nodes that wait, in this run and those that it started.
    fn open_waits(&self, run: RunId) -> BoxFuture<'_, Result<Vec<OpenWait>, EngineError>> {
        Box::pin(async move {
            let mut waits = Vec::new();
            let Some(view) = self.view(run).await? else { return Ok(waits) };
            for (path, node) in &view.nodes {
                match &node.status {
                    ViewStatus::Waiting(wait) => {
                        waits.push(OpenWait { run, node: path.clone(), wait: wait.clone() });
                    }
                    ViewStatus::Running { child: Some(child) } => waits.extend(self.open_waits(*child).await?),
                    _ => {}
                }
            }
            Ok(waits)
        })
    }
}
