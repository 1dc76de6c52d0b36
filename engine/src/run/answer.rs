//! When the text of an answer begins to be shown: as soon as it is sure that the answer will be given if nothing fails.

use std::collections::HashMap;

use super::{
    decide::Command,
    gate,
    state::{Addr, Frame, FrameId, RunState, Status},
};
use crate::{
    plan::{AnswerPart, Body, NodeIx, Plan},
    template::Reads,
};

/// So many nodes are looked at before an answer is taken not to be sure: what it waits for has mostly ended by then, and a
/// look happens at every step.
const MOST_LOOKED_AT: u32 = 256;

impl RunState {
    /// A frame was opened: its answers may be shown from now on.
    pub(super) fn expect_answers(&mut self, plan: &Plan, frame: FrameId) {
        let Some(body) = self.frame(frame).map(|inner| &plan.bodies[inner.body]) else { return };
        if !body.early_answers.is_empty() {
            self.unopened.extend(body.early_answers.iter().map(|node| Addr { frame, node: *node }));
            self.answers_changed = true;
        }
    }

    /// The text of an answer begins to be shown.
    pub(super) fn answer_opened(&mut self, at: Addr) {
        self.unopened.retain(|unopened| *unopened != at);
        self.begin_to_say(at);
        if let Some(node) = self.node_mut(at) {
            node.opened = true;
        }
    }

    /// What was shown of the answers of a frame that goes on again was taken back.
    pub(super) fn expect_answers_again(&mut self, plan: &Plan, frame: FrameId) {
        let Some(inner) = self.frame_mut(frame) else { return };
        let body = &plan.bodies[inner.body];
        let mut again = Vec::new();
        for (node, state) in (0..).zip(&mut inner.nodes) {
            if !state.status.is_settled() && std::mem::take(&mut state.opened) && body.early_answers.contains(&node) {
                again.push(Addr { frame, node });
            }
        }
        self.answers_changed |= !again.is_empty();
        self.unopened.extend(again);
    }

    /// Whether the text of an answer was begun to be shown.
    pub fn is_opened(&self, at: Addr) -> bool {
        self.node(at).is_some_and(|node| node.opened)
    }

    pub(super) fn take_answers(&mut self, plan: &Plan, commands: &mut Vec<Command>) {
        if !std::mem::take(&mut self.answers_changed) {
            return;
        }
        let mut unopened = std::mem::take(&mut self.unopened);
        unopened.retain(|at| {
            let Some(frame) = self.frame(at.frame) else { return false };
            if frame.stopping.is_some() || frame.nodes[at.node as usize].status.is_settled() {
                // It is expected again when the frame goes on.
                return frame.stopping.is_some();
            }
            let body = &plan.bodies[frame.body];
            let mut sight = Sight { frame, body, of: at.node, known: HashMap::new(), left: MOST_LOOKED_AT };
            let opens = sight.opens();
            if opens {
                commands.push(Command::OpenAnswer { at: *at });
            }
            !opens
        });
        self.unopened = unopened;
    }
}

/// What can be said of the nodes of a frame before they have ended.
struct Sight<'a> {
    frame: &'a Frame,
    body: &'a Body,
    /// The answer.
    of: NodeIx,
    known: HashMap<NodeIx, bool>,
    /// How many more nodes are looked at.
    left: u32,
}

impl Sight<'_> {
    /// Whether the text of an answer can begin: the first node that decides about it has begun to, and the answer will
    /// be given if nothing fails.
    fn opens(&mut self) -> bool {
        let lead = self.body.node(self.of).answer.as_ref().and_then(|answer| answer.lead());
        let begun = match lead {
            None | Some(AnswerPart::Text(_)) => true,
            Some(AnswerPart::Stream { node, .. }) => self.has_begun(*node),
            Some(AnswerPart::Expression { reads, late }) => {
                !late && reads.iter().all(|node| self.status(*node).is_settled())
            }
        };
        begun && self.will_run(self.of)
    }

    fn status(&self, node: NodeIx) -> &Status {
        &self.frame.nodes[node as usize].status
    }

    /// Whether a node acts, or has acted.
    fn has_begun(&self, node: NodeIx) -> bool {
        match self.status(node) {
            Status::Pending | Status::Ready => self.frame.nodes[node as usize].opened,
            // `when` and the cache are looked at only then.
            Status::Issued => self.is_plain(node),
            _ => true,
        }
    }

    /// Whether nothing but its edges decides about a node.
    fn is_plain(&self, node: NodeIx) -> bool {
        let node = self.body.node(node);
        node.when.is_none() && node.cache.is_none()
    }

    /// Whether an answer shows the text of a node as it comes.
    fn shows(&self, node: NodeIx) -> bool {
        let parts = self.body.node(self.of).answer.iter().flat_map(|answer| &answer.parts);
        parts.into_iter().any(|part| matches!(part, AnswerPart::Stream { node: shown, .. } if *shown == node))
    }

    /// Whether a node that has not ended will end by an ordinary port, if nothing fails. What waits ends when it will,
    /// and what was ordered after it is not to be seen before; what waits inside the node that is shown is its own matter.
    fn will_end(&mut self, node: NodeIx) -> bool {
        if self.body.node(node).waits && !self.shows(node) {
            return false;
        }
        match self.status(node) {
            Status::Pending => self.will_run(node),
            Status::Ready | Status::Issued => self.body.node(node).when.is_none(),
            Status::Started(_) | Status::Sleeping(_) | Status::Waiting(_) | Status::Open(_) => true,
            Status::Ended { .. } | Status::Skipped | Status::Failed(_) | Status::Cancelled => false,
        }
    }

    /// Whether a node whose edges are not all settled will run, if nothing fails: [`gate::open`] with what is known.
    fn will_run(&mut self, node: NodeIx) -> bool {
        if let Some(known) = self.known.get(&node) {
            return *known;
        }
        // Nodes wait for each other in no circle, so this is never looked at before it is set.
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        let runs = self.body.node(node).when.is_none() && self.gate_will_open(node);
        self.known.insert(node, runs);
        runs
    }

    fn gate_will_open(&mut self, node: NodeIx) -> bool {
        let body = self.body;
        let gate = &body.node(node).gate;
        let needs = gate.needs.iter().all(|need| {
            need.exits.iter().any(|(node, port)| match self.status(*node) {
                status if status.is_settled() => gate::took(status, port.as_deref()),
                // Which port it will leave by is not known.
                _ => port.is_none() && self.will_end(*node),
            })
        });
        let mut gives = |node: NodeIx, reads: Reads| match self.status(node) {
            status if status.is_settled() => gate::gives(status, reads),
            _ => reads != Reads::Error && self.will_end(node),
        };
        needs
            && gate.required.iter().all(|read| gives(read.node, read.reads))
            && (!gate.is_only_optional() || gate.optional.iter().any(|read| gives(read.node, read.reads)))
    }
}
