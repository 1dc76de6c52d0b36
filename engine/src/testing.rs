//! Helpers for tests: nodes without an engine, fakes of what is outside, a clock that stands still, stores that fail
//! when told to, and what every store must do. Only with the feature `testing`.

pub use self::{
    faults::{Fault, FaultyStore},
    fuzz::{fuzz, mutated},
    http::FakeHttp,
    knowledge::FakeKnowledge,
    models::FakeModels,
    node::{NodeTest, TestNode, outcome_value},
};
pub use crate::time::VirtualClock;

pub mod conformance;
mod faults;
pub mod fuzz;
mod http;
pub mod journal;
mod knowledge;
mod models;
mod node;
mod outside;
