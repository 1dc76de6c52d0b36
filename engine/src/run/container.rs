//! Frames: how containers open, pass, end and go on.

use std::{collections::HashMap, sync::Arc};

use super::{
    apply::apply_writes,
    state::{Addr, Frame, FrameId, NodeState, OpenContainer, OpenOver, RunState, Status, Stop},
};
use crate::{
    error::ErrorReport,
    event::{FrameEnd, OnItemError, Over, Payload},
    plan::{BodyIx, NodeIx, Passes, Plan},
    value::Value,
};

/// How a container ends.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerEnd {
    /// Every pass is done.
    Done,
    /// It failed.
    Failed(ErrorReport),
    /// Its own frame is being stopped.
    Stopped,
}

impl RunState {
    pub(super) fn open_frame(
        &mut self,
        plan: &Plan,
        body: BodyIx,
        parent: Option<Addr>,
        index: u32,
        item: Value,
    ) -> FrameId {
        let id = self.frames.len() as FrameId;
        let pending = &plan.bodies[body].pending;
        let prefix = match (parent, plan.bodies[body].handler) {
            (Some(container), _) => super::path::inside(plan, self, container, body, index).into(),
            (None, Some(handler)) => format!("{}.", handler.as_str()).into(),
            (None, None) => Arc::from(""),
        };
        self.frames.push(Some(Box::new(Frame {
            body,
            parent,
            index,
            item,
            prefix,
            nodes: pending.iter().map(|pending| NodeState { pending: *pending, ..NodeState::default() }).collect(),
            unsettled: pending.len() as u32,
            active: 0,
            stopping: None,
            queued: false,
        })));
        for (node, pending) in pending.iter().enumerate() {
            if *pending == 0 {
                self.try_gate(plan, Addr { frame: id, node: node as NodeIx });
            }
        }
        self.expect_answers(plan, id);
        id
    }

    pub(super) fn open_container(&mut self, plan: &Plan, at: Addr, over: &Over, fields: Option<&Payload>) {
        let list = |payload: &Payload| match payload.value() {
            Value::List(items) => items,
            _ => Arc::default(),
        };
        let over = match over {
            Over::Items { items, parallel, on_item_error } => {
                let items = list(items);
                let results = items.iter().map(|_| None).collect();
                OpenOver::Items { items, parallel: *parallel, on_item_error: *on_item_error, results }
            }
            Over::Rounds { state } => OpenOver::Rounds { state: state.clone(), done: None },
            Over::Once {} => OpenOver::Once { done: None },
            Over::Calls { calls, parallel } => {
                let calls = list(calls);
                // What cannot be called has its result already.
                let results = calls.iter().map(|call| call.get("result").cloned().map(Ok)).collect();
                OpenOver::Calls { calls, parallel: *parallel, results }
            }
        };
        let open = OpenContainer {
            over,
            fields: fields.map(Payload::value),
            frames: HashMap::new(),
            kept: HashMap::new(),
            next: 0,
            failed: None,
            queued: false,
        };
        self.transition(at, Status::Open(Box::new(open)));
        self.open_next(plan, at);
    }

    pub(super) fn reopen_container(&mut self, plan: &Plan, at: Addr) {
        let Some(mut open) = self.node_mut(at).and_then(|node| node.kept.take()) else { return };
        open.failed = None;
        open.queued = false;
        self.ending.retain(|ended| *ended != at);
        let mut again: Vec<(u32, FrameId)> = open.kept.drain().collect();
        again.sort_unstable();
        open.frames.extend(again.iter().copied());
        self.transition(at, Status::Open(open));
        for (_, frame) in again {
            self.reopen_frame(plan, frame);
        }
        self.open_next(plan, at);
    }

    /// What finished stays; what failed, was stopped or had not begun starts again.
    fn reopen_frame(&mut self, plan: &Plan, id: FrameId) {
        // What was queued belongs to the attempt before: in a replay nothing has taken it yet.
        self.closing.retain(|frame| *frame != id);
        self.skips.retain(|(at, _)| at.frame != id);
        self.cancels.retain(|at| at.frame != id);
        let Some(frame) = self.frame_mut(id) else { return };
        frame.stopping = None;
        frame.queued = false;
        let body = &plan.bodies[frame.body];
        let mut again: Vec<NodeIx> = Vec::new();
        for (node, state) in frame.nodes.iter_mut().enumerate() {
            match state.status {
                Status::Ready => again.push(node as NodeIx),
                Status::Failed(_) | Status::Cancelled => {
                    state.status = Status::Pending;
                    frame.unsettled += 1;
                    again.push(node as NodeIx);
                }
                _ => {}
            }
        }
        for node in &again {
            if matches!(frame.nodes[*node as usize].status, Status::Pending) {
                for next in body.successors(*node) {
                    frame.nodes[next as usize].pending += 1;
                }
            }
        }
        let idle = |node: &NodeIx| {
            let state = &frame.nodes[*node as usize];
            matches!(state.status, Status::Pending) && state.pending == 0 && !again.contains(node)
        };
        let gates: Vec<NodeIx> = (0..frame.nodes.len() as NodeIx).filter(idle).collect();
        for node in again {
            self.push_ready(plan, Addr { frame: id, node });
        }
        for node in gates {
            self.try_gate(plan, Addr { frame: id, node });
        }
        self.expect_answers_again(plan, id);
        self.check_frame(id);
    }

