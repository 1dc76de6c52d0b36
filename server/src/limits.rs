//! How many requests someone may send: GCRA, in this process, or counted together with other servers.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use governor::{
    NotUntil, Quota, RateLimiter,
    clock::Clock as GovernorClock,
    middleware::{StateInformationMiddleware, StateSnapshot},
    state::{InMemoryState, NotKeyed, keyed::DashMapStateStore},
};
use liteagent_engine::{
    codes,
    queue::{Rate, Rates},
    time::Clock,
};
use tokio::time::Instant;

use crate::{
    access::{Access, Caller},
    front::network,
    problem::Problem,
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// A minute, what rates are counted in.
const MINUTE: Duration = Duration::from_mins(1);
/// The most API keys with a rate of their own that are followed at once.
const MOST_KEYS: usize = 10_000;

/// How many requests a minute are allowed; as many at once, and then one as soon as there is room for it. `None` is any
/// number.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From one address, to sign in and to use links. Default: 30.
    pub sign_in: Option<NonZeroU32>,
    /// From one address, to the other routes that anyone may call. Default: 6,000.
    pub open: Option<NonZeroU32>,
    /// With one API key that has no rate of its own. Default: any number.
    pub key: Option<NonZeroU32>,
    /// Of one user. Default: any number.
    pub user: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sign_in: NonZeroU32::new(30), open: NonZeroU32::new(6_000), key: None, user: None }
    }
}

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, Ticks, StateInformationMiddleware>;
type Direct = RateLimiter<NotKeyed, InMemoryState, Ticks, StateInformationMiddleware>;

/// Counts requests against limits.
pub(crate) struct Limiters {
    limits: Limits,
    /// What servers count together; this one alone while that is away.
    together: Option<Together>,
    clock: Ticks,
    sign_in: Option<Keyed<IpAddr>>,
    open: Option<Keyed<IpAddr>>,
    key: Option<Keyed<String>>,
    user: Option<Keyed<String>>,
    /// Keys with a rate of their own.
    own: Mutex<HashMap<String, Arc<Direct>>>,
}

impl Limiters {
    pub(crate) fn new(limits: Limits, clock: Arc<dyn Clock>, rates: Option<Arc<dyn Rates>>) -> Self {
        let clock = Ticks(clock);
        Self {
            limits,
            together: rates.map(|rates| Together { rates, away_until: Mutex::default() }),
            sign_in: limits.sign_in.map(|rate| keyed(rate, &clock)),
            open: limits.open.map(|rate| keyed(rate, &clock)),
            key: limits.key.map(|rate| keyed(rate, &clock)),
            user: limits.user.map(|rate| keyed(rate, &clock)),
            own: Mutex::default(),
            clock,
        }
    }

    /// Counts a request; `None` where there is no limit. What everyone may call is counted in this process alone: that guards
    /// the process, and must cost nothing.
    pub(crate) async fn spend(
        &self,
        access: Access,
        caller: Option<&Caller>,
        address: IpAddr,
    ) -> Result<Option<Spent>, Problem> {
        if let Some(together) = &self.together {
            let limits = &self.limits;
            let counted = match (access, caller) {
                (Access::SignIn, _) => Some(("sign-in", limits.sign_in, network(address).to_string())),
                (Access::Open, _) | (_, None) => None,
                (_, Some(Caller::User(user))) => Some(("user", limits.user, user.id.clone())),
                (_, Some(Caller::Key(key))) => {
                    Some(("key", key.rate.and_then(NonZeroU32::new).or(limits.key), key.id.clone()))
                }
            };
            if let Some((policy, Some(rate), who)) = counted
                && let Some(counted) = together.spend(policy, rate, &who).await
            {
                return counted.map(Some).map_err(Problem::from);
            }
        }
        self.spend_here(access, caller, address)
    }

