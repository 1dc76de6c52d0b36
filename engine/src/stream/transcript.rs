//! Which answers a run gave, in the order in which they are shown: a fold of its journal that needs no plan.

use std::sync::Arc;

use crate::{
    event::{AfterFailure, Event, Handler, Over, Payload, Record},
    run::path,
    value::Value,
};

/// What stands for the answer of a workflow that has none: its output `text`.
pub const OUTPUT: &str = "outputs.text";

/// The answers of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    answers: Vec<Answer>,
    /// The open containers of calls: their passes are `tools.refund[0].` and not `each[0].`.
    calls: Vec<String>,
}

/// An answer that was begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The path of its node; `outputs.text` is the output of a run that gave no answer.
    pub node: Arc<str>,
    /// Its text.
    pub text: AnswerText,
}

/// The text of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerText {
    /// It is not complete.
    Open,
    /// This is it.
    Said(Arc<str>),
    /// It was never said: what was shown of it does not hold.
    Void,
}

impl Transcript {
    /// Of a workflow without answers, whose output `text` is shown in their place.
    pub(super) fn of_output() -> Self {
        Self { answers: vec![Answer { node: OUTPUT.into(), text: AnswerText::Open }], calls: Vec::new() }
    }

    /// Every answer that was begun.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// The texts of the answers that were given.
    pub fn said(&self) -> impl Iterator<Item = &str> {
        self.answers.iter().filter_map(|answer| match &answer.text {
            AnswerText::Said(text) => Some(&**text),
            AnswerText::Open | AnswerText::Void => None,
        })
    }

    /// What was said: the answers, each on a line of its own. `None` when nothing was.
    pub fn text(&self) -> Option<String> {
        let said: Vec<&str> = self.said().collect();
        (!said.is_empty()).then(|| said.join("\n"))
    }

    /// Folds one more record.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::AnswerOpened { node } => {
                self.answers.push(Answer { node: node.as_str().into(), text: AnswerText::Open });
            }
            Event::NodeSucceeded { node, output, .. } => self.settle(node, || text_of(&output.value())),
            Event::NodeFailed { node, then, .. } => match then {
                AfterFailure::Retry(_) => self.void(|answer| is_inside(answer, node)),
                AfterFailure::StandIn(outputs) => {
                    self.void(|answer| is_inside(answer, node));
                    self.settle(node, || text_of(outputs));
                }
                AfterFailure::Continue => self.void(|answer| answer == node || is_inside(answer, node)),
                // At the top, a failure that nothing handles fixes the result of the run.
                AfterFailure::Fail if is_top(node) => self.void(|answer| !is_in_handler(answer)),
                AfterFailure::Fail => self.void(|answer| answer == node || is_inside(answer, node)),
            },
            Event::NodeSkipped { node, .. } => self.void(|answer| answer == node),
            Event::NodeCancelled { node, .. } => self.void(|answer| answer == node || is_inside(answer, node)),
            Event::ContainerOpened { node, over: Over::Calls { .. }, .. } => self.calls.push(node.clone()),
            Event::FrameFinished { node, index, .. } => {
                let is_of_calls = self.calls.contains(node);
                let (frame, of_call) = (format!("[{index}]."), format!("[{index}]"));
                self.void(|answer| match answer.strip_prefix(&**node) {
                    Some(rest) if is_of_calls => {
                        rest.strip_prefix('.').is_some_and(|rest| path::cut(rest).0.ends_with(&of_call))
                    }
                    // A composite that repeats nothing has one pass, without a number.
                    Some(rest) => rest.starts_with(&frame) || rest.starts_with('.'),
                    None => false,
                });
            }
            Event::RunStopping { .. } | Event::CancelRequested { .. } => self.void(|answer| !is_in_handler(answer)),
            Event::HandlerFinished { handler, .. } => {
                let prefix = format!("{}.", handler.as_str());
                self.void(|answer| answer.starts_with(&prefix));
            }
            Event::RunEnded { outputs, .. } => {
                if self.answers.is_empty() {
                    self.answers.extend(Self::of_output().answers);
                }
                let outputs = outputs.as_ref().map(Payload::value).unwrap_or_default();
                self.settle(OUTPUT, || text_of(&outputs));
                self.void(|_| true);
                self.answers.retain(|answer| &*answer.node != OUTPUT || answer.text != AnswerText::Void);
            }
            _ => {}
        }
    }

    fn settle(&mut self, node: &str, text: impl FnOnce() -> Option<Arc<str>>) {
        let open = self.answers.iter_mut().find(|answer| answer.text == AnswerText::Open && &*answer.node == node);
        if let Some(answer) = open {
            answer.text = text().map_or(AnswerText::Void, AnswerText::Said);
        }
    }

    fn void(&mut self, which: impl Fn(&str) -> bool) {
        let open = self.answers.iter_mut().filter(|answer| answer.text == AnswerText::Open);
        open.filter(|answer| which(&answer.node)).for_each(|answer| answer.text = AnswerText::Void);
    }
}

