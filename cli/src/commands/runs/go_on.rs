//! `runs resume`.

use liteagent_engine::{
    codes,
    store::{RunPhase, RunRow},
    time::{Clock as _, SystemClock},
};

use serde_json::json;

use super::{
    find,
    remote::{self, bulk},
};
use crate::{
    commands::run::ShowArgs,
    failure::{Exit, Failure},
    follow::{follow, go_on},
    platform::Platform,
    progress::count,
    project::Project,
    remote::{Client, follow::follow as follow_on},
    shell::Shell,
};

/// So many runs are resumed by one command.
const MOST: u32 = 10_000;

/// Goes on with a run whose process died, or whose time has come.
#[derive(clap::Args)]
#[command(override_usage = "liteagent runs resume [OPTIONS] <RUN|--all>")]
pub(crate) struct Resume {
    /// The run
    #[arg(value_name = "RUN", required_unless_present = "all")]
    run: Option<String>,
    /// Every run that can go on
    #[arg(long, conflicts_with = "run")]
    all: bool,
    #[command(flatten)]
    show: ShowArgs,
}

impl Resume {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let platform = Platform::open(project, self.show.progress(shell)).await?;
        let exit = match &self.run {
            Some(run) => self.one(&platform, run, shell).await,
            None => self.every(&platform, shell).await,
        };
        platform.close().await?;
        exit
    }

    /// Those of a server.
    pub(crate) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        let Some(run) = &self.run else {
            let done = bulk(client, &json!({ "action": "resume", "filter": { "status": "waiting" } })).await?;
            shell.note(format!("{} can go on", count(done.len(), "run")));
            return Ok(Exit::Done);
        };
        let row = remote::find(client, run).await?;
        refuse_ended(&row)?;
        bulk(client, &json!({ "action": "resume", "ids": [row.id] })).await?;
        follow_on(client, row.id, &self.show.progress(shell), shell, (&self.show).into()).await
    }

    async fn one(&self, platform: &Platform, run: &str, shell: &Shell) -> Result<Exit, Failure> {
        let row = find(&*platform.stores.journal, run).await?;
        refuse_ended(&row)?;
        platform.progress.watch(row.id);
        platform.engine.resume(row.id).await?;
        follow(platform, row.id, shell, (&self.show).into()).await
    }

    async fn every(&self, platform: &Platform, shell: &Shell) -> Result<Exit, Failure> {
        let runs = platform.stores.journal.runnable(SystemClock.now(), MOST).await?;
        shell.note(format!("{} can go on", count(runs.len(), "run")));
        // One that cannot go on here holds no other up.
        let mut worst = Exit::Done;
        let mut started = Vec::new();
        for run in runs {
            match go_on(platform, run).await {
                Ok(()) => started.push(run),
                Err(failure) => worst = told(&failure, shell),
            }
        }
        for run in started {
            let exit = follow(platform, run, shell, (&self.show).into()).await;
            let exit = exit.unwrap_or_else(|failure| told(&failure, shell));
            worst = if exit == Exit::Done { worst } else { exit };
        }
        Ok(worst)
    }
}

fn told(failure: &Failure, shell: &Shell) -> Exit {
    shell.failure(failure);
    failure.exit
}

pub(super) fn refuse_ended(row: &RunRow) -> Result<(), Failure> {
    if row.phase != RunPhase::Ended {
        return Ok(());
    }
    Err(Failure::usage(codes::RUN_STATE, format!("{} has ended", row.id))
        .hint(format!("`liteagent runs restart {} --from NODE` does a part of it again", row.id)))
}
