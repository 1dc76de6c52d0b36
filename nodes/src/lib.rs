//! The node types of LiteAgent: one file per type, one folder per family.
//!
//! # Layout
//! - [`flow`]: branches, containers, waits, ends; [`data`]: shaping values; [`io`]: the outside world;
//!   [`model`]: language models.
//! - [`condition`]: comparisons as imported files have them.
//! - [`docs`]: the page of a node type, made from its schema and examples.

use liteagent_engine::node::Registry;

mod compare;
pub mod condition;
pub mod data;
pub mod docs;
mod each;
pub mod egress;
pub mod flow;
pub mod io;
mod list;
pub mod model;
mod port;

/// Every node type of this crate.
pub fn registry() -> Registry {
    model::register(io::register(data::register(flow::register(Registry::default()))))
}
