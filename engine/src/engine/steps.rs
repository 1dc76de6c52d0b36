//! Steps: attempts of nodes whose runs other processes own. `ENGINE.md` section 8.
//!
//! Who takes a step reads the journal of its run up to where the attempt was dispatched, so nothing but its address travels: inputs
//! are rendered and secrets are resolved where the node acts. Two messages go to the inbox of the run: that the job was
//! taken, of which the first counts, so that one process runs it however often its pointer comes; and the result.
//!
//! * `follow.rs` keeps up with the journals of runs whose steps run here;
//! * `texts.rs` lets the owner of a run show the text of a step as it comes.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use indexmap::IndexMap;
use tokio::sync::Notify;
use tracing::Instrument as _;

use self::follow::{Follow, Step};
use super::{Engine, EngineError, Inner};
use crate::{
    error::NodeError,
    event::Payload,
    executor,
    id::{Digest, RunId},
    node::Outcome,
    queue::{Pointer, WakeTopic},
    store::{InboxMessage, Message, MessageBody, RunPhase, StepResult, StoreError},
    units::Millis,
    usage::Meter,
    value::Value,
};

mod follow;
mod texts;

/// How often who runs a step looks whether somebody still waits for it.
const EVERY: Millis = 500;
/// So many journals are kept up with beyond those whose steps run.
const KEPT: usize = 16;

/// What became of a step. In each case its job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepDone {
    /// It ran, and the run has its result.
    Ended,
    /// There was nothing to do: the attempt is over, or another process has taken it. Whoever owns the run looks after that
    /// process.
    Nothing,
    /// It was stopped, and given back: the run or the frame ends, or this process closes.
    GivenBack,
}

/// The steps that run here.
#[derive(Default)]
pub(crate) struct Steps {
    here: Mutex<HashSet<Pointer>>,
    /// Tells that one has ended.
    left: Notify,
    follows: Mutex<IndexMap<RunId, Arc<Follow>>>,
}

/// A step that runs here.
struct Here {
    engine: Arc<Inner>,
    pointer: Pointer,
}

impl Engine {
    /// Runs a step whose pointer was taken from a queue, and stores its result in the inbox of its run. The attempt goes on
    /// when the caller does not wait for it any longer.
    ///
    /// # Errors
    /// When it is no step, the run cannot be read here, or the store fails before the step was taken: then the pointer must
    /// come again, here or elsewhere.
    pub async fn run_step(&self, pointer: &Pointer) -> Result<StepDone, EngineError> {
        let Pointer::Step { run, .. } = pointer else {
            return Err(EngineError::Stuck(format!("expected a step, found `{pointer}`")));
        };
        let span = tracing::info_span!("step", %run, %pointer);
        let step = tokio::spawn(self.inner.clone().step(pointer.clone()).instrument(span));
        step.await.map_err(|error| EngineError::Stuck(format!("the step `{pointer}` broke off: {error}")))?
    }
}

impl Inner {
    pub(crate) async fn step(self: Arc<Self>, pointer: Pointer) -> Result<StepDone, EngineError> {
        let Pointer::Step { run, node, attempt } = &pointer else { return Ok(StepDone::Nothing) };
        let Some(_here) = Here::enter(&self, &pointer) else { return Ok(StepDone::Nothing) };
        let Some(follow) = self.follow(*run).await? else { return Ok(StepDone::Nothing) };
        let Some(step) = follow.find(&self, node, *attempt).await? else { return Ok(StepDone::Nothing) };
        if step.taken.is_some_and(|session| session != self.session) {
            return Ok(StepDone::Nothing);
        }
        let body = MessageBody::JobTaken { node: node.clone(), job: step.job, session: self.session };
        let message = Message { id: format!("job {} taken", step.job), at: self.clock.now(), body };
        // From here on the others leave it to this process, which must not forget it.
        if !self.insist(|| self.stores.journal.send(*run, message.clone())).await? {
            return Ok(StepDone::Nothing);
        }
        let meter = Arc::<Meter>::default();
        let done = self.run_taken(&follow, &step, &meter).await;
        if matches!(done, Ok(StepDone::GivenBack) | Err(_)) {
            let (node, usage) = (node.clone(), meter.take());
            let body = MessageBody::JobGivenBack { node, job: step.job, session: self.session, usage };
            self.deliver(*run, format!("job {} given back", step.job), body).await?;
        }
        Ok(done?)
    }

