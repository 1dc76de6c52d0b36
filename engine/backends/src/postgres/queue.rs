//! What waits for a writer, by kind.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use liteagent_engine::{
    id::{RunId, SessionId},
    store::{Append, AppendError, Created, Message, NewRun, Release, StoreError, Take},
    units::Millis,
};
use tokio::sync::{Notify, oneshot};

/// At most so many of each kind share a transaction.
const MOST: usize = 256;
/// At most so many bytes of records do, roughly.
const BYTES: usize = 16 << 20;

/// What is asked, and who waits for the answer.
pub(super) struct Asked<W, T> {
    pub(super) work: W,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

/// A run that shall begin to exist.
pub(super) struct Creation {
    pub(super) new: NewRun,
    /// It ends at once.
    pub(super) end: Option<Release>,
    /// It is taken at once.
    pub(super) taker: Option<SessionId>,
}

/// What became of it.
pub(super) struct Begun {
    pub(super) created: Created,
    /// When it was to be taken, and exists now.
    pub(super) take: Option<Result<Take, StoreError>>,
}

/// A run that shall be taken.
pub(super) struct Taking {
    pub(super) run: RunId,
    pub(super) session: SessionId,
    pub(super) at: Millis,
}

/// Works that share a transaction.
#[derive(Default)]
pub(super) struct Group {
    pub(super) appends: VecDeque<Asked<Append, Result<(), AppendError>>>,
    pub(super) creations: VecDeque<Asked<Creation, Begun>>,
    pub(super) takes: VecDeque<Asked<Taking, Result<Take, StoreError>>>,
    pub(super) sends: VecDeque<Asked<(RunId, Message), bool>>,
}

/// What became of each work of a group, in its order.
pub(super) struct Outcomes {
    pub(super) appends: Vec<Result<(), AppendError>>,
    pub(super) creations: Vec<Begun>,
    pub(super) takes: Vec<Result<Take, StoreError>>,
    pub(super) sends: Vec<bool>,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.appends.len() + self.creations.len() + self.takes.len() + self.sends.len()
    }

    /// Each work in a group of its own.
    pub(super) fn apart(self) -> impl Iterator<Item = Self> {
        let appends = self.appends.into_iter().map(|one| Self { appends: [one].into(), ..Self::default() });
        let creations = self.creations.into_iter().map(|one| Self { creations: [one].into(), ..Self::default() });
        let takes = self.takes.into_iter().map(|one| Self { takes: [one].into(), ..Self::default() });
        let sends = self.sends.into_iter().map(|one| Self { sends: [one].into(), ..Self::default() });
        appends.chain(creations).chain(takes).chain(sends)
    }

    /// Tells everyone.
    pub(super) fn settle(self, outcome: Result<Outcomes, StoreError>) {
        match outcome {
            Ok(outcomes) => {
                tell(self.appends, outcomes.appends.into_iter().map(Ok));
                tell(self.creations, outcomes.creations.into_iter().map(Ok));
                tell(self.takes, outcomes.takes.into_iter().map(Ok));
                tell(self.sends, outcomes.sends.into_iter().map(Ok));
            }
            Err(error) => {
                tell(self.appends, std::iter::repeat_with(|| Err(error.clone())));
                tell(self.creations, std::iter::repeat_with(|| Err(error.clone())));
                tell(self.takes, std::iter::repeat_with(|| Err(error.clone())));
                tell(self.sends, std::iter::repeat_with(|| Err(error.clone())));
            }
        }
    }

    /// The first works, as many as may share a transaction; the others stay.
    fn take_some(&mut self) -> Self {
        let mut bytes = 0;
        let appends = self.appends.iter().take(MOST).take_while(|asked| {
            let fits = bytes < BYTES;
            bytes += asked.work.records.iter().map(|record| record.body.len()).sum::<usize>();
            fits
        });
        let appends = appends.count();
        Self {
            appends: some(&mut self.appends, appends),
            creations: some(&mut self.creations, MOST),
            takes: some(&mut self.takes, MOST),
            sends: some(&mut self.sends, MOST),
        }
    }
}

fn some<T>(all: &mut VecDeque<T>, most: usize) -> VecDeque<T> {
    if all.len() <= most { mem::take(all) } else { all.drain(..most).collect() }
}

fn tell<W, T>(asked: VecDeque<Asked<W, T>>, outcomes: impl Iterator<Item = Result<T, StoreError>>) {
    for (one, outcome) in asked.into_iter().zip(outcomes) {
        // A caller that has gone away needs no answer.
        let _ = one.reply.send(outcome);
    }
}

/// The way to the writers.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    group: Group,
    is_closed: bool,
}

impl Queue {
    /// Asks the writers for something, and waits until it is durable.
    pub(super) async fn ask<W, T>(
        &self,
        work: W,
        kind: impl FnOnce(&mut Group) -> &mut VecDeque<Asked<W, T>> + Send,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        kind(&mut self.waiting().group).push_back(Asked { work, reply });
        self.wake.notify_one();
        answer.await.map_err(|_| StoreError::Failed("the writers have stopped".to_owned()))?
    }

    /// The next group; `None` when nobody asks any more.
    pub(super) async fn next(&self) -> Option<Group> {
        loop {
            let group = self.try_next();
            match group {
                Some(group) if group.len() == 0 => {
                    self.wake.notify_one();
                    return None;
                }
                Some(group) => return Some(group),
                None => self.wake.notified().await,
            }
        }
    }

    /// The next group, an empty one at the end; `None` when nothing waits.
    fn try_next(&self) -> Option<Group> {
        let mut waiting = self.waiting();
        if waiting.group.len() == 0 {
            return waiting.is_closed.then(Group::default);
        }
        let group = waiting.group.take_some();
        if waiting.group.len() > 0 {
            self.wake.notify_one();
        }
        Some(group)
    }

    /// Lets the writers end when they have done what waits.
    pub(super) fn close(&self) {
        self.waiting().is_closed = true;
        self.wake.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
