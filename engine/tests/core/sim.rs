//! The smallest shell: it journals what the test says, and checks the invariants at every step.

use std::collections::HashMap;

use liteagent_engine::{
    error::{ErrorClass, ErrorReport},
    event::{AfterFailure, Event, FrameEnd, OnItemError, Over, Record, RunStatus, SignalTo, SkipReason, Wait},
    id::{Digest, SessionId},
    node::Container,
    plan::Plan,
    run::{Addr, Command, ContainerEnd, Ending, FrameId, Phase, RunState, Status, decide, path},
    usage::Spent,
    value,
    value::Value,
};

/// A run that is driven by hand.
pub(super) struct Sim {
    pub(super) plan: Plan,
    pub(super) state: RunState,
    pub(super) journal: Vec<Record<Addr>>,
    /// Attempts that were started and have not ended.
    pub(super) running: Vec<(Addr, u32)>,
    /// What the next attempt that ends has used.
    pub(super) uses: Spent,
    /// The container of each frame that was ever open.
    parents: HashMap<FrameId, Addr>,
}

impl Sim {
    pub(super) fn new(plan: Plan) -> Self {
        let mut sim = Self {
            plan,
            state: RunState::default(),
            journal: Vec::new(),
            running: Vec::new(),
            uses: Spent::default(),
            parents: HashMap::new(),
        };
        sim.record(Event::RunStarted {
            subject: None,
            workflow: "test".to_owned(),
            digest: Digest::of(b""),
            inputs: Value::object().into(),
            trigger: Value::Null,
            user: Value::Null,
            conversation: None,
            variables: Value::Null,
            env: Value::Null,
            parent: None,
            depth: 0,
            budget: None,
        });
        sim.record(Event::RunTaken { epoch: 1, owner: SessionId(uuid::Uuid::nil()), deaths: 0, alone: false });
        sim.turn();
        sim
    }

    pub(super) fn record(&mut self, event: Event<Addr>) {
        let seq = self.state.seq + 1;
        let record = Record { seq, at: i64::try_from(seq).unwrap(), event };
        self.state.apply(&self.plan, &record);
        self.journal.push(record);
        self.parents.extend(self.state.frames().filter_map(|(id, frame)| Some((id, frame.parent?))));
    }

    /// The tokens that the journal says were used at a node and inside it; of the whole run without a node.
    pub(super) fn tokens(&self, of: Option<Addr>) -> u64 {
        let is_inside = |at: Addr| {
            let mut outwards = std::iter::successors(Some(at), |at| self.parents.get(&at.frame).copied());
            of.is_none_or(|of| outwards.any(|at| at == of))
        };
        let used = self.journal.iter().filter_map(|record| record.event.usage_of_node());
        used.filter(|(at, _)| is_inside(**at)).map(|(_, spent)| spent.total().tokens()).sum()
    }

    /// What budgets promise: nothing that uses a model starts when one around it is used up, and no more nodes start
    /// than may.
    fn check_budget(&self, at: Addr) {
        let node = |at: Addr| self.plan.bodies[self.state.frame(at.frame).unwrap().body].node(at.node);
        if self.state.phase != Phase::Running {
            return;
        }
        if let Some(nodes) = self.plan.budget.nodes {
            // A node that waits is counted when it has ended.
            let running = self.running.iter().filter(|(at, _)| !self.waits(*at)).count() as u64;
            assert!(self.state.started + running < nodes, "more nodes than the budget allows");
        }
        if !node(at).uses_models {
            return;
        }
        assert!(self.plan.budget.tokens.is_none_or(|most| self.tokens(None) < most), "the run has no tokens left");
        for at in std::iter::successors(Some(at), |at| self.parents.get(&at.frame).copied()) {
            let most = node(at).budget.and_then(|budget| budget.tokens);
            assert!(most.is_none_or(|most| self.tokens(Some(at)) < most), "{at:?} has no tokens left");
        }
    }

    /// Decides until nothing is left, and carries out what needs no node.
    pub(super) fn turn(&mut self) {
        self.turn_with(|_, _, _| {});
    }

    /// As `turn`; `open` is called for containers that start.
    pub(super) fn turn_with(&mut self, open: impl Fn(&mut Self, Addr, u32)) {
        loop {
            let now = self.state.now;
            let commands = decide(&self.plan, &mut self.state, now);
            if commands.is_empty() {
                return;
            }
            for command in commands {
                self.act(command, &open);
            }
        }
    }

