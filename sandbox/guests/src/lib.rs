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

use std::{
    error::Error as StdError,
    path::{Path, PathBuf},
};

/// Why a guest cannot be built.
pub type Error = Box<dyn StdError + Send + Sync>;
type Result<T, E = Error> = std::result::Result<T, E>;

/// The folder of the built guests: `guests` in `$LITEAGENT_CACHE`, by default `~/.cache/liteagent`.
#[expect(clippy::disallowed_methods, reason = "a development tool, and tests, look where make puts the guests")]
pub fn folder() -> PathBuf {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("LITEAGENT_CACHE").unwrap_or_else(|| {
        let caches = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        caches.unwrap_or_else(|| PathBuf::from("/tmp")).join("liteagent")
    });
    cache.join("guests")
}

/// The folder of the sources of the guests.
fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
