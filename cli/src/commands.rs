//! The verbs: one file each.

use clap::Subcommand;

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

mod completions;
mod doctor;
mod explain;
mod init;
mod new;
mod nodes;

/// What the program is asked to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lists the node types, or shows one with its fields and examples
    Nodes(nodes::Nodes),
    /// Explains an error code and how to mend its cause
    Explain(explain::Explain),
    /// Writes a new workflow from a template
    New(new::New),
    /// Makes a folder a project: configuration, editor settings, an example
    Init(init::Init),
    /// Checks this machine and this project, and says how to mend what is wrong
    Doctor(doctor::Doctor),
    /// Prints a completion script for a shell
    Completions(completions::Completions),
}

impl Verb {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        match self {
            Self::Nodes(verb) => verb.run(shell),
            Self::Explain(verb) => verb.run(shell),
            Self::New(verb) => verb.run(shell),
            Self::Init(verb) => verb.run(shell),
            Self::Doctor(verb) => verb.run(shell),
            Self::Completions(verb) => verb.run(shell),
        }
    }
}
