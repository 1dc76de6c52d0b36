//! `completions`: a script that completes commands and options in a shell.

use clap_complete::{Shell as Dialect, generate};

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

/// Prints a completion script; `liteagent completions bash > ~/.local/share/bash-completion/completions/liteagent`.
#[derive(clap::Args)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Dialect,
}

impl Completions {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut crate::command(), "liteagent", &mut script);
        shell.out(String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
