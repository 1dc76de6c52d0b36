//! A run as people look at it: a fold of its journal that needs no plan, so that any journal can be shown.

use indexmap::IndexMap;

use crate::{
    bundle::{Bundle, BundleError},
    definition::{FORMAT, Limits},
    engine::RunEnd,
    error::ErrorReport,
    event::{AfterFailure, Event, FrameEnd, Handler, OnItemError, Over, Payload, Place, Record, SkipReason, Wait},
    executor,
    id::{Digest, RunId},
    run::apply_writes,
    store::{RunRow, StoreError, Stores},
    units::Millis,
    usage::Spent,
    value::Value,
};

/// What is known of a run.
#[derive(Clone, Debug, Default)]
pub struct RunView {
    /// Name of the workflow.
    pub workflow: String,
    /// Its bundle.
    pub digest: Option<Digest>,
    /// Its inputs.
    pub inputs: Value,
    /// What started it.
    pub trigger: Value,
    /// The run that it was forked from.
    pub forked_from: Option<RunId>,
    /// When it started.
    pub started_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// Its newest record.
    pub seq: u64,
    /// Its nodes by path, in the order in which they were first heard of.
    pub nodes: IndexMap<String, NodeSeen>,
    /// Whether someone asked to stop it.
    pub cancelled: bool,
    /// Why it stops, before it has ended.
    pub stopping: Option<ErrorReport>,
    /// The handler that runs.
    pub handler: Option<Handler>,
    /// Limits of its budget that are nearly used up, each with what was used of it then: `(used, limit)`.
    pub warnings: Vec<(Limits, Limits)>,
    /// What it used of models so far, with the runs that it started and that have ended.
    pub usage: Spent,
    /// How it ended.
    pub end: Option<RunEnd>,
    /// Records that only a newer release can read: what they say is missing here.
    pub unknown: Vec<u64>,
}

/// What is known of a node.
#[derive(Clone, Debug)]
pub struct NodeSeen {
    /// Where it stands.
    pub status: ViewStatus,
    /// The newest attempt.
    pub attempt: u32,
    /// When it started, as far as the journal says: pure nodes have only an end.
    pub started_at: Millis,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// How often the process that ran it died.
    pub losses: u32,
    /// Each failure, with its attempt.
    pub failures: Vec<(u32, ErrorReport)>,
    /// What each attempt printed that printed something.
    pub logs: Vec<(u32, String)>,
    /// What all its attempts used of models, with the runs that it started; not what is inside of it, see
    /// [`RunView::usage_of`].
    pub usage: Spent,
    container: Option<Passes>,
}

/// Where a node stands.
#[derive(Clone, Debug)]
pub enum ViewStatus {
    /// It runs.
    Running {
        /// In this run of its own.
        child: Option<RunId>,
    },
    /// It is tried again at this time.
    Sleeping(Millis),
    /// It waits.
    Waiting(Wait),
    /// It ended well.
    Succeeded {
        /// The port that it left by.
        port: Option<String>,
        /// Its output.
        output: Value,
        /// Whether that came from the cache.
        cached: bool,
    },
    /// It failed; `handled` says whether `on_error` took care of that.
    Failed {
        /// Whether `on_error` took care of it.
        handled: bool,
    },
    /// It was skipped.
    Skipped(SkipReason),
    /// It was stopped.
    Cancelled,
}

/// What a container has done.
#[derive(Clone, Debug)]
enum Passes {
    Items {
        items: Vec<Value>,
        on_item_error: OnItemError,
        results: IndexMap<u32, Result<Value, ErrorReport>>,
    },
    Rounds {
        state: Value,
        rounds: u32,
        output: Value,
    },
    /// A composite gives what its last pass gave.
    Composite {
        output: Value,
    },
    Calls {
        calls: Vec<Value>,
        results: IndexMap<u32, Result<Value, ErrorReport>>,
    },
}

/// Whether this release can read all of a run, and so go on with it.
///
/// # Errors
/// [`StoreError::NewerRun`] when only a newer one can; any other error when it cannot be read at all.
pub async fn check_readable(stores: &Stores, run: &RunRow) -> Result<(), StoreError> {
    if let Some(text) = stores.journal.bundle(&run.digest).await? {
        parse_bundle(&text)?;
    }
    executor::read_all(stores, run.id, 0).await?.iter().try_for_each(|stored| executor::decode(stored).map(drop))
}

