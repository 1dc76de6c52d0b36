//! `runs prune`.

use liteagent_engine::{
    time::{Clock as _, SystemClock},
    units::Duration,
};

use crate::{
    failure::{Exit, Failure},
    platform::open_stores,
    project::Project,
    shell::Shell,
};

/// So many runs are deleted in one transaction.
const BATCH: u32 = 500;

/// A blob that no run names yet may belong to one that is about to start.
const YOUNG: Duration = Duration::from_secs(24 * 3600);

/// Deletes old runs that have ended.
#[derive(clap::Args)]
pub(crate) struct Prune {
    /// Runs that ended longer ago are deleted
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = Duration::parse)]
    older_than: Duration,
}

impl Prune {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let stores = open_stores(project).await?.stores;
        let now = SystemClock.now();
        let mut runs = 0;
        loop {
            let deleted = stores.journal.delete_ended(now.saturating_sub(self.older_than.millis()), BATCH).await?;
            runs += deleted;
            if deleted < u64::from(BATCH) {
                break;
            }
        }
        let blobs = stores.blobs.sweep(now - YOUNG.millis(), &|digest| stores.journal.has_blob_rows(digest)).await?;
        shell.note(format!("deleted {runs} runs and {blobs} blobs"));
        Ok(Exit::Done)
    }
}
