//! Rates that several processes count together.

use std::{num::NonZeroU32, time::Duration};

use async_trait::async_trait;

use crate::queue::QueueError;

/// What is left of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// It was counted; so many more may follow at once.
    Counted {
        /// So many.
        left: u32,
    },
    /// It was too many, and was not counted; the next one may come after so long.
    Exceeded {
        /// So long.
        wait: Duration,
    },
}

/// Counts against rates by GCRA: so many a minute, as many at once, and then one as soon as there is room for it.
#[async_trait]
pub trait Rates: Send + Sync {
    /// Counts one under a key.
    async fn spend(&self, key: &str, per_minute: NonZeroU32) -> Result<Rate, QueueError>;
}
