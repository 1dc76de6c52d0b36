//! `forget`: deletes what is kept about a subject.

use liteagent_engine::codes;

use crate::{
    failure::{Exit, Failure},
    follow::runs,
    platform::{block_on, open_stores},
    progress::count,
    project::Project,
    shell::Shell,
};

/// Deletes everything that is kept about a subject: its runs with their journals and files, the conversations that they
/// belong to, and the cached outputs that they filled. It cannot be undone.
#[derive(clap::Args)]
pub(crate) struct Forget {
    /// Whom the runs are about, as `liteagent run --subject` was told
    #[arg(long, value_name = "SUBJECT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    subject: String,
}

impl Forget {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        let forgotten = block_on(async { Ok(open_stores(&project).await?.stores.forget(&self.subject).await?) })?;
        let forgotten = forgotten.map_err(|open| {
            let message = format!("nothing was forgotten: {} not ended", still(&open));
            Failure::usage(codes::RUN_STATE, message)
                .hint("wait for them, or end each with `liteagent runs cancel RUN`, and forget then")
        })?;
        let what = [
            (forgotten.runs, "run"),
            (forgotten.conversations, "conversation"),
            (forgotten.outputs, "cached output"),
            (forgotten.blobs.len() as u64, "blob"),
        ];
        let what: Vec<_> = what.into_iter().map(|(number, name)| count(number as usize, name)).collect();
        shell.note(format!("forgot {}", what.join(", ")));
        Ok(Exit::Done)
    }
}

fn still(open: &[liteagent_engine::id::RunId]) -> String {
    format!("{} {}", runs(open), if open.len() == 1 { "has" } else { "have" })
}
