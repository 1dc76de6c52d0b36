//! The verbs: one file each.

use clap::Subcommand;

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

mod completions;
mod explain;
mod nodes;

/// What the program is asked to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lists the node types, or shows one with its fields and examples
    Nodes(nodes::Nodes),
    /// Explains an error code and how to mend its cause
    Explain(explain::Explain),
    /// Prints a completion script for a shell
    Completions(completions::Completions),
}

impl Verb {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        match self {
            Self::Nodes(verb) => verb.run(shell),
            Self::Explain(verb) => verb.run(shell),
            Self::Completions(verb) => verb.run(shell),
        }
    }
}
