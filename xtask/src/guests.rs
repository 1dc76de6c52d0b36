//! `guests`: the interpreters of the sandbox, ready to run.

use liteagent_guests as guests;
use liteagent_sandbox::{Config, Sandbox, protocol::Language};

/// Builds what is missing, and compiles it for this machine.
#[expect(clippy::disallowed_methods, reason = "a development tool reads the environment")]
pub(crate) fn build(javascript: bool) -> Result<String, String> {
    let config = Config { progress: crate::print, ..Config::of_cache(|name| std::env::var(name).ok()) };
    let folder = config.guests.clone();
    if javascript {
        let built = guests::javascript::build(&folder.join("build-javascript")).map_err(|error| error.to_string())?;
        crate::print(&format!("built {}; build again, so that it is part of the program", built.display()));
    }
    guests::python::build(&folder, crate::print).map_err(|error| {
        format!("the Python guest: {error}{}", error.hint.as_ref().map_or_else(String::new, |hint| format!("\n{hint}")))
    })?;

    let sandbox = Sandbox::new(config).map_err(|fault| fault.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    for language in Language::ALL {
        runtime.block_on(sandbox.prepare(language)).map_err(|fault| fault.to_string())?;
    }
    Ok(format!("guests: ready in {}", folder.display()))
}
