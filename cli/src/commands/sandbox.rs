//! `sandbox`: what code nodes run in.

use clap::Subcommand;

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

mod build;

/// Builds what code nodes run in, with the packages of this project.
#[derive(clap::Args)]
pub(crate) struct Sandbox {
    #[command(subcommand)]
    verb: SandboxVerb,
}

#[derive(Subcommand)]
enum SandboxVerb {
    /// Builds the interpreters, with the packages of `[sandbox] packages`
    Build(build::Build),
}

impl Sandbox {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        match self.verb {
            SandboxVerb::Build(verb) => verb.run(shell),
        }
    }
}
