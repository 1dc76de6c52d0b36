//! `logs`: what happens in a run on a server, as it happens.

use liteagent_engine::{
    event::{Record, RunStatus},
    id::RunId,
};

use crate::{
    failure::{Exit, Failure},
    platform::block_on,
    progress::Story,
    project::Project,
    remote::{Choice, Client, api::JournalPage, beside, follow},
    shell::Shell,
};

/// Shows what happens in a run on a server, node by node, until it has ended.
#[derive(clap::Args)]
pub(crate) struct Logs {
    /// The run: an id, the end of one, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// Shows what happened so far, and does not wait for more
    #[arg(long)]
    no_follow: bool,
    /// Every record as a line of JSON
    #[arg(long)]
    json: bool,
    /// Shows the nodes of every frame too
    #[arg(long, short)]
    verbose: bool,
}

impl Logs {
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        let client = match server.named()? {
            Some(server) => Client::open(server)?,
            None => match beside::server(&Project::here()?)? {
                Some(client) => client,
                None => Client::open(server.any()?)?,
            },
        };
        block_on(self.show(&client, shell))
    }

    async fn show(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        let run = super::runs::remote::find(client, &self.run).await?.id;
        let mut story = Story::new(self.verbose, shell.colors_out());
        let as_json = self.json;
        let mut tell = |record: &Record| {
            if as_json {
                return shell.out(serde_json::to_string(record).unwrap_or_default());
            }
            story.tell(record).map_or(Ok(()), |line| shell.out(line))
        };
        if self.no_follow {
            for record in records(client, run).await? {
                if let Ok(record) = serde_json::from_value(record) {
                    tell(&record)?;
                }
            }
            return Ok(Exit::Done);
        }
        let end = follow::watch(client, run, shell, tell).await?;
        shell.note(format!("{}: {run}", end.status.as_str()));
        Ok(match end.status {
            RunStatus::Succeeded => Exit::Done,
            RunStatus::Failed => Exit::Failed,
            RunStatus::Cancelled => Exit::Interrupted,
        })
    }
}

/// Every record of a run.
pub(crate) async fn records(client: &Client, run: RunId) -> Result<Vec<serde_json::Value>, Failure> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let page: JournalPage = client.get(&follow::path(run, &format!("/journal?limit=10000&after={after}"))).await?;
        all.extend(page.records);
        match page.next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}
