//! `runs prune`.

use futures::{FutureExt as _, future::BoxFuture};
use liteagent_engine::{
    id::Digest,
    store::StoreError,
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

/// Says whether a blob is kept.
type Keep<'k> = dyn for<'a> Fn(&'a Digest) -> BoxFuture<'a, Result<bool, StoreError>> + Sync + 'k;

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
        let journal = stores.journal;
        let young = now - YOUNG.millis();
        let is_named: &Keep<'_> = &|digest| {
            let (journal, digest) = (journal.clone(), digest.clone());
            async move { journal.has_blob_rows(&digest).await }.boxed()
        };
        let blobs = stores.blobs.sweep(young, is_named).await?;
        shell.note(format!("deleted {runs} runs and {blobs} blobs"));
        Ok(Exit::Done)
    }
}
