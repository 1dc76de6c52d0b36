//! The node types of LiteAgent: one file per type, one folder per family.
//!
//! # Layout
//! - [`flow`]: branches, containers, waits, ends; [`data`]: shaping values; [`io`]: the outside world;
//!   [`model`]: language models; [`code`]: code of authors.
//! - [`condition`]: comparisons as imported files have them.
//! - [`docs`]: the page of a node type, made from its schema and examples.

use liteagent_engine::node::{Known, Registry};

pub mod code;
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

/// Every node type of this crate, and what is known of the sandbox as it is built.
pub fn registry() -> Registry {
    let registry = flow::register(Registry::default().knowing(Known { python: code::python_modules() }));
    code::register(model::register(io::register(data::register(registry))))
}
