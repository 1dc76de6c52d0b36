//! `runs restart`, `runs fork`: new runs that keep a part of another.

use liteagent_engine::engine::Cut;

use super::find;
use crate::{
    commands::run::ShowArgs,
    definition::load_for_use,
    failure::{Exit, Failure},
    follow::follow,
    platform::Platform,
    project::Project,
    shell::Shell,
};

/// Does a node and all that follows again, in a new run.
#[derive(clap::Args)]
pub(crate) struct Restart {
    /// The run to begin with; it stays as it is
    #[arg(value_name = "RUN")]
    run: String,
    /// The first node that is done again
    #[arg(long, value_name = "NODE")]
    from: String,
    #[command(flatten)]
    show: ShowArgs,
}

/// Does what changed again, in a new run.
#[derive(clap::Args)]
pub(crate) struct Fork {
    /// The run to begin with; it stays as it is
    #[arg(value_name = "RUN")]
    run: String,
    /// The definition of the new run; that of the old one without it
    #[arg(value_name = "FILE|NAME")]
    definition: Option<String>,
    #[command(flatten)]
    show: ShowArgs,
}

impl Restart {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        cut(project, shell, &self.show, &self.run, Cut::Restart { node: self.from.clone() }).await
    }
}

impl Fork {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let bundle = match &self.definition {
            Some(definition) => Some(load_for_use(&project.find(definition)?, shell)?),
            None => None,
        };
        cut(project, shell, &self.show, &self.run, Cut::Fork { bundle }).await
    }
}

async fn cut(project: &Project, shell: &Shell, show: &ShowArgs, from: &str, cut: Cut) -> Result<Exit, Failure> {
    let platform = Platform::open(project, show.progress(shell)).await?;
    let row = find(&*platform.stores.journal, from).await?;
    let run = platform.engine.fork(row.id, cut).await?;
    platform.progress.watch(run);
    let exit = follow(&platform, run, shell, show.json).await;
    platform.close().await?;
    exit
}
