//! The verbs: one file each.

use clap::Subcommand;

use crate::{
    failure::{Exit, Failure},
    remote::Choice,
    shell::Shell,
};

mod ask;
mod backup;
mod chat;
mod check;
mod completions;
mod deploy;
mod doctor;
mod document_reader;
mod eval;
mod explain;
mod fmt;
mod forget;
mod graph;
mod import;
mod index;
mod init;
mod kb;
mod login;
mod logs;
pub(crate) mod migrate;
mod models;
mod new;
mod nodes;
pub(crate) mod quarantine;
mod queue;
mod restore;
pub(crate) mod run;
pub(crate) mod runs;
mod sandbox;
mod sandbox_child;
mod schema;
mod search;
mod secrets;
mod serve;
mod server;
mod test;
mod worker;

/// What the program is asked to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Checks workflow files and reports every finding at once
    Check(check::Check),
    /// Runs a workflow and prints its outputs
    Run(run::Run),
    /// Talks with a workflow
    Chat(chat::Chat),
    /// Puts the documents of a folder into a knowledge base
    Index(index::Index),
    /// Answers a question from a knowledge base
    Ask(ask::Ask),
    /// Looks something up in a knowledge base, with the scores of each stage
    Search(search::Search),
    /// Makes, lists, shows and deletes knowledge bases, and measures searches
    Kb(kb::Kb),
    /// Lists runs, shows one, answers one that waits, goes on with one
    Runs(runs::Runs),
    /// Writes everything that the data folder holds into one file, or looks whether such a file is whole
    Backup(backup::Backup),
    /// Makes an installation from a backup
    Restore(restore::Restore),
    /// Brings the schema of a PostgreSQL database up to date
    Migrate(migrate::Migrate),
    /// Moves an installation from SQLite files into PostgreSQL
    Import(import::Import),
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
    /// Serves workflows, runs and chat through an API, with everything in this process
    Serve(serve::Serve),
    /// Serves the same API, and lets workers execute the runs
    Server(server::ServerRole),
    /// Executes runs that wait in the queues between processes; or lists the workers
    Worker(worker::WorkerCommand),
    /// Lists what waits in the queues between processes, and the jobs that nobody could do
    Queue(queue::QueueCommand),
    /// Lists, sets and deletes the secrets of the vault, and seals them with another key
    Secrets(secrets::SecretsCommand),
    /// Runs untrusted code for others, by HTTP; or builds what code runs in
    Sandbox(sandbox::Sandbox),
    /// Signs in at a server, and keeps the session
    Login(login::Login),
    /// Ends the session at a server
    Logout(login::Logout),
    /// Says who is signed in at a server
    Whoami(login::Whoami),
    /// Publishes the workflows of a folder on a server
    Deploy(deploy::Deploy),
    /// Shows how the workflows of a folder differ from those of a server
    Diff(deploy::Diff),
    /// Writes the workflows of a server into a folder
    Pull(deploy::Pull),
    /// Shows what happens in a run on a server, as it happens
    Logs(logs::Logs),
    /// Prints a completion script for a shell
    Completions(completions::Completions),
    /// Executes one run and nothing else: started for runs that end the processes which execute them
    #[command(hide = true)]
    Quarantine(quarantine::Quarantine),
    /// A child process of the sandbox: started to run code apart from everything else
    #[command(name = crate::sandbox::CHILD, hide = true)]
    SandboxChild(sandbox_child::SandboxChild),
    /// A child process that reads documents: started to do that apart from everything else
    #[command(name = crate::documents::CHILD, hide = true)]
    DocumentReader(document_reader::DocumentReader),
}

impl Verb {
    /// Which logs are written when nobody says it.
    pub(crate) fn logs(&self) -> Option<&'static str> {
        let serves = match self {
            Self::Serve(_) | Self::Server(_) => true,
            Self::Worker(worker) => worker.works(),
            _ => false,
        };
        serves.then_some("warn")
    }

    /// Does it; `server` is what the command line says about one.
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        if !self.takes_a_server() {
            server.refuse()?;
        }
        match self {
            Self::Check(verb) => verb.run(shell),
            Self::Run(verb) => verb.run(shell, server),
            Self::Chat(verb) => verb.run(shell),
            Self::Index(verb) => verb.run(shell),
            Self::Ask(verb) => verb.run(shell),
            Self::Search(verb) => verb.run(shell),
            Self::Kb(verb) => verb.run(shell),
            Self::Runs(verb) => verb.run(shell, server),
            Self::Backup(verb) => verb.run(shell),
            Self::Migrate(verb) => verb.run(shell),
            Self::Import(verb) => verb.run(shell),
            Self::Restore(verb) => verb.run(shell),
            Self::Forget(verb) => verb.run(shell),
            Self::Test(verb) => verb.run(shell),
            Self::Eval(verb) => verb.run(shell),
            Self::Graph(verb) => verb.run(shell),
            Self::Nodes(verb) => verb.run(shell),
            Self::Models(verb) => verb.run(shell),
            Self::Schema(verb) => verb.run(shell, server),
            Self::New(verb) => verb.run(shell),
            Self::Init(verb) => verb.run(shell),
            Self::Fmt(verb) => verb.run(shell),
            Self::Explain(verb) => verb.run(shell),
            Self::Doctor(verb) => verb.run(shell),
            Self::Serve(verb) => verb.run(shell),
            Self::Server(verb) => verb.run(shell),
            Self::Worker(verb) => verb.run(shell),
            Self::Queue(verb) => verb.run(shell),
            Self::Secrets(verb) => verb.run(shell),
            Self::Sandbox(verb) => verb.run(shell),
            Self::Login(verb) => verb.run(shell, server),
            Self::Logout(verb) => verb.run(shell, server),
            Self::Whoami(verb) => verb.run(shell, server),
            Self::Deploy(verb) => verb.run(shell, server),
            Self::Diff(verb) => verb.run(shell, server),
            Self::Pull(verb) => verb.run(shell, server),
            Self::Logs(verb) => verb.run(shell, server),
            Self::Completions(verb) => verb.run(shell),
            Self::Quarantine(verb) => verb.run(shell),
            Self::SandboxChild(verb) => verb.run(shell),
            Self::DocumentReader(verb) => verb.run(shell),
        }
    }

    /// Whether it can be meant for a server.
    fn takes_a_server(&self) -> bool {
        matches!(
            self,
            Self::Run(_)
                | Self::Runs(_)
                | Self::Schema(_)
                | Self::Login(_)
                | Self::Logout(_)
                | Self::Whoami(_)
                | Self::Deploy(_)
                | Self::Diff(_)
                | Self::Pull(_)
                | Self::Logs(_)
        )
    }
}