    /// Runs a step, if this process was the first that took it, and stores its result.
    async fn run_taken(
        self: &Arc<Self>,
        follow: &Follow,
        step: &Step,
        meter: &Arc<Meter>,
    ) -> Result<StepDone, StoreError> {
        if !self.insist(|| self.has_taken(follow, step)).await? {
            return Ok(StepDone::Nothing);
        }
        let Some(result) = self.attempt(follow, step, meter).await else { return Ok(StepDone::GivenBack) };
        let result = self.insist(|| self.stored(follow, &result)).await?;
        // Secrets first: one that the cut goes through would not be found any more.
        let log = meter.take_log();
        let log = log.map(|log| executor::shortened(follow.redactor.text(&log).unwrap_or(log)));
        let Step { path, attempt, .. } = step;
        let (node, usage) = (path.clone(), meter.take());
        let body = MessageBody::StepEnded { node, attempt: *attempt, result, usage, log };
        self.deliver(follow.run, format!("attempt {attempt} of {path}"), body).await?;
        Ok(StepDone::Ended)
    }

    async fn has_taken(&self, follow: &Follow, step: &Step) -> Result<bool, StoreError> {
        let mut taken = None;
        for InboxMessage { message, .. } in self.stores.journal.inbox(follow.run).await? {
            match message.body {
                MessageBody::JobTaken { job, session, .. } if job == step.job => taken = Some(session),
                MessageBody::StepEnded { node, attempt, .. } if node == step.path && attempt == step.attempt => {
                    return Ok(false);
                }
                _ => {}
            }
        }
        // What the inbox does not hold any more, the journal does.
        let open = follow.job(self, step.at, 0).await?.filter(|open| open.id == step.job);
        Ok(open.is_some_and(|open| taken.or(open.taken) == Some(self.session)))
    }

    /// The attempt of a step that this process has taken; `None` when it was stopped.
    async fn attempt(
        &self,
        follow: &Follow,
        step: &Step,
        meter: &Arc<Meter>,
    ) -> Option<Result<Outcome<Value>, NodeError>> {
        let (ctx, node, timeout) = follow.context(self, step, meter.clone()).await?;
        let node = &follow.plan.bodies[node.0].node(node.1);
        let stand_in = executor::stand_in(self, node, &ctx);
        let begun = self.stopwatch();
        let mut closing = self.closing.subscribe();
        let result = tokio::select! {
            biased;
            result = executor::run(&*node.node, &ctx, stand_in, timeout, &*self.clock) => result,
            () = self.unwanted(follow, step) => return None,
            _ = closing.wait_for(|closing| *closing) => return None,
        };
        if let Some(begun) = begun {
            executor::attempted(self, follow.run, &ctx.path, &node.kind, step.attempt, begun.elapsed(), &result);
        }
        Some(result)
    }

