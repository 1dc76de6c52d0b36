//! Asking a workflow as a model: a run is started, and its answers are read as they come.

use std::sync::Arc;

use liteagent_engine::{
    capability::model::Message,
    codes,
    definition::Definition,
    engine::{RunEnd, Settled, Start},
    error::ErrorReport,
    event::RunStatus,
    id::RunId,
    stream::{RunStream, Screen, StreamEvent},
    value,
    value::Value,
};

use super::tools::{Tool, for_run};
use crate::{access::Caller, app::App, problem::Problem};

/// What a workflow is asked.
#[derive(Default)]
pub(super) struct Question {
    /// The workflow.
    pub(super) model: String,
    /// What is asked.
    pub(super) message: String,
    /// What was said before: `{ role, content }`, oldest first.
    pub(super) before: Vec<Value>,
    /// The calls of tools that were asked for since, and what came of them.
    pub(super) called: Vec<Message>,
    /// The tools of the caller.
    pub(super) tools: Vec<Tool>,
    /// Whom it is for.
    pub(super) user: Option<String>,
}

impl Question {
    /// A question to this model, which is empty.
    pub(super) fn to(model: String) -> Self {
        Self { model, ..Self::default() }
    }
}

/// The input that a message goes into: `message` of a chat, else the only required input when that is a text.
pub(super) fn asked_by(definition: &Definition) -> Option<String> {
    let inputs = definition.run_inputs();
    if definition.conversation.is_some() {
        return Some("message".to_owned());
    }
    let mut required = inputs.iter().filter(|(_, kind)| !kind.is_optional());
    match (required.next(), required.next()) {
        (Some((name, kind)), None) => {
            let is_text = kind.schema().get("type").and_then(serde_json::Value::as_str) == Some("string");
            is_text.then(|| name.clone())
        }
        _ => None,
    }
}

/// A run that answers.
pub(super) struct Answering {
    app: Arc<App>,
    /// The run.
    pub(super) run: RunId,
    stream: RunStream,
    screen: Screen,
}

/// What comes of an answer.
pub(super) enum Came {
    /// The answer so far: the whole of it, because what was shown may not hold.
    Text(String),
    /// The end of the run.
    End(Box<RunEnd>),
}

impl Answering {
    pub(super) async fn begin(app: &Arc<App>, caller: &Caller, question: Question) -> Result<Self, Problem> {
        caller.check_workflow(&question.model)?;
        let published = app.workflows.published(&question.model)?;
        let input = published.bundle.entry().and_then(asked_by).ok_or_else(|| {
            let detail = format!(
                "the workflow `{}` is no chat, and has not one text as its only required input",
                question.model
            );
            Problem::invalid(codes::NOT_A_CHAT, detail).hint("start it with POST /api/runs, which takes all its inputs")
        })?;
        let inputs = Value::from_pairs([(input, Value::from(question.message))]);
        let mut trigger = vec![("type", Value::from("api"))];
        if !question.before.is_empty() {
            trigger.push(("messages", question.before.into()));
        }
        if !question.tools.is_empty() {
            trigger.push(("tools", for_run(&question.tools, &published.bundle)?));
        }
        if !question.called.is_empty() {
            let called = Value::from_serialize(&question.called).expect("messages have a JSON form");
            trigger.push(("called", called));
        }
        let trigger = Value::from_pairs(trigger);
        let user = question.user.unwrap_or_else(|| caller.name());
        let start = Start { user: value!({ "name": user }), ..Start::new(published.bundle.clone(), inputs, trigger) };
        let run = app.begin(Some(caller), start).await?;
        let stream = app.engine.stream(run, None).await?;
        Ok(Self { app: app.clone(), run, stream, screen: Screen::default() })
    }

    /// What comes next. Nothing comes after the end.
    pub(super) async fn next(&mut self) -> Result<Came, Problem> {
        loop {
            // A run that waits for a person ends nothing here: nobody could answer.
            let item = tokio::select! {
                item = self.stream.next() => item?,
                waits = self.app.engine.settled(self.run) => match waits? {
                    Settled::Waiting(waits) if !waits.is_empty() => return Err(waiting(self.run)),
                    // The stream tells the rest.
                    _ => self.stream.next().await?,
                },
            };
            match item {
                Some(item) => {
                    self.screen.apply(&item.event);
                    if !matches!(item.event, StreamEvent::Record { .. } | StreamEvent::Complete { .. }) {
                        return Ok(Came::Text(self.screen.text()));
                    }
                }
                None => match self.app.engine.settled(self.run).await? {
                    Settled::Ended(end) => return Ok(Came::End(Box::new(end))),
                    Settled::Waiting(_) | Settled::Queued(_) => return Err(waiting(self.run)),
                },
            }
        }
    }

    /// The answer so far.
    pub(super) fn text(&self) -> String {
        self.screen.text()
    }

    /// The whole answer, and the end.
    pub(super) async fn whole(mut self) -> Result<(String, RunEnd), Problem> {
        loop {
            if let Came::End(end) = self.next().await? {
                return Ok((self.screen.text(), *end));
            }
        }
    }
}

fn waiting(run: RunId) -> Problem {
    Problem::conflict(codes::RUN_STATE, "the workflow waits for a person")
        .hint(format!("answer it with POST /api/runs/{run}/answer"))
        .about(run)
}

/// Why a run gave no answer.
pub(crate) fn failed(run: RunId, end: &RunEnd) -> Option<Problem> {
    let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    match (end.status, &end.error) {
        (RunStatus::Succeeded, _) => None,
        (RunStatus::Cancelled, _) => Some(Problem::conflict(codes::RUN_STATE, "the run was cancelled").about(run)),
        (RunStatus::Failed, Some(ErrorReport { code, message, hint, .. })) => {
            let code = liteagent_engine::error::Code::interned(code);
            let problem = Problem::new(status, code, message).about(run);
            Some(match hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            })
        }
        (RunStatus::Failed, None) => Some(Problem::new(status, codes::RUN_STUCK, "the run failed").about(run)),
    }
}