    fn act(&mut self, command: Command, open: &impl Fn(&mut Self, Addr, u32)) {
        match command {
            Command::Start { at, attempt } if self.state.frame(at.frame).is_some_and(|frame| !frame.is_stopping()) => {
                if self.state.is_kept(at) {
                    self.record(Event::ContainerReopened { node: at, attempt });
                } else if self.container(at) {
                    open(self, at, attempt);
                } else {
                    self.check_budget(at);
                    self.running.push((at, attempt));
                }
            }
            Command::Start { .. } => {}
            Command::OpenAnswer { at } => self.record(Event::AnswerOpened { node: at }),
            Command::Skip { at, why } => self.record(Event::NodeSkipped { node: at, why }),
            Command::Cancel { at } => {
                self.running.retain(|(running, _)| *running != at);
                self.record(Event::NodeCancelled { node: at, usage: Spent::default() });
            }
            Command::CloseFrame { frame, failed } => {
                let inner = self.state.frame(frame).unwrap();
                let (node, index) = (inner.parent.unwrap(), inner.index);
                let end = match failed {
                    Some(error) => FrameEnd::Failed { error },
                    None if self.rounds(node) && index < 2 => FrameEnd::Next { ops: Vec::new() },
                    None if matches!(self.kind(node), Some(Container::Rounds | Container::Once)) => {
                        FrameEnd::Last { ops: Vec::new(), output: value!({ "text": "z" }).into() }
                    }
                    None => FrameEnd::Item { output: Value::from(u64::from(index)).into() },
                };
                self.record(Event::FrameFinished { node, index, end });
            }
            Command::EndContainer { at, end } => {
                let attempt = self.state.node(at).unwrap().attempt;
                match end {
                    ContainerEnd::Done => self.succeed(at, attempt, None),
                    ContainerEnd::Stopped => self.record(Event::NodeCancelled { node: at, usage: Spent::default() }),
                    ContainerEnd::Failed(error) => {
                        let then = if attempt < 2 { AfterFailure::Retry(0) } else { AfterFailure::Fail };
                        self.record(Event::NodeFailed {
                            node: at,
                            attempt,
                            error,
                            then,
                            usage: Spent::default(),
                            log: None,
                        });
                    }
                }
            }
            Command::EndHandler { handler, error } => self.record(Event::HandlerFinished { handler, error }),
            Command::Finish => self.finish(),
            Command::Ignore { id } => self.record(Event::SignalIgnored { id }),
            Command::Resume { at, .. } => {
                // As a person whose first answer is refused.
                let attempt = self.state.node(at).unwrap().attempt;
                match self.state.wait(at).unwrap().ask {
                    Value::Null => self.wait(at, attempt, Value::from("again")),
                    _ => self.succeed(at, attempt, None),
                }
            }
            Command::OutOfBudget { at, attempt, over } if over.of.is_some() => {
                if self.state.frame(at.frame).is_some_and(|frame| !frame.is_stopping()) {
                    self.fail(at, attempt, AfterFailure::Fail);
                }
            }
            Command::WarnOfBudget { used, limit } => self.record(Event::BudgetWarned { used, limit }),
            Command::OutOfBudget { .. } | Command::OutOfTime | Command::HandlerOutOfTime(_) => {
                self.record(Event::RunStopping { error: error() });
            }
        }
    }

    fn finish(&mut self) {
        use liteagent_engine::event::Handler;

        let ending = match &self.state.phase {
            Phase::Running => Ending { status: RunStatus::Succeeded, error: None },
            Phase::Stopping(ending) => ending.clone(),
            _ => return,
        };
        let failed = ending.status == RunStatus::Failed;
        let due =
            [(Handler::OnFailure, self.plan.on_failure.filter(|_| failed)), (Handler::Finally, self.plan.finally)];
        for (handler, body) in due {
            if body.is_some() && self.state.handler(handler).is_none() {
                return self.record(Event::HandlerStarted { handler });
            }
        }
        let Ending { status, error } = ending;
        let usage = Spent::default();
        self.record(Event::RunEnded { status, outputs: None, error, handled_errors: 0, usage });
    }

    fn container(&self, at: Addr) -> bool {
        self.plan.bodies[self.state.frame(at.frame).unwrap().body].node(at.node).passes.is_some()
    }

    fn rounds(&self, at: Addr) -> bool {
        self.kind(at) == Some(Container::Rounds)
    }

    fn kind(&self, at: Addr) -> Option<Container> {
        let passes = &self.plan.bodies[self.state.frame(at.frame).unwrap().body].node(at.node).passes;
        passes.as_ref().map(|passes| passes.kind)
    }

