//! A clock that moves only when told to.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    time::Clock,
    units::{self, Millis},
};

/// A clock that stands still until it is moved; who sleeps wakes when the time is reached.
#[derive(Debug)]
pub struct VirtualClock(Mutex<State>);

#[derive(Debug)]
struct State {
    now: Millis,
    sleepers: BTreeMap<(Millis, u64), Waker>,
    begun: u64,
}

impl VirtualClock {
    /// A clock that shows this time.
    pub fn at(now: Millis) -> Self {
        Self(Mutex::new(State { now, sleepers: BTreeMap::new(), begun: 0 }))
    }

    /// Moves forward and wakes whose time has come.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.now = state.now.saturating_add(units::Duration(by).millis());
        state.wake();
    }

    /// Moves forward to a time, never back, and wakes whose time has come.
    pub fn advance_to(&self, at: Millis) {
        let mut state = self.state();
        state.now = state.now.max(at);
        state.wake();
    }

    /// When the next sleeper wakes; `None` when nobody sleeps.
    pub fn next_wake(&self) -> Option<Millis> {
        self.state().sleepers.keys().next().map(|(until, _)| *until)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for VirtualClock {
    /// `2026-03-01T09:00:00Z`.
    fn default() -> Self {
        Self::at(1_772_355_600_000)
    }
}

impl State {
    fn wake(&mut self) {
        let asleep = self.sleepers.split_off(&(self.now.saturating_add(1), 0));
        for waker in std::mem::replace(&mut self.sleepers, asleep).into_values() {
            waker.wake();
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Millis {
        self.state().now
    }

    fn sleep_until(&self, until: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut state = self.state();
        state.begun += 1;
        Box::pin(Sleep { clock: self, key: (until, state.begun) })
    }
}

struct Sleep<'a> {
    clock: &'a VirtualClock,
    key: (Millis, u64),
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if state.now >= self.key.0 {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_their_time_comes_and_dropped_ones_are_forgotten() {
        let clock = Arc::new(VirtualClock::at(1000));
        clock.sleep_until(900).await;
        let sleep = |until| {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep_until(until).await })
        };
        let (first, second) = (sleep(1500), sleep(3000));
        tokio::task::yield_now().await;
        assert_eq!(clock.next_wake(), Some(1500));

        clock.advance(Duration::from_millis(500));
        first.await.unwrap();
        assert_eq!((clock.now(), clock.next_wake()), (1500, Some(3000)));

        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        assert_eq!(clock.next_wake(), None);
    }
}
