//! An [`Intake`] as a backend of `apalis` workers: they call handlers with jobs, side by side, and stop with grace.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    error::BoxDynError,
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use futures::future::BoxFuture;
use liteagent_engine::{
    queue::{Back, Job, Leased},
    time::{Clock, SystemClock},
    units,
};
use tokio::task::JoinHandle;
use tower_layer::Layer;
use tower_service::Service;

use crate::intake::{Intake, IntakeOptions, Settle};

/// After so long a job that failed is tried again for the first time; twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(5);

/// The jobs of an [`Intake`] for an `apalis` worker.
///
/// A handler that returns `Ok` has done its job; on an error it is tried again after a while, until it is a dead letter.
/// [`TryAgain`] says when. A handler that panics has failed. Handlers run as tasks of their own, on every core.
///
/// A worker that is told to stop first lets its handlers end and only then tells its backend, so call [`Settle::close`] with
/// it: else the backend goes on to take jobs which nobody begins.
pub struct IntakeBackend {
    options: IntakeOptions,
    settle: Settle,
    intake: State,
}

enum State {
    Open(Intake),
    Closing(BoxFuture<'static, ()>),
    Closed,
}

/// A failure that says when to try again.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct TryAgain {
    /// After how long.
    pub after: Duration,
    /// Why, for the dead letter.
    pub reason: String,
}

impl IntakeBackend {
    /// The jobs of an intake with these options.
    pub fn new(intake: Intake, options: IntakeOptions) -> Self {
        Self { options, settle: intake.settle(), intake: State::Open(intake) }
    }
}

impl Backend for IntakeBackend {
    type Task = Task<Job>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Job>, Infallible>>> {
        let State::Open(intake) = &mut self.intake else { return Poll::Ready(None) };
        let leased = ready!(intake.poll_next(context));
        Poll::Ready(leased.map(|leased| {
            let task = TaskBuilder::new(leased.job.clone())
                .task_id(TaskId::from_string(leased.id.clone()))
                .attempt(leased.job.attempt as usize);
            Ok(task.data(leased).build())
        }))
    }

    fn poll_close(&mut self, context: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        loop {
            match std::mem::replace(&mut self.intake, State::Closed) {
                State::Open(intake) => self.intake = State::Closing(Box::pin(intake.stop())),
                State::Closing(mut stop) => {
                    if stop.as_mut().poll(context).is_pending() {
                        self.intake = State::Closing(stop);
                        return Poll::Pending;
                    }
                }
                State::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl BackendConfig for IntakeBackend {
    type Args = Job;
    type Id = String;
    type Kind = Ephemeral;
    type Config = IntakeOptions;
    type Layer = SettleLayer;

    fn config(&self) -> &IntakeOptions {
        &self.options
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> SettleLayer {
        SettleLayer { settle: self.settle.clone() }
    }
}

/// Tells an intake how handlers ended.
#[derive(Clone)]
pub struct SettleLayer {
    settle: Settle,
}

impl<S> Layer<S> for SettleLayer {
    type Service = SettleService<S>;

    fn layer(&self, inner: S) -> SettleService<S> {
        SettleService { inner, settle: self.settle.clone() }
    }
}

/// A handler whose end is told to an intake.
#[derive(Clone)]
pub struct SettleService<S> {
    inner: S,
    settle: Settle,
}

impl<S> Service<Task<Job>> for SettleService<S>
where
    S: Service<Task<Job>>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Into<BoxDynError>,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Job>) -> Self::Future {
        let settle = self.settle.clone();
        let leased = task.ctx().data().get::<Leased>().cloned();
        let handler = self.inner.call(task);
        let spawned = Spawned(tokio::spawn(async move { handler.await.map(drop).map_err(Into::into) }));
        Box::pin(async move {
            let ended: Result<(), BoxDynError> = spawned.await;
            if let Some(leased) = leased {
                match &ended {
                    Ok(()) => settle.done(leased),
                    Err(error) => {
                        let back = back_after(error, leased.job.attempt);
                        settle.back(leased, back);
                    }
                }
            }
            ended
        })
    }
}

/// When a job comes again whose handler failed.
fn back_after(error: &BoxDynError, attempt: u32) -> Back {
    let after = match error.downcast_ref::<TryAgain>() {
        Some(again) => again.after,
        None => FIRST_RETRY.saturating_mul(2_u32.saturating_pow(attempt)).min(LONGEST_RETRY),
    };
    let not_before = SystemClock.now().saturating_add(units::Duration(after).millis());
    Back::Failed { not_before: Some(not_before), reason: error.to_string() }
}

/// A handler on its own task, which ends with who waits for it.
struct Spawned(JoinHandle<Result<(), BoxDynError>>);

impl Future for Spawned {
    type Output = Result<(), BoxDynError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(ended.unwrap_or_else(|error| Err(format!("a handler did not end: {error}").into())))
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.0.abort();
    }
}
