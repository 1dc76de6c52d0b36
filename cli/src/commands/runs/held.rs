//! `runs held`, `runs release`: runs that came out of a backup.

use liteagent_engine::store::ReleaseHeld;
use serde::Deserialize;
use serde_json::json;

use super::{find, list::List, remote};
use crate::{
    failure::{Exit, Failure},
    platform::open_stores,
    progress::count,
    project::Project,
    remote::Client,
    shell::Shell,
};

/// So many runs are released in one transaction.
const BATCH: u32 = 1_000;

/// Lists the runs that came out of a backup and wait for their release.
#[derive(clap::Args)]
pub(crate) struct Held {
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

/// Lets held runs go on, with the runs that they started; a server takes them, or `liteagent runs resume --all`.
#[derive(clap::Args)]
#[command(override_usage = "liteagent runs release <RUN...|--all>")]
pub(crate) struct Release {
    /// The runs
    #[arg(value_name = "RUN", required_unless_present = "all")]
    runs: Vec<String>,
    /// Every run that is held
    #[arg(long, conflicts_with = "runs")]
    all: bool,
    /// With `--all`: only runs of this workflow
    #[arg(long, value_name = "NAME", requires = "all")]
    workflow: Option<String>,
}

impl Held {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        List::held(self.workflow, self.limit, self.json).run(project, shell).await
    }

    /// Those of a server.
    pub(crate) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        List::held(self.workflow, self.limit, self.json).on(client, shell).await
    }
}

impl Release {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let journal = open_stores(project).await?.stores.journal;
        let which = if self.all {
            ReleaseHeld::All { workflow: self.workflow }
        } else {
            let mut runs = Vec::new();
            for run in &self.runs {
                runs.push(find(&*journal, run).await?.id);
            }
            ReleaseHeld::Runs(runs)
        };
        let mut released = 0;
        loop {
            let runs = journal.release_held(&which, BATCH).await?.len();
            released += runs;
            if runs < BATCH as usize {
                break;
            }
        }
        shell.note(format!("released {}", count(released, "run")));
        Ok(Exit::Done)
    }

    /// Those of a server.
    pub(crate) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        /// What was released.
        #[derive(Deserialize)]
        struct Released {
            released: usize,
        }
        let body = if self.all {
            json!({ "all": true, "workflow": self.workflow })
        } else {
            let mut ids = Vec::new();
            for run in &self.runs {
                ids.push(remote::find(client, run).await?.id);
            }
            json!({ "ids": ids })
        };
        let Released { released } = client.send("POST", "/api/runs/release", &body).await?;
        shell.note(format!("released {}", count(released, "run")));
        Ok(Exit::Done)
    }
}
