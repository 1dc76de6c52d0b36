//! Node types that ask language models, and that make the calls of tools that models ask for.

use liteagent_engine::node::Registry;

pub(crate) use self::{
    ask::{Question, ask},
    structured::Returns,
};

mod ask;
mod choice;
pub mod llm;
pub mod parameter_extractor;
pub mod question_classifier;
mod react;
mod structured;
pub mod tool;
pub mod tool_calls;
pub mod tools;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry
        .with::<llm::Llm>()
        .with::<question_classifier::QuestionClassifier>()
        .with::<parameter_extractor::ParameterExtractor>()
        .with::<tool::Tool>()
        .with::<tool_calls::ToolCalls>()
}
