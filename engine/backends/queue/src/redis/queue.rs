//! The queue on Redis.

use std::time::Duration;

use async_trait::async_trait;
use liteagent_engine::{
    queue::{Back, DeadLetter, Depth, Group, Job, Leased, Queue, QueueError, QueueRules},
    units::Millis,
};
use redis::{
    RedisResult, Value, cmd,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};
use tokio::time::Instant;

use crate::redis::{
    RedisOptions,
    link::{Link, failure, passes},
    scripts::{Lua, Scripts},
    wire,
};

/// How long a read blocks at most before it looks again: a delayed job that was pushed meanwhile is at most so late.
pub(super) const SLICE: Duration = Duration::from_millis(500);
/// How many jobs one script handles: others wait for it.
const BATCH: usize = 250;
/// About so many dead letters are kept.
const DEAD: usize = 10_000;
/// The consumer group of every stream.
const WORKERS: &str = "workers";
/// The oldest Redis that has what the scripts need.
const OLDEST: u32 = 7;

/// Jobs in Redis 7 or Valkey: streams whose pending entries are the leases, behind lines in which keys take turns.
///
/// Times are those of the Redis server. A delayed job may be up to half a second late.
pub struct RedisQueue {
    link: Link,
    scripts: Scripts,
    keys: [Keys; Group::ALL.len()],
    rules: QueueRules,
}

/// The keys of a group, in the order of `scripts/common.lua`.
struct Keys(Vec<String>);

impl Keys {
    fn new(prefix: &str, group: Group) -> Self {
        let names = ["stream", "order", "jobs", "ages", "delayed", "fair", "idle", "dead", "born"];
        Self(names.map(|name| format!("{{{prefix}:{group}}}:{name}")).to_vec())
    }

    fn stream(&self) -> &str {
        &self.0[0]
    }

    fn dead(&self) -> &str {
        &self.0[7]
    }
}

impl RedisQueue {
    /// Connects, and looks whether this Redis can be used.
    ///
    /// # Errors
    /// When it cannot be reached before the deadline, does not accept the credentials, is older than 7.0, or would throw jobs
    /// away when its memory is full.
    pub async fn connect(options: RedisOptions) -> Result<Self, QueueError> {
        let queue = Self {
            link: Link::new(&options)?,
            scripts: Scripts::new(),
            keys: Group::ALL.map(|group| Keys::new(&options.prefix, group)),
            rules: options.rules,
        };
        // Each group: in a Cluster they may be on different nodes.
        for group in Group::ALL {
            let said: String = queue.run(&queue.scripts.inspect, group, &[] as &[&str]).await?;
            fits(&said)?;
        }
        Ok(queue)
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Lua,
        group: Group,
        arguments: &[impl redis::ToRedisArgs + Sync],
    ) -> Result<T, QueueError> {
        script.run(&self.link, &self.keys[group as usize].0, arguments).await
    }

