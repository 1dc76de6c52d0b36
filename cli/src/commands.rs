//! The verbs: one file each.

use clap::Subcommand;

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

mod chat;
mod check;
mod completions;
mod doctor;
mod eval;
mod explain;
mod fmt;
mod forget;
mod graph;
mod init;
mod models;
mod new;
mod nodes;
pub(crate) mod quarantine;
pub(crate) mod run;
pub(crate) mod runs;
mod sandbox;
mod sandbox_child;
mod schema;
mod test;

/// What the program is asked to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Checks workflow files and reports every finding at once
    Check(check::Check),
    /// Runs a workflow and prints its outputs
    Run(run::Run),
    /// Talks with a workflow
    Chat(chat::Chat),
    /// Lists runs, shows one, answers one that waits, goes on with one
    Runs(runs::Runs),
    /// Deletes everything that is kept about a subject
    Forget(forget::Forget),
    /// Runs the tests of workflows
    Test(test::Test),
    /// Runs a workflow over a data set with several models, and compares them
    Eval(eval::Eval),
    /// Draws a workflow as Mermaid, DOT or SVG
    Graph(graph::Graph),
    /// Lists the node types, or shows one with its fields and examples
    Nodes(nodes::Nodes),
    /// Lists the language models, tries one, or fetches those that run in this program
    Models(models::Models),
    /// Prints the JSON Schema of workflow files, for editors
    Schema(schema::Schema),
    /// Writes a new workflow from a template
    New(new::New),
    /// Makes a folder a project: configuration, editor settings, an example
    Init(init::Init),
    /// Tidies workflow files
    Fmt(fmt::Fmt),
    /// Explains an error code and how to mend its cause
    Explain(explain::Explain),
    /// Checks this machine and this project, and says how to mend what is wrong
    Doctor(doctor::Doctor),
    /// Runs untrusted code for others, by HTTP; or builds what code runs in
    Sandbox(sandbox::Sandbox),
    /// Prints a completion script for a shell
    Completions(completions::Completions),
    /// Executes one run and nothing else: started for runs that end the processes which execute them
    #[command(hide = true)]
    Quarantine(quarantine::Quarantine),
    /// A child process of the sandbox: started to run code apart from everything else
    #[command(name = crate::sandbox::CHILD, hide = true)]
    SandboxChild(sandbox_child::SandboxChild),
}

impl Verb {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        match self {
            Self::Check(verb) => verb.run(shell),
            Self::Run(verb) => verb.run(shell),
            Self::Chat(verb) => verb.run(shell),
            Self::Runs(verb) => verb.run(shell),
            Self::Forget(verb) => verb.run(shell),
            Self::Test(verb) => verb.run(shell),
            Self::Eval(verb) => verb.run(shell),
            Self::Graph(verb) => verb.run(shell),
            Self::Nodes(verb) => verb.run(shell),
            Self::Models(verb) => verb.run(shell),
            Self::Schema(verb) => verb.run(shell),
            Self::New(verb) => verb.run(shell),
            Self::Init(verb) => verb.run(shell),
            Self::Fmt(verb) => verb.run(shell),
            Self::Explain(verb) => verb.run(shell),
            Self::Doctor(verb) => verb.run(shell),
            Self::Sandbox(verb) => verb.run(shell),
            Self::Completions(verb) => verb.run(shell),
            Self::Quarantine(verb) => verb.run(shell),
            Self::SandboxChild(verb) => verb.run(shell),
        }
    }
}
