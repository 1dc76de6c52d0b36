//! `eval`: a workflow over a data set, for each of several models.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc};

use indicatif::ProgressBar;
use liteagent_engine::{
    bundle::Bundle,
    capability::model::Models as _,
    codes,
    diagnostic::render,
    load::{LoadOptions, load},
    usage::Usage,
};
use tokio::signal;

use crate::{
    definition::load_for_use,
    failure::{Exit, Failure},
    platform::{Platform, block_on},
    progress::{count, used},
    project::Project,
    sandbox,
    shell::Shell,
    testing::{
        self,
        evaluate::{Evaluation, Score, read, report, table},
    },
};

/// Runs a workflow over a data set with several models, and compares them.
///
/// Runs are real: models are asked, and nodes act on the outside. They are kept nowhere.
#[derive(clap::Args)]
pub(crate) struct Eval {
    /// The workflow: a file, or a name
    workflow: String,
    /// The data set: a JSON object a line, with `inputs` or `message`, and `expect`, `judge` or both
    #[arg(value_name = "CASES")]
    cases: PathBuf,
    /// The models, one after the other: each stands in the place of `defaults.model`
    #[arg(long, value_name = "MODELS", value_delimiter = ',', default_value = "default")]
    model: Vec<String>,
    /// The model that judges the results of cases with criteria (`judge`)
    #[arg(long, value_name = "MODEL")]
    judge: Option<String>,
    /// How many runs go on at once
    #[arg(long, value_name = "RUNS", default_value = "4")]
    concurrency: NonZeroUsize,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        let path = project.find(&self.workflow)?;
        let usual = load_for_use(&path, shell)?;
        sandbox::check(&project, &usual)?;
        let registry = project.node_types();
        let cases = match read(&self.cases, &usual, &registry) {
            Ok(cases) => cases,
            Err(findings) => {
                shell.note(render::text(&findings, shell.colors_err()).trim_end());
                let message = format!("`{}` has {}", self.cases.display(), count(findings.len(), "finding"));
                return Err(Failure::usage(codes::EVAL_CASES, message).hint("mend the lines; nothing was run"));
            }
        };
        if let Some(case) = cases.iter().find(|case| case.judge.is_some() && self.judge.is_none()) {
            let message = format!("`{}` of `{}` has criteria, and no model judges", case.name(), self.cases.display());
            return Err(Failure::usage(codes::EVAL_MODELS, message).hint("name one: `--judge openai/gpt-6-luna`"));
        }
        let with = |model: &str| -> Result<Arc<Bundle>, Failure> {
            let options = LoadOptions { model: Some(model.to_owned()), ..LoadOptions::default() };
            let message =
                || Failure::usage(codes::NOT_RUNNABLE, format!("`{}` does not run with `{model}`", self.workflow));
            load(&path, &registry, &options).bundle.map(Arc::new).ok_or_else(message)
        };
        if with("a/a")?.digest() == with("b/b")?.digest() {
            let message =
                format!("no node of `{}` takes the default model, so every model would give the same", self.workflow);
            return Err(Failure::usage(codes::EVAL_MODELS, message)
                .hint("remove `model` from the nodes whose models shall be compared"));
        }
        let models =
            self.model.iter().map(|model| Ok((model.clone(), with(model)?))).collect::<Result<_, Failure>>()?;
        let evaluation = Evaluation { models, cases, file: self.cases.clone(), judge: self.judge.clone(), registry };
        block_on(self.evaluate(shell, &project, &evaluation))
    }

    async fn evaluate(&self, shell: &Shell, project: &Project, evaluation: &Evaluation) -> Result<Exit, Failure> {
        let platform = Platform::open_in_memory(project).await?;
        for name in self.model.iter().chain(&self.judge) {
            let info = platform.models.describe(name).map_err(|error| {
                let failure = Failure::usage(error.code, error.message);
                Failure { hint: error.hint, ..failure }
            })?;
            if !info.chats {
                let message = format!("expected a chat model, found `{name}`, which embeds texts");
                return Err(Failure::usage(codes::EVAL_MODELS, message).hint("`liteagent models` lists chat models"));
            }
        }
        // Drawn only where a person looks.
        let bar = ProgressBar::new((evaluation.models.len() * evaluation.cases.len()) as u64);
        let outcomes = tokio::select! {
            outcomes = evaluation.run(&platform, self.concurrency.get(), || bar.inc(1)) => outcomes?,
            _ = signal::ctrl_c() => return Ok(Exit::Interrupted),
        };
        bar.finish_and_clear();
        let scores = Score::all(evaluation, &outcomes);
        let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
        if self.json {
            shell.json(&report(evaluation, &scores))?;
        } else {
            shell.out(table(&scores))?;
            for line in failed.iter().flat_map(|outcome| testing::lines(&outcome.verdict, shell.colors_out())) {
                shell.out(line)?;
            }
        }
        let mut judged = Usage::default();
        for outcome in &outcomes {
            judged += outcome.judged;
        }
        if let Some(judge) = self.judge.as_ref().filter(|_| !judged.is_nothing()) {
            shell.note(format!("judged by {judge}: {}", used(&judged)));
        }
        platform.close().await?;
        Ok(if failed.is_empty() { Exit::Done } else { Exit::Failed })
    }
}
