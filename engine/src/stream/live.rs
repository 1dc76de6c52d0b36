//! What of the answers of a run is known so far, and what of it was shown.

use std::sync::Arc;

use super::{
    Cause, StreamEvent,
    source::{End, Interest, Sources, TEXT},
    transcript::{AnswerText, OUTPUT, Transcript},
};
use crate::{
    event::{AfterFailure, Event, FrameEnd, Record, Seq},
    node::Container,
    plan::{AnswerPart, AnswerPlan, BodyIx, Border, Plan},
    run::path,
    store::Parent,
    value::Value,
};

/// The answers of a run while it goes on. One is shown at a time; the others wait for their turn.
pub(super) struct Live {
    pub(super) plan: Arc<Plan>,
    pub(super) parent: Option<Parent>,
    /// The newest record that was folded.
    pub(super) seq: Seq,
    pub(super) interest: Interest,
    pub(super) sources: Sources,
    transcript: Transcript,
    /// The answer that is being shown.
    turn: usize,
    shown: Shown,
}

/// What was shown of the answer whose turn it is.
#[derive(Debug, Default)]
struct Shown {
    text: String,
    /// The part that comes next, or is coming.
    part: usize,
    /// Where the text of that part begins.
    begins: usize,
    /// The text of that part, when it is an expression that is known.
    known: Option<String>,
}

/// What goes out.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// To readers.
    pub(super) events: Vec<StreamEvent>,
    /// To the run that started this one: pieces of its outputs.
    pub(super) up: Vec<Up>,
}

/// A piece of an output, for the run that started this one.
#[derive(Debug)]
pub(super) enum Up {
    /// The next piece.
    Piece { output: Arc<str>, text: String },
    /// What has come so far does not hold.
    Reset { output: Arc<str> },
}

/// A part of an answer that an expression gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The answer.
    pub(crate) answer: Arc<str>,
    /// Which part.
    pub(crate) part: usize,
}

impl Live {
    pub(super) fn new(plan: Arc<Plan>, parent: Option<Parent>) -> Self {
        let transcript = if plan.answer.is_some() { Transcript::of_output() } else { Transcript::default() };
        Self {
            interest: Interest::of(&plan, parent.is_some()),
            plan,
            parent,
            seq: 0,
            sources: Sources::default(),
            transcript,
            turn: 0,
            shown: Shown::default(),
        }
    }

    /// Folds a record that is durable, and shows what follows from it.
    pub(super) fn apply(&mut self, record: &Record, out: &mut Out) {
        self.seq = record.seq;
        self.note(&record.event, out);
        self.transcript.apply(record);
        self.show(out);
    }

    /// Everything that holds so far: for a reader that has nothing, or nothing but the first `complete` answers.
    pub(super) fn everything(&self, complete: usize) -> Vec<StreamEvent> {
        let piece = |answer: &Arc<str>, text: &str| {
            let event = || StreamEvent::Text { answer: answer.clone(), text: text.into() };
            (!text.is_empty()).then(event)
        };
        let mut events = Vec::new();
        for (answer, text) in self.said().skip(complete) {
            events.extend(piece(answer, text));
            events.push(StreamEvent::Complete { answer: answer.clone() });
        }
        events.extend(self.open().and_then(|answer| piece(&answer, &self.shown.text)));
        events
    }

    /// The answers that were shown to their end.
    fn said(&self) -> impl Iterator<Item = (&Arc<str>, &str)> {
        self.transcript.answers().iter().take(self.turn).filter_map(|answer| match &answer.text {
            AnswerText::Said(text) => Some((&answer.node, &**text)),
            AnswerText::Open | AnswerText::Void => None,
        })
    }

