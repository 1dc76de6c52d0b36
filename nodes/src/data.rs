//! Node types that shape values.

use liteagent_engine::node::Registry;

pub mod template_transform;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry.with::<template_transform::TemplateTransform>()
}
