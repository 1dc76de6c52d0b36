//! Paces of calls to somebody else that several processes keep to together.

use std::{num::NonZeroU32, time::Duration};

use async_trait::async_trait;

use crate::queue::QueueError;

/// How much a minute; `None` is any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// So many calls.
    pub calls: Option<NonZeroU32>,
    /// So many tokens.
    pub tokens: Option<NonZeroU32>,
}

impl Pace {
    /// What may be used at once, in milliseconds of the pace: with it, no minute sees more than 1.15 of its limit.
    pub const BURST: u64 = 9_000;
}

/// Whether a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It may, and was counted.
    Now,
    /// By the pace of all, it may in so long. It was not counted.
    In(Duration),
    /// The account is left alone for so long. It was not counted.
    Paused(Duration),
}

/// Keeps to paces, and leaves accounts alone that want it: an account is whoever is called, with the key that is used there.
#[async_trait]
pub trait Paces: Send + Sync {
    /// Takes one call and its tokens from the pace of an account. A call that is larger than all that may be used at once
    /// passes when that is there.
    async fn take(&self, account: &str, pace: Pace, tokens: u64) -> Result<Taken, QueueError>;

    /// Takes tokens that a call used beyond what was taken for it, or gives back what it did not use.
    async fn settle(&self, account: &str, pace: Pace, tokens: i64) -> Result<(), QueueError>;

    /// Lets nobody take anything for so long, or longer, when that was said before.
    async fn pause(&self, account: &str, wait: Duration) -> Result<(), QueueError>;
}
