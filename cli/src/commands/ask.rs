//! `ask`: answers a question from a knowledge base.

use liteagent_engine::{capability::knowledge::Knowledge as _, value};

use crate::{
    commands::run::ShowArgs,
    config::models::notice,
    failure::{Exit, Failure},
    follow::Results,
    knowledge, library,
    platform::{Platform, block_on},
    project::Project,
    shell::Shell,
};

/// Answers a question from a knowledge base, with the passages that the answer comes from.
#[derive(clap::Args)]
pub(crate) struct Ask {
    /// The knowledge base
    #[arg(value_name = "KNOWLEDGE")]
    knowledge: String,
    /// The question
    #[arg(value_name = "QUESTION")]
    question: String,
    #[command(flatten)]
    show: ShowArgs,
}

impl Ask {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        let bundle = library::workflow(&project, "rag/answer", shell)?;
        block_on(async {
            // A name that is wrong is told before a run is made of it.
            knowledge::open(&project).await?.base(&self.knowledge).await.map_err(knowledge::told)?;
            let platform = Platform::open(&project, self.show.progress(shell)).await?;
            if !self.show.json {
                shell.note(notice(&platform.models));
            }
            let inputs = value!({ "knowledge": self.knowledge.as_str(), "question": self.question.as_str() });
            let results = if self.show.json { Results::Json } else { Results::Answer };
            let exit = library::run(&platform, bundle, inputs, shell, results).await;
            platform.close().await?;
            exit
        })
    }
}
