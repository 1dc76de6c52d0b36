//! One turn: a run, from the message to its end, with what people are asked in between.

use liteagent_engine::{
    codes,
    engine::{OpenWait, RunEnd, Settled, Start},
    event::{RunStatus, SignalTo},
    id::RunId,
    value,
    value::Value,
};
use serde_json::json;
use tokio::signal;

use super::{Chat, lines::Line};
use crate::{
    answer,
    failure::{Exit, Failure},
    follow::{PROGRAM, by, described, go_on, settled, tell_queued, tell_waits},
    progress::count,
};

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// An answer.
    Answer,
    /// It failed.
    Failure,
    /// It was cancelled.
    Cancelled,
    /// It waits for something that cannot be had here.
    Wait,
    /// The person left.
    Leave(Exit),
}

/// What a person said to a question of a run.
enum Asked {
    Answer(Value),
    Cancel,
    Leave,
}

impl Chat<'_> {
    /// Says a message, and shows what comes of it.
    pub(super) async fn turn(&mut self, message: String) -> Result<Came, Failure> {
        let run = RunId::random();
        let declared =
            self.opening.bundle.entry().map(liteagent_engine::definition::Definition::run_inputs).unwrap_or_default();
        let mut inputs = self.opening.inputs.read(&declared)?;
        inputs.set("message", Value::from(message.as_str()));
        inputs.upload(run, &*self.platform.files, &declared).await?;
        let start = Start {
            id: Some(run),
            user: by().map_or(Value::Null, |name| value!({ "name": name })),
            conversation: Some(self.conversation.clone()),
            beside: self.path.beside(),
            subject: self.opening.subject.clone(),
            ..Start::new(self.opening.bundle.clone(), inputs.values(), value!({ "type": "cli" }))
        };
        self.screen.watch(run);
        self.platform.engine.start(start).await?;
        self.path.push(run, message);
        self.newest = Some(run);
        self.follow(run).await
    }

    async fn follow(&mut self, run: RunId) -> Result<Came, Failure> {
        let mut stopping = false;
        loop {
            let rest = tokio::select! {
                rest = settled(&self.platform, run) => rest?,
                _ = signal::ctrl_c() => {
                    if stopping {
                        return Ok(Came::Leave(Exit::Interrupted));
                    }
                    stopping = true;
                    self.screen.pause();
                    self.shell.note("cancelling; Ctrl-C again leaves at once");
                    self.platform.engine.cancel(run, by()).await?;
                    continue;
                }
            };
            match rest {
                Settled::Ended(end) => return self.ended(run, &end).await,
                Settled::Queued(ahead) => {
                    self.screen.finish("")?;
                    if self.opening.json {
                        self.tell(run, &json!({ "status": "queued", "ahead": ahead }))?;
                    } else {
                        tell_queued(self.shell, run, &ahead);
                    }
                    return Ok(Came::Wait);
                }
                Settled::Waiting(waits) => {
                    let question = waits.iter().find(|open| !open.wait.ask.is_null());
                    let Some(question) = question.filter(|_| self.lines.is_person() && !self.opening.json) else {
                        return self.waits(run, &waits);
                    };
                    match self.ask(&question.wait.ask)? {
                        Asked::Answer(payload) => {
                            let to = SignalTo::Node(question.node.clone());
                            self.platform.engine.signal(question.run, to, payload, by()).await?;
                        }
                        Asked::Cancel => self.platform.engine.cancel(run, by()).await?,
                        Asked::Leave => {
                            self.waits(run, &waits)?;
                            return Ok(Came::Leave(Exit::Waiting));
                        }
                    }
                    go_on(&self.platform, run).await?;
                }
            }
        }
    }

    async fn ended(&self, run: RunId, end: &RunEnd) -> Result<Came, Failure> {
        let turn = self.platform.stores.journal.turn(run).await?;
        let answer = turn.and_then(|turn| turn.answer);
        self.screen.finish(answer.as_deref().unwrap_or_default())?;
        if self.opening.json {
            self.tell(
                run,
                &json!({
                    "status": end.status,
                    "answer": answer,
                    "outputs": end.outputs,
                    "error": end.error,
                    "handled_errors": end.handled_errors,
                    "usage": end.usage.report(),
                }),
            )?;
        } else if let Some(error) = &end.error {
            self.shell.error(&error.code, &described(error), error.hint.as_deref());
        } else if end.handled_errors > 0 {
            self.shell.note(format!("{}; /trace tells more", count(end.handled_errors as usize, "handled error")));
        }
        Ok(match end.status {
            RunStatus::Succeeded => Came::Answer,
            RunStatus::Failed => Came::Failure,
            RunStatus::Cancelled => Came::Cancelled,
        })
    }

    fn waits(&self, run: RunId, open: &[OpenWait]) -> Result<Came, Failure> {
        self.screen.finish("")?;
        if self.opening.json {
            let row = |open: &OpenWait| json!({ "node": open.node, "wait": open.wait });
            let all: Vec<_> = open.iter().map(row).collect();
            self.tell(run, &json!({ "status": "waiting", "waiting_for": all }))?;
        } else {
            tell_waits(self.shell, PROGRAM, run, open);
        }
        Ok(Came::Wait)
    }

    /// A line of JSON about a turn.
    fn tell(&self, run: RunId, what: &serde_json::Value) -> Result<(), Failure> {
        let mut line = json!({ "conversation": self.conversation, "turn": self.path.len(), "run": run });
        for (name, value) in what.as_object().into_iter().flatten() {
            line[name] = value.clone();
        }
        self.shell.out(line.to_string())
    }

    /// Asks a person what a run wants to know. Ctrl-C cancels the turn, Ctrl-D leaves it waiting.
    fn ask(&mut self, question: &Value) -> Result<Asked, Failure> {
        self.screen.pause();
        let mut instead = None;
        let read = |question: &str| match self.lines.ask(question)? {
            Line::Text(text) => Ok(text),
            other => {
                instead = Some(other);
                Err(Failure::usage(codes::INPUT_UNREADABLE, "there is no answer"))
            }
        };
        match (answer::ask(question, read), instead) {
            (Ok(payload), _) => Ok(Asked::Answer(payload)),
            (Err(_), Some(Line::Interrupted)) => Ok(Asked::Cancel),
            (Err(_), Some(_)) => Ok(Asked::Leave),
            (Err(failure), None) => Err(failure),
        }
    }
}
