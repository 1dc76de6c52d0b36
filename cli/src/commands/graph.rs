//! `graph`: a picture of a workflow.

use clap::ValueEnum;
use liteagent_engine::{
    codes,
    graph::{WorkflowGraph, draw},
};

use crate::{
    definition::load_for_use,
    failure::{Exit, Failure},
    project::Project,
    shell::Shell,
};

/// Draws a workflow: solid arrows decide whether a node runs, dashed ones only order.
#[derive(clap::Args)]
pub(crate) struct Graph {
    /// The file, or the name of the workflow
    #[arg(value_name = "FILE|NAME")]
    workflow: String,
    /// The language of the picture
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Shows the nodes inside of composites, such as the rounds of an `agent`, as well
    #[arg(long)]
    open: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For Markdown pages
    #[default]
    Mermaid,
    /// For Graphviz
    Dot,
    /// A picture that stands alone
    Svg,
}

impl Graph {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let path = Project::here()?.find(&self.workflow)?;
        let bundle = load_for_use(&path, shell)?;
        let definition = serde_json::to_value(bundle.entry()).map_err(|error| {
            Failure::platform(codes::NODE_PANICKED, format!("the workflow has no JSON form: {error}"))
        })?;
        let registry = liteagent_nodes::registry();
        let registry =
            bundle.node_types(&registry).map_err(|error| Failure::platform(codes::NODE_PANICKED, error.to_string()))?;
        let mut graph = WorkflowGraph::new(&definition, &registry);
        if self.open {
            graph = graph.opened(&definition, &registry);
        }
        shell.out(match self.format {
            Format::Mermaid => draw::mermaid(&graph),
            Format::Dot => draw::dot(&graph),
            Format::Svg => draw::svg(&graph),
        })?;
        Ok(Exit::Done)
    }
}
