//! Addresses as people and journals write them: `each[3].fetch`, `finally.tell`, and of calls of tools
//! `agent[2].tools.refund[0].call`.

use std::sync::Arc;

use super::state::{Addr, FrameId, OpenContainer, RunState, Status};
use crate::{
    event::Handler,
    node::Container,
    plan::{BodyIx, NodeIx, Plan, PlanNode},
};

/// The path of a node.
pub fn path(plan: &Plan, state: &RunState, at: Addr) -> Arc<str> {
    let Some(frame) = state.frame(at.frame) else { return "?".into() };
    let id = &plan.bodies[frame.body].node(at.node).id;
    if frame.prefix.is_empty() { id.clone() } else { format!("{}{id}", frame.prefix).into() }
}

/// What the paths of the nodes in a pass of a container begin with.
pub(super) fn inside(plan: &Plan, state: &RunState, container: Addr, body: BodyIx, index: u32) -> String {
    let path = path(plan, state, container);
    let passes =
        state.frame(container.frame).and_then(|frame| plan.bodies[frame.body].node(container.node).passes.as_ref());
    match passes.map(|passes| (passes.kind, passes.name_of(body))) {
        Some((Container::Once, _)) => format!("{path}."),
        Some((Container::Calls, Some(tool))) => format!("{path}.{tool}[{index}]."),
        _ => format!("{path}[{index}]."),
    }
}

/// The node at a path; `None` when there is none, or its frame is not open.
pub fn resolve(plan: &Plan, state: &RunState, path: &str) -> Option<Addr> {
    let (mut frame, mut rest) = first_frame(state, path)?;
    loop {
        let (segment, tail) = cut(rest);
        let (id, index) = indexed(segment)?;
        let node = *plan.bodies[state.frame(frame)?.body].by_id.get(id)?;
        let at = Addr { frame, node };
        let kind = plan.bodies[state.frame(frame)?.body].node(node).passes.as_ref().map(|passes| passes.kind);
        (frame, rest) = match (index, tail, kind) {
            (None, None, _) => return Some(at),
            (Some(index), Some(tail), Some(Container::Items | Container::Rounds)) => {
                (inner_frame(state, at, index)?, tail)
            }
            (None, Some(tail), Some(Container::Once)) => (inner_frame(state, at, 0)?, tail),
            (None, Some(tail), Some(Container::Calls)) => {
                let (segment, tail) = cut(tail);
                let (tool, index) = indexed(segment)?;
                let frame = inner_frame(state, at, index?)?;
                let passes = plan.bodies[state.frame(at.frame)?.body].node(node).passes.as_ref()?;
                (passes.name_of(state.frame(frame)?.body) == Some(tool)).then_some((frame, tail?))?
            }
            _ => return None,
        };
    }
}

/// The first segment of a path, and the rest.
pub(crate) fn cut(path: &str) -> (&str, Option<&str>) {
    path.split_once('.').map_or((path, None), |(segment, rest)| (segment, Some(rest)))
}

/// `each[3]` as its id and index; `None` when the index is none.
pub(crate) fn indexed(segment: &str) -> Option<(&str, Option<u32>)> {
    match segment.split_once('[') {
        Some((id, index)) => Some((id, Some(index.strip_suffix(']')?.parse().ok()?))),
        None => Some((segment, None)),
    }
}

/// The node of a plan at a path, whatever frames are open.
pub fn place<'p>(plan: &'p Plan, path: &str) -> Option<&'p PlanNode> {
    locate(plan, path).map(|(body, node)| plan.bodies[body].node(node))
}

/// The body and the position of the node at a path, whatever frames are open.
pub fn locate(plan: &Plan, path: &str) -> Option<(BodyIx, NodeIx)> {
    let handlers = [(Handler::OnFailure, plan.on_failure), (Handler::Finally, plan.finally)];
    let below = |(handler, body): (Handler, Option<BodyIx>)| {
        let rest = path.strip_prefix(handler.as_str())?.strip_prefix('.')?;
        Some((body?, rest))
    };
    let (mut body, path) = handlers.into_iter().find_map(below).unwrap_or((0, path));
    let mut found = None;
    let mut rest = Some(path);
    while let Some(path) = rest {
        let (segment, tail) = cut(path);
        let (id, _) = indexed(segment)?;
        let node = *plan.bodies[body].by_id.get(id)?;
        found = Some((body, node));
        rest = tail;
        let (Some(tail), Some(passes)) = (tail, &plan.bodies[body].node(node).passes) else { continue };
        body = if passes.kind == Container::Calls {
            let (segment, tail) = cut(tail);
            rest = tail;
            passes.named(indexed(segment)?.0)?
        } else {
            passes.bodies.first()?.1
        };
    }
    found
}

fn first_frame<'a>(state: &RunState, path: &'a str) -> Option<(FrameId, &'a str)> {
    for handler in [Handler::OnFailure, Handler::Finally] {
        if let Some(rest) = path.strip_prefix(handler.as_str()).and_then(|rest| rest.strip_prefix('.')) {
            return Some((state.handler(handler)?, rest));
        }
    }
    Some((0, path))
}

fn inner_frame(state: &RunState, container: Addr, index: u32) -> Option<FrameId> {
    let node = state.node(container)?;
    let open: &OpenContainer = match &node.status {
        Status::Open(open) => open,
        _ => node.kept.as_ref()?,
    };
    open.frames.get(&index).copied()
}
