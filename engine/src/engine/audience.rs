//! Watching runs that another process executes: who watches says so, and who executes tells what happens.
//!
//! All of it is lossy, and nothing depends on it: without it a watcher reads the journal twice a second.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use super::{Fleet, Inner, Outcome};
use crate::{
    event::Seq,
    id::RunId,
    queue::{Wake, WakeListener, WakeTopic},
    stream::StreamId,
    units::Millis,
};

/// How long a run is told of after a watcher has said that he watches it.
const WATCHED: Millis = 30_000;
/// How often he says it.
const SAY: Millis = 10_000;
/// How often a run is looked at of which nothing is heard.
pub(crate) const LOOK: std::time::Duration = std::time::Duration::from_millis(500);
/// How many runs that were executed here are remembered, for who begins to watch one at its end.
const REMEMBERED: usize = 1_024;

/// Which runs are watched from elsewhere, and which were executed here a moment ago.
#[derive(Default)]
pub(super) struct Audience(Mutex<State>);

#[derive(Default)]
struct State {
    watched: HashMap<RunId, Watched>,
    recent: VecDeque<RunId>,
}

struct Watched {
    until: Millis,
    /// Somebody has nothing yet.
    anew: Arc<Notify>,
    /// Whether a task tells of it.
    is_told: bool,
}

impl Audience {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run is watched from now on.
    fn watch(&self, run: RunId, anew: bool, now: Millis) {
        let mut state = self.lock();
        state.watched.retain(|_, watched| watched.is_told || watched.until > now);
        let watched =
            state.watched.entry(run).or_insert_with(|| Watched { until: now, anew: Arc::default(), is_told: false });
        watched.until = now + WATCHED;
        if anew {
            watched.anew.notify_one();
        }
    }

    /// Begins to tell of a run that is watched; `None` when it is not, or somebody tells of it already.
    fn tell(&self, run: RunId, now: Millis) -> Option<Arc<Notify>> {
        let mut state = self.lock();
        let watched = state.watched.get_mut(&run).filter(|watched| watched.until > now && !watched.is_told)?;
        watched.is_told = true;
        Some(watched.anew.clone())
    }

    fn is_watched(&self, run: RunId, now: Millis) -> bool {
        self.lock().watched.get(&run).is_some_and(|watched| watched.until > now)
    }

    fn told(&self, run: RunId) {
        if let Some(watched) = self.lock().watched.get_mut(&run) {
            watched.is_told = false;
        }
    }

    /// A run is executed here no longer.
    fn left(&self, run: RunId) {
        let mut state = self.lock();
        if state.recent.len() >= REMEMBERED {
            state.recent.pop_front();
        }
        state.recent.push_back(run);
    }

    fn was_here(&self, run: RunId) -> bool {
        self.lock().recent.contains(&run)
    }
}

impl Inner {
    /// Somebody watches a run: tells of it, when it is executed here, or was a moment ago.
    pub(super) async fn watched(self: &Arc<Self>, fleet: &Fleet, run: RunId, anew: bool) {
        self.audience.watch(run, anew, self.clock.now());
        let end = self.active().get(&run).map(|handle| handle.end.subscribe());
        if let Some(end) = end {
            self.tell_watchers(run, end);
        } else if anew && self.audience.was_here(run) {
            self.tell_stand(fleet, run).await;
        }
    }

