//! The command line of LiteAgent.

use clap::Parser;

#[derive(Parser)]
#[command(name = "liteagent", version, about = "Workflow engine for LLM applications.")]
struct Args {}

/// The whole command line, for help pages and completions.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}