    /// Waits for one job that a script gave out or is about to.
    async fn wait_for_one(
        &self,
        group: Group,
        consumer: &str,
        time: Duration,
    ) -> Result<Option<(String, Vec<u8>)>, QueueError> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(WORKERS).arg(consumer).arg("COUNT").arg(1);
        // 0 would be for ever.
        read.arg("BLOCK").arg(time.as_millis().max(1) as u64);
        read.arg("STREAMS").arg(self.keys[group as usize].stream()).arg(">");
        let found: RedisResult<Option<StreamReadReply>> = self.link.block(&read, time).await;
        match found {
            Ok(found) => {
                let entry = found.into_iter().flat_map(|found| found.keys).flat_map(|stream| stream.ids).next();
                Ok(entry.map(|mut entry| (std::mem::take(&mut entry.id), bytes(&mut entry, "job"))))
            }
            // The next script tries again until the deadline, and makes the group that went with the data.
            Err(error) if passes(&error) || error.code() == Some("NOGROUP") => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Jobs as they were delivered; what cannot be read becomes a dead letter.
    async fn leased(
        &self,
        group: Group,
        consumer: &str,
        found: impl IntoIterator<Item = (String, Vec<u8>, u32)>,
    ) -> Result<Vec<Leased>, QueueError> {
        let (mut leased, mut dead) = (Vec::new(), Vec::new());
        for (id, job, lost) in found {
            match wire::read(job) {
                Err(found) => dead.push((id, found, "expected a job, found something that cannot be read".to_owned())),
                Ok(job) => {
                    let job = Job { attempt: job.attempt.saturating_add(lost), ..job };
                    if lost > 0 && job.attempt >= self.rules.attempts {
                        dead.push((id, wire::write(&job), DeadLetter::lost(self.rules.attempts)));
                    } else {
                        leased.push(Leased { job, id, consumer: consumer.to_owned() });
                    }
                }
            }
        }
        self.bury(group, dead).await?;
        Ok(leased)
    }

    /// Makes dead letters of (id, job, reason).
    async fn bury(&self, group: Group, dead: Vec<(String, String, String)>) -> Result<(), QueueError> {
        for batch in dead.chunks(BATCH) {
            let mut arguments = vec![DEAD.to_string()];
            for (id, job, reason) in batch {
                arguments.extend([id.clone(), job.clone(), reason.clone()]);
            }
            let () = self.run(&self.scripts.dead, group, &arguments).await?;
        }
        Ok(())
    }

    fn letter(mut entry: StreamId) -> DeadLetter {
        let reason = String::from_utf8_lossy(&bytes(&mut entry, "reason")).into_owned();
        let at = String::from_utf8_lossy(&bytes(&mut entry, "at")).parse().unwrap_or(0);
        let (job, unreadable) = match wire::read(bytes(&mut entry, "job")) {
            Ok(job) => (Some(job), None),
            Err(found) => (None, Some(found)),
        };
        DeadLetter { id: entry.id, job, unreadable, reason, at }
    }
}

/// A field of an entry; nothing when it does not have it.
fn bytes(entry: &mut StreamId, field: &str) -> Vec<u8> {
    match entry.map.remove(field) {
        Some(Value::BulkString(bytes)) => bytes,
        Some(Value::SimpleString(text)) => text.into_bytes(),
        Some(Value::Int(number)) => number.to_string().into_bytes(),
        _ => Vec::new(),
    }
}

/// Whether what a server says of itself (`INFO`) is good enough.
fn fits(said: &str) -> Result<(), QueueError> {
    let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let version = value("redis_version").unwrap_or("a version that is not said");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        return Err(QueueError::TooOld(version.to_owned()));
    }
    match value("maxmemory_policy") {
        Some("noeviction") => Ok(()),
        other => Err(QueueError::Evicts(other.unwrap_or("no policy").to_owned())),
    }
}

#[async_trait]
impl Queue for RedisQueue {
    async fn push(&self, group: Group, jobs: Vec<Job>) -> Result<(), QueueError> {
        for batch in jobs.chunks(BATCH) {
            let mut arguments = Vec::with_capacity(batch.len() * 4);
            for job in batch {
                let due = wire::due(job.not_before);
                arguments.extend([job.pointer.to_string(), wire::write(job), due, job.pushed_at.to_string()]);
            }
            let () = self.run(&self.scripts.push, group, &arguments).await?;
        }
        Ok(())
    }

