//! The sandbox over HTTP.
//!
//! Two dialects of one service, on one port: the native one, typed, and that of Dify's sandbox, so that an installation of
//! Dify can be pointed here. Metrics are served on a listener of their own.
//!
//! # Layout
//! - [`Service`]: the runner with its key, its limits and its metrics; [`serve`] listens until it is told to stop;
//! - [`ApiKey`]: which keys are good enough, and whether a caller has it;
//! - `native`: `POST /v1/run`;
//! - `dify`: `/v1/sandbox/*`;
//! - `body`, `problem`: how requests are read, and what is said of those that cannot be;
//! - `metrics`: what is counted.

mod body;
mod dify;
mod key;
mod metrics;
mod native;
mod problem;
mod serve;
mod service;

pub use key::{ApiKey, KeyRefused};
pub use serve::{Ended, Listeners, serve};
pub use service::{Service, Settings};
