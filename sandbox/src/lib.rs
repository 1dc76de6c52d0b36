//! Runs untrusted Python and JavaScript, each call in a fresh WebAssembly instance.
//!
//! An interpreter (CPython or QuickJS, compiled to WebAssembly) was started once and snapshotted. A call gets its own copy of
//! that snapshot, by copy on write, runs, and is thrown away: nothing of one call can reach another. The instance sees
//! memory, a clock of one millisecond, random numbers, and two streams to print on; there is no file, socket, environment,
//! process or thread to reach.
//!
//! # Layout
//! - [`Sandbox`]: admits calls and runs them;
//! - [`Config`] and [`Bounds`]: how many at once, and what each may use;
//! - [`packages`]: what Python has beside its standard library;
//! - `runner`: a sandbox as one of the ways to run code;
//! - `guest`: an interpreter that is ready to be instantiated; `image`: its compiled form on disk;
//! - `host`: everything that an instance can call;
//! - `meter`: wall and CPU time;
//! - `outcome`: what a guest said, as a reply.

mod config;
mod guest;
mod host;
mod image;
mod meter;
mod outcome;
mod packages;
mod runner;
mod sandbox;
mod text;
mod ticker;

pub use config::{Bounds, Config};
pub use liteagent_sandbox_protocol as protocol;
pub use packages::packages;
pub use sandbox::Sandbox;
