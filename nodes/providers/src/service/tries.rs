//! How often a call is tried, and how long it waits: the right to each attempt comes from limiter and breaker.

use std::time::Duration;

use liteagent_engine::{id::RunId, units::Millis};

use super::{Service, exchange::Failed};
use crate::{
    breaker::Watch,
    failure::{Fault, Kind},
    limit::{Busy, Call, Ticket, Told},
};

/// How long a call waits for a model that has others behind it.
const SHORTLY: Millis = 5_000;

/// How often a call is tried again that the provider could not serve.
const AGAIN: u32 = 2;
const BACKOFF: Millis = 500;

/// How often a call is sent otherwise than before, because the model refused it.
const LESSONS: u32 = 6;

/// The attempts of one call.
pub(super) struct Tries<'a> {
    service: &'a Service,
    run: Option<RunId>,
    tokens: u64,
    is_last: bool,
    began: Millis,
    /// When the provider refused for the first time.
    refused: Option<Millis>,
    failures: u32,
    lessons: u32,
}

/// The right to one attempt.
pub(super) struct Pass {
    ticket: Box<dyn Ticket>,
    watch: Watch,
}

impl<'a> Tries<'a> {
    pub(super) fn new(service: &'a Service, run: Option<RunId>, tokens: u64, is_last: bool) -> Self {
        let began = service.clock.now();
        Self { service, run, tokens, is_last, began, refused: None, failures: 0, lessons: 0 }
    }

    /// Waits for the right to the next attempt.
    pub(super) async fn enter(&self) -> Result<Pass, Failed> {
        let call = Call {
            run: self.run,
            tokens: self.tokens,
            until: (!self.is_last).then_some(self.began + SHORTLY),
            again: self.refused.is_some(),
        };
        let begun = self.service.clock.now();
        let entered = self.service.limiter.enter(call).await;
        if let Some(watcher) = &self.service.watcher {
            let waited = u64::try_from(self.service.clock.now() - begun).unwrap_or(0);
            watcher.model_waited(&self.service.provider.name, Duration::from_millis(waited));
        }
        let ticket = entered.map_err(|Busy { wait }| {
            let said = match wait {
                Some(wait) => format!("it wants to be left alone for {} s", wait.as_secs_f64().ceil()),
                None => "too many calls wait for it".to_owned(),
            };
            Failed::from(Fault::new(Kind::Rate, said).after(wait))
        })?;
        match self.service.breaker.enter(self.service.clock.now()) {
            Ok(watch) => Ok(Pass { ticket, watch }),
            Err(rest) => {
                ticket.failed();
                let wait = u64::try_from(rest).ok().map(Duration::from_millis);
                let said = match rest {
                    0 => "another call tries whether it is back".to_owned(),
                    rest => format!("for another {} s", seconds(rest)),
                };
                Err(Fault::new(Kind::Resting, said).after(wait).into())
            }
        }
    }

    /// Whether the call may be sent otherwise once more.
    pub(super) fn may_learn(&mut self) -> bool {
        self.lessons += 1;
        self.lessons <= LESSONS
    }

    /// Returns when the call is to be tried again.
    pub(super) async fn after(&mut self, failed: Failed) -> Result<(), Failed> {
        let Failed::Fault(fault, _) = &failed else { return Err(failed) };
        let now = self.service.clock.now();
        let max_wait = self.service.provider.patience.max_wait.millis();
        let wait = fault.wait.and_then(|wait| Millis::try_from(wait.as_millis()).ok());
        if !self.is_last {
            return Err(failed);
        }
        match fault.kind {
            // The limiter holds it back until the provider takes calls again.
            Kind::Rate if self.lasts(now, wait.unwrap_or(0), max_wait) => Ok(()),
            kind if kind.is_passing() && self.failures < AGAIN => {
                let wait = wait.unwrap_or(BACKOFF << self.failures);
                self.failures += 1;
                if wait > max_wait {
                    return Err(failed);
                }
                self.service.clock.sleep_until(now.saturating_add(wait)).await;
                Ok(())
            }
            _ => Err(failed),
        }
    }

    /// Whether there is patience left for a provider that refuses.
    fn lasts(&mut self, now: Millis, wait: Millis, max_wait: Millis) -> bool {
        let first = *self.refused.get_or_insert(now);
        now.saturating_add(wait) - first <= max_wait
    }
}

impl Pass {
    /// The provider took the call.
    pub(super) fn taken(&mut self, told: &Told) {
        self.ticket.taken(told);
    }

    /// The answer has begun: the provider works.
    pub(super) fn answered(&self) {
        self.watch.succeeded();
    }

    /// The provider asks to slow down: it works, too. Returns until when it is left alone.
    pub(super) fn refused(self, wait: Option<Duration>, told: &Told, now: Millis) -> Millis {
        self.watch.succeeded();
        self.ticket.refused(wait, told).max(now)
    }

    /// The call failed.
    pub(super) fn failed(self, now: Millis, is_outage: bool) {
        if is_outage {
            self.watch.failed(now);
        } else {
            self.watch.succeeded();
        }
        self.ticket.failed();
    }

    /// The answer broke off after this many tokens.
    pub(super) fn broke(self, now: Millis, is_outage: bool, tokens: u64) {
        if is_outage {
            self.watch.failed(now);
        }
        self.ticket.ended(tokens);
    }

    /// The call is over.
    pub(super) fn ended(self, tokens: u64) {
        self.ticket.ended(tokens);
    }
}

/// Whole seconds, rounded up.
fn seconds(millis: Millis) -> Millis {
    (millis + 999) / 1_000
}
