//! `schema`: the JSON Schema by which editors complete and check our files.

use crate::{
    editor::SchemaKind,
    failure::{Exit, Failure},
    shell::Shell,
};

/// Prints the JSON Schema (draft 7) of workflow files, for editors; `init` and `new` keep it in `.liteagent`.
#[derive(clap::Args)]
pub(crate) struct Schema {
    /// That of test files, `NAME.test.yaml`, instead
    #[arg(long)]
    test: bool,
}

impl Schema {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let kind = if self.test { SchemaKind::Test } else { SchemaKind::Workflow };
        shell.out(kind.text())?;
        Ok(Exit::Done)
    }
}
