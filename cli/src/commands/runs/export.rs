//! `runs export`.

use serde_json::Value as Json;

use super::{find, no_run, remote};
use crate::{
    failure::{Exit, Failure},
    platform::open_stores_to_read,
    project::Project,
    remote::{Client, follow::path},
    shell::Shell,
};

/// Prints a run as one JSON object: `run`, `bundle`, `records`, `blobs`. Secrets are in none of them.
#[derive(clap::Args)]
pub(crate) struct Export {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
}

impl Export {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let stores = open_stores_to_read(project).await?.stores;
        let row = find(&*stores.journal, &self.run).await?;
        let export = liteagent_engine::export::Export::of(&stores, row.id).await?;
        shell.json(&export.ok_or_else(|| no_run(&self.run))?)?;
        Ok(Exit::Done)
    }

    /// The same for a run of a server.
    pub(super) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        let row = remote::find(client, &self.run).await?;
        let export: Json = client.get(&path(row.id, "/export")).await?;
        shell.json(&export)?;
        Ok(Exit::Done)
    }
}
