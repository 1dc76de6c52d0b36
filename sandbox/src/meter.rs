//! Wall and CPU time of a call.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use liteagent_sandbox_protocol::Limit;
use rustix::time::{ClockId, clock_gettime};
use tokio::{runtime::Handle, time::Sleep};

/// A future that is stopped when it takes too long. The instance behind it yields at each slice, so each poll is short.
pub(crate) struct Metered<F> {
    future: Pin<Box<F>>,
    /// Timers of the guest and of this belong to the sandbox's own runtime, whoever polls.
    runtime: Handle,
    started: Instant,
    wall: Duration,
    cpu: Duration,
    used: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// The times that a call took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl<F> Metered<F> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the time of a call is a limit and a figure, not a decision of a run"
    )]
    pub(crate) fn new(future: F, runtime: Handle, wall: Duration, cpu: Duration) -> Self {
        let started = Instant::now();
        Self { future: Box::pin(future), runtime, started, wall, cpu, used: Duration::ZERO, deadline: None }
    }

    fn times(&self) -> Times {
        Times { wall: self.started.elapsed(), cpu: self.used }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = (Result<F::Output, Limit>, Times);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let _entered = this.runtime.enter();
        let before = thread_time();
        let polled = this.future.as_mut().poll(context);
        this.used += thread_time().saturating_sub(before);
        if let Poll::Ready(output) = polled {
            return Poll::Ready((Ok(output), this.times()));
        }
        if this.used >= this.cpu {
            return Poll::Ready((Err(Limit::Cpu), this.times()));
        }
        let at = this.started + this.wall;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
        // A busy instance is polled again at once and may be polled sooner than the timer: the clock decides.
        if deadline.as_mut().poll(context).is_ready() || this.started.elapsed() >= this.wall {
            return Poll::Ready((Err(Limit::Wall), this.times()));
        }
        Poll::Pending
    }
}

/// The computing time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
