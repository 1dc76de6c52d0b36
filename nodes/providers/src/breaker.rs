//! Leaves a provider alone that fails again and again, and tries it with one call at a time.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use liteagent_engine::{
    capability::{BreakerState, Watcher},
    units::Millis,
};

/// So many failures in a row, and the provider is left alone.
const FAILURES: u32 = 5;
/// For so long at first; twice as long after every trial that fails.
const REST: Millis = 10_000;
const LONGEST_REST: Millis = 120_000;

/// Watches over the calls of one provider.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Arc<Mutex<State>>,
    told: Option<Arc<Told>>,
}

/// Who is told when it opens and closes.
struct Told {
    provider: String,
    watcher: Arc<dyn Watcher>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Told {
    fn tell(told: Option<&Arc<Self>>, state: BreakerState) {
        if let Some(told) = told {
            told.watcher.breaker(&told.provider, state);
        }
    }
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// How often it was opened since the last success.
    opened: u32,
    rests_until: Option<Millis>,
    is_tried: bool,
}

/// A call that the breaker watches. One that says nothing about the provider, because it was given up or refused for a
/// reason of its own, is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    state: Arc<Mutex<State>>,
    told: Option<Arc<Told>>,
    is_trial: bool,
}

impl Breaker {
    /// One that tells `watcher` whether the provider is called.
    pub(crate) fn watched(provider: &str, watcher: Option<Arc<dyn Watcher>>) -> Self {
        let told = watcher.map(|watcher| Arc::new(Told { provider: provider.to_owned(), watcher }));
        Told::tell(told.as_ref(), BreakerState::Closed);
        Self { state: Arc::default(), told }
    }

    /// Lets a call pass, or says how long the provider is left alone.
    pub(crate) fn enter(&self, now: Millis) -> Result<Watch, Millis> {
        let mut state = lock(&self.state);
        let is_trial = match state.rests_until {
            None => false,
            Some(until) if now < until => return Err(until - now),
            Some(_) if state.is_tried => return Err(0),
            Some(_) => true,
        };
        state.is_tried |= is_trial;
        if is_trial {
            Told::tell(self.told.as_ref(), BreakerState::Trial);
        }
        Ok(Watch { state: self.state.clone(), told: self.told.clone(), is_trial })
    }
}

impl Watch {
    /// The provider answered.
    pub(crate) fn succeeded(&self) {
        let before = std::mem::take(&mut *lock(&self.state));
        if before.rests_until.is_some() {
            Told::tell(self.told.as_ref(), BreakerState::Closed);
        }
    }

    /// The provider is to blame for a failure.
    pub(crate) fn failed(&self, now: Millis) {
        let mut state = lock(&self.state);
        state.failures = state.failures.saturating_add(1);
        let is_open = state.rests_until.is_some();
        if self.is_trial || state.failures >= FAILURES && !is_open {
            let rest = REST.saturating_mul(1 << state.opened.min(10)).min(LONGEST_REST);
            state.opened = state.opened.saturating_add(1);
            state.rests_until = Some(now.saturating_add(rest));
            Told::tell(self.told.as_ref(), BreakerState::Open);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.is_trial {
            let mut state = lock(&self.state);
            state.is_tried = false;
            if state.rests_until.is_some() {
                // The trial failed, or was given up.
                Told::tell(self.told.as_ref(), BreakerState::Open);
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what it is told.
    #[derive(Default)]
    struct Seen(Mutex<Vec<BreakerState>>);

    impl Watcher for Seen {
        fn breaker(&self, provider: &str, state: BreakerState) {
            assert_eq!(provider, "p");
            let mut seen = self.0.lock().unwrap();
            if seen.last() != Some(&state) {
                seen.push(state);
            }
        }
    }

    #[test]
    fn whoever_watches_is_told_when_it_opens_and_closes() {
        use BreakerState::{Closed, Open, Trial};
        let seen = Arc::new(Seen::default());
        let breaker = Breaker::watched("p", Some(seen.clone()));
        open(&breaker, 0);
        let trial = breaker.enter(REST).unwrap();
        trial.failed(REST);
        drop(trial);
        drop(breaker.enter(3 * REST).unwrap());
        breaker.enter(3 * REST).unwrap().succeeded();
        assert_eq!(*seen.0.lock().unwrap(), [Closed, Open, Trial, Open, Trial, Open, Trial, Closed]);
    }

    fn open(breaker: &Breaker, now: Millis) {
        (0..FAILURES).for_each(|_| breaker.enter(now).unwrap().failed(now));
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_trial_closes_it() {
        let breaker = Breaker::default();
        (0..FAILURES - 1).for_each(|_| breaker.enter(0).unwrap().failed(0));
        breaker.enter(0).unwrap().succeeded();
        open(&breaker, 0);
        assert_eq!(breaker.enter(1).unwrap_err(), REST - 1);

        let trial = breaker.enter(REST).unwrap();
        assert_eq!(breaker.enter(REST).unwrap_err(), 0, "one trial at a time");
        trial.failed(REST);
        drop(trial);
        assert_eq!(breaker.enter(REST + 1).unwrap_err(), 2 * REST - 1, "twice as long");

        drop(breaker.enter(3 * REST).unwrap());
        let trial = breaker.enter(3 * REST).expect("a trial that was given up says nothing");
        trial.succeeded();
        drop(trial);
        open(&breaker, 4 * REST);
        assert_eq!(breaker.enter(4 * REST).unwrap_err(), REST, "a success forgets");
    }

    #[test]
    fn calls_that_were_on_their_way_do_not_prolong_the_rest() {
        let breaker = Breaker::default();
        let late: Vec<Watch> = (0..3).map(|_| breaker.enter(0).unwrap()).collect();
        open(&breaker, 0);
        for watch in &late {
            watch.failed(REST / 2);
        }
        assert_eq!(breaker.enter(REST / 2).unwrap_err(), REST / 2);
    }
}
