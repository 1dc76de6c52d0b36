//! Keeping up with the journal of a run whose steps run here.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{Mutex, MutexGuard};

use super::texts::Says;
use crate::{
    capability::Redactor,
    definition::Limits,
    engine::Inner,
    event::{Event, Place, Record},
    executor::{self, Names, Sight},
    id::{JobId, RunId, SessionId},
    node::{DeltaSink, NoDeltas, NodeCtx},
    plan::{BodyIx, NodeIx, Plan},
    run::{Addr, Frame, OpenJob, RunState, path},
    scope::Scope,
    store::StoreError,
    stream::Interest,
    units::{Duration, Millis},
    usage::Meter,
    value::Value,
};

/// A run that another process owns, as far as its journal was read.
pub(super) struct Follow {
    pub(super) run: RunId,
    pub(super) plan: Arc<Plan>,
    pub(super) redactor: Redactor,
    names: Names,
    /// The texts that the run may show.
    interest: Interest,
    replica: Mutex<Replica>,
}

#[derive(Default)]
struct Replica {
    state: RunState,
    read_at: Option<Millis>,
    starts: HashMap<Addr, Dispatched>,
}

/// What a node sees that changes after it was dispatched.
struct Dispatched {
    job: JobId,
    now: Millis,
    conversation: Value,
    usage: Value,
    left: Limits,
}

/// A step that can be taken.
pub(super) struct Step {
    pub(super) at: Addr,
    pub(super) path: String,
    pub(super) attempt: u32,
    pub(super) job: JobId,
    pub(super) taken: Option<SessionId>,
}

impl Follow {
    pub(super) fn new(engine: &Inner, run: RunId, plan: Arc<Plan>) -> Self {
        let redactor = Redactor::new(&engine.caps.secrets, &plan.secrets);
        let interest = Interest::of(&plan, true);
        Self { run, plan, redactor, names: Names::default(), interest, replica: Mutex::default() }
    }

    /// Reads what is new in the journal, unless that was done less than `age` milliseconds ago.
    async fn read(&self, engine: &Inner, age: Millis) -> Result<MutexGuard<'_, Replica>, StoreError> {
        let mut replica = self.replica.lock().await;
        let now = engine.clock.now();
        if replica.read_at.is_some_and(|read_at| now - read_at < age) {
            return Ok(replica);
        }
        for record in executor::load_records(&engine.stores, self.run, replica.state.seq).await? {
            let record = executor::address(&self.plan, &replica.state, record)?;
            replica.apply(&self.plan, &record);
        }
        replica.read_at = Some(now);
        Ok(replica)
    }

    /// The attempt of a node, when it is to run as a step.
    pub(super) async fn find(&self, engine: &Inner, node: &str, attempt: u32) -> Result<Option<Step>, StoreError> {
        let replica = self.read(engine, 0).await?;
        let found = path::resolve(&self.plan, &replica.state, node).and_then(|at| {
            let open = replica.open(at).filter(|_| replica.state.awaits(at, attempt))?;
            Some(Step { at, path: node.to_owned(), attempt, job: open.id, taken: open.taken })
        });
        Ok(found)
    }

    /// The job that a node is waited for as. What was read less than `age` milliseconds ago is not read again.
    pub(super) async fn job(&self, engine: &Inner, at: Addr, age: Millis) -> Result<Option<OpenJob>, StoreError> {
        Ok(self.read(engine, age).await?.open(at))
    }

    /// What a step is given, where its node stands in the plan, and how long it may take; `None` when it was dispatched anew.
    pub(super) async fn context(
        &self,
        engine: &Inner,
        step: &Step,
        meter: Arc<Meter>,
    ) -> Option<(NodeCtx, (BodyIx, NodeIx), Option<Duration>)> {
        let replica = self.replica.lock().await;
        let Replica { state, starts, .. } = &*replica;
        let dispatched = starts.get(&step.at).filter(|dispatched| dispatched.job == step.job)?;
        let place = (state.frame(step.at.frame)?.body, step.at.node);
        let node = self.plan.bodies[place.0].node(place.1);
        let roots = executor::roots(&self.plan, state, &self.run.to_string());
        let sight = Sight { plan: &self.plan, state, roots: &roots, names: &self.names };
        let timeout = node.timeout.filter(|_| !node.times_out);
        let ctx = NodeCtx {
            scope: Arc::new(Scope {
                now: dispatched.now,
                conversation: dispatched.conversation.clone(),
                usage: dispatched.usage.clone(),
                ..sight.scope(step.at.frame, &node.reads, step.attempt)
            }),
            run: self.run,
            workflow: self.plan.workflow.clone(),
            variables: self.plan.variables.clone(),
            path: step.path.as_str().into(),
            attempt: step.attempt,
            now: dispatched.now,
            deadline: timeout.map(|timeout| engine.clock.now() + timeout.millis()),
            caps: engine.caps.clone(),
            deltas: self.deltas(engine, step),
            meter,
            left: dispatched.left,
        };
        Some((ctx, place, timeout))
    }

    /// Where the text of a step goes as it comes.
    fn deltas(&self, engine: &Inner, step: &Step) -> Arc<dyn DeltaSink> {
        match &engine.fleet {
            Some(fleet) if self.interest.has(&step.path) => {
                Arc::new(Says::new(fleet.clone(), self.run, step, self.redactor.clone()))
            }
            _ => Arc::new(NoDeltas),
        }
    }
}

impl Replica {
    fn apply(&mut self, plan: &Arc<Plan>, record: &Record<Addr>) {
        self.state.apply(plan, record);
        let Event::NodeStarted { node: at, place: Place::Job { id: job, .. }, .. } = &record.event else { return };
        // Those that are over are forgotten now and then.
        if self.starts.len() > 2 * self.state.jobs().count() {
            let state = &self.state;
            self.starts.retain(|at, _| state.job(*at).is_some());
        }
        let state = &self.state;
        let uses_models = state.frame(at.frame).is_some_and(|frame| plan.bodies[frame.body].node(at.node).uses_models);
        let dispatched = Dispatched {
            job: *job,
            now: state.now,
            conversation: state.conversation.clone(),
            usage: state.usage.clone(),
            left: if uses_models { state.left(plan, *at) } else { Limits::default() },
        };
        self.starts.insert(*at, dispatched);
    }

    /// The job that a node is waited for as: its frame does not stop.
    fn open(&self, at: Addr) -> Option<OpenJob> {
        let stops = self.state.frame(at.frame).is_none_or(Frame::is_stopping);
        self.state.job(at).filter(|_| !stops)
    }
}
