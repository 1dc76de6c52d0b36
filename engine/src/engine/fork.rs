//! Restart and fork: a new run from a cut of another one.
//!
//! A cut is a set of settled nodes that is closed under predecessors in the new plan. The new journal begins with
//! `RunStarted` and `RunForked`, then the kept nodes' records, renumbered. Outside effects are not undone.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;

use super::{Engine, EngineError, Origin, Start};
use crate::{
    bundle::Bundle,
    definition::Limits,
    event::{AfterFailure, Event, FrameEnd, Record},
    executor::{Outsourced, address, load_records, outsource},
    id::{Digest, RunId},
    node::Container,
    plan::{Border, NodeIx, Plan, PlanNode},
    run::{Addr, RunState, path},
    store::{Created, Hold, StoredRecord},
    value::Value,
};

/// What a new run keeps of an old one.
#[derive(Clone, Debug)]
pub enum Cut {
    /// Every settled node but this one and what depends on it. Of an `iteration` around it the other frames stay, of
    /// a `loop` the earlier rounds.
    Restart {
        /// The path of the node, `each[3].fetch`.
        node: String,
    },
    /// Every settled node that is the same in the new bundle, reads the same inputs, and depends only on such nodes.
    Fork {
        /// The new definition; the old one if `None`.
        bundle: Option<Arc<Bundle>>,
        /// The new inputs; the old ones if `None`.
        inputs: Option<Value>,
    },
}

/// Who pays for a run, and what it may use, besides what its workflow says.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// As [`Start::account`].
    pub account: Option<String>,
    /// As [`Start::budget`]. What was kept of another run does not count.
    pub budget: Limits,
    /// As [`Start::holds`].
    pub holds: Vec<Hold>,
}

impl Engine {
    /// Starts a new run from a cut of another one, which may have ended or not.
    ///
    /// # Errors
    /// When there is no such run or node, the inputs do not fit, a secret is missing or not meant for the
    /// workflow, or the workflow cannot run here.
    pub async fn fork(&self, from: RunId, cut: Cut) -> Result<RunId, EngineError> {
        self.fork_as(RunId::random(), from, cut, Terms::default()).await
    }

    /// The same as a run of this id, on terms; when there is one of this id, that is given.
    ///
    /// # Errors
    /// Those of [`Self::fork`].
    pub async fn fork_as(&self, id: RunId, from: RunId, cut: Cut, terms: Terms) -> Result<RunId, EngineError> {
        let inner = &self.inner;
        let row = inner.stores.journal.run(from).await?.ok_or(EngineError::UnknownRun(from))?;
        let records = load_records(&inner.stores, from, 0).await?;
        let old = inner.plan(&row.digest, &row.workflow).await?;
        let (bundle, inputs) = match &cut {
            Cut::Restart { .. } => (None, None),
            Cut::Fork { bundle, inputs } => (bundle.clone(), inputs.clone()),
        };
        let (digest, workflow, bundle) = match bundle {
            Some(bundle) => (bundle.digest().clone(), bundle.entry.clone(), bundle),
            None => (row.digest.clone(), row.workflow.clone(), old.bundle.clone()),
        };
        inner.check_secrets(&bundle)?;
        let new = inner.compile(&digest, &bundle, &workflow)?;
        if let Cut::Restart { node } = &cut
            && path::place(&new, node).is_none()
        {
            return Err(EngineError::UnknownNode(node.clone()));
        }
        inner.stores.journal.put_bundle(&digest, bundle.text().clone()).await?;

        let (start, variables) = restart(from, &records, bundle, inputs);
        let start = Start { account: terms.account, budget: terms.budget, ..start };
        let origin = Origin { id, digest, workflow, parent: None, depth: 0, variables };
        let mut prepared = inner
            .prepare(origin, &start)
            .map_err(|misfits| EngineError::Inputs { workflow: new.workflow.to_string(), misfits })?;
        let inputs_kept = prepared.first.inputs() == records.first().and_then(Record::inputs);

        let keeper = Keeper { old: &old, new: &new, cut: &cut, inputs_kept };
        let kept = keeper.keep(&records, &prepared.first)?;
        let at = prepared.run.at;
        let at_seq = records.last().map_or(0, |record| record.seq);
        let forked = Event::RunForked { from, at_seq, kept: kept.nodes };
        let all = std::iter::once(forked).chain(kept.events);
        for (seq, event) in (2..).zip(all) {
            let Outsourced { body, blobs } = outsource(&Record { seq, at, event });
            prepared.run.blobs.extend(blobs.iter().map(|(digest, _)| digest.clone()));
            prepared.blobs.extend(blobs);
            prepared.run.records.push(StoredRecord { seq, at, body: body.into() });
        }
        prepared.run.holds = prepared.holds(&new).map_err(EngineError::Key)?;
        prepared.run.holds.extend(terms.holds);
        let run = prepared.run.id;
        inner.share_files(from, &prepared).await?;
        store(self, prepared.run, prepared.blobs).await?;
        Ok(run)
    }
}

