//! Node types that steer a run: branches, containers, waits, ends.

use liteagent_engine::node::Registry;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry
}