/// The text of an answer, in its output.
fn text_of(output: &Value) -> Option<Arc<str>> {
    match output.get("text") {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// Whether a node stands inside a container.
fn is_inside(path: &str, container: &str) -> bool {
    path.strip_prefix(container).is_some_and(|rest| rest.starts_with(['[', '.']))
}

fn is_in_handler(path: &str) -> bool {
    [Handler::OnFailure, Handler::Finally]
        .iter()
        .any(|handler| path.strip_prefix(handler.as_str()).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether a node stands in the workflow itself.
fn is_top(path: &str) -> bool {
    !path.contains(['[', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::{ErrorClass, ErrorReport},
        event::{FrameEnd, RunStatus, SkipReason},
        usage::Spent,
        value,
    };

    fn opened(node: &str) -> Event {
        Event::AnswerOpened { node: node.to_owned() }
    }

    fn succeeded(node: &str, text: &str) -> Event {
        Event::NodeSucceeded {
            node: node.to_owned(),
            attempt: 1,
            port: None,
            output: value!({ "text": text }).into(),
            writes: Vec::new(),
            cached: false,
            usage: Spent::default(),
            log: None,
        }
    }

    fn failed(node: &str, then: AfterFailure) -> Event {
        let error = ErrorReport {
            code: "LA2001".to_owned(),
            class: ErrorClass::Invalid,
            message: String::new(),
            hint: None,
            node: None,
        };
        Event::NodeFailed { node: node.to_owned(), attempt: 1, error, then, usage: Spent::default(), log: None }
    }

    fn ended(outputs: Value) -> Event {
        let (error, usage) = (None, Spent::default());
        Event::RunEnded { status: RunStatus::Succeeded, outputs: Some(outputs.into()), error, handled_errors: 0, usage }
    }

    /// `said`, or what stands in its place, in order.
    fn shown(events: Vec<Event>) -> Vec<String> {
        let mut transcript = Transcript::default();
        for (seq, event) in (1..).zip(events) {
            transcript.apply(&Record { seq, at: 1, event });
        }
        let word = |answer: &Answer| match &answer.text {
            AnswerText::Open => format!("{}?", answer.node),
            AnswerText::Said(text) => text.to_string(),
            AnswerText::Void => format!("-{}", answer.node),
        };
        transcript.answers().iter().map(word).collect()
    }

    #[test]
    fn answers_stand_in_the_order_in_which_they_began() {
        let events =
            vec![opened("b"), opened("a"), succeeded("a", "one"), succeeded("x", "no answer"), succeeded("b", "two")];
        assert_eq!(shown(events), ["two", "one"]);
        assert_eq!(shown(vec![succeeded("a", "x"), ended(value!({ "text": "t", "more": 1 }))]), ["t"]);
        assert_eq!(shown(vec![opened("a"), succeeded("a", "x"), ended(value!({ "text": "t" }))]), ["x"]);
        assert!(shown(vec![ended(value!({ "text": 5 }))]).is_empty());
    }

    #[test]
    fn what_can_no_longer_be_said_is_void() {
        let skipped = Event::NodeSkipped { node: "a".to_owned(), why: SkipReason::When };
        assert_eq!(shown(vec![opened("a"), opened("b"), skipped]), ["-a", "b?"]);
        assert_eq!(shown(vec![opened("a"), failed("a", AfterFailure::Retry(9)), succeeded("a", "x")]), ["x"]);
        let stands_in = AfterFailure::StandIn(value!({ "text": "instead" }));
        assert_eq!(shown(vec![opened("a"), failed("a", stands_in)]), ["instead"]);
        assert_eq!(
            shown(vec![opened("a"), failed("reply", AfterFailure::Fail), opened("on_failure.sorry")]),
            ["-a", "on_failure.sorry?"]
        );
        assert_eq!(shown(vec![opened("on_failure.a"), failed("on_failure.b", AfterFailure::Fail)]), ["on_failure.a?"]);
        assert_eq!(shown(vec![opened("a"), ended(Value::Null)]), ["-a"]);
    }

    #[test]
    fn a_pass_that_ends_or_goes_on_again_takes_its_answers_with_it() {
        let error = ErrorReport {
            code: String::new(),
            class: ErrorClass::Invalid,
            message: String::new(),
            hint: None,
            node: None,
        };
        let frame = |index| Event::FrameFinished {
            node: "each".to_owned(),
            index,
            end: FrameEnd::Failed { error: error.clone() },
        };
        let events = vec![opened("each[1].a"), opened("each[11].a"), frame(1), succeeded("each[11].a", "x")];
        assert_eq!(shown(events), ["-each[1].a", "x"]);
        let again = vec![
            opened("each[1].a"),
            failed("each", AfterFailure::Retry(1)),
            opened("each[1].a"),
            succeeded("each[1].a", "y"),
        ];
        assert_eq!(shown(again), ["-each[1].a", "y"]);
    }
}
