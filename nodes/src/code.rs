//! Node types that run code of authors.

use liteagent_engine::node::Registry;

#[expect(clippy::module_inception, reason = "the family has one node type, and it is called as the family is")]
pub mod code;
mod sandboxed;
mod size;

pub use sandboxed::Sandboxed;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry.with::<code::Code>()
}