    /// Opens frames as far as `parallel` allows, or ends the container.
    fn open_next(&mut self, plan: &Plan, at: Addr) {
        loop {
            let Some(frame) = self.frame(at.frame) else { return };
            let stopping = frame.stopping.is_some();
            let Some(passes) = &plan.bodies[frame.body].node(at.node).passes else { return };
            let Some(Status::Open(open)) = self.node_mut(at).map(|node| &mut node.status) else { return };
            open.skip_answered(passes);
            let room = |parallel: &u32| open.frames.len() < *parallel as usize;
            let item = match &open.over {
                OpenOver::Items { items, parallel, .. } | OpenOver::Calls { calls: items, parallel, .. } => {
                    items.get(open.next as usize).filter(|_| room(parallel)).cloned()
                }
                OpenOver::Rounds { state, done } => (open.frames.is_empty() && done.is_none()).then(|| state.clone()),
                OpenOver::Once { done } => (open.frames.is_empty() && done.is_none()).then(Value::object),
            };
            let (Some(item), false, None) = (item, stopping, &open.failed) else { break };
            let Some(body) = passes.body(&item) else { break };
            let index = open.next;
            open.next += 1;
            // The path of the frame's nodes is known only once the frame is listed, so it is listed first.
            let id = self.frames.len() as FrameId;
            if let Some(Status::Open(open)) = self.node_mut(at).map(|node| &mut node.status) {
                open.frames.insert(index, id);
            }
            self.open_frame(plan, body, Some(at), index, item);
        }
        self.check_container(at);
    }

    pub(super) fn frame_finished(&mut self, plan: &Plan, at: Addr, index: u32, end: &FrameEnd) {
        let Some(Status::Open(open)) = self.node_mut(at).map(|node| &mut node.status) else { return };
        let Some(id) = open.frames.remove(&index) else { return };
        let mut stop = false;
        match (&mut open.over, end) {
            (OpenOver::Items { results, .. } | OpenOver::Calls { results, .. }, FrameEnd::Item { output }) => {
                results[index as usize] = Some(Ok(output.value()));
            }
            (OpenOver::Calls { results, .. }, FrameEnd::Failed { error }) => {
                results[index as usize] = Some(Err(error.to_value(1)));
            }
            (OpenOver::Items { results, on_item_error, .. }, FrameEnd::Failed { error })
                if *on_item_error != OnItemError::Fail =>
            {
                results[index as usize] = Some(Err(error.to_value(1)));
            }
            (OpenOver::Rounds { state, .. }, FrameEnd::Next { ops }) => *state = apply_writes(state, ops),
            (OpenOver::Rounds { state, done }, FrameEnd::Last { ops, output }) => {
                *state = apply_writes(state, ops);
                *done = Some(output.value());
            }
            (OpenOver::Once { done }, FrameEnd::Last { output, .. }) => *done = Some(output.value()),
            (_, FrameEnd::Failed { error }) => {
                open.kept.insert(index, id);
                stop = open.failed.is_none();
                open.failed.get_or_insert_with(|| error.clone());
            }
            _ => return,
        }
        let others: Vec<FrameId> = if stop { open.frames.values().copied().collect() } else { Vec::new() };
        let kept = open.kept.contains_key(&index);
        if kept {
            self.closing.retain(|frame| *frame != id);
        } else {
            self.frames[id as usize] = None;
        }
        for other in others {
            self.stop_frame(other, Stop::Outside);
        }
        self.open_next(plan, at);
    }

    /// Queues the end of a container that has nothing left to do.
    pub(super) fn check_container(&mut self, at: Addr) {
        let stopping = self.frame(at.frame).is_none_or(|frame| frame.stopping.is_some());
        let Some(Status::Open(open)) = self.node_mut(at).map(|node| &mut node.status) else { return };
        let done = match &open.over {
            OpenOver::Items { items, .. } | OpenOver::Calls { calls: items, .. } => open.next as usize >= items.len(),
            OpenOver::Rounds { done, .. } | OpenOver::Once { done } => done.is_some(),
        };
        if open.frames.is_empty() && (done || stopping || open.failed.is_some()) && !open.queued {
            open.queued = true;
            self.ending.push_back(at);
        }
    }

    /// How a container that has nothing left to do ends.
    pub fn container_end(&self, at: Addr) -> Option<ContainerEnd> {
        let frame = self.frame(at.frame)?;
        let Status::Open(open) = &frame.nodes[at.node as usize].status else { return None };
        Some(match &open.failed {
            _ if frame.stopping.is_some() => ContainerEnd::Stopped,
            Some(error) => ContainerEnd::Failed(error.clone()),
            None => ContainerEnd::Done,
        })
    }