    async fn pop(&self, group: Group, consumer: &str, most: usize, wait: Duration) -> Result<Vec<Leased>, QueueError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now()).min(SLICE);
            let arguments = [consumer.to_owned(), most.min(BATCH).to_string(), left.as_millis().to_string()];
            let (found, next): (Vec<Vec<u8>>, i64) = self.run(&self.scripts.pop, group, &arguments).await?;
            let found = found.chunks_exact(2).map(|pair| (text(&pair[0]), pair[1].clone(), 0));
            let leased = self.leased(group, consumer, found).await?;
            if !leased.is_empty() || left.is_zero() {
                return Ok(leased);
            }
            let time = u64::try_from(next).map_or(left, |next| left.min(Duration::from_millis(next)));
            if let Some((id, job)) = self.wait_for_one(group, consumer, time).await? {
                let leased = self.leased(group, consumer, [(id, job, 0)]).await?;
                if !leased.is_empty() {
                    return Ok(leased);
                }
            }
        }
    }

    async fn claim(&self, group: Group, consumer: &str, most: usize) -> Result<Vec<Leased>, QueueError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let arguments = [consumer.to_owned(), most.min(BATCH).to_string(), self.rules.lease.as_millis().to_string()];
        let found: Vec<Value> = self.run(&self.scripts.claim, group, &arguments).await?;
        let found = found.chunks_exact(3).map(|part| match part {
            [Value::BulkString(id), Value::BulkString(job), Value::Int(lost)] => {
                (text(id), job.clone(), u32::try_from(*lost).unwrap_or(0))
            }
            _ => (String::new(), Vec::new(), 0),
        });
        self.leased(group, consumer, found).await
    }

    async fn extend(&self, group: Group, leased: &[Leased]) -> Result<Vec<bool>, QueueError> {
        let mut kept = Vec::with_capacity(leased.len());
        // Those of one consumer that stand together are one call.
        for same in leased.chunk_by(|one, next| one.consumer == next.consumer) {
            for batch in same.chunks(BATCH) {
                let arguments: Vec<&str> = std::iter::once(batch[0].consumer.as_str())
                    .chain(batch.iter().map(|leased| leased.id.as_str()))
                    .collect();
                let answer: Vec<i64> = self.run(&self.scripts.extend, group, &arguments).await?;
                kept.extend(answer.into_iter().map(|kept| kept == 1));
            }
        }
        Ok(kept)
    }

    async fn ack(&self, group: Group, leased: &[Leased]) -> Result<(), QueueError> {
        for batch in leased.chunks(BATCH) {
            let ids: Vec<&str> = batch.iter().map(|leased| leased.id.as_str()).collect();
            let () = self.run(&self.scripts.ack, group, &ids).await?;
        }
        Ok(())
    }

    async fn release(&self, group: Group, leased: &[Leased], back: Back) -> Result<(), QueueError> {
        let reason = match &back {
            Back::HandedOver => None,
            Back::Failed { reason, .. } => Some(reason),
        };
        let (mut again, mut dead) = (Vec::new(), Vec::new());
        for leased in leased {
            let job = leased.job.again(&back);
            match reason {
                Some(reason) if job.attempt >= self.rules.attempts => {
                    dead.push((leased.id.clone(), wire::write(&job), reason.clone()));
                }
                _ => again.push((&leased.id, job)),
            }
        }
        for batch in again.chunks(BATCH) {
            let mut arguments = Vec::with_capacity(batch.len() * 5);
            for (id, job) in batch {
                let due = wire::due(job.not_before);
                let pushed_at = job.pushed_at.to_string();
                arguments.extend([(*id).clone(), job.pointer.to_string(), wire::write(job), due, pushed_at]);
            }
            let () = self.run(&self.scripts.release, group, &arguments).await?;
        }
        self.bury(group, dead).await
    }

    async fn dead(&self, group: Group, leased: &[Leased], reason: &str) -> Result<(), QueueError> {
        let dead = leased.iter().map(|leased| (leased.id.clone(), wire::write(&leased.job), reason.to_owned()));
        self.bury(group, dead.collect()).await
    }

    async fn depth(&self, group: Group) -> Result<Depth, QueueError> {
        let (ready, delayed, leased, dead, oldest): (u64, u64, u64, u64, f64) =
            self.run(&self.scripts.depth, group, &[] as &[&str]).await?;
        Ok(Depth { ready, delayed, leased, dead, oldest: (oldest >= 0.0).then_some(oldest as Millis) })
    }

    async fn dead_letters(
        &self,
        group: Group,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        let mut range = cmd("XRANGE");
        range.arg(self.keys[group as usize].dead());
        range.arg(after.map_or_else(|| "-".to_owned(), |after| format!("({after}")));
        range.arg("+").arg("COUNT").arg(limit);
        let found: StreamRangeReply = self.link.call(&range).await?;
        Ok(found.ids.into_iter().map(Self::letter).collect())
    }

    async fn retry_dead(&self, group: Group, ids: &[String], at: Millis) -> Result<usize, QueueError> {
        let mut arguments = Vec::new();
        for id in ids {
            let mut range = cmd("XRANGE");
            range.arg(self.keys[group as usize].dead()).arg(id).arg(id);
            let found: StreamRangeReply = self.link.call(&range).await?;
            for letter in found.ids.into_iter().map(Self::letter) {
                let Some(job) = letter.job else { continue };
                let job = Job { attempt: 0, not_before: None, pushed_at: at, ..job };
                arguments.extend([letter.id, job.pointer.to_string(), wire::write(&job), at.to_string()]);
            }
        }
        let mut count = 0;
        for batch in arguments.chunks(4 * BATCH) {
            count += self.run::<usize>(&self.scripts.retry, group, batch).await?;
        }
        Ok(count)
    }

    async fn drop_dead(&self, group: Group, ids: &[String]) -> Result<usize, QueueError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let mut delete = cmd("XDEL");
        delete.arg(self.keys[group as usize].dead()).arg(ids);
        self.link.call(&delete).await
    }

    async fn generation(&self, group: Group) -> Result<String, QueueError> {
        self.run(&self.scripts.generation, group, &[format!("{:032x}", rand::random::<u128>())]).await
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_would_throw_jobs_away_or_is_old_is_refused() {
        let said = |version, policy| format!("# Server\r\nredis_version:{version}\r\nmaxmemory_policy:{policy}\r\n");
        assert_eq!(fits(&said("7.0.15", "noeviction")), Ok(()));
        assert_eq!(fits(&said("6.2.7", "noeviction")), Err(QueueError::TooOld("6.2.7".into())));
        assert_eq!(fits(&said("8.1", "allkeys-lru")), Err(QueueError::Evicts("allkeys-lru".into())));
    }
}
