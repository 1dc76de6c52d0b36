//! `quarantine`: executes a suspect alone, and how such a process is started.

use std::{process::Stdio, time::Duration};

use async_trait::async_trait;
use liteagent_engine::{engine, id::RunId};
use tokio::{io::AsyncReadExt as _, process::Command};

use crate::{
    failure::{Exit, Failure},
    platform::{Platform, block_on},
    project::Project,
    shell::Shell,
};

/// How often a run is shown the messages that other processes sent to it.
const LOOK: Duration = Duration::from_millis(250);

/// Executes one run and nothing else, until it rests or stdin ends.
#[derive(clap::Args)]
pub(crate) struct Quarantine {
    /// The run
    #[arg(value_name = "RUN")]
    run: RunId,
}

impl Quarantine {
    pub(crate) fn run(self, _: &Shell) -> Result<Exit, Failure> {
        block_on(self.execute(&Project::here()?))
    }

    async fn execute(&self, project: &Project) -> Result<Exit, Failure> {
        let platform = Platform::open_alone(project, self.run).await?;
        platform.engine.resume(self.run).await?;
        let outcome = tokio::select! {
            settled = platform.engine.settled(self.run) => settled.map(drop),
            () = messages(&platform, self.run) => Ok(()),
            () = parent_gone() => Ok(()),
        };
        // Whatever happened here, the run is given back: nobody died.
        platform.close().await?;
        outcome?;
        Ok(Exit::Done)
    }
}

/// Lets the run see its inbox again and again; ends when it cannot be executed here any more.
async fn messages(platform: &Platform, run: RunId) {
    loop {
        tokio::time::sleep(LOOK).await;
        if platform.engine.active_runs() > 0
            && let Err(error) = platform.engine.resume(run).await
        {
            tracing::warn!(%run, %error, "the run was not shown its messages");
        }
    }
}

/// Returns when the process that started this one has gone, or wants it to end.
async fn parent_gone() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    while matches!(stdin.read(&mut ignored).await, Ok(1..)) {}
}

/// Starts this program again for a suspect.
pub(crate) struct Ward;

#[async_trait]
impl engine::Quarantine for Ward {
    async fn execute(&self, run: RunId) -> Result<(), String> {
        let program = std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
        let mut command = Command::new(program);
        // Its stdin ends when this future is dropped or this process dies: then it gives the run back and ends.
        command.arg("quarantine").arg(run.to_string()).stdin(Stdio::piped()).stdout(Stdio::null());
        // Ctrl-C is for the process that a person looks at.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| format!("no process could be started: {error}"))?;
        // `wait` would close it.
        let stdin = child.stdin.take();
        let status = child.wait().await.map_err(|error| error.to_string())?;
        drop(stdin);
        tracing::info!(%run, %status, "the process that executed the run alone has ended");
        Ok(())
    }
}
