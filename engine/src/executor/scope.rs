//! What templates see when a node starts.

use std::sync::Arc;

use super::owner::Owner;
use crate::{
    node::Container,
    plan::{Border, Plan, PlanNode, ScopeRead},
    run::{Addr, FrameId, RunState},
    scope::{NodeView, Roots, Scope},
    value::{Object, Value},
};

/// Names that are used for every scope, made once.
pub(crate) struct Names {
    item: Arc<str>,
    index: Arc<str>,
    state: Arc<str>,
    round: Arc<str>,
    status: Arc<str>,
    error: Arc<str>,
    call: Arc<str>,
    operation: Arc<str>,
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
            call: "call".into(),
            operation: OPERATION.into(),
        }
    }
}

/// Which operation of its tool a call names. No id can hide it, and no author can read it.
const OPERATION: &str = "_operation";

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

/// A run in some state, as the templates of its nodes see it.
pub(crate) struct Sight<'a> {
    pub(crate) plan: &'a Arc<Plan>,
    pub(crate) state: &'a RunState,
    pub(crate) roots: &'a Arc<Roots>,
    pub(crate) names: &'a Names,
}

impl Owner {
    /// What the templates of a node see.
    pub(super) fn scope(&self, frame: FrameId, reads: &[ScopeRead], attempt: u32) -> Arc<Scope> {
        let Self { plan, state, roots, names, .. } = self;
        Arc::new(Sight { plan, state, roots, names }.scope(frame, reads, attempt))
    }
}

impl Sight<'_> {
    /// What the templates of a node see.
    pub(crate) fn scope(&self, frame: FrameId, reads: &[ScopeRead], attempt: u32) -> Scope {
        let mut nodes = Vec::with_capacity(reads.len());
        self.see(frame, reads, &mut nodes);
        if let Some(author) = self.author_of_call(frame) {
            self.see(author.frame, &self.node(author).reads, &mut nodes);
        }
        let mut locals = Vec::new();
        let composite = self.locals(frame, &mut locals);
        Scope {
            roots: composite.map_or_else(|| self.roots.clone(), |composite| self.roots_within(composite)),
            nodes,
            locals,
            conversation: self.state.conversation.clone(),
            now: self.state.now,
            attempt,
            usage: self.state.usage.clone(),
            secrets: Value::Null,
        }
    }

    fn node(&self, at: Addr) -> &PlanNode {
        let body = self.state.frame(at.frame).map_or(0, |frame| frame.body);
        self.plan.bodies[body].node(at.node)
    }

    fn see(&self, frame: FrameId, reads: &[ScopeRead], nodes: &mut Vec<(Arc<str>, NodeView)>) {
        nodes.extend(reads.iter().map(|read| (read.id.clone(), self.view(frame, read))));
    }

    fn view(&self, frame: FrameId, read: &ScopeRead) -> NodeView {
        let mut frame = frame;
        for _ in 0..read.up {
            frame = self.state.frame(frame).and_then(|inner| inner.parent).map_or(0, |container| container.frame);
        }
        self.state.node(Addr { frame, node: read.node }).map_or(NodeView::Unsettled, |node| node.status.view())
    }

    /// The roots within a composite: `inputs` are its fields, and nothing else of the workflow is in sight.
    fn roots_within(&self, composite: Addr) -> Arc<Roots> {
        let inputs = self.state.fields(composite).cloned().unwrap_or_default();
        Arc::new(Roots { inputs, env: Value::object(), trigger: Value::Null, sys: self.roots.sys.clone() })
    }

    fn border(&self, frame: FrameId) -> Border {
        self.state.frame(frame).map_or(Border::Open, |inner| self.plan.bodies[inner.body].border)
    }

    /// The composite that a frame belongs to, at any depth.
    fn composite_around(&self, frame: FrameId) -> Option<Addr> {
        let mut frame = frame;
        loop {
            let container = self.state.frame(frame)?.parent?;
            if self.border(frame) == Border::Composite {
                return Some(container);
            }
            frame = container.frame;
        }
    }

    /// The node whose author wrote the tools that the calls of this frame are for.
    fn author_of_call(&self, frame: FrameId) -> Option<Addr> {
        let Border::Call { out } = self.border(frame) else { return None };
        let mut author = self.state.frame(frame)?.parent?;
        for _ in 0..out {
            author = self.composite_around(author.frame)?;
        }
        Some(author)
    }

    /// `item`, `state` and so on, innermost last. Gives the composite whose border ends what is in sight.
    fn locals(&self, frame: FrameId, locals: &mut Vec<(Arc<str>, Value)>) -> Option<Addr> {
        let mut next = frame;
        let mut composite = None;
        while let Some(inner) = self.state.frame(next) {
            let Some(container) = inner.parent else {
                if self.plan.bodies[inner.body].handler.is_some() {
                    self.handler_locals(locals);
                }
                break;
            };
            let outer = self.state.frame(container.frame);
            let passes = outer.and_then(|outer| self.plan.bodies[outer.body].node(container.node).passes.as_ref());
            let member = |name: &str| inner.item.get(name).cloned().unwrap_or_default();
            match passes.map(|passes| passes.kind) {
                Some(Container::Items) => {
                    locals.push((self.names.index.clone(), Value::from(u64::from(inner.index))));
                    locals.push((self.names.item.clone(), inner.item.clone()));
                }
                Some(Container::Rounds) => {
                    locals.push((self.names.round.clone(), Value::from(u64::from(inner.index) + 1)));
                    locals.push((self.names.state.clone(), inner.item.clone()));
                }
                Some(Container::Calls) => {
                    locals.push((self.names.operation.clone(), member("operation")));
                    locals.push((self.names.call.clone(), member("arguments")));
                }
                Some(Container::Once) | None => {}
            }
            match self.border(next) {
                Border::Composite => {
                    composite = Some(container);
                    break;
                }
                Border::Call { .. } => next = self.author_of_call(next)?.frame,
                Border::Open => next = container.frame,
            }
        }
        locals.reverse();
        composite
    }

    fn handler_locals(&self, locals: &mut Vec<(Arc<str>, Value)>) {
        let Some(ending) = self.state.fixed() else { return };
        let error = ending.error.as_ref().map_or(Value::Null, |error| error.to_value(1));
        locals.push((self.names.status.clone(), Value::from(ending.status.as_str())));
        locals.push((self.names.error.clone(), error));
    }
}
