//! `runs prune`.

use liteagent_backends::clean;
use liteagent_engine::{
    codes,
    time::{Clock as _, SystemClock},
    units::Duration,
};

use crate::{
    config::FILE,
    failure::{Exit, Failure},
    platform::open_stores,
    progress::count,
    project::Project,
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
        let (runs, blobs) = (count(cleaned.runs as usize, "run"), count(cleaned.blobs as usize, "blob"));
        shell.note(format!("deleted {runs} and {blobs}"));
        Ok(Exit::Done)
    }
}
