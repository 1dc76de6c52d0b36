//! Queued work: the queue on Redis, and workers that take from a queue.
//!
//! # Layout
//! * [`RedisAddress`], [`RedisOptions`]: where Redis is: one server, behind Sentinel, or a Cluster
//! * [`RedisQueue`]: the queue; `redis/scripts/` has what happens in Redis, in one step each
//! * [`RedisWakes`]: wake-ups by publish and subscribe
//! * [`RedisRoster`]: which workers are there; [`RedisRates`]: rates that processes count together; [`RedisPaces`]: paces of
//!   calls to somebody else that they keep to together
//! * `redis/link.rs`: connections: deadlines, reconnecting, which errors pass by themselves
//! * [`Intake`]: takes jobs for a worker: pops no more than it may hold, extends leases, claims what others lost
//! * [`IntakeBackend`]: an intake as a backend of `apalis` workers
//! * `testing`: with the feature of this name, Redis servers as child processes
//!
//! # Example
//! ```no_run
//! use std::time::Duration;
//!
//! use liteagent_engine::{id::RunId, queue::{Group, Job, Pointer, Queue}};
//! use liteagent_queue::{RedisOptions, RedisQueue};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = RedisOptions::new("redis+sentinel://10.0.0.1,10.0.0.2,10.0.0.3/main".parse()?);
//! let queue = RedisQueue::connect(options).await?;
//! queue.push(Group::Workflow, vec![Job::new(Pointer::Run(RunId::random()), 0)]).await?;
//! let leased = queue.pop(Group::Workflow, "worker 1", 16, Duration::from_secs(1)).await?;
//! queue.ack(Group::Workflow, &leased).await?;
//! # Ok(())
//! # }
//! ```

pub use self::{
    intake::{Intake, IntakeOptions, Settle},
    redis::{RedisAddress, RedisMode, RedisOptions, RedisPaces, RedisQueue, RedisRates, RedisRoster, RedisWakes},
    worker::{IntakeBackend, SettleLayer, SettleService, TryAgain},
};

mod intake;
mod redis;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;