async fn store(engine: &Engine, mut run: crate::store::NewRun, blobs: Vec<(Digest, Bytes)>) -> Result<(), EngineError> {
    for (_, content) in blobs {
        engine.inner.stores.blobs.put(content).await?;
    }
    "fork".clone_into(&mut run.trigger);
    let id = run.id;
    match engine.inner.stores.journal.create(run).await? {
        Created::New => engine.inner.wake(id),
        Created::Full(ahead) => return Err(EngineError::Full(ahead)),
        Created::Existing(other) if other == id => {}
        Created::Existing(other) | Created::Conflict(other) => {
            return Err(EngineError::Stuck(format!("the id `{id}` belongs to `{other}`")));
        }
    }
    Ok(())
}

/// The start of the old run, for the new one.
fn restart(from: RunId, records: &[Record], bundle: Arc<Bundle>, new_inputs: Option<Value>) -> (Start, Value) {
    let mut start = Start::new(bundle, Value::object(), Value::Null);
    let mut of_conversation = Value::Null;
    if let Some(Record {
        event: Event::RunStarted { inputs, trigger, user, conversation, subject, variables, env, .. },
        ..
    }) = records.first()
    {
        start.inputs = inputs.value();
        start.trigger = trigger.clone();
        start.user = user.clone();
        start.conversation.clone_from(conversation);
        start.beside = Some(from);
        start.subject.clone_from(subject);
        start.env = env.clone();
        of_conversation = variables.clone();
    }
    if let Some(inputs) = new_inputs {
        start.inputs = inputs;
    }
    (start, of_conversation)
}

impl<A> Record<A> {
    fn inputs(&self) -> Option<Value> {
        match &self.event {
            Event::RunStarted { inputs, .. } => Some(inputs.value()),
            _ => None,
        }
    }
}

/// What is kept.
#[derive(Default)]
struct Kept {
    events: Vec<Event>,
    nodes: u64,
}

struct Keeper<'a> {
    old: &'a Plan,
    new: &'a Plan,
    cut: &'a Cut,
    inputs_kept: bool,
}

/// Frames of a node.
enum Frames {
    /// Every one: it has one without a number.
    All,
    /// This one.
    One(u32),
}

