//! The queue and the wake-ups on Redis.

use std::{sync::Arc, time::Duration};

use liteagent_engine::queue::QueueRules;

pub use self::{
    address::{RedisAddress, RedisMode},
    paces::RedisPaces,
    queue::RedisQueue,
    rates::RedisRates,
    roster::RedisRoster,
    wakes::RedisWakes,
};

mod address;
mod connect;
mod link;
mod paces;
mod queue;
mod rates;
mod roster;
mod scripts;
mod wakes;
mod wire;

/// Which Redis is used, and how.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where it is.
    pub address: RedisAddress,
    /// The certificate of who signed those of the servers, in PEM; the ones that the machine trusts by default.
    pub certificate: Option<Arc<[u8]>>,
    /// What every key begins with, `la` by default; installations that share a Redis need one each.
    pub prefix: String,
    /// The rules of the queue.
    pub rules: QueueRules,
    /// How long a call may take, with reconnecting and trying again; 10 seconds by default.
    pub deadline: Duration,
}

impl RedisOptions {
    /// The usual ones.
    pub fn new(address: RedisAddress) -> Self {
        Self {
            address,
            certificate: None,
            prefix: "la".to_owned(),
            rules: QueueRules::default(),
            deadline: Duration::from_secs(10),
        }
    }
}
