//! Which workers are there: a key with an expiry for each, and a set of their names.

use async_trait::async_trait;
use liteagent_engine::{
    id::SessionId,
    queue::{GONE, QueueError, Roster, WorkerInfo, in_order},
};
use redis::cmd;

use crate::redis::{RedisOptions, link::Link};

/// The workers that are there, in Redis.
pub struct RedisRoster {
    link: Link,
    prefix: String,
}

impl RedisRoster {
    /// The workers that this Redis knows of.
    ///
    /// # Errors
    /// When the address cannot be used. That nobody answers there is no error.
    pub fn new(options: &RedisOptions) -> Result<Self, QueueError> {
        Ok(Self { link: Link::new(options)?, prefix: options.prefix.clone() })
    }

    /// One hash tag for all: a Cluster keeps them on one node.
    fn key(&self, worker: &str) -> String {
        format!("{{{}:workers}}:{worker}", self.prefix)
    }

    fn all(&self) -> String {
        format!("{{{}:workers}}", self.prefix)
    }
}

#[async_trait]
impl Roster for RedisRoster {
    async fn tell(&self, worker: &WorkerInfo) -> Result<(), QueueError> {
        let id = worker.id.to_string();
        let said = serde_json::to_string(worker).expect("names and numbers have a JSON form");
        let mut tell = cmd("SET");
        tell.arg(self.key(&id)).arg(said).arg("PX").arg(GONE.as_millis() as u64);
        let () = self.link.call(&tell).await?;
        self.link.call(cmd("SADD").arg(self.all()).arg(id)).await
    }

    async fn leave(&self, worker: SessionId) -> Result<(), QueueError> {
        let id = worker.to_string();
        let () = self.link.call(cmd("DEL").arg(self.key(&id))).await?;
        self.link.call(cmd("SREM").arg(self.all()).arg(id)).await
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        let ids: Vec<String> = self.link.call(cmd("SMEMBERS").arg(self.all())).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = ids.iter().map(|id| self.key(id)).collect();
        let said: Vec<Option<String>> = self.link.call(cmd("MGET").arg(keys)).await?;
        let (mut workers, mut gone) = (Vec::new(), Vec::new());
        for (id, said) in ids.iter().zip(said) {
            match said {
                // One of another release may say it in another way.
                Some(said) => workers.extend(serde_json::from_str(&said).ok()),
                None => gone.push(id),
            }
        }
        if !gone.is_empty() {
            let () = self.link.call(cmd("SREM").arg(self.all()).arg(gone)).await?;
        }
        Ok(in_order(workers))
    }
}
