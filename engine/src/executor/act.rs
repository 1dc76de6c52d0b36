//! Carrying out commands.

use std::sync::Arc;

use super::owner::{Exit, Flushed, Owner, OwnerError};
use crate::{
    codes,
    engine::RunEnd,
    error::{ErrorClass, NodeError},
    event::{Event, FrameEnd, Handler, RunStatus, Write},
    node::{Container, FrameClose, FrameInfo},
    plan::ScopeRead,
    run::{Addr, Command, ContainerEnd, Ending, FrameId, Phase},
    store::{ConversationEnd, Message, MessageBody, Release, RunUsage},
    usage::Spent,
    value::Value,
};

impl Owner {
    /// Carries out one command.
    pub(super) async fn act(&mut self, command: Command) -> Result<Option<Exit>, OwnerError> {
        match command {
            Command::Start { at, attempt } => self.start(at, attempt).await?,
            Command::OpenAnswer { at } => {
                self.open_answer(at);
                // Its text may come at once.
                self.pending.urgent = true;
            }
            Command::Skip { at, why } => self.record(Event::NodeSkipped { node: at, why }),
            Command::Resume { at, with } => self.resume(at, with, &Spent::default()),
            Command::Ignore { id } => self.record(Event::SignalIgnored { id }),
            Command::CloseFrame { frame, failed } => self.close_frame(frame, failed),
            Command::EndContainer { at, end } => self.end_container(at, end),
            Command::Cancel { at } => self.cancel(at),
            Command::OutOfBudget { at, attempt, over } => self.out_of_budget(at, attempt, over),
            Command::WarnOfBudget { used, limit } => self.record(Event::BudgetWarned { used, limit }),
            Command::OutOfTime => {
                let limit = self.plan.timeout.map_or_else(String::new, |timeout| timeout.to_string());
                let message = format!("expected the run to end within {limit}, it did not");
                let error = NodeError::new(codes::RUN_TIMEOUT, ErrorClass::Timeout, message);
                self.stop(error.hint("raise `timeout` of the workflow"));
            }
            Command::HandlerOutOfTime(handler) => {
                let message = format!("expected `{}` to end within 60s, it did not", handler.as_str());
                let error = NodeError::new(codes::HANDLER_TIMEOUT, ErrorClass::Timeout, message);
                self.stop(error.hint("make it shorter"));
            }
            Command::EndHandler { handler, error } => self.record(Event::HandlerFinished { handler, error }),
            Command::Finish => return self.finish().await,
        }
        Ok(None)
    }

    /// Stops a node. A child run is told, and reports its end; who runs it as a job reads it in the journal.
    fn cancel(&mut self, at: Addr) {
        self.to_start.retain(|(waiting, _)| *waiting != at);
        let mut usage = Spent::default();
        if let Some(running) = self.running.remove(&at) {
            running.abort.abort();
            usage = running.meter.take();
        }
        if self.stop_job(at) {
            return;
        }
        let Some(child) = self.state.child(at) else {
            self.record(Event::NodeCancelled { node: at, usage });
            return;
        };
        let message = Message {
            id: format!("cancel from {}", self.run),
            at: self.engine.clock.now(),
            body: MessageBody::Cancel { by: Some("parent".to_owned()) },
        };
        self.pending.send.push((child, message));
        self.pending.urgent = true;
    }

    fn close_frame(&mut self, id: FrameId, failed: Option<crate::error::ErrorReport>) {
        let Some((container, index)) = self.state.frame(id).and_then(|frame| Some((frame.parent?, frame.index))) else {
            return;
        };
        let end = match failed {
            Some(error) => FrameEnd::Failed { error },
            None => self.frame_end(id, container, index).unwrap_or_else(|error| FrameEnd::Failed {
                error: error.report(&*crate::run::path::path(&self.plan, &self.state, container)),
            }),
        };
        self.record(Event::FrameFinished { node: container, index, end });
    }

