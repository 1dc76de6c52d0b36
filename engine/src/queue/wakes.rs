//! Telling others at once that something happened.
//!
//! A wake-up may be lost, and nobody may need it: who is not woken looks at the truth a little later. So a reader first
//! listens, then reads the truth, then waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::{
    event::Seq,
    id::{JobId, RunId, SessionId},
    queue::QueueError,
    stream::Piece,
};

/// How many wake-ups a listener may be behind before it is told that it missed some.
const BEHIND: usize = 256;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Wake {
    /// The inbox of a run got a message: a cancel, a signal, the end of a child, the result of a step.
    Mail(RunId),
    /// A run has a new record, or several: this is the newest.
    Record(RunId, Seq),
    /// A run that somebody watches shows something; its records are among it by their numbers.
    Piece(RunId, Arc<Piece>),
    /// A node of a run that runs as a step elsewhere gives out text.
    Text(RunId, Arc<StepText>),
    /// Somebody watches a run: who executes it says what it shows, for half a minute; with `anew` everything so far.
    Watch {
        /// The run.
        run: RunId,
        /// Whether the watcher has nothing yet.
        anew: bool,
    },
    /// This session has just looked for runs whose pointers are lost: others need not.
    Reconciled(SessionId),
    /// Something may have been missed: look at the truth.
    Missed,
}

/// A piece of the text of a node that runs away from its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepText {
    /// The path of the node.
    pub node: Arc<str>,
    /// The job that it runs as.
    pub job: JobId,
    /// How many bytes of its text came before.
    pub at: usize,
    /// The piece.
    pub text: String,
}

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WakeTopic {
    /// What concerns every process that executes runs: mail, and who watches which run.
    Mail,
    /// What one run does: for who watches it.
    Run(RunId),
    /// What the steps of one run give out: for its owner.
    Texts(RunId),
}

impl Wake {
    /// Who hears it; `None` is everyone.
    pub const fn topic(&self) -> Option<WakeTopic> {
        match self {
            Self::Mail(_) | Self::Watch { .. } | Self::Reconciled(_) => Some(WakeTopic::Mail),
            Self::Record(run, _) | Self::Piece(run, _) => Some(WakeTopic::Run(*run)),
            Self::Text(run, _) => Some(WakeTopic::Texts(*run)),
            Self::Missed => None,
        }
    }
}

/// Carries wake-ups between tasks and processes.
///
/// # Contract
/// What is published after [`Wakes::listen`] returned is heard in order, or [`Wake::Missed`] is heard instead, or nothing.
#[async_trait]
pub trait Wakes: Send + Sync {
    /// Wakes who listens. An error means only that they find out later.
    async fn publish(&self, wake: Wake) -> Result<(), QueueError>;
    /// Begins to listen. When the other side cannot be reached now, [`Wake::Missed`] is heard as soon as it can.
    async fn listen(&self, topic: WakeTopic) -> WakeListener;
}

/// Hears one topic.
#[derive(Debug)]
pub struct WakeListener(broadcast::Receiver<Wake>);

impl WakeListener {
    /// The next wake-up; `None` when there will be no other. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Wake> {
        match self.0.recv().await {
            Ok(wake) => Some(wake),
            Err(RecvError::Lagged(_)) => Some(Wake::Missed),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Wake-ups within the process.
#[derive(Debug, Default)]
pub struct LocalWakes {
    topics: Mutex<HashMap<WakeTopic, broadcast::Sender<Wake>>>,
}

impl LocalWakes {
    /// Without listeners.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to listen; whether somebody listens to the topic already.
    pub fn join(&self, topic: WakeTopic) -> (WakeListener, bool) {
        let mut topics = self.topics();
        topics.retain(|_, sender| sender.receiver_count() > 0);
        let known = topics.contains_key(&topic);
        let sender = topics.entry(topic).or_insert_with(|| broadcast::channel(BEHIND).0);
        (WakeListener(sender.subscribe()), known)
    }

    /// Wakes who listens in this process. Whether somebody did.
    pub fn send(&self, wake: Wake) -> bool {
        let topics = self.topics();
        match wake.topic() {
            Some(topic) => topics.get(&topic).is_some_and(|sender| sender.send(wake).is_ok()),
            // Counted, so that every one of them hears it.
            None => topics.values().filter(|sender| sender.send(wake.clone()).is_ok()).count() > 0,
        }
    }

    /// What somebody listens to.
    pub fn listened(&self) -> Vec<WakeTopic> {
        self.topics().iter().filter(|(_, sender)| sender.receiver_count() > 0).map(|(topic, _)| *topic).collect()
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<WakeTopic, broadcast::Sender<Wake>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Wakes for LocalWakes {
    async fn publish(&self, wake: Wake) -> Result<(), QueueError> {
        self.send(wake);
        Ok(())
    }

    async fn listen(&self, topic: WakeTopic) -> WakeListener {
        self.join(topic).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_hears_its_topic_in_order_and_knows_when_it_missed_something() {
        let wakes = LocalWakes::new();
        crate::testing::conformance::wakes::wakes_reach_who_listens(&wakes, &wakes).await;

        let run = RunId::random();
        let mut slow = wakes.listen(WakeTopic::Run(run)).await;
        for seq in 0..=BEHIND as Seq {
            wakes.publish(Wake::Record(run, seq)).await.unwrap();
        }
        assert_eq!(slow.next().await, Some(Wake::Missed));
        assert_eq!(slow.next().await, Some(Wake::Record(run, 1)));
        drop(slow);
        assert_eq!(wakes.listened(), []);
    }
}