    /// The part that the answer whose turn it is waits for, when that is an expression which may be known already.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let answer = self.open()?;
        let (plan, ..) = self.plan_of(&answer)?;
        match plan.parts.get(self.shown.part)? {
            AnswerPart::Expression { late: false, .. } => Some(Wanted { answer, part: self.shown.part }),
            _ => None,
        }
    }

    /// Gives the text of a part that was wanted.
    pub(super) fn supply(&mut self, wanted: &Wanted, text: String, out: &mut Out) {
        if self.wanted().as_ref() == Some(wanted) {
            self.shown.known = Some(text);
            self.show(out);
        }
    }

    /// The answer whose turn it is, when its record is not there.
    fn open(&self) -> Option<Arc<str>> {
        let answer = self.transcript.answers().get(self.turn)?;
        (answer.text == AnswerText::Open).then(|| answer.node.clone())
    }

    /// The parts of an answer, the body of the nodes that they name, and what the paths of those begin with.
    fn plan_of<'a>(&'a self, answer: &'a str) -> Option<(&'a AnswerPlan, BodyIx, &'a str)> {
        if answer == OUTPUT {
            return Some((self.plan.answer.as_ref()?, 0, ""));
        }
        let (body, node) = path::locate(&self.plan, answer)?;
        let node = self.plan.bodies[body].node(node);
        Some((node.answer.as_ref()?, body, answer.strip_suffix(&*node.id)?))
    }

    /// Shows as much as is known, answer by answer.
    fn show(&mut self, out: &mut Out) {
        while let Some(answer) = self.transcript.answers().get(self.turn) {
            let (node, text) = (answer.node.clone(), answer.text.clone());
            match text {
                AnswerText::Open => return self.show_parts(&node, out),
                AnswerText::Void if self.shown.text.is_empty() => {}
                AnswerText::Void => {
                    out.events.push(StreamEvent::Reset { answer: Some(node.clone()), cause: None });
                    self.restart_source(&node, TEXT, out);
                }
                AnswerText::Said(text) => {
                    if !text.starts_with(&self.shown.text) {
                        self.shown.begins = 0;
                        self.retract(&node, None, out);
                    }
                    let rest = text[self.shown.text.len()..].to_owned();
                    self.say(&node, &rest, out);
                    out.events.push(StreamEvent::Complete { answer: node });
                }
            }
            self.turn += 1;
            self.shown = Shown::default();
        }
    }

    fn show_parts(&mut self, answer: &Arc<str>, out: &mut Out) {
        loop {
            let Some((plan, body, prefix)) = self.plan_of(answer) else { return };
            let Some(part) = plan.parts.get(self.shown.part) else { return };
            let (text, is_whole) = match part {
                AnswerPart::Text(text) => (text.to_string(), true),
                AnswerPart::Expression { .. } => match self.shown.known.take() {
                    Some(text) => (text, true),
                    None => return,
                },
                AnswerPart::Stream { node, member } => {
                    let path = format!("{prefix}{}", self.plan.bodies[body].node(*node).id);
                    let Some(source) = self.sources.get(&path, member) else { return };
                    let sent = &self.shown.text[self.shown.begins..];
                    let Some(known) = source.known() else { return };
                    let Some(rest) = known.strip_prefix(sent) else {
                        let cause = Cause { node: path.into(), attempt: source.attempt };
                        self.retract(answer, Some(cause), out);
                        continue;
                    };
                    (rest.to_owned(), source.has_ended())
                }
            };
            self.say(answer, &text, out);
            if !is_whole {
                return;
            }
            self.shown.part += 1;
            self.shown.begins = self.shown.text.len();
        }
    }

    fn say(&mut self, answer: &Arc<str>, text: &str, out: &mut Out) {
        if text.is_empty() {
            return;
        }
        self.shown.text.push_str(text);
        out.events.push(StreamEvent::Text { answer: answer.clone(), text: text.into() });
        if self.interest.covers(answer, TEXT) {
            self.sources.at(answer, TEXT).text.push_str(text);
            self.pass_on(answer, TEXT, text, out);
        }
    }

    /// Takes back what was shown of the part that is coming.
    fn retract(&mut self, answer: &Arc<str>, cause: Option<Cause>, out: &mut Out) {
        self.shown.text.truncate(self.shown.begins);
        out.events.push(StreamEvent::Reset { answer: Some(answer.clone()), cause });
        self.restart_source(answer, TEXT, out);
        let kept = std::mem::take(&mut self.shown.text);
        self.say(answer, &kept, out);
    }

    /// A node gave out a piece of its text.
    pub(super) fn delta(&mut self, path: &str, attempt: u32, text: &str, out: &mut Out) {
        // An answer is shown by its parts; what its node gives out is for observers.
        let is_answer = || path::place(&self.plan, path).is_some_and(|node| node.answer.is_some());
        if !self.interest.covers(path, TEXT) || is_answer() {
            return;
        }
        let source = self.sources.at(path, TEXT);
        if source.has_ended() || attempt < source.attempt || (attempt == source.attempt && source.dead) {
            return;
        }
        if attempt > source.attempt {
            source.attempt = attempt;
            source.dead = false;
        }
        self.piece(path, TEXT, text, out);
        self.show(out);
    }

    /// The run that an attempt of a node started gave out a piece of an output.
    pub(super) fn piece_of_child(&mut self, path: &str, output: &str, attempt: u32, text: &str, out: &mut Out) {
        if self.interest.covers(path, output) && self.sources.at(path, output).attempt == attempt {
            self.piece(path, output, text, out);
            self.show(out);
        }
    }

    fn piece(&mut self, path: &str, member: &str, text: &str, out: &mut Out) {
        if self.interest.covers(path, member) {
            let source = self.sources.at(path, member);
            if !source.has_ended() && !source.dead {
                source.text.push_str(text);
                self.pass_on(path, member, text, out);
            }
        }
    }

    /// What has come of a text does not hold.
    pub(super) fn reset(&mut self, path: &str, member: &str, out: &mut Out) {
        let Some(source) = self.sources.get_mut(path, member) else { return };
        if source.text.is_empty() {
            return;
        }
        let cause = Cause { node: path.into(), attempt: source.attempt };
        self.restart_source(path, member, out);
        let Some(answer) = self.open() else { return };
        if self.comes_from(&answer, path, member) && self.shown.text.len() > self.shown.begins {
            self.retract(&answer, Some(cause), out);
        }
    }

    /// Empties a source, here and where its text is passed on to.
    fn restart_source(&mut self, path: &str, member: &str, out: &mut Out) {
        let Some(source) = self.sources.get_mut(path, member).filter(|source| !source.text.is_empty()) else { return };
        source.text.clear();
        if let Some((container, output)) = self.container_of(path, member) {
            self.reset(&container, &output, out);
        }
        for output in self.outputs_of(path, member) {
            out.up.push(Up::Reset { output });
        }
    }

    /// Whether the part of an answer that is coming is this text.
    fn comes_from(&self, answer: &str, path: &str, member: &str) -> bool {
        let Some((plan, body, prefix)) = self.plan_of(answer) else { return false };
        match plan.parts.get(self.shown.part) {
            Some(AnswerPart::Stream { node, member: of }) => {
                **of == *member && path.strip_prefix(prefix) == Some(&*self.plan.bodies[body].node(*node).id)
            }
            _ => false,
        }
    }

    /// Gives a piece on to the container and the run whose output it is, too.
    fn pass_on(&mut self, path: &str, member: &str, text: &str, out: &mut Out) {
        if let Some((container, output)) = self.container_of(path, member) {
            self.piece(&container, &output, text, out);
        }
        for output in self.outputs_of(path, member) {
            out.up.push(Up::Piece { output, text: text.to_owned() });
        }
    }

    /// The container whose output has this text of a node in its body.
    fn container_of(&self, path: &str, member: &str) -> Option<(String, Arc<str>)> {
        let (container, id) = path.rsplit_once('.')?;
        let container = container.rsplit_once('[').filter(|_| container.ends_with(']')).map_or(container, |(of, _)| of);
        let node = path::place(&self.plan, container)?;
        let (link, (_, inner)) =
            node.link.as_ref().zip(node.passes.as_ref().and_then(|passes| passes.bodies.first()))?;
        let is_it = *self.plan.bodies[*inner].node(link.node).id == *id && *link.member == *member;
        is_it.then(|| (container.to_owned(), link.output.clone()))
    }

    /// The outputs of the run that have this text, as the run that started it sees them.
    fn outputs_of(&self, path: &str, member: &str) -> Vec<Arc<str>> {
        if self.parent.is_none() {
            return Vec::new();
        }
        let links = self.plan.links.iter();
        let is_it = links.filter(|link| *self.plan.bodies[0].node(link.node).id == *path && *link.member == *member);
        is_it.map(|link| link.output.clone()).collect()
    }

    /// What a record says of the texts of nodes.
    fn note(&mut self, event: &Event, out: &mut Out) {
        match event {
            Event::NodeStarted { node, attempt, .. } if self.interest.has(node) => {
                for member in self.interest.members(node) {
                    self.reset(node, &member, out);
                    let source = self.sources.at(node, &member);
                    (source.attempt, source.dead) = (*attempt, false);
                }
            }
            Event::NodeSucceeded { node, output, .. } if self.interest.has(node) => {
                let of_rounds = path::place(&self.plan, node).is_some_and(|node| node.link.is_some());
                if !of_rounds {
                    self.ended(node, Some(&output.value()));
                }
            }
            Event::NodeFailed { node, then, .. } if self.interest.has(node) => {
                self.came_to_nothing(node, true, out);
                match then {
                    AfterFailure::Retry(_) => {}
                    AfterFailure::StandIn(outputs) => self.ended(node, Some(outputs)),
                    AfterFailure::Continue | AfterFailure::Fail => self.ended(node, None),
                }
            }
            // The attempt is used again, so what comes of it then is not too late.
            Event::NodeLost { node, .. } => self.came_to_nothing(node, false, out),
            Event::NodeCancelled { node, .. } => {
                self.came_to_nothing(node, true, out);
                self.ended(node, None);
            }
            Event::NodeSkipped { node, .. } => self.ended(node, None),
            Event::FrameFinished { node, index, end } => self.frame_finished(node, *index, end, out),
            _ => {}
        }
    }

    fn came_to_nothing(&mut self, node: &str, dead: bool, out: &mut Out) {
        for member in self.sources.members(node) {
            self.reset(node, &member, out);
            self.sources.at(node, &member).dead = dead;
        }
    }

    fn ended(&mut self, node: &str, output: Option<&Value>) {
        for member in self.interest.members(node) {
            self.sources.at(node, &member).end = match output.and_then(|output| output.get(&member)) {
                Some(Value::String(text)) => End::Text(text.clone()),
                _ => End::Nothing,
            };
        }
    }

    fn frame_finished(&mut self, container: &str, index: u32, end: &FrameEnd, out: &mut Out) {
        let Some(node) = path::place(&self.plan, container) else { return };
        let Some(passes) = &node.passes else { return };
        let is_composite = passes.bodies.iter().any(|(_, body)| self.plan.bodies[*body].border == Border::Composite);
        let frame =
            if passes.kind == Container::Once { format!("{container}.") } else { format!("{container}[{index}].") };
        match (end, node.link.clone()) {
            // Another round follows, so what came of this one was not the last.
            (FrameEnd::Next { .. } | FrameEnd::Failed { .. }, Some(link)) => self.reset(container, &link.output, out),
            // A composite gives all of its output at the end, a loop its member `output`.
            (FrameEnd::Last { output, .. }, Some(_)) if is_composite => self.ended(container, Some(&output.value())),
            (FrameEnd::Last { output, .. }, Some(_)) => {
                self.ended(container, Some(&Value::from_pairs([("output", output.value())])));
            }
            _ => {}
        }
        self.sources.forget(&frame);
    }
}
