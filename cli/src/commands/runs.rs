//! `runs`: what was run, what waits, and how to go on with it.

use clap::Subcommand;
use liteagent_engine::{
    codes,
    event::Payload,
    id::RunId,
    store::{Journal, RunFilter, RunRow, Stores},
    value::Value,
};

use crate::{
    failure::{Exit, Failure},
    platform::block_on,
    project::Project,
    remote::{Choice, Client, beside},
    shell::Shell,
};

mod cancel;
mod cut;
mod export;
mod go_on;
mod held;
mod list;
mod prune;
pub(crate) mod remote;
mod show;
mod signal;
mod usage;

pub(crate) use self::show::told;

/// So many of the newest runs are searched for the end of an id.
const SEARCHED: u32 = 1_000;

/// Lists runs, shows one, answers one that waits, goes on with one. RUN is an id, the end of one, or `last`.
#[derive(clap::Args)]
pub(crate) struct Runs {
    #[command(subcommand)]
    verb: RunsVerb,
}

#[derive(Subcommand)]
enum RunsVerb {
    /// Lists runs, newest first
    List(list::List),
    /// Shows what happened in a run, node by node
    Show(show::Show),
    /// Goes on with a run whose process died, or whose time has come
    Resume(go_on::Resume),
    /// Starts a new run that keeps what settled, and does a node and all that follows again
    Restart(cut::Restart),
    /// Starts a new run that keeps every node that another definition leaves unchanged
    Fork(cut::Fork),
    /// Stops a run, or many; their `finally` still runs
    Cancel(cancel::Cancel),
    /// Lists runs that came out of a backup and wait for their release
    Held(held::Held),
    /// Lets held runs go on
    Release(held::Release),
    /// Answers a node that waits, and goes on with the run
    Signal(signal::Signal),
    /// Prints a run as JSON: its journal and its definition
    Export(export::Export),
    /// Shows what runs used of models, by day, workflow and model
    Usage(usage::ShowUsage),
    /// Deletes old runs that have ended
    Prune(prune::Prune),
}

impl Runs {
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        if let Some(server) = server.named()? {
            return block_on(self.on(&Client::open(server)?, shell));
        }
        let project = Project::here()?;
        // Two processes would execute what one of them was told.
        if self.steers()
            && let Some(server) = beside::server(&project)?
        {
            return block_on(self.on(&server, shell));
        }
        match self.verb {
            RunsVerb::List(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Show(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Resume(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Restart(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Fork(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Cancel(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Held(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Release(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Signal(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Export(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Usage(verb) => block_on(verb.run(&project, shell)),
            RunsVerb::Prune(verb) => block_on(verb.run(&project, shell)),
        }
    }

    /// Whether it lets a run go on in another way: a server that executes the run does that.
    fn steers(&self) -> bool {
        match &self.verb {
            RunsVerb::Resume(_) | RunsVerb::Restart(_) | RunsVerb::Cancel(_) | RunsVerb::Signal(_) => true,
            RunsVerb::Fork(verb) => !verb.has_a_definition(),
            RunsVerb::List(_)
            | RunsVerb::Show(_)
            | RunsVerb::Held(_)
            | RunsVerb::Release(_)
            | RunsVerb::Export(_)
            | RunsVerb::Usage(_)
            | RunsVerb::Prune(_) => false,
        }
    }

    /// The same for the runs of a server.
    async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        match self.verb {
            RunsVerb::List(verb) => verb.on(client, shell).await,
            RunsVerb::Show(verb) => verb.on(client, shell).await,
            RunsVerb::Restart(verb) => verb.on(client, shell).await,
            RunsVerb::Fork(verb) => verb.on(client, shell).await,
            RunsVerb::Cancel(verb) => verb.on(client, shell).await,
            RunsVerb::Signal(verb) => verb.on(client, shell).await,
            RunsVerb::Resume(verb) => verb.on(client, shell).await,
            RunsVerb::Held(verb) => verb.on(client, shell).await,
            RunsVerb::Release(verb) => verb.on(client, shell).await,
            RunsVerb::Export(verb) => verb.on(client, shell).await,
            RunsVerb::Usage(verb) => verb.on(client, shell).await,
            RunsVerb::Prune(verb) => verb.on(client, shell).await,
        }
    }
}

/// The run that a person means: a whole id, the end of one, or `last`.
pub(super) async fn find(journal: &dyn Journal, meant: &str) -> Result<RunRow, Failure> {
    if let Ok(id) = meant.parse::<RunId>() {
        return journal.run(id).await?.ok_or_else(|| no_run(meant));
    }
    let limit = if meant == "last" { 1 } else { SEARCHED };
    let mut rows = journal.runs(RunFilter { limit, ..RunFilter::default() }).await?;
    if meant != "last" {
        rows.retain(|row| row.id.to_string().ends_with(meant));
    }
    match rows.len() {
        0 => Err(no_run(meant)),
        1 => Ok(rows.remove(0)),
        count => Err(several(meant, count)),
    }
}

fn several(meant: &str, count: usize) -> Failure {
    Failure::usage(codes::NO_RUN, format!("the ids of {count} runs end with `{meant}`")).hint("give more of the id")
}

fn no_run(meant: &str) -> Failure {
    Failure::usage(codes::NO_RUN, format!("there is no run `{meant}`")).hint("run `liteagent runs list`")
}

/// A value of a record, fetched from the blobs when it is large.
async fn load_payload(stores: &Stores, payload: Payload) -> Result<Value, Failure> {
    match payload {
        Payload::Value(value) => Ok(value),
        Payload::Blob(digest) => {
            let damaged =
                |what: String| Failure::platform(codes::STORE_DAMAGED, format!("the store is damaged: {what}"));
            let bytes =
                stores.blobs.get(&digest).await?.ok_or_else(|| damaged(format!("the blob {digest} is gone")))?;
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
        }
    }
}

/// How a run stands, in one word.
fn standing(row: &RunRow) -> &'static str {
    row.status.map_or(row.phase.as_str(), |status| status.as_str())
}