/// A stored bundle.
pub(crate) fn parse_bundle(text: &str) -> Result<Bundle, StoreError> {
    Bundle::parse(text).map_err(|error| match error {
        BundleError::Newer(format) => {
            StoreError::NewerRun(format!("its definition has the form {format}, this release knows {FORMAT}"))
        }
        BundleError::Damaged(error) => StoreError::Damaged(format!("the definition cannot be read: {error}")),
    })
}

impl RunView {
    /// Reads and folds the journal of a run, as far as this release knows its records.
    ///
    /// # Errors
    /// When the store fails, or what it holds is damaged.
    pub async fn load(stores: &Stores, run: RunId) -> Result<Self, StoreError> {
        let mut view = Self::default();
        for stored in executor::read_all(stores, run, 0).await? {
            match executor::decode(&stored) {
                Ok(mut record) => {
                    executor::load_payloads(stores, &mut record).await?;
                    view.apply(&record);
                }
                Err(StoreError::NewerRun(_)) => view.unknown.push(stored.seq),
                Err(error) => return Err(error),
            }
        }
        Ok(view)
    }

    /// Folds a journal.
    pub fn of(records: &[Record]) -> Self {
        let mut view = Self::default();
        for record in records {
            view.apply(record);
        }
        view
    }

    /// Folds one more record.
    pub fn apply(&mut self, record: &Record) {
        self.seq = record.seq;
        self.updated_at = record.at;
        match &record.event {
            Event::RunStarted { workflow, digest, inputs, trigger, .. } => {
                self.workflow.clone_from(workflow);
                self.digest = Some(digest.clone());
                self.inputs = inputs.value();
                self.trigger = trigger.clone();
                self.started_at = record.at;
            }
            Event::RunForked { from, .. } => self.forked_from = Some(*from),
            Event::CancelRequested { .. } => self.cancelled = true,
            Event::RunStopping { error } => self.stopping = Some(error.clone()),
            Event::HandlerStarted { handler } => self.handler = Some(*handler),
            Event::HandlerFinished { .. } => self.handler = None,
            Event::RunEnded { status, outputs, error, handled_errors, usage } => {
                self.end = Some(RunEnd {
                    status: *status,
                    outputs: outputs.as_ref().map_or_else(Value::object, Payload::value),
                    error: error.clone(),
                    handled_errors: *handled_errors,
                    usage: usage.clone(),
                });
            }
            Event::BudgetWarned { used, limit } => self.warnings.push((*used, *limit)),
            Event::RunTaken { .. } | Event::SignalReceived { .. } | Event::SignalIgnored { .. } => {}
            other => self.apply_node(other, record.at),
        }
        if let Some((node, usage)) = record.event.usage_of_node() {
            self.usage += usage;
            if let Some(node) = self.nodes.get_mut(node) {
                node.usage += usage;
            }
        }
    }

    /// What was used at a path and everywhere below it: by a node, `each`, with all its passes; by a pass, `each[3]`.
    pub fn usage_of(&self, path: &str) -> Spent {
        let mut sum = Spent::default();
        let below =
            |node: &str| node.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']));
        self.nodes.iter().filter(|(node, _)| below(node)).for_each(|(_, node)| sum += &node.usage);
        sum
    }

    fn apply_node(&mut self, event: &Event, at: Millis) {
        match event {
            Event::NodeStarted { node, attempt, place } => {
                let child = match place {
                    Place::Child { run } => Some(*run),
                    Place::Local { .. } | Place::Job { .. } => None,
                };
                self.seen(node, *attempt, at).status = ViewStatus::Running { child };
            }
            Event::ContainerOpened { node, attempt, over, fields } => {
                let node = self.seen(node, *attempt, at);
                node.status = ViewStatus::Running { child: None };
                node.container = Some(Passes::open(over, fields.is_some()));
            }
            Event::ContainerReopened { node, attempt } => {
                self.seen(node, *attempt, at).status = ViewStatus::Running { child: None };
            }
            Event::FrameFinished { node, index, end } => {
                if let Some(passes) = self.nodes.get_mut(node).and_then(|node| node.container.as_mut()) {
                    passes.finish(*index, end);
                }
            }
            Event::NodeWaiting { node, attempt, wait, .. } => {
                self.seen(node, *attempt, at).status = ViewStatus::Waiting(wait.clone());
            }
            Event::NodeSucceeded { node, attempt, port, output, cached, log, .. } => {
                let node = self.seen(node, *attempt, at);
                node.logs.extend(log.clone().map(|log| (*attempt, log)));
                let output = node.container.as_ref().map_or_else(|| output.value(), Passes::output);
                node.status = ViewStatus::Succeeded { port: port.clone(), output, cached: *cached };
                node.ended_at = Some(at);
            }
            Event::NodeFailed { node, attempt, error, then, log, .. } => {
                let node = self.seen(node, *attempt, at);
                node.logs.extend(log.clone().map(|log| (*attempt, log)));
                node.failures.push((*attempt, error.clone()));
                node.status = match then {
                    AfterFailure::Retry(until) => ViewStatus::Sleeping(*until),
                    AfterFailure::Continue | AfterFailure::StandIn(_) => ViewStatus::Failed { handled: true },
                    AfterFailure::Fail => ViewStatus::Failed { handled: false },
                };
                node.ended_at = Some(at);
            }
            Event::NodeSkipped { node, why } => {
                let node = self.seen(node, 0, at);
                node.status = ViewStatus::Skipped(why.clone());
                node.ended_at = Some(at);
            }
            Event::NodeLost { node, attempt, .. } => self.seen(node, *attempt, at).losses += 1,
            Event::NodeCancelled { node, .. } => {
                let attempt = self.nodes.get(node).map_or(0, |node| node.attempt);
                let node = self.seen(node, attempt, at);
                node.status = ViewStatus::Cancelled;
                node.ended_at = Some(at);
            }
            _ => {}
        }
    }

