//! The rule that says whether a node runs: `ENGINE.md` section 1, in one place.

use super::state::{NodeState, Status};
use crate::{
    event::SkipReason,
    plan::{Body, Gate},
    template::Reads,
};

/// Whether a node whose edges are all settled runs, and if not, why.
///
/// It runs when each entry of `needs` was taken, each required reference has a value, and, if it has edges at all, at
/// least one of them was taken.
///
/// # Errors
/// Why it is skipped.
pub fn open(body: &Body, gate: &Gate, nodes: &[NodeState]) -> Result<(), SkipReason> {
    let status = |node: u32| &nodes[node as usize].status;

    for need in &gate.needs {
        if !need.exits.iter().any(|(node, port)| took(status(*node), port.as_deref())) {
            return Err(SkipReason::NotNeeded { need: need.text.clone() });
        }
    }
    for read in &gate.required {
        if !gives(status(read.node), read.reads) {
            return Err(SkipReason::NoValue { of: body.node(read.node).id.to_string() });
        }
    }
    if gate.is_only_optional() && !gate.optional.iter().any(|read| gives(status(read.node), read.reads)) {
        return Err(SkipReason::NothingTaken);
    }
    Ok(())
}

/// Whether a node left by this port; without one, by any port but `error` and `timeout`.
pub(super) fn took(status: &Status, port: Option<&str>) -> bool {
    let Status::Ended { port: left_by, .. } = status else { return false };
    match port {
        Some(port) => left_by.as_deref() == Some(port),
        None => !matches!(left_by.as_deref(), Some("error" | "timeout")),
    }
}

/// Whether an edge made by a reference was taken.
pub(super) fn gives(status: &Status, reads: Reads) -> bool {
    match reads {
        Reads::Output => took(status, None),
        Reads::Error => took(status, Some("error")),
        Reads::Outcome => matches!(status, Status::Ended { .. }),
    }
}
