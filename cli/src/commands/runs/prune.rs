//! `runs prune`.

use liteagent_engine::{
    time::{Clock as _, SystemClock},
    units::Duration,
};

use crate::{
    failure::{Exit, Failure},
    platform::open_stores,
    progress::count,
    project::Project,
    shell::Shell,
};

/// Deletes old runs that have ended.
#[derive(clap::Args)]
pub(crate) struct Prune {
    /// Runs that ended longer ago are deleted
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = Duration::parse)]
    older_than: Duration,
}

impl Prune {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let stores = open_stores(project).await?;
        let cleaned = stores.clean(SystemClock.now(), self.older_than.0).await?;
        let (runs, blobs) = (count(cleaned.runs as usize, "run"), count(cleaned.blobs as usize, "blob"));
        shell.note(format!("deleted {runs} and {blobs}"));
        Ok(Exit::Done)
    }
}
