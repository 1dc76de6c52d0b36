//! A limiter for one process.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use liteagent_engine::{
    time::Clock,
    units::{self, Millis},
};
use tokio::sync::oneshot;

use super::{
    Busy, Call, Limiter, Ticket, Told,
    queue::Queue,
    state::{Passed, State, Verdict},
};
use crate::settings::Limits;

/// Lets the calls of this process pass. Whoever waits costs nothing but its place: one timer serves all.
pub struct Memory(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    /// A provider that wants to be left alone for longer is not waited for.
    max_wait: Millis,
    inner: Mutex<Inner>,
    own: Weak<Shared>,
}

struct Inner {
    state: State,
    queue: Queue<Waiter>,
    /// When the timer goes off, if one runs.
    timer: Option<Millis>,
}

struct Waiter {
    tokens: u64,
    tell: oneshot::Sender<Result<Pass, Busy>>,
}

impl Memory {
    /// A limiter that knows these limits from the start. Needs a runtime of tokio when someone has to wait.
    pub fn new(limits: Limits, max_wait: units::Duration, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner { state: State::new(limits), queue: Queue::default(), timer: None };
        Self(Arc::new_cyclic(|own| Shared {
            clock,
            max_wait: max_wait.millis(),
            inner: Mutex::new(inner),
            own: own.clone(),
        }))
    }
}

#[async_trait]
impl Limiter for Memory {
    async fn enter(&self, call: Call) -> Result<Box<dyn Ticket>, Busy> {
        let (tell, told) = oneshot::channel();
        self.0.lock().queue.push(call.run, call.again, Waiter { tokens: call.tokens, tell });
        self.0.pump();
        let answer = async { told.await.unwrap_or(Err(Busy { wait: None })) };
        let pass = match call.until {
            None => answer.await?,
            Some(until) => tokio::select! {
                biased;
                answer = answer => answer?,
                () = self.0.clock.sleep_until(until) => {
                    let pause = self.0.lock().state.paused_until() - self.0.clock.now();
                    let wait = u64::try_from(pause).ok().filter(|wait| *wait > 0).map(Duration::from_millis);
                    return Err(Busy { wait });
                }
            },
        };
        Ok(Box::new(pass))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets through whoever may pass now.
    fn pump(&self) {
        let now = self.clock.now();
        let mut let_through = Vec::new();
        {
            let mut inner = self.lock();
            let Inner { state, queue, .. } = &mut *inner;
            while let Some(next) = queue.peek() {
                if next.tell.is_closed() {
                    queue.pop();
                    continue;
                }
                match state.verdict(next.tokens, now) {
                    Verdict::Go => {
                        let passed = state.pass(next.tokens);
                        let_through.extend(queue.pop().map(|waiter| (waiter, Ok(passed))));
                    }
                    Verdict::Told(at) if at - now > self.max_wait => {
                        let wait = u64::try_from(at - now).ok().map(Duration::from_millis);
                        let_through.extend(queue.drain().into_iter().map(|waiter| (waiter, Err(Busy { wait }))));
                    }
                    Verdict::Told(at) | Verdict::At(at) => {
                        self.wake_at(&mut inner, at);
                        break;
                    }
                    Verdict::Later => break,
                }
            }
        }
        // Told outside of the lock: one that is gone drops its pass, which locks.
        for (waiter, verdict) in let_through {
            let own = || self.own.upgrade();
            let pass =
                verdict.and_then(|passed| Ok(Pass { call: Some(passed), of: own().ok_or(Busy { wait: None })? }));
            // Nobody waits for it any more: its drop gives the place back.
            let _ = waiter.tell.send(pass);
        }
    }

    /// Pumps at a time, unless a timer goes off before.
    fn wake_at(&self, inner: &mut Inner, at: Millis) {
        if inner.timer.is_some_and(|timer| timer <= at) {
            return;
        }
        inner.timer = Some(at);
        let (clock, own) = (self.clock.clone(), self.own.clone());
        tokio::spawn(async move {
            clock.sleep_until(at).await;
            let Some(shared) = own.upgrade() else { return };
            shared.lock().timer.take_if(|timer| *timer == at);
            shared.pump();
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = change(&mut self.lock().state);
        self.pump();
        value
    }
}

/// The right to one call.
struct Pass {
    call: Option<Passed>,
    of: Arc<Shared>,
}

impl Ticket for Pass {
    fn taken(&mut self, told: &Told) {
        let now = self.of.clock.now();
        if let Some(call) = &mut self.call {
            self.of.change(|state| state.taken(call, told, now));
        }
    }

    fn refused(mut self: Box<Self>, wait: Option<Duration>, told: &Told) -> Millis {
        let now = self.of.clock.now();
        match self.call.take() {
            Some(call) => self.of.change(|state| state.refused(call, wait, told, now)),
            None => now,
        }
    }

    fn failed(mut self: Box<Self>) {
        if let Some(call) = self.call.take() {
            self.of.change(|state| state.failed(call));
        }
    }

    fn ended(mut self: Box<Self>, tokens: u64) {
        if let Some(call) = self.call.take() {
            self.of.change(|state| state.ended(call, Some(tokens)));
        }
    }
}

/// A call that was given up may have used what was estimated.
impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.of.change(|state| state.ended(call, None));
        }
    }
}
