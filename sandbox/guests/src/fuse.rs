//! Fuses a component of many core modules into one core module.
//!
//! componentize-py links CPython dynamically: a component instantiates thirteen core modules, fills their tables at each
//! instantiation, and calls across them through tables and globals. All of that is known once the snapshot is taken. Here
//! the modules become one: calls are direct, globals that nothing writes become constants, functions that nothing reaches
//! go, and the tables are known before the program runs. The component's own layer goes too: what it imported
//! from WASI becomes plain imports `INTERFACE` `FUNCTION` in the canonical ABI, and each exported function stands beside its
//! `NAME:realloc` and `NAME:post-return`. Where the host gives a list, `INTERFACE FUNCTION:realloc` allocates memory for it.

mod emit;
mod graph;
mod image;
mod link;
mod module;

use crate::{Error, Result};

/// Fuses the core modules of a component.
///
/// # Errors
/// When the component has something that a snapshot of componentize-py does not have: the message names it.
pub(crate) fn fuse(component: &[u8]) -> Result<Vec<u8>> {
    let graph = graph::Graph::parse(component)?;
    let resolver = link::Resolver::new(&graph);
    let exports = resolver.exports()?;
    let reached = link::Reached::from(&resolver, &exports)?;
    emit::emit(&resolver, &reached, &exports)
}
