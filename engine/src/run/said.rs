//! What a run says to its caller: the texts of its `answer` nodes, in the order of the workflow.

use super::{Addr, RunState};
use crate::{plan::Plan, value::Value};

/// A text, and where its node stands: the node and the pass of each container around it, from outside to inside.
#[derive(Debug)]
pub(super) struct Said {
    place: Vec<(u32, u32)>,
    text: String,
}

impl RunState {
    /// What was said so far; `None` when no `answer` node of the run has ended.
    pub fn said(&self) -> Option<String> {
        if self.said.is_empty() {
            return None;
        }
        let mut said: Vec<&Said> = self.said.iter().collect();
        said.sort_by(|a, b| a.place.cmp(&b.place));
        Some(said.iter().map(|said| said.text.as_str()).collect::<Vec<_>>().join("\n"))
    }

    /// Keeps the text of an `answer` node: a container forgets what was in its passes.
    pub(super) fn hear(&mut self, plan: &Plan, at: Addr, output: &Value) {
        let Some(frame) = self.frame(at.frame) else { return };
        if !plan.bodies[frame.body].node(at.node).answers {
            return;
        }
        let Some(text) = output.get("text").and_then(Value::as_str) else { return };
        let text = text.to_owned();
        let place = self.place(at);
        self.said.retain(|said| said.place != place);
        self.said.push(Said { place, text });
    }

    fn place(&self, at: Addr) -> Vec<(u32, u32)> {
        let mut place = Vec::new();
        let mut next = Some(at);
        while let Some(at) = next {
            let Some(frame) = self.frame(at.frame) else { break };
            place.push((frame.index, at.node));
            next = frame.parent;
        }
        place.reverse();
        place
    }
}
