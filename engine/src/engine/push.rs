//! Pointers on their way to the queue: nobody waits for it, and one that cannot be reached is tried again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use crate::queue::{Group, Job, Queue, QueueError};

/// How many pointers are pushed at once.
const BATCH: usize = 250;
/// How many wait at most while the queue cannot be reached. What is beyond is found in the stores.
const MOST: usize = 10_000;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long an engine that closes waits until the queue has everything.
const LAST: Duration = Duration::from_secs(5);

/// Pushes pointers, as many at once as there are. Ends when this is dropped.
pub(super) struct Pusher {
    pointers: mpsc::UnboundedSender<(Group, Job)>,
    /// How many the queue does not have yet.
    left: Arc<watch::Sender<usize>>,
}

impl Pusher {
    /// Must be called within a Tokio runtime.
    pub(super) fn new(queue: Arc<dyn Queue>) -> Self {
        let (pointers, waiting) = mpsc::unbounded_channel();
        let left = Arc::new(watch::Sender::new(0));
        tokio::spawn(push_all(queue, waiting, left.clone()));
        Self { pointers, left }
    }

    /// Lets the queue have a pointer, soon.
    pub(super) fn push(&self, group: Group, job: Job) {
        if *self.left.borrow() < MOST {
            self.left.send_modify(|left| *left += 1);
            // The task ends only with this.
            let _ = self.pointers.send((group, job));
        }
    }

    /// Returns when the queue has everything, or cannot be reached for a while.
    pub(super) async fn finished(&self) {
        let mut left = self.left.subscribe();
        if timeout(LAST, left.wait_for(|left| *left == 0)).await.is_err() {
            tracing::warn!("the queue cannot be reached; runs that were given back are found in the store");
        }
    }
}

async fn push_all(
    queue: Arc<dyn Queue>,
    mut waiting: mpsc::UnboundedReceiver<(Group, Job)>,
    left: Arc<watch::Sender<usize>>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let count = batch.len();
        let mut groups: BTreeMap<Group, Vec<Job>> = BTreeMap::new();
        for (group, job) in batch.drain(..) {
            groups.entry(group).or_default().push(job);
        }
        for (group, jobs) in groups {
            let mut pause = FIRST_PAUSE;
            while let Err(error) = queue.push(group, jobs.clone()).await {
                if waiting.is_closed() {
                    return;
                }
                if pause == FIRST_PAUSE {
                    warn(&error);
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        left.send_modify(|left| *left -= count);
    }
}

/// Says that the queue cannot be used.
pub(super) fn warn(error: &QueueError) {
    tracing::warn!(code = %error.code(), %error, hint = error.hint(), "the queue cannot be used; runs wait in the database");
}
