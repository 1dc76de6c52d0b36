//! The node types of LiteAgent: one file per type, one folder per family.
//!
//! # Layout
//! - [`flow`]: branches, containers, waits, ends; [`data`]: shaping values; [`io`]: the outside world;
//!   [`model`]: language models and what they call; [`retrieval`]: documents and knowledge bases; [`code`]: code of authors.
//! - [`condition`]: comparisons as imported files have them.
//! - [`mcp`]: a client of MCP servers.
//! - [`docs`]: the page of a node type, made from its schema and examples.

use liteagent_engine::{
    composite::CompositeDef,
    node::{Known, Registry},
    source,
};

pub mod code;
mod compare;
pub mod condition;
pub mod data;
pub mod docs;
mod each;
pub mod egress;
pub mod flow;
pub mod io;
mod list;
pub mod mcp;
pub mod model;
mod passages;
mod port;
pub mod retrieval;

/// Every node type of this crate, those that the library makes of them, and what is known of the sandbox as it is built.
///
/// # Panics
/// When a composite of the library is wrong: a fault that any test finds.
pub fn registry() -> Registry {
    let registry = Registry::default().knowing(Known { python: code::python_modules(), ..Known::default() });
    let all =
        code::register(model::register(retrieval::register(io::register(data::register(flow::register(registry))))));
    liteagent_definitions::composites().fold(all, |registry, (name, yaml)| {
        let (document, findings) = source::parse(&format!("composites/{name}.yaml"), yaml.to_owned());
        let document = document.unwrap_or_else(|| panic!("`{name}` is no YAML: {findings:?}"));
        let def: CompositeDef =
            serde_json::from_value(document.value).unwrap_or_else(|error| panic!("`{name}`: {error}"));
        registry.with_composite(def).unwrap_or_else(|findings| panic!("`{name}`: {findings:?}"))
    })
}
