//! The texts of steps as they come: who runs a step says them, the owner of its run shows them as those of its own nodes.
//!
//! Lossy like every wake-up: a piece says where in the text it belongs, and an owner that has missed one shows nothing more of
//! that job until its result is there.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::follow::Step;
use crate::{
    capability::Redactor,
    engine::{Fleet, audience::publish},
    id::RunId,
    node::DeltaSink,
    queue::{StepText, Wake},
};

/// So much is said at once.
const MOST_BYTES: usize = 16 * 1024;

/// Says the text of one step, without secrets.
pub(super) struct Says {
    redactor: Redactor,
    /// The end of the text that may be the beginning of a secret.
    held: Mutex<String>,
    pieces: mpsc::UnboundedSender<String>,
}

impl Says {
    /// Begins; ends when the node is done with it.
    pub(super) fn new(fleet: Fleet, run: RunId, step: &Step, redactor: Redactor) -> Self {
        let (pieces, said) = mpsc::unbounded_channel();
        let (node, job) = (Arc::from(step.path.as_str()), step.job);
        tokio::spawn(say(fleet, run, said, StepText { node, job, at: 0, text: String::new() }));
        Self { redactor, held: Mutex::default(), pieces }
    }
}

impl DeltaSink for Says {
    fn delta(&self, _run: RunId, _path: &str, _attempt: u32, text: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = self.redactor.piece(&mut held, text);
        if !shown.is_empty() {
            // Nobody takes it any more when the process ends.
            let _ = self.pieces.send(shown);
        }
    }
}

async fn say(fleet: Fleet, run: RunId, mut pieces: mpsc::UnboundedReceiver<String>, mut next: StepText) {
    while let Some(piece) = pieces.recv().await {
        next.text = piece;
        // What came while the one before was sent goes along.
        while next.text.len() < MOST_BYTES
            && let Ok(more) = pieces.try_recv()
        {
            next.text.push_str(&more);
        }
        publish(&fleet, Wake::Text(run, Arc::new(next.clone()))).await;
        next.at += next.text.len();
    }
}
