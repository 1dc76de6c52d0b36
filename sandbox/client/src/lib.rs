//! Runs code elsewhere than in this process.
//!
//! # Layout
//! - [`Children`]: child processes of this program, which have nothing: no environment, no file, no network;
//! - [`child`]: what such a process does;
//! - [`Remote`]: a service, by HTTP; [`Pool`]: several;
//! - `wire`: what parent and child say to each other.

pub mod child;
mod children;
mod pool;
mod remote;
mod wire;

pub use children::{Children, Program};
pub use pool::Pool;
pub use remote::{EndpointRefused, Remote};
pub use wire::Locked;

/// From this size on, reading or writing JSON is too much work for a thread that others wait for.
const HEAVY: usize = 256 * 1024;

/// Works on `size` bytes: here when they are few, else on a thread of its own.
async fn work<T: Send + 'static>(size: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if size < HEAVY {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
