//! Addresses as people and journals write them: `each[3].fetch`, `finally.tell`.

use std::sync::Arc;

use super::state::{Addr, FrameId, OpenContainer, RunState, Status};
use crate::{event::Handler, plan::Plan};

/// The path of a node.
pub fn path(plan: &Plan, state: &RunState, at: Addr) -> Arc<str> {
    let Some(frame) = state.frame(at.frame) else { return "?".into() };
    let id = &plan.bodies[frame.body].node(at.node).id;
    if frame.prefix.is_empty() { id.clone() } else { format!("{}{id}", frame.prefix).into() }
}

/// The node at a path; `None` when there is none, or its frame is not open.
pub fn resolve(plan: &Plan, state: &RunState, path: &str) -> Option<Addr> {
    let (mut frame, mut rest) = first_frame(state, path)?;
    loop {
        let (segment, tail) = rest.split_once('.').map_or((rest, None), |(segment, tail)| (segment, Some(tail)));
        let (id, index) = match segment.split_once('[') {
            Some((id, index)) => (id, Some(index.strip_suffix(']')?.parse().ok()?)),
            None => (segment, None),
        };
        let node = *plan.bodies[state.frame(frame)?.body].by_id.get(id)?;
        let at = Addr { frame, node };
        match (index, tail) {
            (None, None) => return Some(at),
            (Some(index), Some(tail)) => {
                frame = inner_frame(state, at, index)?;
                rest = tail;
            }
            _ => return None,
        }
    }
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
