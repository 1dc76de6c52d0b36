//! `server`: the API, where workers execute the runs.

use super::serve::{Role, Serve};
use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

/// Serves workflows, runs and chat through an API, and lets workers execute the runs.
///
/// Needs the queue between processes: `QUEUE_REDIS_URL` or `REDIS_URL`. Start workers with `liteagent worker`.
#[derive(clap::Args)]
pub(crate) struct ServerRole {
    #[command(flatten)]
    serve: Serve,
}

impl ServerRole {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        self.serve.run_as(Role::Server, shell)
    }
}
