//! The node types of LiteAgent: one file per type, one folder per family.

use liteagent_engine::node::Registry;

pub mod data;
pub mod egress;
pub mod flow;
pub mod io;

/// Every node type of this crate.
pub fn registry() -> Registry {
    io::register(data::register(flow::register(Registry::default())))
}
