//! Helpers for tests: nodes without an engine, fakes of what is outside. Only with the feature `testing`.

pub use self::{
    http::FakeHttp,
    node::{NodeTest, TestNode, outcome_value},
};

mod http;
mod node;
