//! `sandbox`: the sandbox as a service, and what code runs in.

use clap::Subcommand;

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

mod build;
mod serve;

/// Runs untrusted code for others, by HTTP; or builds what code runs in.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Sandbox {
    #[command(subcommand)]
    verb: Option<SandboxVerb>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Subcommand)]
enum SandboxVerb {
    /// Builds the interpreters, with the packages of `[sandbox] packages`
    Build(build::Build),
}

impl Sandbox {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        match self.verb {
            None => self.serve.run(shell),
            Some(SandboxVerb::Build(verb)) => verb.run(shell),
        }
    }
}
