//! Node types that steer a run: branches, containers, waits, ends.

use liteagent_engine::node::Registry;

pub mod answer;
pub mod fail;
pub mod human_input;
pub mod if_else;
pub mod iteration;
pub mod r#loop;
pub mod switch;
pub mod wait;
pub mod workflow;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry
        .with::<if_else::IfElse>()
        .with::<switch::Switch>()
        .with::<iteration::Iteration>()
        .with::<r#loop::Loop>()
        .with::<workflow::Workflow>()
        .with::<human_input::HumanInput>()
        .with::<wait::Wait>()
        .with::<fail::Fail>()
        .with::<answer::Answer>()
}
