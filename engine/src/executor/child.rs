//! Runs that nodes start: how they begin, and what their end means for the node.

use super::{beside::Beside, owner::Owner};
use crate::{
    codes,
    engine::{Origin, Prepared, Start},
    error::{ErrorClass, ErrorReport, NodeError},
    event::{Event, Place, RunStatus},
    id::RunId,
    node::Resume,
    run::{Addr, path},
    store::Parent,
    usage::Spent,
    value::Value,
};

/// The limit of `ENGINE.md` section 5.
const DEEPEST_RUN: u32 = 16;

/// The member of a trigger that names the trace which the run belongs to, as the W3C's header of this name does.
const TRACE: &str = "traceparent";

/// The end of a child run.
pub(super) struct ChildEnd {
    pub attempt: u32,
    pub usage: Spent,
    pub status: RunStatus,
    pub outputs: Value,
    pub error: Option<ErrorReport>,
}

impl Owner {
    /// Goes on with a node whose child run ended.
    pub(super) fn child_ended(&mut self, name: &str, end: ChildEnd) {
        let Some(at) = path::resolve(&self.plan, &self.state, name) else { return };
        let current = self.state.node(at).is_some_and(|node| node.attempt == end.attempt);
        if !current || self.state.child(at).is_none() {
            return;
        }
        if !self.may_start(at) {
            self.record(Event::NodeCancelled { node: at, usage: end.usage });
            return;
        }
        let result = match (end.status, end.error) {
            (RunStatus::Succeeded, _) => Ok(end.outputs),
            (_, Some(error)) => Err(error),
            (_, None) => {
                Err(NodeError::new(codes::CHILD_CANCELLED, ErrorClass::Cancelled, "the child run was cancelled")
                    .hint("look at the child with `liteagent runs show`")
                    .report(name))
            }
        };
        self.resume(at, Resume::ChildEnded { result }, &end.usage);
    }

    /// Starts a run of its own for a node.
    pub(super) fn child(&mut self, at: Addr, attempt: u32, workflow: &str, inputs: Value) {
        match self.new_child(at, attempt, workflow, inputs) {
            Ok(child) => {
                let place = Place::Child { run: child.run.id };
                self.record(Event::NodeStarted { node: at, attempt, place });
                self.pending.children.push(child);
                self.pending.urgent = true;
            }
            Err(error) => self.failed(at, attempt, &error, Beside::default()),
        }
    }

    fn new_child(&self, at: Addr, attempt: u32, workflow: &str, inputs: Value) -> Result<Prepared, NodeError> {
        let depth = self.state.start.depth + 1;
        if depth > DEEPEST_RUN {
            return Err(NodeError::new(
                codes::RUN_TOO_DEEP,
                ErrorClass::LimitExceeded,
                format!("expected runs at most {DEEPEST_RUN} deep, found {depth}"),
            )
            .hint("pass a list to an `iteration` instead of starting runs from runs"));
        }
        let node = path::path(&self.plan, &self.state, at).to_string();
        // Who follows a trace finds the runs below the one that it began with.
        let trace = self.state.start.trigger.get(TRACE).cloned();
        let trigger = Value::from_pairs(
            std::iter::once(("type", Value::from("parent"))).chain(trace.map(|trace| (TRACE, trace))),
        );
        let start = Start {
            user: self.state.start.user.clone(),
            subject: self.state.start.subject.clone(),
            budget: self.state.left(&self.plan, at),
            ..Start::new(self.plan.bundle.clone(), inputs, trigger)
        };
        let origin = Origin {
            id: RunId::child(self.run, &node, attempt),
            digest: self.plan.digest.clone(),
            workflow: workflow.to_owned(),
            parent: Some(Parent { run: self.run, node, attempt }),
            depth,
            variables: Value::Null,
        };
        self.engine.prepare_child(origin, &start)
    }
}
