//! `sandbox`: the sandbox as a service.

mod serve;

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

/// Runs untrusted code for others, by HTTP.
#[derive(clap::Args)]
pub(crate) struct Sandbox {
    #[command(flatten)]
    serve: serve::Serve,
}

impl Sandbox {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        self.serve.run(shell)
    }
}