    fn frame_end(&self, id: FrameId, container: Addr, index: u32) -> Result<FrameEnd, NodeError> {
        let node = self.node(&self.plan, container);
        let is_call = node.passes.as_ref().is_some_and(|passes| passes.kind == Container::Calls);
        let scope = if is_call {
            // Its result depends on how each of its nodes ended.
            let body = self.state.frame(id).map_or(0, |frame| frame.body);
            let nodes = self.plan.bodies[body].graph.node_weights().zip(0..);
            let reads: Vec<_> = nodes.map(|(node, at)| ScopeRead { id: node.id.clone(), up: 0, node: at }).collect();
            self.scope(id, &reads, 1)
        } else {
            self.scope(id, &node.inner_reads, 1)
        };
        let close = node.node.close_frame(&scope, FrameInfo { index })?;
        let state = self.state.frame(id).map(|frame| frame.item.clone()).unwrap_or_default();
        let hide = |value| self.redactor.value(value);
        Ok(match close {
            FrameClose::Item(output) => FrameEnd::Item { output: hide(output).into() },
            FrameClose::Next(next) => FrameEnd::Next { ops: changes(&state, next, hide) },
            FrameClose::Last(next, output) => {
                FrameEnd::Last { ops: changes(&state, next, hide), output: hide(output).into() }
            }
        })
    }

    fn end_container(&mut self, at: Addr, end: ContainerEnd) {
        let attempt = self.state.node(at).map_or(1, |node| node.attempt);
        match end {
            ContainerEnd::Done => self.record(Event::NodeSucceeded {
                node: at,
                attempt,
                port: None,
                // Folded from the frames: a second copy would double the journal.
                output: Value::object().into(),
                writes: Vec::new(),
                cached: false,
                usage: Spent::default(),
                log: None,
            }),
            ContainerEnd::Stopped => self.record(Event::NodeCancelled { node: at, usage: Spent::default() }),
            ContainerEnd::Failed(report) => {
                let plan = self.plan.clone();
                let error = NodeError::new(codes::FRAME_FAILED, report.class, &report.message);
                let now = self.engine.clock.now();
                let draw = rand::random();
                let then = super::policy::after_failure(self.node(&plan, at), &error, attempt, now, draw);
                let usage = Spent::default();
                self.record(Event::NodeFailed { node: at, attempt, error: report, then, usage, log: None });
            }
        }
    }

    /// Nothing runs any more: the next handler, or the end.
    async fn finish(&mut self) -> Result<Option<Exit>, OwnerError> {
        let ending = match &self.state.phase {
            Phase::Running => Ending { status: RunStatus::Succeeded, error: None },
            Phase::Stopping(ending) => ending.clone(),
            Phase::New | Phase::Handling(..) | Phase::Ended(_) => return Ok(None),
        };
        let mut outputs = None;
        if ending.status == RunStatus::Succeeded {
            match self.outputs() {
                Ok(values) => outputs = Some(values),
                Err(error) if self.state.phase == Phase::Running => {
                    let mut report = error.report("outputs");
                    if let Some(message) = self.redactor.text(&report.message) {
                        report.message = message;
                    }
                    self.record(Event::RunStopping { error: report });
                    return Ok(None);
                }
                // They were computed before `finally`, from the same values.
                Err(error) => return Err(crate::store::StoreError::Damaged(error.message).into()),
            }
        }
        if let Some(handler) = self.next_handler(&ending) {
            self.record(Event::HandlerStarted { handler });
            return Ok(None);
        }
        self.end(ending, outputs).await
    }

    fn next_handler(&self, ending: &Ending) -> Option<Handler> {
        let due =
            |handler, body: Option<usize>| (body.is_some() && self.state.handler(handler).is_none()).then_some(handler);
        let after_failure = (ending.status == RunStatus::Failed).then(|| due(Handler::OnFailure, self.plan.on_failure));
        after_failure.flatten().or_else(|| due(Handler::Finally, self.plan.finally))
    }

