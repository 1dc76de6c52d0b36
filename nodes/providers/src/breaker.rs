//! Leaves a provider alone that fails again and again, and tries it with one call at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use liteagent_engine::units::Millis;

/// So many failures in a row, and the provider is left alone.
const FAILURES: u32 = 5;
/// For so long at first; twice as long after every trial that fails.
const REST: Millis = 10_000;
const LONGEST_REST: Millis = 120_000;

/// Watches over the calls of one provider.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Arc<Mutex<State>>);

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
    is_trial: bool,
}

impl Breaker {
    /// Lets a call pass, or says how long the provider is left alone.
    pub(crate) fn enter(&self, now: Millis) -> Result<Watch, Millis> {
        let mut state = lock(&self.0);
        let is_trial = match state.rests_until {
            None => false,
            Some(until) if now < until => return Err(until - now),
            Some(_) if state.is_tried => return Err(0),
            Some(_) => true,
        };
        state.is_tried |= is_trial;
        Ok(Watch { state: self.0.clone(), is_trial })
    }
}

impl Watch {
    /// The provider answered.
    pub(crate) fn succeeded(&self) {
        *lock(&self.state) = State::default();
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
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.is_trial {
            lock(&self.state).is_tried = false;
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

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
