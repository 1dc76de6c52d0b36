//! Rates that several processes count together: GCRA in one script.

use std::{num::NonZeroU32, time::Duration};

use async_trait::async_trait;
use liteagent_engine::queue::{QueueError, Rate, Rates};

use crate::redis::{
    RedisOptions,
    link::Link,
    scripts::{Lua, Scripts},
};

/// Who asks counts by himself when there is no answer by then: a request must not wait for Redis.
const PATIENCE: Duration = Duration::from_millis(250);

/// Rates in Redis, by the time of its server.
pub struct RedisRates {
    link: Link,
    script: Lua,
    prefix: String,
}

impl RedisRates {
    /// Counts in this Redis. It answers, or fails, within a quarter of a second.
    ///
    /// # Errors
    /// When the address cannot be used. That nobody answers there is no error.
    pub fn new(options: &RedisOptions) -> Result<Self, QueueError> {
        let options = RedisOptions { deadline: PATIENCE.min(options.deadline), ..options.clone() };
        Ok(Self { link: Link::new(&options)?, script: Scripts::new().rate, prefix: options.prefix })
    }
}

#[async_trait]
impl Rates for RedisRates {
    async fn spend(&self, key: &str, per_minute: NonZeroU32) -> Result<Rate, QueueError> {
        let keys = [format!("{{{}:rates}}:{key}", self.prefix)];
        let (left, wait): (i64, u64) = self.script.run(&self.link, &keys, &[per_minute.get()]).await?;
        Ok(match u32::try_from(left) {
            Ok(left) => Rate::Counted { left },
            Err(_) => Rate::Exceeded { wait: Duration::from_micros(wait) },
        })
    }
}
