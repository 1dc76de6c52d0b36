//! The command line of LiteAgent.
//!
//! # Layout
//! * `commands`: one verb, one file
//! * `shell`: where output goes, with or without colour
//! * `failure`: why a command did not do what it was asked, and the exit codes
//! * `project`, `config`: `liteagent.toml`, the folder around it, the environment
//! * `settings`: every setting, for `doctor` and the reference
//! * `packages`: the packages of a project for Python, and the guest that holds them
//! * `editor`: schemas and settings for editors
//! * `testing`: what `test` does
//! * `chat`: what `chat` does
//! * `platform`: the engine with its stores, as every command that runs something opens it
//! * `sandbox`: where code runs
//! * `queue`: the queue between processes
//! * `remote`: a server that the command line talks to

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser};

use self::{
    commands::Verb,
    failure::Exit,
    remote::Choice,
    shell::{Color, Shell},
};
pub use self::{editor::SchemaKind, settings::reference as settings_reference};

mod answer;
mod chat;
mod commands;
mod config;
mod definition;
mod documents;
mod editor;
mod failure;
mod follow;
mod inputs;
mod kept;
mod knowledge;
mod library;
mod listening;
mod output;
mod packages;
mod platform;
mod progress;
mod project;
mod queue;
mod remote;
mod rows;
mod said;
mod sandbox;
mod settings;
mod shell;
mod testing;

/// Workflow engine for LLM applications.
#[derive(Parser)]
#[command(name = "liteagent", version, max_term_width = 100, arg_required_else_help = true)]
struct Args {
    /// Whether output has colours; `NO_COLOR` turns them off too
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
    /// The server that the command is meant for, instead of this machine; `LITEAGENT_SERVER` says the same
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

/// Runs the command line `args`, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(said) => {
            // Nothing can be done when even this cannot be printed.
            let _ = said.print();
            return if said.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let shell = Shell::new(args.color);
    let logs = shell::log_to_stderr(args.verb.logs(), shell.colors_err());
    match logs.and_then(|()| args.verb.run(&shell, &Choice::of(args.server))) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            shell.failure(&failure);
            failure.exit.into()
        }
    }
}

/// The whole command line, for help pages and completions.
pub fn command() -> clap::Command {
    Args::command()
}
