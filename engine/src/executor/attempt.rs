//! Attempts of nodes: starting, stopping, and what comes of them.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;

use super::{
    beside::{Beside, shortened},
    cache,
    once::{attempted, flatten, run, stand_in},
    owner::{Owner, Running},
    policy,
};
use crate::{
    codes,
    definition::Limits,
    error::{ErrorClass, NodeError},
    event::{AfterFailure, Event, Over, Place, SkipReason},
    node::{Effect, NodeCtx, Outcome, Resume},
    plan::PlanNode,
    run::{Addr, path},
    units::Millis,
    usage::{Meter, Spent},
    value::Value,
};

/// The limit of `ENGINE.md` section 5.
const MOST_FRAMES: usize = 100_000;

/// The end of a spawned attempt.
pub(super) struct Done {
    at: Addr,
    attempt: u32,
    token: u64,
    result: Result<Outcome<Value>, NodeError>,
    meter: Arc<Meter>,
}

impl Owner {
    /// Starts an attempt: evaluates `when`, looks into the cache, runs inline nodes at once.
    pub(super) async fn start(&mut self, at: Addr, attempt: u32) -> Result<(), super::owner::OwnerError> {
        if !self.may_start(at) {
            return Ok(());
        }
        let plan = self.plan.clone();
        let node = self.node(&plan, at);
        if self.state.is_kept(at) {
            self.record(Event::ContainerReopened { node: at, attempt });
            return Ok(());
        }
        let ctx = self.context(at, attempt, None, self.meter.clone());
        if let Some(when) = &node.when {
            match when.render(&ctx.scope) {
                Ok(true) => {}
                Ok(false) => {
                    self.record(Event::NodeSkipped { node: at, why: SkipReason::When });
                    return Ok(());
                }
                Err(error) => {
                    self.failed(at, attempt, &error, Beside::default());
                    return Ok(());
                }
            }
        }
        if node.cache.is_some() && self.cached(at, attempt, node, &ctx).await? {
            return Ok(());
        }
        if node.answer.is_some() {
            self.open_answer(at);
        }
        // What is stood in for may take its time.
        let inline = node.inline && self.engine.intercept.is_none();
        if let Some(queue) = self.leaves_for(at, node) {
            self.dispatch(at, attempt, queue);
        } else if inline && node.effect == Effect::Pure {
            let begun = self.engine.stopwatch();
            match AssertUnwindSafe(node.node.run(&ctx)).catch_unwind().now_or_never() {
                Some(result) => {
                    let result = flatten(result);
                    let took = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
                    self.elsewhere += took;
                    attempted(&self.engine, self.run, &ctx.path, &node.kind, attempt, took, &result);
                    let beside = Beside::take(&self.meter);
                    self.settle(at, attempt, result, beside);
                }
                None => self.spawn(at, attempt),
            }
        } else if node.effect == Effect::Pure {
            self.spawn(at, attempt);
        } else {
            let place = Place::Local { epoch: self.state.epoch };
            self.record(Event::NodeStarted { node: at, attempt, place });
            self.to_start.push((at, attempt));
        }
        Ok(())
    }

    pub(super) fn may_start(&self, at: Addr) -> bool {
        self.state.frame(at.frame).is_some_and(|frame| !frame.is_stopping())
    }

    async fn cached(
        &mut self,
        at: Addr,
        attempt: u32,
        node: &PlanNode,
        ctx: &NodeCtx,
    ) -> Result<bool, super::owner::OwnerError> {
        let key = match cache::key(node, &ctx.scope) {
            Ok(key) => key,
            Err(error) => {
                self.failed(at, attempt, &error, Beside::default());
                return Ok(true);
            }
        };
        let Some(key) = key else { return Ok(false) };
        let Some(hit) = self.engine.stores.cache.lookup(&key, self.engine.clock.now()).await? else {
            return Ok(false);
        };
        // The cache holds `{ port, output }`, so that a hit leaves by the same port.
        let port = hit.get("port").and_then(Value::as_str).map(str::to_owned);
        let output = hit.get("output").cloned().unwrap_or_default().into();
        let (writes, usage) = (Vec::new(), Spent::default());
        self.record(Event::NodeSucceeded { node: at, attempt, port, output, writes, cached: true, usage, log: None });
        Ok(true)
    }

