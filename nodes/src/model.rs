//! Node types that ask language models.

use liteagent_engine::node::Registry;

mod ask;
mod choice;
pub mod llm;
pub mod parameter_extractor;
pub mod question_classifier;
mod structured;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry
        .with::<llm::Llm>()
        .with::<question_classifier::QuestionClassifier>()
        .with::<parameter_extractor::ParameterExtractor>()
}