    fn seen(&mut self, path: &str, attempt: u32, at: Millis) -> &mut NodeSeen {
        let node = self.nodes.entry(path.to_owned()).or_insert_with(|| NodeSeen {
            status: ViewStatus::Running { child: None },
            attempt,
            started_at: at,
            ended_at: None,
            losses: 0,
            failures: Vec::new(),
            logs: Vec::new(),
            usage: Spent::default(),
            container: None,
        });
        node.attempt = attempt;
        node
    }
}

impl Passes {
    fn open(over: &Over, is_composite: bool) -> Self {
        let list = |payload: &Payload| payload.value().as_list().map(<[Value]>::to_vec).unwrap_or_default();
        match over {
            _ if is_composite => Self::Composite { output: Value::Null },
            Over::Once {} => Self::Composite { output: Value::Null },
            Over::Calls { calls, .. } => {
                let calls = list(calls);
                let answered =
                    (0..).zip(&calls).filter_map(|(index, call)| Some((index, Ok(call.get("result")?.clone()))));
                let results = answered.collect();
                Self::Calls { calls, results }
            }
            Over::Items { items, on_item_error, .. } => {
                Self::Items { items: list(items), on_item_error: *on_item_error, results: IndexMap::new() }
            }
            Over::Rounds { state } => Self::Rounds { state: state.clone(), rounds: 0, output: Value::Null },
        }
    }

    fn finish(&mut self, index: u32, end: &FrameEnd) {
        match (self, end) {
            (Self::Items { results, .. } | Self::Calls { results, .. }, FrameEnd::Item { output }) => {
                results.insert(index, Ok(output.value()));
            }
            (Self::Items { results, .. } | Self::Calls { results, .. }, FrameEnd::Failed { error }) => {
                results.insert(index, Err(error.clone()));
            }
            (Self::Rounds { state, rounds, .. }, FrameEnd::Next { ops }) => {
                *state = apply_writes(state, ops);
                *rounds += 1;
            }
            (Self::Rounds { state, rounds, output }, FrameEnd::Last { ops, output: last }) => {
                *state = apply_writes(state, ops);
                *rounds += 1;
                *output = last.value();
            }
            (Self::Composite { output }, FrameEnd::Last { output: last, .. }) => *output = last.value(),
            _ => {}
        }
    }

    fn output(&self) -> Value {
        match self {
            Self::Items { items, on_item_error, results } => {
                let results: Vec<_> = (0..items.len() as u32)
                    .map(|index| results.get(&index).map(|result| result.clone().map_err(|error| error.to_value(1))))
                    .collect();
                crate::run::items_output(items, *on_item_error, &results)
            }
            Self::Composite { output } => output.clone(),
            Self::Calls { calls, results } => {
                let results: Vec<_> = (0..calls.len() as u32)
                    .map(|index| results.get(&index).map(|result| result.clone().map_err(|error| error.to_value(1))))
                    .collect();
                crate::run::calls_output(calls, &results)
            }
            Self::Rounds { state, rounds, output } => Value::from_pairs([
                ("output", output.clone()),
                ("rounds", Value::from(u64::from(*rounds))),
                ("state", state.clone()),
            ]),
        }
    }
}
