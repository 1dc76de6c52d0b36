//! `sandbox-child`: a child process of the sandbox. It is started by this program, with a socket as its standard input.

use liteagent_engine::codes;
use liteagent_sandbox::{Config, Sandbox};
use liteagent_sandbox_client::child;

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

/// Runs code for the process that started it, without any other way out.
#[derive(clap::Args)]
pub(crate) struct SandboxChild {}

impl SandboxChild {
    #[expect(clippy::unused_self, reason = "every verb has the same form")]
    pub(crate) fn run(self, _: &Shell) -> Result<Exit, Failure> {
        child::serve(|config: Config, seal| Sandbox::sealed(config, || seal.seal())).map_err(|fault| {
            let failure = Failure::platform(codes::SANDBOX_FAILED, fault.message);
            Failure { hint: fault.hint.map(String::from), ..failure }
        })?;
        Ok(Exit::Done)
    }
}
