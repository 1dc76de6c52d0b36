//! Folding: what a record changes. Total: a record that does not fit changes nothing.

use std::sync::Arc;

use super::{
    gate,
    state::{Addr, Due, Ending, Phase, RunState, Signal, Start, Status, Waiting},
};
use crate::{
    definition::Limits,
    error::ErrorReport,
    event::{AfterFailure, Event, Handler, Place, Record, SignalTo, SkipReason, Wait, Write},
    id::RunId,
    node::Resume,
    plan::{NodeIx, Plan},
    run::path,
    units::{Duration, Millis},
    value::{Object, Value},
};

/// How long `on_failure` and `finally` may take, each.
const HANDLER_TIME: Duration = Duration::from_secs(60);

impl RunState {
    /// Folds a record.
    pub fn apply(&mut self, plan: &Plan, record: &Record<Addr>) {
        debug_assert_eq!(record.seq, self.seq + 1, "R1: seq has no gap");
        debug_assert!(self.ended().is_none(), "R2: the terminal record is last");
        self.seq = record.seq;
        self.now = self.now.max(record.at);
        self.deaths.apply(&record.event);
        if let Some((node, usage)) = record.event.usage_of_node() {
            self.count(*node, usage);
        }

        match &record.event {
            Event::RunStarted {
                inputs,
                trigger,
                user,
                conversation,
                subject,
                variables,
                env,
                parent,
                depth,
                budget,
                ..
            } => {
                self.start = Start {
                    inputs: inputs.value(),
                    trigger: trigger.clone(),
                    user: user.clone(),
                    env: env.clone(),
                    conversation: conversation.clone(),
                    subject: subject.clone(),
                    parent: *parent,
                    depth: *depth,
                    budget: budget.as_deref().copied().unwrap_or_default(),
                    at: record.at,
                };
                self.begin(plan, variables);
            }
            Event::RunForked { .. } => {}
            Event::BudgetWarned { limit, .. } => self.warned = self.warned.min(*limit),
            Event::VariablesRead { variables } => self.conversation = Self::variables(plan, variables),
            Event::RunTaken { epoch, .. } => {
                // What a fork kept does not count against the new run's budget.
                if self.epoch == 0 {
                    self.started = 0;
                }
                self.epoch = *epoch;
            }
            Event::NodeStarted { node, attempt, place } => self.node_started(*node, *attempt, *place),
            Event::JobTaken { node, job, session } => self.job_taken(*node, *job, *session),
            Event::ContainerOpened { node, attempt, over, fields } => {
                self.set_attempt(*node, *attempt);
                self.started += 1;
                self.open_container(plan, *node, over, fields.as_ref());
            }
            Event::ContainerReopened { node, attempt } => {
                self.set_attempt(*node, *attempt);
                self.started += 1;
                self.reopen_container(plan, *node);
            }
            Event::AnswerOpened { node } => self.answer_opened(*node),
            Event::FrameFinished { node, index, end } => self.frame_finished(plan, *node, *index, end),
            Event::NodeWaiting { node, attempt, wait, .. } => self.node_waiting(plan, *node, *attempt, wait),
            Event::NodeSucceeded { node, attempt, port, output, writes, .. } => {
                self.set_attempt(*node, *attempt);
                self.release_signal(*node);
                self.write(writes);
                let folded = self.container_output(*node);
                self.started += u64::from(folded.is_none());
                let output = folded.unwrap_or_else(|| output.value());
                let port = port.as_deref().map(Arc::from);
                if plan.chat {
                    self.hear(plan, *node, &output);
                }
                self.settle(plan, *node, Status::Ended { port, output, error: None });
            }
            Event::NodeFailed { node, attempt, error, then, .. } => {
                self.set_attempt(*node, *attempt);
                self.release_signal(*node);
                self.started += 1;
                self.node_failed(plan, *node, *attempt, error, then);
            }
            Event::NodeSkipped { node, .. } => self.settle(plan, *node, Status::Skipped),
            Event::NodeLost { node, usage, handed_over, .. } => {
                // Only who gave the run back in good order knows what the attempt used.
                let died_here = self.deaths.died_alone && usage.is_nothing();
                let counts = if self.job(*node).is_some() { !handed_over } else { died_here };
                if let Some(node) = self.node_mut(*node) {
                    node.losses += u32::from(counts);
                    node.lost = true;
                }
                self.transition(*node, Status::Pending);
                self.push_ready(plan, *node);
            }
            Event::NodeCancelled { node, .. } => {
                self.release_signal(*node);
                self.keep_container(*node);
                self.settle(plan, *node, Status::Cancelled);
            }
            Event::SignalReceived { id, to, payload, by } => {
                let signal = Signal {
                    id: id.clone(),
                    to: to.clone(),
                    payload: payload.clone(),
                    by: by.clone(),
                    at: record.at,
                    taken_by: None,
                };
                self.signals.push(signal);
                self.match_signals(plan);
            }
            Event::SignalIgnored { id } => self.signals.retain(|signal| signal.id != *id),
            Event::CancelRequested { .. } => self.cancel_requested(plan),
            Event::RunStopping { error } => self.run_stopping(plan, error),
            Event::HandlerStarted { handler } => self.handler_started(plan, *handler, record.at),
            Event::HandlerFinished { handler, .. } => {
                let frame = self.handler(*handler);
                self.closing.retain(|closing| Some(*closing) != frame);
                if let Phase::Handling(_, ending) = &self.phase {
                    self.phase = Phase::Stopping(ending.clone());
                    self.finishing = true;
                }
            }
            Event::RunEnded { status, error, .. } => {
                self.phase = Phase::Ended(Ending { status: *status, error: error.clone() });
            }
        }
    }

