//! `schema`: the JSON Schema by which editors complete and check our files.

use liteagent_engine::load::node_types;

use crate::{
    editor::SchemaKind,
    failure::{Exit, Failure},
    project::Project,
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
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let kind = if self.test { SchemaKind::Test } else { SchemaKind::Workflow };
        let registry = liteagent_nodes::registry();
        shell.out(if self.project {
            kind.text_with(&node_types(&Project::here()?.root, &registry))
        } else {
            kind.text()
        })?;
        Ok(Exit::Done)
    }
}
