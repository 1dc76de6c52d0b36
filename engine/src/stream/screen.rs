//! What a reader shows: the simplest one that is right.

use std::sync::Arc;

use super::StreamEvent;

/// The texts of the answers as a reader shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    answers: Vec<Shown>,
}

/// The text of an answer as far as it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    answer: Arc<str>,
    text: String,
    is_complete: bool,
}

impl Screen {
    /// Takes in what comes.
    pub fn apply(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Record { .. } => {}
            StreamEvent::Text { answer, text } => self.at(answer).text.push_str(text),
            StreamEvent::Reset { answer: None, .. } => self.answers.clear(),
            StreamEvent::Reset { answer: Some(answer), .. } => {
                self.answers.retain(|shown| shown.is_complete || shown.answer != *answer);
            }
            StreamEvent::Complete { answer } => self.at(answer).is_complete = true,
        }
    }

    /// The texts, each on a line of its own.
    pub fn text(&self) -> String {
        self.answers.iter().map(|shown| shown.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Whether every text that is shown is complete.
    pub fn is_complete(&self) -> bool {
        self.answers.iter().all(|shown| shown.is_complete)
    }

    /// What makes a screen like this one of an empty one, or of one that shows the first `complete` answers and nothing else.
    pub(super) fn everything(&self, complete: usize) -> Vec<StreamEvent> {
        let (done, open): (Vec<_>, Vec<_>) = self.answers.iter().partition(|shown| shown.is_complete);
        let mut events = Vec::new();
        for Shown { answer, text, is_complete } in done.into_iter().skip(complete).chain(open) {
            if !text.is_empty() {
                events.push(StreamEvent::Text { answer: answer.clone(), text: text.as_str().into() });
            }
            if *is_complete {
                events.push(StreamEvent::Complete { answer: answer.clone() });
            }
        }
        events
    }

    fn at(&mut self, answer: &Arc<str>) -> &mut Shown {
        let open = self.answers.iter().position(|shown| !shown.is_complete && shown.answer == *answer);
        let place = open.unwrap_or_else(|| {
            self.answers.push(Shown { answer: answer.clone(), text: String::new(), is_complete: false });
            self.answers.len() - 1
        });
        &mut self.answers[place]
    }
}