impl Keeper<'_> {
    fn keep(&self, records: &[Record], first: &Record<Addr>) -> Result<Kept, EngineError> {
        let mut state = RunState::default();
        state.apply(self.new, first);
        let mut kept = Kept::default();
        let mut settled: HashSet<String> = HashSet::new();
        for record in records {
            let Some((name, settles)) = about(&record.event) else { continue };
            if !self.keeps(&state, &settled, name, &record.event) {
                continue;
            }
            let numbered = Record { seq: state.seq + 1, at: record.at, event: record.event.clone() };
            let addressed = address(self.new, &state, numbered)?;
            state.apply(self.new, &addressed);
            let is_answer = || path::place(self.new, name).is_some_and(|node| node.answer.is_some());
            if matches!(record.event, Event::NodeSucceeded { .. }) && is_answer() {
                kept.events.push(Event::AnswerOpened { node: name.to_owned() });
            }
            // What it used counts for the run that used it.
            kept.events.push(record.event.clone().without_usage());
            if settles {
                settled.insert(name.to_owned());
                kept.nodes += 1;
            }
        }
        Ok(kept)
    }

    fn keeps(&self, state: &RunState, settled: &HashSet<String>, name: &str, event: &Event) -> bool {
        // A frame that is not open in the new run cannot take records.
        let Some(at) = path::resolve(self.new, state, name) else { return false };
        let Some(frame) = state.frame(at.frame) else { return false };
        let body = &self.new.bodies[frame.body];
        let prefix = &*frame.prefix;
        let before = |node: &NodeIx| settled.contains(&format!("{prefix}{}", body.node(*node).id));
        if !body.predecessors(at.node).all(|node| before(&node)) {
            return false;
        }
        let (same_node, same_body) = self.same(name, body.node(at.node));
        match event {
            Event::ContainerOpened { .. } => same_node && !self.restarts_at(name),
            Event::FrameFinished { index, .. } => {
                let restarts = match self.restarts_below(name) {
                    Some(Frames::All) => true,
                    Some(Frames::One(frame)) => frame == *index,
                    None => false,
                };
                same_node && same_body && !restarts && !self.is_later_round(name, *index)
            }
            _ => same_node && same_body && !self.restarts_at(name) && self.restarts_below(name).is_none(),
        }
    }

    fn restarts_at(&self, name: &str) -> bool {
        matches!(self.cut, Cut::Restart { node } if node == name)
    }

    /// Whether the node that restarts stands inside of this one, and in which of its frames; a composite that repeats
    /// nothing has one frame without a number.
    fn restarts_below(&self, name: &str) -> Option<Frames> {
        let Cut::Restart { node } = self.cut else { return None };
        let rest = node.strip_prefix(name)?;
        if !rest.starts_with(['[', '.']) {
            return None;
        }
        let of_call = || rest.strip_prefix('.').and_then(|rest| path::indexed(path::cut(rest).0));
        let frame = match path::place(self.new, name)?.passes.as_ref()?.kind {
            Container::Items | Container::Rounds => path::indexed(path::cut(rest).0).and_then(|(_, index)| index),
            Container::Calls => of_call().and_then(|(_, index)| index),
            Container::Once => None,
        };
        Some(frame.map_or(Frames::All, Frames::One))
    }

    /// Whether a pass of a loop comes after the one that restarts; it began with that one's state.
    fn is_later_round(&self, name: &str, index: u32) -> bool {
        let is_loop = || {
            let passes = path::place(self.new, name).and_then(|node| node.passes.as_ref());
            passes.is_some_and(|passes| passes.kind == Container::Rounds)
        };
        matches!(self.restarts_below(name), Some(Frames::One(restarted)) if index >= restarted && is_loop())
    }

    /// Whether a node is configured as before and reads the same inputs, and whether its body is as before.
    fn same(&self, name: &str, new: &PlanNode) -> (bool, bool) {
        let Some(old) = path::place(self.old, name) else { return (false, false) };
        let without_body = |config: &serde_json::Value| {
            let mut config = config.clone();
            if let Some(members) = config.as_object_mut() {
                members.remove("nodes");
            }
            config
        };
        let reads_inputs = new.references.iter().any(|reference| &*reference.root == "inputs");
        let same_node = old.kind == new.kind
            && old.definition == new.definition
            && without_body(&old.config) == without_body(&new.config)
            && (self.inputs_kept || !reads_inputs);
        let deep = |node: &PlanNode| node.config.get("nodes").cloned();
        (same_node, deep(old) == deep(new) && (self.inputs_kept || !body_reads_inputs(self.new, new)))
    }
}

fn body_reads_inputs(plan: &Plan, node: &PlanNode) -> bool {
    let bodies = node.passes.iter().flat_map(|passes| &passes.bodies);
    // Within a composite `inputs` are its fields, which its own references count for; and so they do for calls.
    let mut bodies = bodies.map(|(_, body)| &plan.bodies[*body]).filter(|body| body.border == Border::Open);
    bodies.any(|body| {
        body.graph.node_weights().any(|inner| {
            inner.references.iter().any(|reference| &*reference.root == "inputs") || body_reads_inputs(plan, inner)
        })
    })
}

/// The node that an event is about, and whether it settles it. Only what a cut may keep.
fn about(event: &Event) -> Option<(&str, bool)> {
    match event {
        Event::ContainerOpened { node, .. }
        | Event::FrameFinished {
            node,
            end: FrameEnd::Item { .. } | FrameEnd::Next { .. } | FrameEnd::Last { .. },
            ..
        } => Some((node, false)),
        Event::NodeSucceeded { node, .. }
        | Event::NodeSkipped { node, .. }
        | Event::NodeFailed { node, then: AfterFailure::Continue | AfterFailure::StandIn(_), .. } => Some((node, true)),
        _ => None,
    }
}
