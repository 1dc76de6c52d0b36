//! Development tasks. `cargo xtask` lists them.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

mod generate;
mod guests;
mod layers;
mod models;
mod new_node;
mod steps;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of LiteAgent.", arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Checks which crate may depend on which.
    Layers,
    /// Writes the files that are computed from types.
    Generate {
        /// Writes nothing; prints what is stale and fails.
        #[arg(long)]
        check: bool,
    },
    /// Writes a node type from a template and registers it.
    NewNode {
        /// The family and the file name: `data/split_text`.
        path: String,
    },
    /// Builds the guests of the sandbox and compiles them for this machine, where that was not done yet.
    Guests {
        /// Builds the JavaScript guest in the repository anew.
        #[arg(long)]
        javascript: bool,
    },
    /// Fetches the weights of the local models into the cache, where that was not done yet.
    Models,
    /// Runs every check that a change must pass.
    Check,
    /// Runs every check and every test.
    Test,
    /// Runs the benchmarks.
    Bench,
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Layers => layers::check(),
        Task::Generate { check: false } => generate::write(),
        Task::Generate { check: true } => generate::check(),
        Task::NewNode { path } => new_node::write(&path),
        Task::Guests { javascript } => guests::build(javascript),
        Task::Models => models::pull(),
        Task::Check => steps::run(steps::CHECKS),
        Task::Test => steps::run(steps::ALL),
        Task::Bench => steps::run(steps::BENCHES),
    };
    match done {
        Ok(said) => {
            print(&said);
            ExitCode::SUCCESS
        }
        Err(said) => {
            print(&said);
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let crate_folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().expect("xtask lies in the workspace").to_owned()
}

#[expect(clippy::print_stdout, reason = "a development tool speaks on stdout")]
fn print(text: &str) {
    println!("{}", text.trim_end());
}