    /// The declared variables of the conversation, with the values that are stored for it.
    pub fn variables(plan: &Plan, stored: &Value) -> Value {
        let mut all: Object = plan
            .variables
            .iter()
            .map(|(name, kind)| (name.as_str().into(), kind.default_value().unwrap_or_default()))
            .collect();
        for (name, value) in stored.as_object().into_iter().flatten() {
            if all.contains_key(name) {
                all.insert(name.clone(), value.clone());
            }
        }
        Value::Object(Arc::new(all))
    }

    fn begin(&mut self, plan: &Plan, variables: &Value) {
        self.conversation = Self::variables(plan, variables);
        self.phase = Phase::Running;
        self.limits = Limits::from(&plan.budget).min(self.start.budget);
        self.is_limited = !self.limits.is_none();
        if let Some(timeout) = plan.timeout {
            self.push_due(self.start.at + timeout.millis(), Due::Run);
        }
        self.open_frame(plan, 0, None, 0, Value::Null);
    }

    fn node_started(&mut self, at: Addr, attempt: u32, place: Place) {
        self.set_attempt(at, attempt);
        self.transition(at, Status::Started(place));
        self.answers_changed |= !self.unopened.is_empty();
    }

    fn node_waiting(&mut self, plan: &Plan, at: Addr, attempt: u32, wait: &Wait) {
        self.set_attempt(at, attempt);
        self.release_signal(at);
        // What it was to go on with is answered by this record: a replay must not go on with it again.
        self.resumes.retain(|(waiting, _)| *waiting != at);
        let waiting = Waiting { wait: wait.clone(), signal: None, resumed: false };
        self.transition(at, Status::Waiting(Box::new(waiting)));
        if let Some(until) = wait.until {
            self.push_due(until, Due::Node(at));
        }
        self.match_signals(plan);
    }

    fn node_failed(&mut self, plan: &Plan, at: Addr, attempt: u32, error: &ErrorReport, then: &AfterFailure) {
        self.keep_container(at);
        let view = error.to_value(attempt);
        match then {
            AfterFailure::Retry(until) => {
                self.transition(at, Status::Sleeping(*until));
                self.push_due(*until, Due::Node(at));
            }
            AfterFailure::Continue => {
                self.handled_errors += 1;
                self.forget_kept(at);
                let port = Some("error".into());
                self.settle(plan, at, Status::Ended { port, output: Value::Null, error: Some(view) });
            }
            AfterFailure::StandIn(outputs) => {
                self.handled_errors += 1;
                self.forget_kept(at);
                self.settle(plan, at, Status::Ended { port: None, output: outputs.clone(), error: Some(view) });
            }
            AfterFailure::Fail => {
                // First the frame, so that nothing starts that only waited for this node.
                self.fail_frame(plan, at.frame, error);
                self.settle(plan, at, Status::Failed(view));
            }
        }
    }

    /// Settles a node, and everything that only waited for it.
    pub(super) fn settle(&mut self, plan: &Plan, at: Addr, status: Status) {
        if self.node(at).is_none_or(|node| node.status.is_settled()) {
            return;
        }
        self.transition(at, status);
        self.answers_changed |= !self.unopened.is_empty();
        let Some(frame) = self.frame_mut(at.frame) else { return };
        frame.unsettled -= 1;
        let body = &plan.bodies[frame.body];
        let mut free: Vec<NodeIx> = Vec::new();
        for next in body.successors(at.node) {
            let pending = &mut frame.nodes[next as usize].pending;
            *pending -= 1;
            if *pending == 0 {
                free.push(next);
            }
        }
        for node in free {
            self.try_gate(plan, Addr { frame: at.frame, node });
        }
        self.check_frame(at.frame);
    }

    /// Lets a node whose edges are all settled start, or skips it.
    pub(super) fn try_gate(&mut self, plan: &Plan, at: Addr) {
        let Some(frame) = self.frame(at.frame) else { return };
        if frame.stopping.is_some() {
            return;
        }
        let body = &plan.bodies[frame.body];
        match gate::open(body, &body.node(at.node).gate, &frame.nodes) {
            Ok(()) => self.push_ready(plan, at),
            Err(why) => self.skips.push_back((at, why)),
        }
    }

