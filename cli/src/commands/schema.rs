//! `schema`: the JSON Schema by which editors complete and check our files.

use liteagent_engine::{codes, load::node_types};

use crate::{
    editor::SchemaKind,
    failure::{Exit, Failure},
    platform::block_on,
    project::Project,
    remote::{Address, Choice, Client},
    shell::Shell,
};

/// Prints the JSON Schema (draft 7) of workflow files, for editors; `init` and `new` keep it in `.liteagent`.
#[derive(clap::Args)]
pub(crate) struct Schema {
    /// That of test files, `NAME.test.yaml`, instead
    #[arg(long)]
    test: bool,
    /// Adds the node types that the composites of this project make
    #[arg(long, conflicts_with = "test")]
    project: bool,
}

impl Schema {
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        if let Some(server) = server.named()? {
            return self.of(server, shell);
        }
        let kind = if self.test { SchemaKind::Test } else { SchemaKind::Workflow };
        let registry = liteagent_nodes::registry();
        shell.out(if self.project {
            kind.text_with(&node_types(&Project::here()?.root, &registry))
        } else {
            kind.text()
        })?;
        Ok(Exit::Done)
    }

    /// What a server has: its release may be another one.
    fn of(&self, server: Address, shell: &Shell) -> Result<Exit, Failure> {
        if self.test || self.project {
            let message = "a server has the schema of workflow files alone, with its own node types";
            return Err(Failure::usage(codes::NOT_REMOTE, message).hint("leave `--test` and `--project` out"));
        }
        shell.out(block_on(Client::open(server)?.text("/schemas/workflow.schema.json"))?)?;
        Ok(Exit::Done)
    }
}
