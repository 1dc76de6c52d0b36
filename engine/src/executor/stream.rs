//! What goes out of a run while it is executed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::owner::Owner;
use crate::{
    capability::Redactor,
    engine::{Inner, Observer},
    event::{Event, Record, Seq},
    id::RunId,
    node::{DeltaSink, NoDeltas},
    plan::{AnswerPart, Plan},
    run::{Addr, path},
    store::Parent,
    stream::{Channel, Wanted},
};

/// Where an owner gives out what happens: the channel, and its number there.
pub(super) type Outlet = (Arc<Channel>, u64);

/// The outlet of a run that shows something, to its caller or to the run that started it.
pub(super) fn outlet(
    engine: &Inner,
    plan: &Arc<Plan>,
    run: RunId,
    parent: Option<&Parent>,
    (epoch, seq): (u64, Seq),
    records: &[Record],
) -> Option<Outlet> {
    let shows = plan.has_answers || plan.answer.is_some() || (parent.is_some() && !plan.links.is_empty());
    shows.then(|| {
        let channel = engine.hub.open(run);
        let number = channel.own(plan, parent, epoch, seq, records);
        (channel, number)
    })
}

/// Where the live text of nodes goes.
pub(super) fn deltas(engine: &Inner, redactor: &Redactor, outlet: Option<&Outlet>) -> Arc<dyn DeltaSink> {
    if engine.observer.is_none() && outlet.is_none() {
        return Arc::new(NoDeltas);
    }
    let (observer, outlet) = (engine.observer.clone(), outlet.cloned());
    Arc::new(Deltas { observer, outlet, redactor: redactor.clone(), held: Mutex::default() })
}

/// Gives out live text, without secrets.
struct Deltas {
    observer: Option<Arc<dyn Observer>>,
    outlet: Option<Outlet>,
    redactor: Redactor,
    /// By node: the attempt, and the end of its text that may be the beginning of a secret.
    held: Mutex<HashMap<String, (u32, String)>>,
}

impl DeltaSink for Deltas {
    fn delta(&self, run: RunId, path: &str, attempt: u32, text: &str) {
        if self.redactor.is_empty() {
            return self.give(run, path, attempt, text);
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, rest) = held.entry(path.to_owned()).or_default();
        if *of != attempt {
            *of = attempt;
            rest.clear();
        }
        let shown = self.redactor.piece(rest, text);
        if !shown.is_empty() {
            self.give(run, path, attempt, &shown);
        }
    }
}

impl Deltas {
    fn give(&self, run: RunId, path: &str, attempt: u32, text: &str) {
        if let Some((channel, owner)) = &self.outlet {
            channel.delta(*owner, path, attempt, text);
        }
        if let Some(observer) = &self.observer {
            observer.delta(run, path, attempt, text);
        }
    }
}

impl Owner {
    /// Journals that the text of an answer begins to be shown, unless it has been.
    pub(super) fn open_answer(&mut self, at: Addr) {
        let is_open = self.state.node(at).is_none_or(|node| node.status.is_settled()) || self.state.is_opened(at);
        if !is_open && self.may_start(at) {
            self.record(Event::AnswerOpened { node: at });
        }
    }

    /// Shows what has become durable, and the parts of answers that are known by it.
    pub(super) fn show(&self, seq: Seq, records: &[Record]) {
        let reading = || self.engine.hub.get(self.run);
        let Some(channel) = self.outlet.as_ref().map(|(channel, _)| channel.clone()).or_else(reading) else { return };
        let mut wanted = channel.durable(seq, records);
        while let Some(part) = wanted {
            wanted = self.part_of_answer(&part).and_then(|text| channel.supply(&part, text));
        }
    }

    /// The text of a part of an answer whose node has not run, when everything that it reads has ended.
    fn part_of_answer(&self, wanted: &Wanted) -> Option<String> {
        let plan = &self.plan;
        let at = path::resolve(plan, &self.state, &wanted.answer);
        let (answer, frame, reads) = match at {
            Some(at) => {
                let node = self.node(plan, at);
                (node.answer.as_ref()?, at.frame, &node.reads)
            }
            // The output of a workflow without answers.
            None => (plan.answer.as_ref()?, 0, &plan.output_reads),
        };
        let AnswerPart::Expression { reads: of, late: false } = answer.parts.get(wanted.part)? else { return None };
        let has_ended =
            |node: &u32| self.state.node(Addr { frame, node: *node }).is_some_and(|node| node.status.is_settled());
        if !of.iter().all(has_ended) {
            return None;
        }
        // What cannot be rendered fails the node when it runs.
        let text = answer.template.as_ref()?.render_part(wanted.part, &self.scope(frame, reads, 1)).ok()?;
        Some(self.redactor.text(&text).unwrap_or(text))
    }
}
