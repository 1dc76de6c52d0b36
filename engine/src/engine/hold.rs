//! What a run is counted under, evaluated once when it starts.

use std::sync::Arc;

use super::Inner;
use crate::{
    error::NodeError,
    executor::roots,
    id::{Digest, RunId},
    plan::Plan,
    run::RunState,
    scope::Scope,
    store::Hold,
};

/// A longer key is kept as its digest.
const LONGEST_KEY: usize = 256;

/// What a run in this state is counted under: the key of `concurrency`, and its conversation.
///
/// # Errors
/// When the key cannot be rendered.
pub(crate) fn holds(plan: &Plan, state: &RunState, run: RunId) -> Result<Vec<Hold>, NodeError> {
    let mut holds = Vec::new();
    if let Some(concurrency) = &plan.concurrency {
        let key = match &concurrency.key {
            None => format!("workflow {}", plan.workflow),
            Some(key) => {
                let roots = roots(plan, state, &run.to_string());
                let scope = Arc::new(Scope { roots, now: state.start.at, attempt: 1, ..Scope::default() });
                let key = key.render(&scope).map_err(|mut error| {
                    error.message = format!("`concurrency.key`: {}", error.message);
                    error
                })?;
                format!("key {key}")
            }
        };
        holds.push(Hold { key: short(key), limit: concurrency.limit, when_full: concurrency.when_full });
    }
    if let Some(id) = state.start.conversation.as_ref().filter(|_| plan.chat) {
        let key = short(format!("conversation {id}"));
        holds.push(Hold { key, limit: 1, when_full: plan.when_busy });
    }
    Ok(holds)
}

fn short(key: String) -> String {
    if key.len() <= LONGEST_KEY { key } else { Digest::of(key.as_bytes()).to_string() }
}

impl Inner {
    /// Whether a run was to be executed here and waits for room.
    fn is_queued_here(&self, run: RunId) -> bool {
        self.queued().contains(&run) || self.active().contains_key(&run)
    }

    /// Executes the next runs of these lines that wait here for room. Among other processes it may be any of them that knew of
    /// it, and does not any more.
    pub(crate) async fn wake_next(self: &Arc<Self>, keys: &[String]) {
        for key in keys {
            match self.stores.journal.first_in_line(key).await {
                Ok(Some(run)) if self.fleet.is_some() || self.is_queued_here(run) => self.wake(run),
                Ok(_) => {}
                // The reconciler finds it later.
                Err(error) => tracing::warn!(%error, key, "the next run of a line is not known"),
            }
        }
    }

    /// Lets the runs in the way see that they were asked to make room; one that nobody executes is executed here.
    pub(super) async fn press(self: &Arc<Self>, ahead: &[RunId]) {
        for run in ahead {
            match self.stores.journal.inbox(*run).await {
                Ok(inbox) if !inbox.is_empty() => self.wake(*run),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, %run, "the inbox of a run that is in the way is not known"),
            }
        }
    }
}