    /// Runs an attempt beside the loop; its end comes back through `done`.
    pub(super) fn spawn(&mut self, at: Addr, attempt: u32) {
        if !self.may_start(at) {
            return;
        }
        let plan = self.plan.clone();
        let node = self.node(&plan, at);
        let timeout = node.timeout.filter(|_| !node.times_out);
        let deadline = timeout.map(|timeout| self.engine.clock.now() + timeout.millis());
        let meter = Arc::<Meter>::default();
        let ctx = self.context(at, attempt, deadline, meter.clone());
        let stand_in = stand_in(&self.engine, node, &ctx);
        let (node, clock, done) = (node.node.clone(), self.engine.clock.clone(), self.done.0.clone());
        self.attempts += 1;
        let token = self.attempts;
        let (spent, path, begun) = (meter.clone(), ctx.path.clone(), self.engine.stopwatch());
        // What it logs names the run.
        let work = async move {
            let result = run(&*node, &ctx, stand_in, timeout, &*clock).await;
            // The loop has ended when nobody listens; then the result belongs to nobody.
            let _ = done.send(Done { at, attempt, token, result, meter });
        };
        let task = tokio::spawn(tracing::Instrument::in_current_span(work));
        self.running.insert(at, Running { token, abort: task.abort_handle(), meter: spent, path, begun });
    }

    /// Takes the end of a spawned attempt; one that was stopped comes too late and counts for nothing.
    pub(super) fn finished(&mut self, done: Done) {
        if self.running.get(&done.at).is_none_or(|running| running.token != done.token) {
            return;
        }
        if let Some(Running { path, begun: Some(begun), .. }) = self.running.remove(&done.at) {
            let plan = self.plan.clone();
            let (run, kind) = (self.run, &self.node(&plan, done.at).kind);
            attempted(&self.engine, run, &path, kind, done.attempt, begun.elapsed(), &done.result);
        }
        self.pending.urgent = true;
        self.settle(done.at, done.attempt, done.result, Beside::take(&done.meter));
    }

    /// Goes on with a waiting node; `usage` is what the run used that it waited for.
    pub(super) fn resume(&mut self, at: Addr, with: Resume, usage: &Spent) {
        let Some(attempt) = self.state.node(at).map(|node| node.attempt) else { return };
        let plan = self.plan.clone();
        let node = self.node(&plan, at);
        let ctx = self.context(at, attempt, None, self.meter.clone());
        self.pending.urgent = true;
        let result = match AssertUnwindSafe(node.node.resume(&ctx, with)).catch_unwind().now_or_never() {
            Some(result) => flatten(result),
            None => Err(NodeError::internal("a node that goes on must not wait for anything else")),
        };
        let mut beside = Beside::take(&self.meter);
        beside.usage += usage;
        self.settle(at, attempt, result, beside);
    }

