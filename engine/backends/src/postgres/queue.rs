//! What waits for a writer, by kind.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use liteagent_engine::{
    id::{RunId, SessionId},
    store::{Append, AppendError, Created, Message, NewRun, Release, StoreError, Take},
    units::Millis,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};

/// At most so many of each kind share a transaction.
const MOST: usize = 256;
/// At most so many bytes of records do, roughly.
const BYTES: usize = 16 << 20;

/// While writers are busy, another one begins only for so many works for each of them: what waits shares the next transaction,
/// whose cost hardly depends on how much it does.
const ENOUGH: usize = 32;
/// Or when something has waited for so long: a writer may be stuck.
const LATE: Duration = Duration::from_millis(50);

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

/// What there is for a writer that has nothing to do.
enum Next {
    Group(Group),
    /// Not enough, before it has waited for long.
    TooLittle {
        late: Instant,
    },
    Nothing,
    /// Nobody asks any more.
    Closed,
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
    /// Since when some of it has waited.
    since: Option<Instant>,
    /// How many writers have one.
    busy: usize,
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
        {
            let mut waiting = self.waiting();
            waiting.since.get_or_insert_with(Instant::now);
            kind(&mut waiting.group).push_back(Asked { work, reply });
        }
        self.wake.notify_one();
        answer.await.map_err(|_| StoreError::Failed("the writers have stopped".to_owned()))?
    }

    /// The next group, of which [`Self::done`] must be said; `None` when nobody asks any more.
    pub(super) async fn next(&self) -> Option<Group> {
        loop {
            match self.try_next() {
                Next::Group(group) => return Some(group),
                Next::Closed => {
                    self.wake.notify_one();
                    return None;
                }
                Next::Nothing => self.wake.notified().await,
                // An error means that it is late: then it is taken.
                Next::TooLittle { late } => drop(timeout_at(late, self.wake.notified()).await),
            }
        }
    }

    fn try_next(&self) -> Next {
        let mut waiting = self.waiting();
        let Some(since) = waiting.since else {
            return if waiting.is_closed { Next::Closed } else { Next::Nothing };
        };
        let late = since + LATE;
        if waiting.group.len() < waiting.busy * ENOUGH && Instant::now() < late {
            return Next::TooLittle { late };
        }
        let group = waiting.group.take_some();
        waiting.busy += 1;
        waiting.since = (waiting.group.len() > 0).then_some(since);
        if waiting.since.is_some() {
            self.wake.notify_one();
        }
        Next::Group(group)
    }

    /// A writer has done what it had.
    pub(super) fn done(&self) {
        self.waiting().busy -= 1;
        self.wake.notify_one();
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, task::Poll};

    use futures::poll;
    use liteagent_engine::store::MessageBody;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_shares_the_next_group_unless_it_is_much() {
        let queue = Arc::new(Queue::default());
        let ask = |count: usize| {
            for _ in 0..count {
                let message = Message { id: "m".to_owned(), at: 0, body: MessageBody::Cancel { by: None } };
                let queue = queue.clone();
                tokio::spawn(async move { queue.ask((RunId::random(), message), |group| &mut group.sends).await });
            }
        };
        let settled = async |count: usize| {
            while queue.waiting().group.len() < count {
                tokio::task::yield_now().await;
            }
        };
        ask(1);
        settled(1).await;
        assert_eq!(queue.next().await.unwrap().len(), 1);
        ask(ENOUGH - 1);
        settled(ENOUGH - 1).await;
        let mut other = Box::pin(queue.next());
        assert!(matches!(poll!(&mut other), Poll::Pending), "one writer is busy, and not enough waits for another");
        queue.done();
        assert_eq!(other.await.unwrap().len(), ENOUGH - 1);
        ask(ENOUGH);
        settled(ENOUGH).await;
        assert_eq!(queue.next().await.unwrap().len(), ENOUGH);
        // Both are busy now, and may be stuck.
        ask(1);
        settled(1).await;
        let begun = Instant::now();
        assert_eq!((queue.next().await.unwrap().len(), begun.elapsed()), (1, LATE));
        queue.close();
        assert!(queue.next().await.is_none());
    }
}
