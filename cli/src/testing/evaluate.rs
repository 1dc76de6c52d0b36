//! Evaluations: a workflow over a data set, for each of several models.
//!
//! * `cases`: the data set
//! * `judge`: a model that judges
//! * `table`: what came of it

use std::{path::PathBuf, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use indexmap::IndexMap;
use liteagent_engine::{
    bundle::Bundle,
    engine::Start,
    id::RunId,
    node::{ANSWER, Registry},
    units::Millis,
    usage::Usage,
    value,
    view::RunView,
};
use serde_json::{Value as Json, json};

use self::judge::Judge;
pub(crate) use self::{
    cases::{Case, read},
    table::{Score, report, table},
};
use super::{
    expect::{self, Found},
    lookup::Lookup,
    path::shown,
    report::trace,
    script::Verdict,
};
use crate::{failure::Failure, follow::settled, platform::Platform};

mod cases;
mod judge;
mod table;

/// What is compared by which cases.
pub(crate) struct Evaluation {
    /// The workflow with each model, by name.
    pub(crate) models: Vec<(String, Arc<Bundle>)>,
    /// The data set, and its file.
    pub(crate) cases: Vec<Case>,
    pub(crate) file: PathBuf,
    /// The model that judges.
    pub(crate) judge: Option<String>,
    pub(crate) registry: Registry,
}

/// What came of a case with a model.
pub(crate) struct Outcome {
    /// Which of the models it was, and which of the cases.
    pub(crate) model: usize,
    pub(crate) case: usize,
    /// The name of the model stands in the place of the workflow's.
    pub(crate) verdict: Verdict,
    /// What the run used.
    pub(crate) usage: Usage,
    /// What the judge used.
    pub(crate) judged: Usage,
    /// The outputs, or what a chat showed.
    pub(crate) result: Json,
}

impl Evaluation {
    /// Runs every case with every model, some at once, and tells of each that is done. The outcomes come in the order of
    /// models and cases.
    pub(crate) async fn run(
        &self,
        platform: &Platform,
        concurrency: usize,
        tell: impl Fn(),
    ) -> Result<Vec<Outcome>, Failure> {
        let judge = self.judge.as_deref().map(|model| Judge::new(model, &self.registry));
        let all = (0..self.cases.len()).flat_map(|case| (0..self.models.len()).map(move |model| (model, case)));
        let outcomes = stream::iter(all).map(|(model, case)| self.outcome(platform, judge.as_ref(), model, case));
        let mut outcomes: Vec<_> = outcomes.buffer_unordered(concurrency).inspect(|_| tell()).try_collect().await?;
        outcomes.sort_by_key(|outcome| (outcome.model, outcome.case));
        Ok(outcomes)
    }

    async fn outcome(
        &self,
        platform: &Platform,
        judge: Option<&Judge>,
        model: usize,
        case: usize,
    ) -> Result<Outcome, Failure> {
        let (name, bundle) = &self.models[model];
        let of = &self.cases[case];
        let chat = bundle.entry().is_some_and(|entry| entry.conversation.is_some());
        let start = Start {
            conversation: chat.then(|| format!("{name}/{}", of.line)),
            ..Start::new(bundle.clone(), of.inputs(), value!({ "type": "cli" }))
        };
        let (id, view) = run(platform, start).await?;
        let (usage, took) = (view.usage.total(), view.updated_at - view.started_at);
        let found = self.found(platform, id, view, bundle).await?;
        let mut failures = expect::check(Some(&of.expect), &found);
        let result = found.answer.as_ref().filter(|_| chat).map_or_else(|| found.outputs.clone(), |said| json!(said));
        let mut judged = Usage::default();
        if let (Some(judge), Some(criteria), true) = (judge, &of.judge, failures.is_empty()) {
            let (failure, spent) = judge.judge(platform, of, criteria, result.clone()).await?;
            failures.extend(failure);
            judged = spent;
        }
        let verdict = Verdict {
            workflow: name.clone(),
            name: of.name(),
            place: format!("{}:{}", self.file.display(), of.line),
            trace: trace(&found.nodes),
            failures,
            file: self.file.clone(),
            updates: Vec::new(),
            recording: None,
            took,
        };
        Ok(Outcome { model, case, verdict, usage, judged, result })
    }

    /// What was found of a run and of those that it started.
    async fn found(&self, platform: &Platform, id: RunId, view: RunView, bundle: &Bundle) -> Result<Found, Failure> {
        let lookup = Lookup::new(bundle, &self.registry);
        let end = view.end.clone();
        let (mut nodes, mut workflows) = (IndexMap::new(), Vec::new());
        let mut open = vec![(id, view, String::new())];
        while let Some((id, view, before)) = open.pop() {
            for (path, node) in view.nodes {
                let full = format!("{before}{}", shown(&path));
                let child = RunId::child(id, &path, node.attempt);
                if platform.stores.journal.run(child).await?.is_some() {
                    let view = RunView::load(&platform.stores, child).await?;
                    workflows.push(view.workflow.clone());
                    open.push((child, view, format!("{full}.")));
                }
                nodes.insert(full, node);
            }
        }
        let mut found = Found::new(end, nodes, workflows, IndexMap::new());
        found.answer = found.say(&lookup.paths_of(ANSWER));
        Ok(found)
    }
}

/// Runs to the end, or until nothing goes on by itself.
async fn run(platform: &Platform, start: Start) -> Result<(RunId, RunView), Failure> {
    let id = platform.engine.start(start).await?;
    settled(platform, id).await?;
    Ok((id, RunView::load(&platform.stores, id).await?))
}

/// How long the middle one of some runs took.
fn median(mut times: Vec<Millis>) -> Option<Millis> {
    times.sort_unstable();
    let middle = times.len() / 2;
    match times.len() {
        0 => None,
        count if count % 2 == 1 => Some(times[middle]),
        _ => Some(Millis::midpoint(times[middle - 1], times[middle])),
    }
}
