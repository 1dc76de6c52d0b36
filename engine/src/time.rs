//! Time: a clock that tests can hold, schedules, and the text form of moments.

use std::{future::Future, pin::Pin};

use chrono::{DateTime, SecondsFormat, Utc};

pub use self::{
    schedule::{Schedule, ScheduleError, jitter},
    virtual_clock::VirtualClock,
};
use crate::units::Millis;

mod schedule;
mod virtual_clock;

/// Where the shell reads the time. The core never does.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC.
    fn now(&self) -> Millis;
    /// Returns at `until`, at once when it has passed.
    fn sleep_until(&self, until: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Millis {
        Utc::now().timestamp_millis()
    }

    fn sleep_until(&self, until: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let wait = u64::try_from(until - self.now()).unwrap_or(0);
        Box::pin(tokio::time::sleep(std::time::Duration::from_millis(wait)))
    }
}

/// `2026-03-01T09:00:00.000Z`.
pub fn iso(at: Millis) -> String {
    DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
