//! What the runs of a test did, and the process that dies on the way.

use std::sync::{Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use liteagent_engine::{
    engine::Observer,
    event::{Event, Place, Record},
    id::RunId,
};

use super::path::{Pattern, shown};

/// Watches the runs of a test. It knows where each of them hangs, and lets the engine crash where the test wants it.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What stands before the paths of a run's nodes: `call.` for the run that the node `call` started.
    runs: IndexMap<RunId, String>,
    crash_after: Option<Pattern>,
    crashed: bool,
}

impl Seen {
    /// A new first run; those before count no more.
    pub(super) fn begin(&self, run: RunId) {
        self.state().runs = IndexMap::from([(run, String::new())]);
    }

    /// The runs of the turn, each with what stands before the paths of its nodes.
    pub(super) fn runs(&self) -> IndexMap<RunId, String> {
        self.state().runs.clone()
    }

    /// The path of a node as tests write it.
    pub(super) fn path(&self, run: RunId, path: &str) -> String {
        format!("{}{}", self.state().runs.get(&run).map(String::as_str).unwrap_or_default(), shown(path))
    }

    /// Lets the process die as soon as a node there has a durable result.
    pub(super) fn crash_after(&self, path: Option<&str>) {
        self.state().crash_after = path.map(Pattern::new);
    }

    /// Whether a crash is still to come.
    pub(super) fn crash_is_due(&self) -> bool {
        self.state().crash_after.is_some()
    }

    /// Whether the process is dead: nothing may start any more.
    pub(super) fn is_dead(&self) -> bool {
        self.state().crashed
    }

    /// A new process begins; says whether the last one died.
    pub(super) fn revive(&self) -> bool {
        std::mem::take(&mut self.state().crashed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the process dies now.
    fn take_in(&self, run: RunId, record: &Record) -> bool {
        let mut state = self.state();
        let before = state.runs.get(&run).cloned().unwrap_or_default();
        match &record.event {
            Event::NodeStarted { node, place: Place::Child { run: child }, .. } => {
                state.runs.insert(*child, format!("{before}{}.", shown(node)));
            }
            Event::NodeSucceeded { node, .. } => {
                let path = format!("{before}{}", shown(node));
                if state.crash_after.take_if(|after| after.fits(&path)).is_some() {
                    state.crashed = true;
                    return true;
                }
            }
            _ => {}
        }
        false
    }
}

impl Observer for Seen {
    fn record(&self, run: RunId, record: &Record) {
        if self.take_in(run, record) {
            // The task of the run ends here and now, as it would with its process; no message is printed.
            std::panic::resume_unwind(Box::new("the process dies"));
        }
    }
}
