//! The core of LiteAgent: the format, its checks, plans, runs, and the traits that stores and nodes implement.

pub mod bundle;
pub mod capability;
pub mod check;
pub mod codes;
pub mod composite;
pub mod definition;
pub mod diagnostic;
pub mod editor;
pub mod engine;
pub mod error;
pub mod event;
mod executor;
pub mod export;
pub mod graph;
pub mod id;
pub mod load;
pub mod node;
pub mod plan;
pub mod queue;
pub mod run;
pub mod scope;
pub mod shape;
pub mod source;
pub mod store;
pub mod stream;
pub mod suggest;
pub mod template;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod types;
pub mod units;
pub mod usage;
pub mod value;
pub mod view;
