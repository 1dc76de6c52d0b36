//! Node types that run code of authors.

use std::sync::LazyLock;

use liteagent_engine::{capability::Modules, node::Registry};
use liteagent_sandbox_protocol::PYTHON_MODULES;

mod check;
#[expect(clippy::module_inception, reason = "the family has one node type, and it is called as the family is")]
pub mod code;
mod sandboxed;
mod size;

pub use sandboxed::Sandboxed;

/// What Python in the sandbox can import as it is built. [`Modules::with`] adds packages of an installation.
pub fn python_modules() -> Modules {
    static MODULES: LazyLock<Modules> = LazyLock::new(|| Modules::parse(PYTHON_MODULES));
    MODULES.clone()
}

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry.with::<code::Code>()
}
