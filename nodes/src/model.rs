//! Node types around language models: what models call.

use liteagent_engine::node::Registry;

pub mod tool;
pub mod tool_calls;
pub mod tools;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry.with::<tool::Tool>().with::<tool_calls::ToolCalls>()
}
