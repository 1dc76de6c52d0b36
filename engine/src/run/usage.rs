//! Counting: what was used, per node, per container and in all.

use super::state::{Addr, RunState, Status};
use crate::{event::Place, usage::Spent};

impl RunState {
    /// Counts what a node used: for itself, for each container around it, and for the run.
    pub(super) fn count(&mut self, at: Addr, spent: &Spent) {
        let total = spent.total();
        let is_child = self.node(at).is_some_and(|node| matches!(node.status, Status::Started(Place::Child { .. })));
        let mut next = Some(at);
        while let Some(at) = next {
            if let Some(node) = self.node_mut(at) {
                **node.used.get_or_insert_default() += total;
            }
            next = self.frame(at.frame).and_then(|frame| frame.parent);
        }
        self.started += spent.nodes;
        self.used += spent;
        if !is_child {
            self.used_here += spent;
        }
        if !total.is_nothing() {
            self.usage = self.used.total().report().to_value();
        }
    }
}
