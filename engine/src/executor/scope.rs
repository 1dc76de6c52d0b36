//! What templates see when a node starts.

use std::sync::Arc;

use super::owner::Owner;
use crate::{
    node::Container,
    plan::{Plan, ScopeRead},
    run::{Addr, FrameId, RunState},
    scope::{NodeView, Roots, Scope},
    value::{Object, Value},
};

/// Names that are used for every scope, made once.
pub(super) struct Names {
    item: Arc<str>,
    index: Arc<str>,
    state: Arc<str>,
    round: Arc<str>,
    status: Arc<str>,
    error: Arc<str>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            item: "item".into(),
            index: "index".into(),
            state: "state".into(),
            round: "round".into(),
            status: "status".into(),
            error: "error".into(),
        }
    }
}

/// The roots that stay the same during a run.
pub(crate) fn roots(plan: &Plan, state: &RunState, run: &str) -> Arc<Roots> {
    let start = &state.start;
    let mut env = plan.env.as_object().cloned().unwrap_or_default();
    for (name, value) in start.env.as_object().into_iter().flatten() {
        if env.contains_key(name) {
            env.insert(name.clone(), value.clone());
        }
    }
    let mut sys = Object::default();
    sys.insert("run".into(), Value::from(run));
    sys.insert("workflow".into(), Value::String(plan.workflow.clone()));
    sys.insert("digest".into(), Value::from(plan.digest.as_str()));
    sys.insert("user".into(), start.user.clone());
    sys.insert("conversation".into(), start.conversation.as_deref().map_or(Value::Null, Value::from));
    Arc::new(Roots {
        inputs: start.inputs.clone(),
        env: Value::Object(Arc::new(env)),
        trigger: start.trigger.clone(),
        sys,
    })
}

impl Owner {
    /// What the templates of a node see.
    pub(super) fn scope(&self, frame: FrameId, reads: &[ScopeRead], attempt: u32) -> Arc<Scope> {
        Arc::new(Scope {
            roots: self.roots.clone(),
            nodes: reads.iter().map(|read| (read.id.clone(), self.view(frame, read))).collect(),
            locals: self.locals(frame),
            conversation: self.state.conversation.clone(),
            now: self.state.now,
            attempt,
            usage: self.state.usage.clone(),
            secrets: Value::Null,
        })
    }

    fn view(&self, frame: FrameId, read: &ScopeRead) -> NodeView {
        let mut frame = frame;
        for _ in 0..read.up {
            frame = self.state.frame(frame).and_then(|inner| inner.parent).map_or(0, |container| container.frame);
        }
        self.state.node(Addr { frame, node: read.node }).map_or(NodeView::Unsettled, |node| node.status.view())
    }

    fn locals(&self, frame: FrameId) -> Vec<(Arc<str>, Value)> {
        let mut locals = Vec::new();
        let mut next = Some(frame);
        while let Some(inner) = next.and_then(|id| self.state.frame(id)) {
            let Some(container) = inner.parent else {
                if self.plan.bodies[inner.body].handler.is_some() {
                    self.handler_locals(&mut locals);
                }
                break;
            };
            let outer = self.state.frame(container.frame);
            let kind = outer.and_then(|outer| self.plan.bodies[outer.body].node(container.node).container);
            match kind.map(|(kind, _)| kind) {
                Some(Container::Items) => {
                    locals.push((self.names.index.clone(), Value::from(u64::from(inner.index))));
                    locals.push((self.names.item.clone(), inner.item.clone()));
                }
                Some(Container::Rounds) => {
                    locals.push((self.names.round.clone(), Value::from(u64::from(inner.index) + 1)));
                    locals.push((self.names.state.clone(), inner.item.clone()));
                }
                None => {}
            }
            next = Some(container.frame);
        }
        locals.reverse();
        locals
    }

    fn handler_locals(&self, locals: &mut Vec<(Arc<str>, Value)>) {
        let Some(ending) = self.state.fixed() else { return };
        let error = ending.error.as_ref().map_or(Value::Null, |error| error.to_value(1));
        locals.push((self.names.status.clone(), Value::from(ending.status.as_str())));
        locals.push((self.names.error.clone(), error));
    }
}
