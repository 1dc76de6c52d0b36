//! Builds the guests of the sandbox: the WebAssembly modules of QuickJS and CPython.
//!
//! What the Python guest is made of is part of this crate: a program that uses it needs no repository, only `python3`.
//!
//! # Layout
//! - [`python`]: CPython with its standard library and some packages, from wheels, into the cache of this machine;
//! - [`packages`]: more packages for it, which a project wants and locks;
//! - `pip`: finds, checks and keeps wheels;
//! - [`javascript`]: QuickJS, from its C sources, into the repository;
//! - `fuse`: makes one module of the many that componentize-py links dynamically;
//! - `snapshot`: starts a module and keeps what its memory then holds.

mod error;
mod fuse;
pub mod javascript;
pub mod packages;
mod pip;
pub mod python;
mod snapshot;
mod tools;

use std::error::Error as StdError;

pub use error::{BuildError, Kind};

/// What a tool or a file says when it fails.
pub type Error = Box<dyn StdError + Send + Sync>;
type Result<T, E = Error> = std::result::Result<T, E>;