    /// Returns when nobody waits for a step any longer.
    async fn unwanted(&self, follow: &Follow, step: &Step) {
        let Some(fleet) = &self.fleet else { return std::future::pending().await };
        let mut wakes = fleet.wakes.listen(WakeTopic::Run(follow.run)).await;
        loop {
            match follow.job(self, step.at, EVERY / 5).await {
                Ok(Some(open)) if open.id == step.job => {}
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "the journal of a step cannot be read"),
            }
            let next = self.clock.now() + EVERY;
            tokio::select! {
                // What follows it at once is read with it.
                Some(_) = wakes.next() => self.clock.sleep_until(self.clock.now() + EVERY / 5).await,
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// The result of a step in the form of a message: without secrets, and a large output in a blob.
    async fn stored(
        &self,
        follow: &Follow,
        result: &Result<Outcome<Value>, NodeError>,
    ) -> Result<StepResult, StoreError> {
        let (port, output, writes) = match result {
            Ok(Outcome::Done(output)) => (None, output, Vec::new()),
            Ok(Outcome::Port(port, output)) => (Some(port.clone()), output, Vec::new()),
            Ok(Outcome::Wrote(output, writes)) => (None, output, writes.clone()),
            Ok(_) => {
                let error = NodeError::internal(
                    "a node that runs away from its run must end, and must not wait or open passes",
                );
                return Ok(StepResult::Failed { error: error.report(""), retry_after: None });
            }
            Err(error) => {
                let mut report = error.report("");
                if let Some(message) = follow.redactor.text(&report.message) {
                    report.message = message;
                }
                let retry_after = error.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                return Ok(StepResult::Failed { error: report, retry_after });
            }
        };
        let output = follow.redactor.value(output.clone());
        let json = serde_json::to_vec(&output).expect("a value has a JSON form");
        let output = if json.len() > executor::INLINE_BYTES {
            let digest = Digest::of(&json);
            self.stores.blobs.put(json.into()).await?;
            Payload::Blob(digest)
        } else {
            output.into()
        };
        Ok(StepResult::Done { port, output, writes })
    }

    /// Puts a message into the inbox of a run, and lets its owner see it.
    async fn deliver(self: &Arc<Self>, run: RunId, id: String, body: MessageBody) -> Result<(), StoreError> {
        let message = Message { id, at: self.clock.now(), body };
        if self.insist(|| self.stores.journal.send(run, message.clone())).await? {
            self.wake(run);
        }
        Ok(())
    }

    /// Tries until the store does it: what was done must not be lost. Ends when the engine closes, and the step is lost.
    async fn insist<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        mut act: impl FnMut() -> F,
    ) -> Result<T, StoreError> {
        const PAUSE: Duration = Duration::from_secs(1);
        let mut closing = self.closing.subscribe();
        loop {
            match act().await {
                Err(error @ (StoreError::Failed(_) | StoreError::Full(_))) => {
                    tracing::warn!(%error, "the store does not take what came of a step; it is tried again");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        _ = closing.wait_for(|closing| *closing) => return Err(error),
                    }
                }
                other => return other,
            }
        }
    }

    /// The journal of a run whose step is about to run; `None` when the run has ended or is not there.
    async fn follow(&self, run: RunId) -> Result<Option<Arc<Follow>>, EngineError> {
        if let Some(known) = self.steps.known(run) {
            return Ok(Some(known));
        }
        let row = self.stores.journal.run(run).await?.filter(|row| row.phase != RunPhase::Ended);
        let Some(row) = row else { return Ok(None) };
        let plan = self.plan(&row.digest, &row.workflow).await.map_err(|error| EngineError::from(&error))?;
        Ok(Some(self.steps.keep(Follow::new(self, run, plan))))
    }
}

impl Steps {
    fn known(&self, run: RunId) -> Option<Arc<Follow>> {
        let mut follows = self.follows.lock().unwrap_or_else(PoisonError::into_inner);
        let known = follows.shift_remove(&run)?;
        follows.insert(run, known.clone());
        Some(known)
    }

    /// Keeps a journal, and forgets those that were not needed for the longest time.
    fn keep(&self, follow: Follow) -> Arc<Follow> {
        let mut follows = self.follows.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = follows.entry(follow.run).or_insert_with(|| Arc::new(follow)).clone();
        while follows.len() > KEPT
            && let Some(idle) = follows.values().position(|follow| Arc::strong_count(follow) == 1)
        {
            follows.shift_remove_index(idle);
        }
        kept
    }

    /// Returns when no step runs here.
    pub(super) async fn idle(&self) {
        loop {
            let left = self.left.notified();
            if self.here.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return;
            }
            left.await;
        }
    }
}

impl Here {
    /// `None` when the same step runs here already.
    fn enter(engine: &Arc<Inner>, pointer: &Pointer) -> Option<Self> {
        let mut here = engine.steps.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.insert(pointer.clone()).then(|| Self { engine: engine.clone(), pointer: pointer.clone() })
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.engine.steps.here.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pointer);
        self.engine.steps.left.notify_waiters();
    }
}
