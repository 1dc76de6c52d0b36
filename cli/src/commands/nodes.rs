//! `nodes`: the node types that workflows can use.

use clap::Subcommand;
use liteagent_engine::{
    codes,
    load::node_types,
    node::{NodeSpec, Registry},
};
use liteagent_nodes::docs;
use serde_json::json;

use crate::{
    failure::{Exit, Failure},
    project::Project,
    shell::Shell,
};

/// Lists the node types, or shows one.
#[derive(clap::Args)]
pub(crate) struct Nodes {
    #[command(subcommand)]
    verb: Option<NodesVerb>,
}

#[derive(Subcommand)]
enum NodesVerb {
    /// Lists every node type with its first sentence
    List {
        /// Machine-readable output
        #[arg(long)]
        json: bool,
    },
    /// Shows the fields, outputs and examples of a node type
    Show {
        /// The node type, as in `http-request`
        #[arg(value_name = "TYPE")]
        kind: String,
        /// Its JSON Schemas
        #[arg(long)]
        json: bool,
    },
}

impl Nodes {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        // Those of the project as well, where there is one.
        let registry = node_types(&Project::here()?.root, &liteagent_nodes::registry());
        match self.verb.unwrap_or(NodesVerb::List { json: false }) {
            NodesVerb::List { json } => list(shell, &registry, json),
            NodesVerb::Show { kind, json } => show(shell, &registry, &kind, json),
        }
    }
}

fn list(shell: &Shell, registry: &Registry, as_json: bool) -> Result<Exit, Failure> {
    let mut specs: Vec<&NodeSpec> = registry.iter().collect();
    specs.sort_by_key(|spec| (spec.meta.family, spec.type_name));
    if as_json {
        let row = |spec: &&NodeSpec| json!({ "type": spec.type_name, "family": docs::family(spec.meta.family), "description": docs::summary(spec) });
        shell.json(&specs.iter().map(row).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let width = specs.iter().map(|spec| spec.type_name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut last = None;
    for spec in specs {
        if last.replace(spec.meta.family) != Some(spec.meta.family) {
            lines.push(format!("{}{}", if lines.is_empty() { "" } else { "\n" }, docs::family(spec.meta.family)));
        }
        lines.push(format!("  {:width$}  {}", spec.type_name, docs::summary(spec)));
    }
    shell.out(lines.join("\n"))?;
    Ok(Exit::Done)
}

fn show(shell: &Shell, registry: &Registry, kind: &str, as_json: bool) -> Result<Exit, Failure> {
    let Some(spec) = registry.get(kind) else {
        let known = registry.iter().map(|spec| spec.type_name);
        return Err(Failure::usage(codes::UNKNOWN_NAME, format!("there is no node type `{kind}`")).near(
            kind,
            known,
            "run `liteagent nodes` to list every node type",
        ));
    };
    if as_json {
        let page = json!({ "type": spec.type_name, "config": spec.config_schema, "output": spec.output_schema });
        shell.json(&page)?;
    } else {
        shell.out(docs::page(spec))?;
    }
    Ok(Exit::Done)
}