    fn spend_here(&self, access: Access, caller: Option<&Caller>, address: IpAddr) -> Result<Option<Spent>, Problem> {
        let state = match (access, caller) {
            (Access::SignIn, _) => self.of("sign-in", self.sign_in.as_ref(), &network(address)),
            (Access::Open, _) => self.of("open", self.open.as_ref(), &network(address)),
            (_, Some(Caller::User(user))) => self.of("user", self.user.as_ref(), &user.id),
            (_, Some(Caller::Key(key))) => match key.rate.and_then(NonZeroU32::new) {
                Some(rate) => self.told("key", rate, self.own(&key.id, rate).check()).map(Some),
                None => self.of("key", self.key.as_ref(), &key.id),
            },
            (_, None) => Ok(None),
        };
        state.map_err(Problem::from)
    }

    fn of<K: Clone + Eq + Hash>(
        &self,
        policy: &'static str,
        limiter: Option<&Keyed<K>>,
        who: &K,
    ) -> Result<Option<Spent>, Exceeded> {
        let Some(limiter) = limiter else { return Ok(None) };
        match limiter.check_key(who) {
            Ok(state) => Ok(Some(Spent::of(policy, &state))),
            Err(until) => Err(self.exceeded(policy, until.quota().burst_size(), &until)),
        }
    }

    fn told(
        &self,
        policy: &'static str,
        rate: NonZeroU32,
        checked: Result<StateSnapshot, NotUntil<Tick>>,
    ) -> Result<Spent, Exceeded> {
        match checked {
            Ok(state) => Ok(Spent::of(policy, &state)),
            Err(until) => Err(self.exceeded(policy, rate, &until)),
        }
    }

    fn exceeded(&self, policy: &'static str, rate: NonZeroU32, until: &NotUntil<Tick>) -> Exceeded {
        let wait = until.wait_time_from(self.clock.now());
        Exceeded { spent: Spent { policy, rate, left: 0 }, wait: wait.as_millis().div_ceil(1_000).max(1) as u64 }
    }

    /// The limiter of a key with a rate of its own.
    fn own(&self, id: &str, rate: NonZeroU32) -> Arc<Direct> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limiter) = own.get(id) {
            return limiter.clone();
        }
        if own.len() >= MOST_KEYS {
            own.clear();
        }
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(rate), self.clock.clone());
        let limiter = Arc::new(limiter.with_middleware());
        own.insert(id.to_owned(), limiter.clone());
        limiter
    }

    /// Forgets whom nothing counts against any more.
    pub(crate) fn sweep(&self) {
        for limiter in [&self.sign_in, &self.open].into_iter().flatten() {
            limiter.retain_recent();
        }
        for limiter in [&self.key, &self.user].into_iter().flatten() {
            limiter.retain_recent();
        }
    }
}

/// What servers count together.
struct Together {
    rates: Arc<dyn Rates>,
    /// It did not answer a moment ago: nobody waits for it again until then.
    away_until: Mutex<Option<Instant>>,
}

impl Together {
    const AWAY: Duration = Duration::from_secs(5);

    /// Counts a request; `None` while it cannot be counted together.
    async fn spend(&self, policy: &'static str, rate: NonZeroU32, who: &str) -> Option<Result<Spent, Exceeded>> {
        if self.away_until().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        match self.rates.spend(&format!("{policy}:{who}"), rate).await {
            Ok(Rate::Counted { left }) => Some(Ok(Spent { policy, rate, left })),
            Ok(Rate::Exceeded { wait }) => {
                let wait = wait.as_millis().div_ceil(1_000).max(1) as u64;
                Some(Err(Exceeded { spent: Spent { policy, rate, left: 0 }, wait }))
            }
            Err(error) => {
                tracing::warn!(code = %error.code(), %error, "requests are counted in this process alone for a while");
                *self.away_until() = Some(Instant::now() + Self::AWAY);
                None
            }
        }
    }

    fn away_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.away_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keyed<K: Clone + Eq + Hash>(rate: NonZeroU32, clock: &Ticks) -> Keyed<K> {
    let store = DashMapStateStore::default();
    RateLimiter::new(Quota::per_minute(rate), store, clock.clone())
}

/// What is left after a request that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    policy: &'static str,
    rate: NonZeroU32,
    left: u32,
}

