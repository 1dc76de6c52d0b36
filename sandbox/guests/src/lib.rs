//! Builds the guests of the sandbox: the WebAssembly modules of QuickJS and CPython.
//!
//! # Layout
//! - [`python`]: CPython with its standard library and some packages, from wheels, into the cache of this machine;
//! - [`javascript`]: QuickJS, from its C sources, into this repository;
//! - `fuse`: makes one module of the many that componentize-py links dynamically;
//! - `snapshot`: starts a module and keeps what its memory then holds.

mod fuse;
pub mod javascript;
pub mod python;
mod snapshot;
mod tools;

use std::{error::Error as StdError, path::Path};

/// Why a guest cannot be built.
pub type Error = Box<dyn StdError + Send + Sync>;
type Result<T, E = Error> = std::result::Result<T, E>;

/// The folder of the sources of the guests.
fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