    /// Journals what came of an attempt.
    pub(super) fn settle(&mut self, at: Addr, attempt: u32, result: Result<Outcome<Value>, NodeError>, beside: Beside) {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return self.failed(at, attempt, &error, beside),
        };
        match outcome {
            Outcome::Done(output) => self.succeeded(at, attempt, None, output, Vec::new(), beside),
            Outcome::Port(port, output) => self.succeeded(at, attempt, Some(port), output, Vec::new(), beside),
            Outcome::Wrote(output, writes) => self.succeeded(at, attempt, None, output, writes, beside),
            Outcome::Items { .. }
            | Outcome::Rounds { .. }
            | Outcome::Composite { .. }
            | Outcome::Calls { .. }
            | Outcome::Child { .. }
                if !beside.usage.is_nothing() =>
            {
                let error = NodeError::internal("a node that opens passes or starts a run must not use models itself");
                self.failed(at, attempt, &error, beside);
            }
            Outcome::Wait(mut wait) => {
                let plan = self.plan.clone();
                let node = self.node(&plan, at);
                if wait.until.is_none()
                    && node.times_out
                    && let Some(timeout) = node.timeout
                {
                    // A node that goes on waiting after a signal that it refused gets no more time by it.
                    let earlier = self.state.wait(at).and_then(|wait| wait.until);
                    wait.until = Some(earlier.unwrap_or_else(|| self.engine.clock.now() + timeout.millis()));
                }
                wait.ask = self.redactor.value(wait.ask);
                self.pending.urgent = true;
                self.record(Event::NodeWaiting { node: at, attempt, wait, usage: beside.usage });
            }
            Outcome::Items { items, parallel, on_item_error } => {
                if let Some(error) = too_many(items.len(), "items", "split the list, or start a run for each part") {
                    return self.failed(at, attempt, &error, beside);
                }
                let items = self.redactor.value(Value::List(items)).into();
                self.open(at, attempt, Over::Items { items, parallel: parallel.max(1), on_item_error }, None);
            }
            Outcome::Rounds { state } => {
                let state = self.redactor.value(state);
                self.open(at, attempt, Over::Rounds { state }, None);
            }
            Outcome::Composite { fields, state } => {
                let over = match state {
                    Some(state) => Over::Rounds { state: self.redactor.value(state) },
                    None => Over::Once {},
                };
                let fields = self.redactor.value(fields);
                self.open(at, attempt, over, Some(fields));
            }
            Outcome::Calls { calls, parallel } => {
                if let Some(error) = too_many(calls.len(), "calls", "ask the model for fewer calls at once") {
                    return self.failed(at, attempt, &error, beside);
                }
                let calls = self.redactor.value(Value::List(calls)).into();
                self.open(at, attempt, Over::Calls { calls, parallel: parallel.max(1) }, None);
            }
            Outcome::Child { workflow, inputs } => self.child(at, attempt, &workflow, inputs),
        }
    }

    fn open(&mut self, at: Addr, attempt: u32, over: Over, fields: Option<Value>) {
        self.record(Event::ContainerOpened { node: at, attempt, over, fields: fields.map(Into::into) });
    }

    pub(super) fn succeeded(
        &mut self,
        at: Addr,
        attempt: u32,
        port: Option<String>,
        output: Value,
        writes: Vec<crate::event::Write>,
        beside: Beside,
    ) {
        if output.as_object().is_none() {
            let found = output.kind();
            let error = NodeError::internal(format!("the output of a node must be an object, found {found}"));
            return self.failed(at, attempt, &error, beside);
        }
        let output = self.redactor.value(output);
        let plan = self.plan.clone();
        let node = self.node(&plan, at);
        if let Some(policy) = &node.cache {
            // The scope is that of the start: nothing that this node reads has changed since.
            let scope = self.scope(at.frame, &node.reads, attempt);
            if let Ok(Some(key)) = cache::key(node, &scope) {
                let port = port.as_deref().map_or(Value::Null, Value::from);
                let hit = Value::from_pairs([("port", port), ("output", output.clone())]);
                self.pending.fills.push((key, hit, self.engine.clock.now() + policy.ttl));
            }
        }
        let (output, Beside { usage, log }) = (output.into(), self.kept(beside));
        self.record(Event::NodeSucceeded { node: at, attempt, port, output, writes, cached: false, usage, log });
    }

    /// Journals a failed attempt and what follows from it.
    pub(super) fn failed(&mut self, at: Addr, attempt: u32, error: &NodeError, beside: Beside) {
        let plan = self.plan.clone();
        let now = self.engine.clock.now();
        let then = policy::after_failure(self.node(&plan, at), error, attempt, now, rand::random());
        self.record_failure(at, attempt, error, then, beside);
    }

    /// What the journal keeps of what an attempt left behind.
    fn kept(&self, beside: Beside) -> Beside {
        // Secrets first: one that the cut goes through would not be found any more.
        let log = beside.log.map(|log| shortened(self.redactor.text(&log).unwrap_or(log)));
        Beside { log, ..beside }
    }

    pub(super) fn record_failure(
        &mut self,
        at: Addr,
        attempt: u32,
        error: &NodeError,
        then: AfterFailure,
        beside: Beside,
    ) {
        let mut report = error.report(&*path::path(&self.plan, &self.state, at));
        if let Some(message) = self.redactor.text(&report.message) {
            report.message = message;
        }
        let Beside { usage, log } = self.kept(beside);
        self.record(Event::NodeFailed { node: at, attempt, error: report, then, usage, log });
    }

    /// What a node is given for one attempt.
    fn context(&self, at: Addr, attempt: u32, deadline: Option<Millis>, meter: Arc<Meter>) -> NodeCtx {
        let plan = &self.plan;
        let node = self.node(plan, at);
        NodeCtx {
            scope: self.scope(at.frame, &node.reads, attempt),
            run: self.run,
            workflow: plan.workflow.clone(),
            variables: plan.variables.clone(),
            path: path::path(plan, &self.state, at),
            attempt,
            now: self.state.now,
            deadline,
            caps: self.engine.caps.clone(),
            deltas: self.deltas.clone(),
            meter,
            left: if node.uses_models { self.state.left(plan, at) } else { Limits::default() },
        }
    }

    pub(super) fn node<'p>(&self, plan: &'p crate::plan::Plan, at: Addr) -> &'p PlanNode {
        let body = self.state.frame(at.frame).map_or(0, |frame| frame.body);
        plan.bodies[body].node(at.node)
    }
}

/// A container with more passes than a run can have.
fn too_many(found: usize, what: &str, hint: &str) -> Option<NodeError> {
    let message = format!("expected at most {MOST_FRAMES} {what}, found {found}");
    let error = || NodeError::new(codes::TOO_MANY_FRAMES, ErrorClass::LimitExceeded, message).hint(hint);
    (found > MOST_FRAMES).then(error)
}