impl Spent {
    fn of(policy: &'static str, state: &StateSnapshot) -> Self {
        Self { policy, rate: state.quota().burst_size(), left: state.remaining_burst_capacity() }
    }

    /// Tells it in the headers of `draft-ietf-httpapi-ratelimit-headers`.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let Self { policy, rate, left } = self;
        let used = u64::from(rate.get() - left.min(rate.get()));
        let until_full = (used * MINUTE.as_secs()).div_ceil(u64::from(rate.get()));
        let text = |text: String| HeaderValue::from_str(&text).expect("a name and numbers");
        headers.insert(POLICY, text(format!("\"{policy}\";q={rate};w={}", MINUTE.as_secs())));
        headers.insert(STATE, text(format!("\"{policy}\";r={left};t={until_full}")));
    }
}

/// A request too many.
struct Exceeded {
    spent: Spent,
    wait: u64,
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { spent, wait } = exceeded;
        let detail = format!("more than {} requests a minute: the next is taken in {wait} s", spent.rate);
        Self::new(StatusCode::TOO_MANY_REQUESTS, codes::RATE_LIMITED, detail)
            .hint("send fewer requests; the header `RateLimit` of each answer says how many are left")
            .retry_after(wait)
            .spent(spent)
    }
}

/// Our clock, as the limiter reads it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

/// Time since 1970.
type Tick = Duration;

impl GovernorClock for Ticks {
    type Instant = Tick;

    fn now(&self) -> Tick {
        Duration::from_millis(u64::try_from(self.0.now()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use liteagent_engine::{testing::VirtualClock, units::Millis};

    use super::*;
    use crate::{access::KeyCaller, store::KeyScope};

    const NOW: Millis = 1_772_355_600_000;

    fn key(id: &str, rate: Option<u32>) -> Caller {
        let scope = KeyScope::Workflow("w".to_owned());
        Caller::Key(KeyCaller {
            id: id.to_owned(),
            name: String::new(),
            scope,
            rate,
            limits: crate::store::KeyLimits::default(),
            read_only: false,
        })
    }

    #[test]
    fn a_key_has_its_own_rate_and_room_comes_back_with_time() {
        let clock = Arc::new(VirtualClock::at(NOW));
        let limiters = Limiters::new(Limits::default(), clock.clone(), None);
        let spend = |caller: &Caller| {
            let access = Access::UserOrKey(crate::Role::Editor);
            limiters.spend_here(access, Some(caller), Ipv4Addr::LOCALHOST.into())
        };
        let slow = key("slow", Some(2));
        let mut headers = HeaderMap::new();
        spend(&slow).unwrap().unwrap().tell(&mut headers);
        assert_eq!(headers[POLICY], "\"key\";q=2;w=60");
        assert_eq!(headers[STATE], "\"key\";r=1;t=30");
        assert!(spend(&slow).is_ok());
        assert!(spend(&slow).is_err());
        assert!(spend(&key("other", Some(2))).is_ok());
        assert_eq!(spend(&key("fast", None)).unwrap(), None);
        clock.advance(Duration::from_secs(30));
        assert!(spend(&slow).is_ok());
        assert!(spend(&slow).is_err());
    }

    #[test]
    fn strangers_are_counted_by_their_network() {
        let limiters = Limiters::new(
            Limits { sign_in: NonZeroU32::new(1), ..Limits::default() },
            Arc::new(VirtualClock::at(NOW)),
            None,
        );
        let spend = |address: &str| limiters.spend_here(Access::SignIn, None, address.parse().unwrap()).is_ok();
        assert!(spend("2001:db8::1"));
        assert!(!spend("2001:db8::2"));
        assert!(spend("2001:db8:0:1::2"));
        limiters.sweep();
        assert!(!spend("2001:db8::1"));
    }
}
