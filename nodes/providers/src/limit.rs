//! Who may call a provider now: one limiter for each key.
//!
//! A limiter keeps to what is configured, to what the provider says in its headers, and to what it learns from refusals.
//! [`Memory`] serves one process; with [`Shared`] several keep to the limits of a key together.

use std::time::Duration;

use async_trait::async_trait;
use liteagent_engine::{id::RunId, units::Millis};

pub(crate) use self::told::wait;
pub use self::{
    memory::Memory,
    shared::Shared,
    told::{Left, Told},
};

mod memory;
mod pace;
mod queue;
mod shared;
mod state;
mod told;

/// Lets calls of one key pass.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Waits until the call may be sent. Runs take turns; a call that was refused before goes first. Dropping the future
    /// gives the place up.
    ///
    /// # Errors
    /// When the wait would be longer than the call has patience for.
    async fn enter(&self, call: Call) -> Result<Box<dyn Ticket>, Busy>;
}

/// A call that is about to be sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// Whose it is.
    pub run: Option<RunId>,
    /// How many tokens it may use, question and answer together: an estimate.
    pub tokens: u64,
    /// Until when it waits; `None` for as long as it takes.
    pub until: Option<Millis>,
    /// Whether the provider refused it before.
    pub again: bool,
}

/// The right to one call. What is not said when it is dropped counts as the estimate.
pub trait Ticket: Send {
    /// The provider took the call: the head of its answer is there.
    fn taken(&mut self, told: &Told);
    /// The provider asks to slow down. Returns when the next call may be sent.
    fn refused(self: Box<Self>, wait: Option<Duration>, told: &Told) -> Millis;
    /// The call failed otherwise, and used nothing.
    fn failed(self: Box<Self>);
    /// The call is over, and used this many tokens.
    fn ended(self: Box<Self>, tokens: u64);
}

/// The provider cannot be called for so long that it is not worth waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// How long the wait is at least, where that is known.
    pub wait: Option<Duration>,
}
