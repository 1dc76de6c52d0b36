//! What a person sees of a run while it goes on: a live tree on a terminal, plain lines elsewhere.
//!
//! Only durable records are shown, so what was seen is never taken back.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use liteagent_engine::{engine::Observer, event::Record, id::RunId};

use self::live::Live;
pub(crate) use self::{
    log::shown,
    story::{Story, count, duration, waits},
    usage::{grouped, used},
};
use crate::follow::runs;

mod live;
mod log;
mod story;
mod usage;

/// Shows the records of one run on stderr.
pub(crate) struct Progress {
    stage: Mutex<Stage>,
    quiet: AtomicBool,
}

struct Stage {
    run: Option<RunId>,
    story: Story,
    live: Option<Live>,
    /// For whom the run waits to begin, as far as that was said.
    ahead: Vec<RunId>,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Nothing.
    Nothing,
    /// The nodes of the workflow, and what went wrong within containers.
    Nodes,
    /// Every node of every frame.
    Frames,
}

impl Progress {
    /// Shows nothing before [`Self::watch`] says which run.
    pub(crate) fn new(detail: Detail, terminal: bool, color: bool) -> Self {
        let live = (terminal && detail != Detail::Nothing).then(Live::new);
        let story = Story::new(detail == Detail::Frames, color);
        Self {
            stage: Mutex::new(Stage { run: None, story, live, ahead: Vec::new() }),
            quiet: AtomicBool::new(detail == Detail::Nothing),
        }
    }

    /// Shows this run from here on.
    pub(crate) fn watch(&self, run: RunId) {
        self.lock().run = Some(run);
    }

    /// Calls `ask` while nothing else is written to the terminal. Nothing is held meanwhile: the person may leave
    /// without an answer.
    pub(crate) fn pause<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.hold();
        let answer = ask();
        self.release();
        answer
    }

    /// Writes nothing to the terminal until [`Self::release`]: something else is shown there.
    pub(crate) fn hold(&self) {
        self.lock().live.as_mut().into_iter().for_each(Live::pause);
    }

    /// Goes on, with what happened meanwhile.
    pub(crate) fn release(&self) {
        self.lock().live.as_mut().into_iter().for_each(Live::go_on);
    }

    /// Takes what is live off the terminal.
    pub(crate) fn finish(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        if let Some(live) = &mut self.lock().live {
            live.clear();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Progress {
    fn record(&self, run: RunId, record: &Record<String>) {
        if self.quiet.load(Ordering::Relaxed) {
            return;
        }
        let mut stage = self.lock();
        // Children have a run of their own; the node that waits for them is shown.
        if *stage.run.get_or_insert(run) != run {
            return;
        }
        let Stage { story, live, .. } = &mut *stage;
        let line = story.tell(record);
        match live {
            Some(live) => live.show(record, line),
            None => line.into_iter().for_each(|line| print(&line)),
        }
    }

    fn queued(&self, run: RunId, ahead: &[RunId]) {
        if self.quiet.load(Ordering::Relaxed) {
            return;
        }
        let mut stage = self.lock();
        if *stage.run.get_or_insert(run) != run || stage.ahead == ahead {
            return;
        }
        ahead.clone_into(&mut stage.ahead);
        let line = format!("  waits for {} to end", runs(ahead));
        match &mut stage.live {
            Some(live) => live.say(line),
            None => print(&line),
        }
    }
}

/// Nobody may be there to read it, and that is no failure.
fn print(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