    pub(super) fn open(&mut self, at: Addr, attempt: u32, items: u32, parallel: u32, on_item_error: OnItemError) {
        let list = |item: &dyn Fn(u32) -> Value| Value::from((0..items).map(item).collect::<Vec<_>>());
        let over = match self.kind(at) {
            Some(Container::Rounds) => Over::Rounds { state: Value::object() },
            Some(Container::Once) => Over::Once {},
            Some(Container::Calls) => {
                // One of three cannot be called at all.
                let call = |i: u32| match i % 3 {
                    0 => value!({ "id": "0", "name": "a", "tool": "a", "arguments": {} }),
                    1 => {
                        value!({ "id": "1", "name": "c", "arguments": {}, "result": { "text": "no", "failed": true } })
                    }
                    _ => value!({ "id": "2", "name": "b", "tool": "b", "arguments": {} }),
                };
                Over::Calls { calls: list(&call).into(), parallel }
            }
            _ => Over::Items { items: list(&|i| Value::from(u64::from(i))).into(), parallel, on_item_error },
        };
        self.record(Event::ContainerOpened { node: at, attempt, over, fields: None });
    }

    pub(super) fn succeed(&mut self, at: Addr, attempt: u32, port: Option<&str>) {
        self.running.retain(|(running, _)| *running != at);
        let output = value!({ "text": "x" }).into();
        let port = port.map(str::to_owned);
        let usage = std::mem::take(&mut self.uses);
        self.record(Event::NodeSucceeded {
            node: at,
            attempt,
            port,
            output,
            writes: Vec::new(),
            cached: false,
            usage,
            log: None,
        });
    }

    pub(super) fn waits(&self, at: Addr) -> bool {
        self.state.wait(at).is_some()
    }

    pub(super) fn wait(&mut self, at: Addr, attempt: u32, ask: Value) {
        let usage = std::mem::take(&mut self.uses);
        self.record(Event::NodeWaiting { node: at, attempt, wait: Wait { signal: None, until: None, ask }, usage });
    }

    pub(super) fn signal(&mut self, at: Addr) {
        let to = SignalTo::Node(path::path(&self.plan, &self.state, at).to_string());
        let id = format!("s{}", self.state.seq);
        self.record(Event::SignalReceived { id, to, payload: Value::Null, by: None });
    }

    pub(super) fn fail(&mut self, at: Addr, attempt: u32, then: AfterFailure) {
        self.running.retain(|(running, _)| *running != at);
        let usage = std::mem::take(&mut self.uses);
        self.record(Event::NodeFailed { node: at, attempt, error: error(), then, usage, log: None });
    }

    /// Ends a node by name, as the test says.
    pub(super) fn end(&mut self, path: &str, how: &str) {
        let at = path::resolve(&self.plan, &self.state, path).unwrap();
        let attempt = self.running.iter().find(|(running, _)| *running == at).map(|(_, attempt)| *attempt);
        let attempt = attempt.unwrap_or_else(|| panic!("`{path}` was not started"));
        match how {
            "ok" => self.succeed(at, attempt, None),
            "fails" => self.fail(at, attempt, AfterFailure::Fail),
            "continues" => self.fail(at, attempt, AfterFailure::Continue),
            "stands in" => self.fail(at, attempt, AfterFailure::StandIn(value!({ "text": "y" }))),
            "is skipped" => {
                self.running.retain(|(running, _)| *running != at);
                self.record(Event::NodeSkipped { node: at, why: SkipReason::When });
            }
            port => self.succeed(at, attempt, Some(port)),
        }
        self.turn();
    }

    /// Where a node stands, in a word or two.
    pub(super) fn fate(&self, path: &str) -> String {
        let at = path::resolve(&self.plan, &self.state, path).unwrap();
        match &self.state.node(at).unwrap().status {
            Status::Issued => "runs".to_owned(),
            Status::Skipped => {
                let why = self.journal.iter().find_map(|record| match &record.event {
                    Event::NodeSkipped { node, why } if *node == at => Some(why),
                    _ => None,
                });
                match why.unwrap() {
                    SkipReason::NotNeeded { need } => format!("skipped: {need} not taken"),
                    SkipReason::NoValue { of } => format!("skipped: {of} has no value"),
                    SkipReason::NothingTaken => "skipped: nothing taken".to_owned(),
                    SkipReason::When => "skipped: when".to_owned(),
                }
            }
            Status::Pending => "waits".to_owned(),
            Status::Ended { .. } => "ended".to_owned(),
            Status::Cancelled => "cancelled".to_owned(),
            other => format!("{other:?}"),
        }
    }
}

pub(super) fn error() -> ErrorReport {
    ErrorReport {
        code: "LA2001".to_owned(),
        class: ErrorClass::Invalid,
        message: "it failed".to_owned(),
        hint: None,
        node: None,
    }
}