    fn outputs(&self) -> Result<Value, NodeError> {
        let scope = self.scope(0, &self.plan.output_reads, 1);
        let mut outputs = crate::value::Object::default();
        for (name, tree) in &self.plan.outputs {
            let value = tree.render(&scope).map_err(|mut error| {
                error.message = format!("`outputs.{name}`: {}", error.message);
                error
            })?;
            outputs.insert(name.clone(), self.redactor.value(value));
        }
        Ok(Value::Object(Arc::new(outputs)))
    }

    /// Journals the end, with everything that must become durable in the same transaction.
    async fn end(&mut self, ending: Ending, outputs: Option<Value>) -> Result<Option<Exit>, OwnerError> {
        // The terminal record is folded only once it is durable: a message may still come first.
        let before = (self.pending.records.len(), self.pending.shown.len(), self.pending.send.len());
        let models = self.state.used.models.clone();
        let end = RunEnd {
            status: ending.status,
            outputs: outputs.clone().unwrap_or_else(Value::object),
            error: ending.error.clone(),
            handled_errors: self.state.handled_errors,
            usage: Spent { models: models.clone(), nodes: 0 },
        };
        let record = self.encode(Event::RunEnded {
            status: ending.status,
            outputs: outputs.clone().map(Into::into),
            error: ending.error.clone(),
            handled_errors: self.state.handled_errors,
            usage: Spent { models: models.clone(), nodes: 0 },
        });
        if let Some(parent) = self.parent.clone() {
            if let Some(outputs) = &outputs {
                let text = outputs.to_string();
                self.engine.share_named(self.run, parent.run, std::iter::once(text.as_str())).await?;
            }
            let body = MessageBody::ChildEnded {
                node: parent.node,
                attempt: parent.attempt,
                status: ending.status,
                outputs: outputs.clone().unwrap_or_default(),
                error: ending.error.clone(),
                usage: Spent { models, nodes: self.state.started },
            };
            let message = Message { id: format!("end of {}", self.run), at: self.engine.clock.now(), body };
            self.pending.send.push((parent.run, message));
        }
        let conversation = self.state.start.conversation.clone().filter(|_| self.plan.chat);
        let release = Release::Ended {
            status: ending.status,
            error: ending.error,
            conversation: conversation.map(|id| ConversationEnd {
                id,
                variables: self.state.conversation.clone(),
                answer: self.state.said().or_else(|| answer_of(outputs.as_ref()?)),
            }),
            usage: Box::new(RunUsage { total: self.state.used.total(), own: self.state.used_here.models.clone() }),
        };
        match self.flush(Some(release)).await? {
            Flushed::Yes => {
                self.state.apply(&self.plan, &record);
                if let Some(observer) = &self.engine.observer {
                    observer.ended(self.run, &self.plan.workflow, &end);
                }
                if self.detached.is_none() {
                    self.engine.wake_next(&self.keys()).await;
                }
                Ok(Some(Exit::Ended(Some(Box::new(end)))))
            }
            Flushed::Fenced => Ok(Some(Exit::Lost)),
            Flushed::InboxNotEmpty => {
                self.pending.records.truncate(before.0);
                self.pending.shown.truncate(before.1);
                self.pending.send.truncate(before.2);
                self.state.reconsider_end();
                self.read_inbox().await?;
                Ok(None)
            }
        }
    }
}

/// What a workflow without `answer` nodes says: its output `text`.
fn answer_of(outputs: &Value) -> Option<String> {
    Some(outputs.get("text")?.as_str()?.to_owned())
}

/// How the state of a loop changed: never the whole state, and of a list that grew only what was added.
fn changes(state: &Value, next: Vec<(String, Value)>, hide: impl Fn(Value) -> Value) -> Vec<Write> {
    let mut ops = Vec::new();
    for (name, value) in next {
        let value = hide(value);
        let old = state.get(&name);
        if old == Some(&value) {
            continue;
        }
        ops.push(match (old.and_then(Value::as_list), value.as_list()) {
            (Some(old), Some(new)) if new.len() > old.len() && new.starts_with(old) => {
                Write::Extend { name, items: new[old.len()..].to_vec() }
            }
            _ => Write::Set { name, value },
        });
    }
    ops
}
