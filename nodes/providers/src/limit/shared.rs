//! A limiter for a key that several processes use.
//!
//! How fast a provider takes calls is learnt by each process for itself, as by connections that share a line: whoever is
//! refused slows down. Together they keep to the paces that are configured, and to the pauses that one of them was told of.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use liteagent_engine::{
    queue::{Pace, Paces, QueueError, Taken},
    time::Clock,
    units::{self, Millis},
};

use super::{Busy, Call, Limiter, Ticket, Told};
use crate::settings::Limits;

/// For so long nobody asks paces that did not answer: until then each process goes by what it knows itself.
const AWAY: Millis = 5_000;

/// Lets calls pass that the limiter of this process lets pass, when the others leave room for them.
pub struct Shared {
    own: Arc<dyn Limiter>,
    together: Arc<Together>,
}

/// What is kept to together.
struct Together {
    paces: Arc<dyn Paces>,
    account: String,
    pace: Pace,
    /// A provider that wants to be left alone for longer is not waited for.
    max_wait: Millis,
    clock: Arc<dyn Clock>,
    /// Who came first asks first; the others of this process wait behind it.
    turn: tokio::sync::Mutex<()>,
    away_until: Mutex<Millis>,
}

impl Shared {
    /// A limiter before which `own` stands. `account` names the key among the processes; it is not the key itself.
    pub fn new(
        own: Arc<dyn Limiter>,
        paces: Arc<dyn Paces>,
        account: String,
        limits: Limits,
        max_wait: units::Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let per_minute = |limit: Option<u32>| limit.and_then(NonZeroU32::new);
        let together = Together {
            paces,
            account,
            pace: Pace { calls: per_minute(limits.requests), tokens: per_minute(limits.tokens) },
            max_wait: max_wait.millis(),
            clock,
            turn: tokio::sync::Mutex::default(),
            away_until: Mutex::new(Millis::MIN),
        };
        Self { own, together: Arc::new(together) }
    }
}

#[async_trait]
impl Limiter for Shared {
    async fn enter(&self, call: Call) -> Result<Box<dyn Ticket>, Busy> {
        let mut waiting = Waiting(Some(self.own.enter(call).await?));
        let entering = self.together.enter(call.tokens);
        let is_counted = match call.until {
            None => entering.await?,
            Some(until) => tokio::select! {
                biased;
                entered = entering => entered?,
                () = self.together.clock.sleep_until(until) => return Err(Busy { wait: None }),
            },
        };
        let together = is_counted.then(|| self.together.clone());
        let own = waiting.0.take().ok_or(Busy { wait: None })?;
        Ok(Box::new(Pass { own, together, tokens: call.tokens }))
    }
}

/// A call that passed here and waits for the others; when it is given up, it used nothing.
struct Waiting(Option<Box<dyn Ticket>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.take() {
            ticket.failed();
        }
    }
}

impl Together {
    /// Waits until the others leave room for a call. `false` when it could not be asked, and is not counted.
    async fn enter(&self, tokens: u64) -> Result<bool, Busy> {
        let _turn = self.turn.lock().await;
        loop {
            let now = self.clock.now();
            if now < *self.away_until() {
                return Ok(false);
            }
            let wait = match self.paces.take(&self.account, self.pace, tokens).await {
                Ok(Taken::Now) => return Ok(true),
                Ok(Taken::Paused(wait)) if millis(wait) > self.max_wait => return Err(Busy { wait: Some(wait) }),
                Ok(Taken::Paused(wait) | Taken::In(wait)) => wait,
                Err(error) => {
                    self.is_away(&error);
                    return Ok(false);
                }
            };
            self.clock.sleep_until(now.saturating_add(millis(wait))).await;
        }
    }

    fn is_away(&self, error: &QueueError) {
        tracing::warn!(code = %error.code(), %error, "calls of models keep to the limits of this process alone for a while");
        *self.away_until() = self.clock.now().saturating_add(AWAY);
    }

    fn away_until(&self) -> MutexGuard<'_, Millis> {
        self.away_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what a call used beyond what was taken for it, and how long the provider wants to be left alone. Nobody waits
    /// for that.
    fn tell(self: Arc<Self>, tokens: i64, pause: Option<Duration>) {
        let tokens = if self.pace.tokens.is_some() { tokens } else { 0 };
        if tokens == 0 && pause.is_none() {
            return;
        }
        tokio::spawn(async move {
            let tell = async {
                if let Some(pause) = pause {
                    self.paces.pause(&self.account, pause).await?;
                }
                if tokens != 0 {
                    self.paces.settle(&self.account, self.pace, tokens).await?;
                }
                Ok(())
            };
            if let Err(error) = tell.await {
                self.is_away(&error);
            }
        });
    }
}

/// Whole milliseconds, rounded up.
fn millis(wait: Duration) -> Millis {
    Millis::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(Millis::MAX)
}

fn signed(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// The right to one call.
struct Pass {
    own: Box<dyn Ticket>,
    /// Where it is counted.
    together: Option<Arc<Together>>,
    tokens: u64,
}

impl Ticket for Pass {
    fn taken(&mut self, told: &Told) {
        self.own.taken(told);
    }

    fn refused(self: Box<Self>, wait: Option<Duration>, told: &Told) -> Millis {
        let Self { own, together, tokens } = *self;
        let until = own.refused(wait, told);
        if let Some(together) = together {
            let pause = u64::try_from(until - together.clock.now()).ok().filter(|pause| *pause > 0);
            together.tell(-signed(tokens), pause.map(Duration::from_millis));
        }
        until
    }

    fn failed(self: Box<Self>) {
        let Self { own, together, tokens } = *self;
        own.failed();
        if let Some(together) = together {
            together.tell(-signed(tokens), None);
        }
    }

    fn ended(self: Box<Self>, tokens: u64) {
        let Self { own, together, tokens: estimate } = *self;
        own.ended(tokens);
        if let Some(together) = together {
            together.tell(signed(tokens).saturating_sub(signed(estimate)), None);
        }
    }
}
