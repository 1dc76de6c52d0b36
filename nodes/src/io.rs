//! Node types that reach outside: HTTP, files, state between runs.

use liteagent_engine::node::Registry;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry
}
