//! Node types that shape values.

use liteagent_engine::node::Registry;

pub mod assigner;
pub mod json;
pub mod list_operator;
pub mod template_transform;
pub mod variable_aggregator;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry
        .with::<template_transform::TemplateTransform>()
        .with::<variable_aggregator::VariableAggregator>()
        .with::<assigner::Assigner>()
        .with::<list_operator::ListOperator>()
        .with::<json::Json>()
}
