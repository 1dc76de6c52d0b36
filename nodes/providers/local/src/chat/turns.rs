//! Who computes when: a few answers at once, each on threads of its own; others wait in order.

use std::sync::{Arc, Mutex, PoisonError};

use liteagent_engine::error::NodeError;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for answers.
pub(crate) struct Turns {
    places: Arc<Semaphore>,
    threads: usize,
    /// Threads that wait for their next answer.
    idle: Mutex<Vec<ThreadPool>>,
}

/// A place, and its threads.
pub(crate) struct Turn {
    threads: Option<ThreadPool>,
    turns: Arc<Turns>,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    /// So many places, each with so many threads.
    pub(crate) fn new(places: usize, threads: usize) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(places)), threads, idle: Mutex::default() })
    }

    /// Waits for a place; who came first is first.
    pub(crate) async fn wait(self: &Arc<Self>) -> Result<Turn, NodeError> {
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|error| NodeError::internal(format!("no place for an answer: {error}")))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let threads = match idle {
            Some(threads) => threads,
            None => threads_of("local-chat", self.threads)?,
        };
        Ok(Turn { threads: Some(threads), turns: self.clone(), _place: place })
    }
}

impl Turn {
    /// Computes on the threads of the place.
    pub(crate) fn compute<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.threads {
            Some(threads) => threads.install(work),
            None => work(),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let idle = self.threads.take();
        self.turns.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(idle);
    }
}

/// So many threads that compute.
pub(crate) fn threads_of(name: &'static str, count: usize) -> Result<ThreadPool, NodeError> {
    let named = move |index| format!("{name}-{index}");
    let threads = ThreadPoolBuilder::new().num_threads(count).thread_name(named).build();
    threads.map_err(|error| NodeError::internal(format!("no threads for local models: {error}")))
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::BoxFuture};

    use super::*;

    #[test]
    fn who_came_first_is_first_and_who_goes_leaves_the_line() {
        let turns = Turns::new(1, 1);
        let wait = || -> BoxFuture<'static, Turn> {
            let turns = turns.clone();
            async move { turns.wait().await.unwrap() }.boxed()
        };
        let first = wait().now_or_never().expect("a place is free");
        let mut line: Vec<_> = (0..3).map(|_| wait()).collect();
        for waiting in &mut line {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        drop(line.remove(1));
        let mut last = line.pop().unwrap();
        let mut next = line.pop().unwrap();
        drop(first);
        assert!(last.as_mut().now_or_never().is_none(), "another one is before it");
        let turn = next.as_mut().now_or_never().expect("it is next");
        assert_eq!(turn.compute(|| 1 + 1), 2);
        drop(turn);
        assert!(last.now_or_never().is_some());
        assert_eq!(turns.idle.lock().unwrap().len(), 1, "one place has one set of threads");
    }
}
