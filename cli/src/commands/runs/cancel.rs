//! `runs cancel`.

use liteagent_engine::{
    engine::EngineError,
    store::{RunFilter, RunPhase, RunRow},
};
use liteagent_server::Standing;
use serde_json::json;

use super::{find, go_on::refuse_ended, list::standings, remote};
use crate::{
    commands::run::ShowArgs,
    failure::{Exit, Failure},
    follow::{Results, by, follow, go_on},
    platform::Platform,
    progress::count,
    project::Project,
    remote::{
        Client,
        api::Reply,
        follow::{follow as follow_on, path},
    },
    shell::Shell,
};

/// So many runs are looked at in one step.
const PAGE: u32 = 1_000;
/// What one run is shown by.
const SHOW: ShowArgs = ShowArgs { json: false, verbose: false };

/// Stops a run, or many; their `finally` still runs.
#[derive(clap::Args)]
#[command(override_usage = "liteagent runs cancel [OPTIONS] <RUN|--all>")]
pub(crate) struct Cancel {
    /// The run
    #[arg(value_name = "RUN", required_unless_present = "all")]
    run: Option<String>,
    /// Every run that has not ended
    #[arg(long, conflicts_with = "run")]
    all: bool,
    /// With `--all`: only runs of this workflow
    #[arg(long, value_name = "NAME", requires = "all")]
    workflow: Option<String>,
    /// With `--all`: only runs that stand so
    #[arg(long, value_parser = standings(), requires = "all")]
    status: Option<Standing>,
    /// With `--all`: says which runs would be cancelled, and cancels none
    #[arg(long, requires = "all")]
    dry_run: bool,
}

impl Cancel {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let platform = Platform::open(project, SHOW.progress(shell)).await?;
        let exit = match &self.run {
            Some(run) => one(&platform, run, shell).await,
            None => self.every(&platform, shell).await,
        };
        platform.close().await?;
        exit
    }

    async fn every(&self, platform: &Platform, shell: &Shell) -> Result<Exit, Failure> {
        platform.progress.finish();
        let mut done = 0;
        let mut before = None;
        loop {
            let filter = self.status.map(Standing::filter).unwrap_or_default();
            let filter = RunFilter { workflow: self.workflow.clone(), before, limit: PAGE, ..filter };
            let rows = platform.stores.journal.runs(filter).await?;
            let Some(last) = rows.last() else { break };
            before = Some(last.id);
            for row in rows.iter().filter(|row| row.phase != RunPhase::Ended) {
                if self.dry_run || cancelled(platform, row).await? {
                    shell.out(row.id.to_string())?;
                    done += 1;
                }
            }
        }
        self.tell(done, shell);
        Ok(Exit::Done)
    }

    fn tell(&self, done: usize, shell: &Shell) {
        let runs = count(done, "run");
        shell.note(if self.dry_run { format!("{runs} would be cancelled") } else { format!("cancelled: {runs}") });
    }

    /// Those of a server.
    pub(crate) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        if let Some(run) = &self.run {
            let row = remote::find(client, run).await?;
            refuse_ended(&row)?;
            client.send::<Reply>("POST", &path(row.id, "/cancel"), &json!({})).await?;
            follow_on(client, row.id, &SHOW.progress(shell), shell, Results::All).await?;
            return Ok(Exit::Done);
        }
        let filter = json!({ "workflow": self.workflow, "status": self.status.map(Standing::as_str) });
        let body = json!({ "action": "cancel", "filter": filter, "dry_run": self.dry_run });
        let done = remote::bulk(client, &body).await?;
        for run in &done {
            shell.out(run.to_string())?;
        }
        self.tell(done.len(), shell);
        Ok(Exit::Done)
    }
}

async fn one(platform: &Platform, run: &str, shell: &Shell) -> Result<Exit, Failure> {
    let row = find(&*platform.stores.journal, run).await?;
    refuse_ended(&row)?;
    platform.progress.watch(row.id);
    platform.engine.cancel(row.id, by()).await?;
    if row.phase == RunPhase::Held {
        shell.note(format!("{} is held: it is cancelled when it is released", row.id));
    } else if row.phase == RunPhase::Running {
        shell.note(format!("asked the process that runs {} to cancel it", row.id));
    } else {
        go_on(platform, row.id).await?;
        follow(platform, row.id, shell, Results::All).await?;
    }
    Ok(Exit::Done)
}

/// Cancels a run and, unless another process executes it, brings it to its end here; `false` when it has ended meanwhile.
async fn cancelled(platform: &Platform, row: &RunRow) -> Result<bool, Failure> {
    match platform.engine.cancel(row.id, by()).await {
        Ok(()) => {}
        Err(EngineError::HasEnded(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    if !matches!(row.phase, RunPhase::Running | RunPhase::Held) {
        go_on(platform, row.id).await?;
        platform.engine.settled(row.id).await?;
    }
    Ok(true)
}
