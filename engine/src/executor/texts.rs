//! Showing the texts of nodes that run elsewhere, as they come: see `engine/steps/texts.rs`.

use std::collections::HashMap;

use tokio::{sync::watch, task::JoinSet};

use super::{jobs::Look, owner::Owner};
use crate::{
    id::JobId,
    queue::{StepText, Wake, WakeTopic},
};

/// The texts of the open jobs of a run.
#[derive(Default)]
pub(super) struct Texts {
    /// How much was shown of each, in bytes.
    shown: HashMap<JobId, usize>,
    /// Hears them.
    ears: JoinSet<()>,
    /// Whether it does by now.
    hears: Option<watch::Receiver<bool>>,
}

impl Owner {
    /// Begins to hear the texts of jobs, when the run shows any; says when it does.
    pub(super) fn hear_texts(&mut self) -> Option<watch::Receiver<bool>> {
        let fleet = self.engine.fleet.as_ref().filter(|_| self.outlet.is_some())?;
        if self.jobs.texts.hears.is_none() {
            let (begun, hears) = watch::channel(false);
            let (wakes, looks, run) = (fleet.wakes.clone(), self.jobs.looks.0.clone(), self.run);
            self.jobs.texts.ears.spawn(async move {
                let mut texts = wakes.listen(WakeTopic::Texts(run)).await;
                begun.send_replace(true);
                while let Some(wake) = texts.next().await {
                    if let Wake::Text(_, text) = wake
                        && looks.send(Look::Text(text)).is_err()
                    {
                        return;
                    }
                }
            });
            self.jobs.texts.hears = Some(hears);
        }
        self.jobs.texts.hears.clone()
    }

    /// Shows the next piece of the text of a job; what follows on one that was missed is not shown.
    pub(super) fn show_text(&mut self, StepText { node, job, at, text }: &StepText) {
        let Some(addr) = self.open_job(node, *job) else { return };
        let shown = self.jobs.texts.shown.entry(*job).or_default();
        if shown == at {
            *shown += text.len();
            let attempt = self.state.node(addr).map_or(1, |node| node.attempt);
            self.deltas.delta(self.run, node, attempt, text);
        }
    }
}
