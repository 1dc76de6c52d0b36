//! The queue between processes: where it is, and how it is reached.

use std::sync::Arc;

use async_trait::async_trait;
use liteagent_engine::{
    codes, engine,
    queue::{Group, Paces, Queue, Rates, Roster, Wakes},
};
use liteagent_queue::{RedisAddress, RedisOptions, RedisPaces, RedisQueue, RedisRates, RedisRoster, RedisWakes};
use liteagent_server::{Dependency, Fleet};

use crate::{config::setting, failure::Failure};

/// The variables that may say where it is. The first that is set counts.
const VARIABLES: [&str; 3] = ["QUEUE_REDIS_URL", "CELERY_BROKER_URL", "REDIS_URL"];

/// Where the queue is; `None` where everything is done in one process.
///
/// # Errors
/// When an address cannot be read.
pub(crate) fn address() -> Result<Option<RedisAddress>, Failure> {
    let Some((name, url)) = VARIABLES.iter().find_map(|name| Some((name, setting(name)?))) else { return Ok(None) };
    let read = url.parse::<RedisAddress>();
    let address =
        read.map_err(|error| Failure::usage(error.code(), format!("`{name}`: {error}")).hint(error.hint()))?;
    Ok(Some(address))
}

/// The queue between processes.
#[derive(Clone)]
pub(crate) struct Between {
    /// Where work waits.
    pub(crate) queue: Arc<dyn Queue>,
    /// Tells the others at once that something happened.
    wakes: Arc<dyn Wakes>,
    /// Who works.
    pub(crate) roster: Arc<dyn Roster>,
    rates: Arc<dyn Rates>,
    paces: Arc<dyn Paces>,
}

/// The others, as a platform needs them.
pub(crate) struct Others {
    /// For its engine.
    pub(crate) fleet: engine::Fleet,
    /// For its models.
    pub(crate) paces: Arc<dyn Paces>,
}

impl Between {
    /// Connects; `None` where no queue is named.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(crate) async fn connect() -> Result<Option<Self>, Failure> {
        let Some(address) = address()? else { return Ok(None) };
        let options = RedisOptions::new(address);
        Ok(Some(Self {
            wakes: Arc::new(RedisWakes::new(&options)?),
            roster: Arc::new(RedisRoster::new(&options)?),
            rates: Arc::new(RedisRates::new(&options)?),
            paces: Arc::new(RedisPaces::new(&options)?),
            queue: Arc::new(RedisQueue::connect(options).await?),
        }))
    }

    /// The same for who can do nothing without.
    pub(crate) async fn needed(who: &str) -> Result<Self, Failure> {
        Self::connect().await?.ok_or_else(|| {
            let message = format!("{who} needs the queue between processes, and no address of one is set");
            Failure::usage(codes::NO_QUEUE, message)
                .hint("set `REDIS_URL`, such as `redis://localhost:6379`; on one machine `liteagent serve` needs none")
        })
    }

    /// As a process has it that does the work of these groups.
    pub(crate) fn others(&self, serves: impl IntoIterator<Item = Group>) -> Others {
        let (queue, wakes, serves) = (self.queue.clone(), self.wakes.clone(), serves.into_iter().collect());
        Others { fleet: engine::Fleet { queue, wakes, serves }, paces: self.paces.clone() }
    }

    /// As the server shows it.
    pub(crate) fn shown(&self) -> Fleet {
        Fleet { queue: self.queue.clone(), roster: self.roster.clone(), rates: self.rates.clone() }
    }
}

#[async_trait]
impl Dependency for Between {
    fn name(&self) -> &'static str {
        "queue"
    }

    async fn check(&self) -> Result<(), String> {
        self.queue.depth(Group::Workflow).await.map(drop).map_err(|error| error.to_string())
    }
}
