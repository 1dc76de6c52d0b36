//! `runs prune`.

use liteagent_backends::clean;
use liteagent_engine::{
    codes,
    time::{Clock as _, SystemClock},
    units::Duration,
};

use serde::Deserialize;
use serde_json::json;

use crate::{
    config::FILE,
    failure::{Exit, Failure},
    platform::open_stores,
    progress::count,
    project::Project,
    remote::Client,
    shell::Shell,
};

/// Deletes old runs that have ended.
#[derive(clap::Args)]
pub(crate) struct Prune {
    /// Runs that ended longer ago are deleted [default: `[retention] runs` of liteagent.toml, 30d]
    #[arg(long, value_name = "DURATION", value_parser = Duration::parse)]
    older_than: Option<Duration>,
}

impl Prune {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let keep = self.older_than.map(|time| time.0).or(project.config.retention.retention().runs);
        let keep = keep.ok_or_else(|| {
            Failure::usage(codes::CONFIG, format!("`[retention] runs` of `{FILE}` keeps runs for ever"))
                .hint("say which runs to delete: `liteagent runs prune --older-than 30d`")
        })?;
        let stores = open_stores(project).await?.stores;
        let cleaned = clean(&stores, SystemClock.now(), keep).await?;
        Ok(told(cleaned.runs, cleaned.blobs, shell))
    }

    /// The same for the runs of a server, which says how long it keeps them.
    pub(super) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        /// What was deleted.
        #[derive(Deserialize)]
        struct Pruned {
            runs: u64,
            blobs: u64,
        }
        let body = match self.older_than {
            Some(time) => json!({ "older_than": time.to_string() }),
            None => json!({}),
        };
        let Pruned { runs, blobs } = client.send("POST", "/api/runs/prune", &body).await?;
        Ok(told(runs, blobs, shell))
    }
}

fn told(runs: u64, blobs: u64, shell: &Shell) -> Exit {
    shell.note(format!("deleted {} and {}", count(runs as usize, "run"), count(blobs as usize, "blob")));
    Exit::Done
}