    /// Whether a node is a container that failed before and can go on.
    pub fn is_kept(&self, at: Addr) -> bool {
        self.node(at).is_some_and(|node| node.kept.is_some())
    }

    pub(super) fn keep_container(&mut self, at: Addr) {
        let Some(node) = self.node_mut(at) else { return };
        if matches!(node.status, Status::Open(_)) {
            // The counts change when the caller sets the next status; an open container is active, and so is this.
            let Status::Open(open) = std::mem::replace(&mut node.status, Status::Sleeping(0)) else { return };
            node.kept = Some(open);
        }
    }

    /// The output of a container, folded from its frames: never journaled a second time.
    pub(super) fn container_output(&self, at: Addr) -> Option<Value> {
        let Status::Open(open) = &self.node(at)?.status else { return None };
        Some(match &open.over {
            OpenOver::Items { items, on_item_error, results, .. } => items_output(items, *on_item_error, results),
            OpenOver::Calls { calls, results, .. } => calls_output(calls, results),
            OpenOver::Once { done } => done.clone().unwrap_or_default(),
            OpenOver::Rounds { done, .. } if open.fields.is_some() => done.clone().unwrap_or_default(),
            OpenOver::Rounds { state, done } => Value::from_pairs([
                ("output", done.clone().unwrap_or_default()),
                ("rounds", Value::from(u64::from(open.next))),
                ("state", state.clone()),
            ]),
        })
    }
}

impl OpenContainer {
    /// Passes over calls that have their result, or whose tool is gone; those after them may have frames.
    fn skip_answered(&mut self, passes: &Passes) {
        let OpenOver::Calls { calls, results, .. } = &mut self.over else { return };
        while let (Some(call), Some(result)) = (calls.get(self.next as usize), results.get(self.next as usize)) {
            if result.is_none() && passes.body(call).is_some() {
                return;
            }
            self.next += 1;
        }
    }
}

impl RunState {
    /// Forgets what a container has done, once nothing can make it go on.
    pub(super) fn forget_kept(&mut self, at: Addr) {
        let mut open: Vec<_> = self.node_mut(at).and_then(|node| node.kept.take()).into_iter().collect();
        while let Some(kept) = open.pop() {
            for frame in kept.kept.into_values() {
                let inner = self.frames[frame as usize].take();
                open.extend(inner.into_iter().flat_map(|frame| frame.nodes).filter_map(|node| node.kept));
            }
        }
    }
}

/// What an iteration gives: `{ output, errors }`.
pub(crate) fn items_output(
    items: &[Value],
    on_item_error: OnItemError,
    results: &[Option<Result<Value, Value>>],
) -> Value {
    let mut output = Vec::with_capacity(results.len());
    let mut errors = Vec::new();
    for (index, result) in results.iter().enumerate() {
        match result {
            Some(Ok(value)) => output.push(value.clone()),
            Some(Err(error)) => {
                if on_item_error == OnItemError::Keep {
                    output.push(Value::Null);
                }
                errors.push(Value::from_pairs([
                    ("index", Value::from(index as u64)),
                    ("item", items[index].clone()),
                    ("error", error.clone()),
                ]));
            }
            None => output.push(Value::Null),
        }
    }
    Value::from_pairs([("output", Value::from(output)), ("errors", Value::from(errors))])
}

/// What calls of tools give: `{ messages, calls, results }`, each in the order of the calls.
pub(crate) fn calls_output(calls: &[Value], results: &[Option<Result<Value, Value>>]) -> Value {
    let member = |value: &Value, name: &str| value.get(name).cloned().unwrap_or_default();
    let (mut messages, mut made, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for (call, result) in calls.iter().zip(results) {
        let (text, data, failed) = match result {
            Some(Ok(result)) => {
                (member(result, "text"), member(result, "data"), result.get("failed") == Some(&Value::Bool(true)))
            }
            Some(Err(error)) => (failure_text(error), Value::Null, true),
            None => (Value::from("the call was not made"), Value::Null, true),
        };
        let mut message = vec![
            ("role", Value::from("tool")),
            ("call", member(call, "id")),
            ("name", member(call, "name")),
            ("text", text.clone()),
        ];
        message.extend(failed.then_some(("failed", Value::Bool(true))));
        messages.push(Value::from_pairs(message));
        made.push(Value::from_pairs([
            ("name", member(call, "name")),
            ("arguments", member(call, "arguments")),
            ("failed", Value::Bool(failed)),
        ]));
        all.push(Value::from_pairs([
            ("id", member(call, "id")),
            ("name", member(call, "name")),
            ("arguments", member(call, "arguments")),
            ("text", text),
            ("data", data),
            ("failed", Value::Bool(failed)),
        ]));
    }
    Value::from_pairs(
        [("messages", messages), ("calls", made), ("results", all)].map(|(name, list)| (name, Value::from(list))),
    )
}

/// A failure as a model reads it.
fn failure_text(error: &Value) -> Value {
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let hint = text("hint");
    let hint = if hint.is_empty() { String::new() } else { format!(" ({hint})") };
    Value::from(format!("The tool failed with {}: {}{hint}", text("code"), text("message")))
}