    /// Changes the status of a node and keeps the counts.
    pub(super) fn transition(&mut self, at: Addr, status: Status) {
        let Some(frame) = self.frame_mut(at.frame) else { return };
        let node = &mut frame.nodes[at.node as usize];
        let (was_active, was_running) = (node.status.is_active(), node.status.is_running());
        let (is_active, is_running) = (status.is_active(), status.is_running());
        let is_job = matches!(status, Status::Started(Place::Job { .. }));
        node.status = status;
        frame.active = frame.active + u32::from(is_active) - u32::from(was_active);
        self.running = self.running + u32::from(is_running) - u32::from(was_running);
        if is_job {
            self.jobs.insert(at, None);
        } else if !self.jobs.is_empty() {
            self.jobs.remove(&at);
        }
    }

    pub(super) fn push_due(&mut self, at: Millis, due: Due) {
        self.due.push(std::cmp::Reverse((at, due)));
    }

    fn set_attempt(&mut self, at: Addr, attempt: u32) {
        if let Some(node) = self.node_mut(at) {
            node.attempt = attempt;
            node.lost = false;
        }
    }

    fn write(&mut self, writes: &[Write]) {
        if !writes.is_empty() {
            self.conversation = apply_writes(&self.conversation, writes);
        }
    }

    /// Gives waiting nodes the first signal, in journal order, that is meant for them.
    fn match_signals(&mut self, plan: &Plan) {
        for signal in 0..self.signals.len() {
            if self.signals[signal].taken_by.is_some() {
                continue;
            }
            let Some(at) = self.waiting_for(plan, &self.signals[signal].to) else { continue };
            let taken = &mut self.signals[signal];
            taken.taken_by = Some(at);
            let resume = Resume::Signal { payload: taken.payload.clone(), by: taken.by.clone(), at: taken.at };
            let id = taken.id.clone();
            if let Some(Status::Waiting(waiting)) = self.node_mut(at).map(|node| &mut node.status) {
                waiting.signal = Some(id);
                waiting.resumed = true;
            }
            self.resumes.push_back((at, resume));
        }
    }

    fn waiting_for(&self, plan: &Plan, to: &SignalTo) -> Option<Addr> {
        let free = |at: &Addr| matches!(self.node(*at).map(|node| &node.status), Some(Status::Waiting(waiting)) if !waiting.resumed);
        match to {
            SignalTo::Node(path) => path::resolve(plan, self, path).filter(free),
            SignalTo::Name(name) => {
                self.waiting().find(|(at, wait)| wait.signal.as_deref() == Some(name) && free(at)).map(|(at, _)| at)
            }
        }
    }

    /// The signal that a node went on with has done its work.
    fn release_signal(&mut self, at: Addr) {
        self.signals.retain(|signal| signal.taken_by != Some(at));
    }

    /// The child run that a node waits for.
    pub fn child(&self, at: Addr) -> Option<RunId> {
        match self.node(at)?.status {
            Status::Started(Place::Child { run }) => Some(run),
            _ => None,
        }
    }

    fn handler_started(&mut self, plan: &Plan, handler: Handler, at: Millis) {
        let body = match handler {
            Handler::OnFailure => plan.on_failure,
            Handler::Finally => plan.finally,
        };
        let Some(body) = body else { return };
        let ending =
            self.fixed().cloned().unwrap_or(Ending { status: crate::event::RunStatus::Succeeded, error: None });
        self.phase = Phase::Handling(handler, ending);
        self.push_due(at + HANDLER_TIME.millis(), Due::Handler);
        let frame = self.open_frame(plan, body, None, 0, Value::Null);
        self.handlers.insert(handler, frame);
    }

    /// Why a node that has not run would be skipped now; for tests that compare with the scanning definition.
    pub fn gate_of(&self, plan: &Plan, at: Addr) -> Option<Result<(), SkipReason>> {
        let frame = self.frame(at.frame)?;
        let body = &plan.bodies[frame.body];
        Some(gate::open(body, &body.node(at.node).gate, &frame.nodes))
    }
}

/// Variables after some changes.
pub(crate) fn apply_writes(variables: &Value, writes: &[Write]) -> Value {
    let mut all = variables.as_object().cloned().unwrap_or_default();
    for write in writes {
        match write {
            Write::Set { name, value } => {
                all.insert(name.as_str().into(), value.clone());
            }
            Write::Extend { name, items } => {
                let mut list =
                    all.get(name.as_str()).and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default();
                list.extend(items.iter().cloned());
                all.insert(name.as_str().into(), Value::from(list));
            }
            Write::Increment { name, by } => {
                let old = all.get(name.as_str()).cloned().unwrap_or(Value::from(0_i64));
                all.insert(name.as_str().into(), add(&old, by));
            }
        }
    }
    Value::Object(Arc::new(all))
}

fn add(value: &Value, by: &serde_json::Number) -> Value {
    if let (Some(a), Some(b)) = (value.as_i64(), by.as_i64())
        && let Some(sum) = a.checked_add(b)
    {
        return Value::from(sum);
    }
    let sum = value.as_f64().unwrap_or(0.0) + by.as_f64().unwrap_or(0.0);
    serde_json::Number::from_f64(sum).map_or_else(|| value.clone(), Value::Number)
}
