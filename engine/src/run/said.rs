//! What a run says to its caller: the texts of its answers, in the order in which they began to be shown.

use super::{Addr, RunState};
use crate::{plan::Plan, value::Value};

/// An answer, and where its node stands: the node and the pass of each container around it, from outside to inside.
#[derive(Debug)]
pub(super) struct Said {
    place: Vec<(u32, u32)>,
    /// Its text; `None` when its node has not ended.
    text: Option<String>,
}

impl RunState {
    /// What was said so far; `None` when no answer of the run has ended.
    pub fn said(&self) -> Option<String> {
        let said: Vec<&str> = self.said.iter().filter_map(|said| said.text.as_deref()).collect();
        (!said.is_empty()).then(|| said.join("\n"))
    }

    /// An answer begins: what it says comes after what began before.
    pub(super) fn begin_to_say(&mut self, at: Addr) {
        let place = self.place(at);
        self.said.retain(|said| said.place != place);
        self.said.push(Said { place, text: None });
    }

    /// Keeps the text of an answer: a container forgets what was in its passes.
    pub(super) fn hear(&mut self, plan: &Plan, at: Addr, output: &Value) {
        let Some(frame) = self.frame(at.frame) else { return };
        if plan.bodies[frame.body].node(at.node).answer.is_none() {
            return;
        }
        let text = output.get("text").and_then(Value::as_str).map(str::to_owned);
        let place = self.place(at);
        match self.said.iter_mut().find(|said| said.place == place) {
            Some(said) => said.text = text,
            None => self.said.push(Said { place, text }),
        }
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
