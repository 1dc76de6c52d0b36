//! Paces that several processes keep to together, and pauses that one of them was told of: GCRA in one script.

use std::{num::NonZeroU32, time::Duration};

use async_trait::async_trait;
use liteagent_engine::queue::{Pace, Paces, QueueError, Taken};

use crate::redis::{
    RedisOptions,
    link::Link,
    scripts::{Lua, Scripts},
};

/// Who asks goes by what he knows himself when there is no answer by then.
const PATIENCE: Duration = Duration::from_millis(250);

/// Paces in Redis, by the time of its server.
pub struct RedisPaces {
    link: Link,
    script: Lua,
    prefix: String,
}

/// What is asked of an account at once.
#[derive(Default)]
struct Wanted {
    pause: Duration,
    calls: u32,
    tokens: i64,
    forced: bool,
}

impl RedisPaces {
    /// Keeps to paces in this Redis. It answers, or fails, within a quarter of a second.
    ///
    /// # Errors
    /// When the address cannot be used. That nobody answers there is no error.
    pub fn new(options: &RedisOptions) -> Result<Self, QueueError> {
        let options = RedisOptions { deadline: PATIENCE.min(options.deadline), ..options.clone() };
        Ok(Self { link: Link::new(&options)?, script: Scripts::new().pace, prefix: options.prefix })
    }

    async fn run(&self, account: &str, pace: Pace, wanted: Wanted) -> Result<Taken, QueueError> {
        let keys = ["pause", "calls", "tokens"].map(|what| format!("{{{}:pace:{account}}}:{what}", self.prefix));
        let Wanted { pause, calls, tokens, forced } = wanted;
        let per_minute = |pace: Option<NonZeroU32>| pace.map_or(0, |pace| i64::from(pace.get()));
        let arguments = [
            i64::try_from(pause.as_micros()).unwrap_or(i64::MAX >> 10),
            Pace::BURST as i64 * 1_000,
            per_minute(pace.calls),
            i64::from(calls),
            per_minute(pace.tokens),
            tokens,
            i64::from(forced),
        ];
        let (pause, wait): (u64, u64) = self.script.run(&self.link, &keys, &arguments).await?;
        Ok(match (pause, wait) {
            (0, 0) => Taken::Now,
            (pause, wait) if pause >= wait => Taken::Paused(Duration::from_micros(pause)),
            (_, wait) => Taken::In(Duration::from_micros(wait)),
        })
    }
}

#[async_trait]
impl Paces for RedisPaces {
    async fn take(&self, account: &str, pace: Pace, tokens: u64) -> Result<Taken, QueueError> {
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX >> 20);
        self.run(account, pace, Wanted { calls: 1, tokens, ..Wanted::default() }).await
    }

    async fn settle(&self, account: &str, pace: Pace, tokens: i64) -> Result<(), QueueError> {
        let wanted = Wanted { tokens, forced: true, ..Wanted::default() };
        self.run(account, pace, wanted).await.map(drop)
    }

    async fn pause(&self, account: &str, wait: Duration) -> Result<(), QueueError> {
        let wanted = Wanted { pause: wait, forced: true, ..Wanted::default() };
        self.run(account, Pace::default(), wanted).await.map(drop)
    }
}