    /// Tells how a run stands that is executed here no longer.
    async fn tell_stand(&self, fleet: &Fleet, run: RunId) {
        match self.stores.journal.run(run).await {
            Ok(Some(row)) => publish(fleet, Wake::Record(run, row.seq)).await,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, %run, "a watcher could not be told how a run stands"),
        }
    }

    /// Tells those who watch a run that is executed here, until it is not.
    pub(super) fn tell_watchers(self: &Arc<Self>, run: RunId, end: watch::Receiver<Option<Outcome>>) {
        if let (Some(fleet), Some(anew)) = (&self.fleet, self.audience.tell(run, self.clock.now())) {
            tokio::spawn(self.clone().tell(fleet.clone(), run, end, anew));
        }
    }

    async fn tell(
        self: Arc<Self>,
        fleet: Fleet,
        run: RunId,
        mut end: watch::Receiver<Option<Outcome>>,
        anew: Arc<Notify>,
    ) {
        let channel = self.hub.open(run);
        let mut changes = channel.changes();
        let (mut after, mut seq, mut is_anew): (Option<StreamId>, _, _) = (None, 0, false);
        loop {
            changes.mark_unchanged();
            // Looked at first: what happens later is found by one more look.
            let is_over = end.borrow_and_update().is_some() || end.has_changed().is_err();
            // Those who have something go on from there; then those who have nothing get everything.
            let next = channel.piece(after);
            let everything = if is_anew && after.is_some() { channel.piece(None) } else { None };
            let told = next.is_some() || everything.is_some();
            for piece in next.into_iter().chain(everything) {
                after = Some(piece.until);
                seq = piece.until.seq;
                publish(&fleet, Wake::Piece(run, Arc::new(piece))).await;
            }
            if !told && (is_anew || channel.durable_seq() > seq) {
                seq = channel.durable_seq();
                publish(&fleet, Wake::Record(run, seq)).await;
            }
            is_anew = false;
            if is_over {
                // Its owner may have gone before this began to look.
                self.tell_stand(&fleet, run).await;
                break;
            }
            if !self.audience.is_watched(run, self.clock.now()) {
                break;
            }
            tokio::select! {
                _ = changes.changed() => {}
                // An error means that the run's task is gone.
                _ = end.changed() => {}
                () = anew.notified() => is_anew = true,
            }
        }
        self.audience.told(run);
    }

    /// A run is executed here no longer.
    pub(super) fn left_run(&self, run: RunId) {
        if self.fleet.is_some() {
            self.audience.left(run);
        }
    }
}

/// Tells others; that it could not be told means only that they find out later.
pub(super) async fn publish(fleet: &Fleet, wake: Wake) {
    if let Err(error) = fleet.wakes.publish(wake).await {
        tracing::debug!(%error, "others could not be woken");
    }
}

/// Hears of a run that another process executes.
pub(crate) struct Ears {
    engine: Arc<Inner>,
    run: RunId,
    listener: WakeListener,
    /// When it was last said that somebody watches.
    said: Option<Millis>,
}

impl Ears {
    /// Begins to listen; `None` where there are no other processes. What happens after it returned is heard, or found in the
    /// journal.
    pub(crate) async fn open(engine: &Arc<Inner>, run: RunId) -> Option<Self> {
        let fleet = engine.fleet.as_ref()?;
        let listener = fleet.wakes.listen(WakeTopic::Run(run)).await;
        Some(Self { engine: engine.clone(), run, listener, said: None })
    }

    /// Says now and then that somebody watches the run.
    pub(crate) fn say(&mut self) {
        let now = self.engine.clock.now();
        match self.said {
            None => self.ask(),
            Some(said) if now - said >= SAY => self.watch(false),
            Some(_) => {}
        }
    }

    /// Asks for everything that the run has shown so far.
    pub(crate) fn ask(&mut self) {
        self.watch(true);
    }

    fn watch(&mut self, anew: bool) {
        self.said = Some(self.engine.clock.now());
        let Some(fleet) = self.engine.fleet.clone() else { return };
        let run = self.run;
        // In a task of its own: who reads must not wait for a connection.
        tokio::spawn(async move { publish(&fleet, Wake::Watch { run, anew }).await });
    }

    /// Returns when the run may have a record after this one.
    pub(super) async fn beyond(&mut self, known: Seq) {
        let heard = async {
            loop {
                match self.next().await {
                    Wake::Record(_, seq) if seq <= known => {}
                    Wake::Piece(_, piece) if piece.until.seq <= known => {}
                    _ => return,
                }
            }
        };
        // An error means that nothing was heard: it is looked at all the same.
        let _ = tokio::time::timeout(LOOK, heard).await;
    }

    /// The next thing that is heard. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Wake {
        match self.listener.next().await {
            Some(wake) => wake,
            None => std::future::pending().await,
        }
    }
}
