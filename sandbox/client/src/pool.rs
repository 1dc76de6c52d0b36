//! Several sandboxes elsewhere, for each call one of those that are well.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::{join_all, select_ok};
use liteagent_sandbox_protocol::{Failure, Fault, Kind, Load, Reply, Request, Runner};
use tokio::time::Instant;

use crate::{
    EndpointRefused, Remote,
    remote::{Call, Missed, Progress},
};

/// How long a sandbox that failed is asked only when no other is well; twice as long after each further failure.
const FIRST_REST: Duration = Duration::from_secs(1);
/// No rest is longer.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Calls one of several sandboxes that are services and have the same key.
///
/// A call goes to the one that has the fewest calls from here. One that fails rests for a while, and the call goes to
/// others: to all of them in turn while it cannot have started, and once more when it was lost on the way. Code has no effects,
/// so running it twice does no harm; what ends one sandbox should not end them all.
pub struct Pool {
    members: Vec<Member>,
    /// Who is first among equals.
    turn: AtomicUsize,
}

struct Member {
    remote: Remote,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Pool {
    /// The sandboxes at `endpoints`, which are separated by commas; see [`Remote::new`].
    ///
    /// # Errors
    /// When one of them is no HTTP address or stands twice, or the key cannot be sent.
    pub fn new(endpoints: &str, key: &str, wall: Duration) -> Result<Self, EndpointRefused> {
        let mut members: Vec<Member> = Vec::new();
        for endpoint in endpoints.split(',').map(str::trim) {
            let remote = Remote::new(endpoint, key, wall)?;
            if members.iter().any(|member| member.remote.is_same(&remote)) {
                return Err(EndpointRefused::twice(endpoint));
            }
            members.push(Member { remote, health: Mutex::default() });
        }
        Ok(Self { members, turn: AtomicUsize::new(0) })
    }

    /// Every member, the best first: those that are well by their load, then those that rest by how long they do.
    fn best_first(&self) -> Vec<&Member> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut order: Vec<_> = self.members.iter().enumerate().collect();
        order.sort_by_cached_key(|(place, member)| {
            let rests = member.health().rests_until.filter(|until| *until > now);
            (rests, member.remote.in_flight(), place.wrapping_sub(turn) % self.members.len())
        });
        order.into_iter().map(|(_, member)| member).collect()
    }
}

impl Member {
    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how a call went.
    fn note(&self, is_well: bool) {
        let mut health = self.health();
        if is_well {
            *health = Health::default();
            return;
        }
        let rest = FIRST_REST.saturating_mul(2_u32.saturating_pow(health.failures)).min(LONGEST_REST);
        *health = Health { failures: health.failures + 1, rests_until: Some(Instant::now() + rest) };
    }
}

#[async_trait]
impl Runner for Pool {
    async fn run(&self, request: Request) -> Reply {
        let call = Call::of(request).await.map_err(|fault| Box::new(Failure::before(fault)))?;
        let mut may_be_lost = true;
        let mut told: Option<Box<Fault>> = None;
        for member in self.best_first() {
            let Missed { fault, progress } = match member.remote.attempt(&call).await {
                Ok(Err(failure)) if failure.error.kind == Kind::Busy => Missed::not_started(failure.error),
                Ok(reply) => {
                    member.note(true);
                    return reply;
                }
                Err(missed) => missed,
            };
            // One that has too much to do is well.
            let is_well = fault.kind == Kind::Busy || progress == Progress::Decided;
            member.note(is_well);
            let goes_on = match progress {
                Progress::NotStarted => true,
                Progress::Lost => std::mem::take(&mut may_be_lost),
                Progress::Decided => false,
            };
            if !goes_on {
                return Err(Box::new(Failure::before(*fault)));
            }
            tracing::warn!(%fault, "a call goes to another sandbox, if there is one");
            // That all are busy is said only when all are: what is wrong with one is told before.
            if told.as_ref().is_none_or(|told| told.kind == Kind::Busy) {
                told = Some(fault);
            }
        }
        let fault = told.map_or_else(|| Fault::new(Kind::Sandbox, "there is no sandbox"), |told| *told);
        Err(Box::new(Failure::before(fault)))
    }

    /// Whether one of them is.
    async fn ready(&self) -> Result<(), Fault> {
        let asked = self.members.iter().map(|member| member.remote.ready());
        select_ok(asked).await.map(|((), _)| ())
    }

    async fn load(&self) -> Load {
        let loads = join_all(self.members.iter().map(|member| member.remote.load())).await;
        loads.into_iter().fold(Load::default(), |sum, load| Load {
            running: sum.running + load.running,
            waiting: sum.waiting + load.waiting,
        })
    }

    fn describe(&self) -> String {
        match &*self.members {
            [one] => one.remote.describe(),
            several => {
                let places: Vec<_> = several.iter().map(|member| member.remote.origin()).collect();
                format!("in the sandboxes at {}", places.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_fails_rests_and_longer_each_time() {
        let pool = Pool::new("http://a,http://b", "key", Duration::ZERO).unwrap();
        let first = || pool.best_first()[0].remote.origin();
        let mut rests = Vec::new();
        for _ in 0..7 {
            pool.members[0].note(false);
            let began = Instant::now();
            while first() == "http://b" && first() == "http://b" {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            rests.push(began.elapsed().as_secs());
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30]);

        pool.members[0].note(true);
        pool.members[0].note(false);
        pool.members[1].note(false);
        pool.members[1].note(false);
        assert_eq!((first(), first()), ("http://a".to_owned(), "http://a".to_owned()), "it is back first");
    }
}
