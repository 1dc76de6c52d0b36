//! What a journal holds: records of events.
//!
//! An event is generic over how it names a node: the core uses indices ([`crate::run::Addr`]), journals and people
//! use paths such as `each[3].fetch` (`String`). Names and meanings of events are stored for ever: change nothing,
//! only add. Who reads a record of a kind, or with a field, that it does not know reads nothing of it: a newer release
//! meant something by it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::parts::{
    AfterFailure, FrameEnd, Handler, OnItemError, Over, Place, RunStatus, SignalTo, SkipReason, Wait, Write,
};
use crate::{
    definition::Limits,
    error::ErrorReport,
    id::{Digest, JobId, RunId, SessionId},
    units::Millis,
    usage::Spent,
    value::Value,
};

mod parts;

/// The position of a record in its run: 1, 2, 3 and so on.
pub type Seq = u64;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record<A = String> {
    /// Position; without gaps.
    pub seq: Seq,
    /// When it happened.
    pub at: Millis,
    /// What happened.
    #[serde(flatten)]
    pub event: Event<A>,
}

/// A value in a record: itself, or the name of the blob that holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The value.
    Value(Value),
    /// A blob with the JSON of the value. The shell loads it before the core sees the record.
    Blob(Digest),
}

impl Payload {
    /// The value; `null` for a blob that was not loaded.
    pub fn value(&self) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Blob(_) => Value::Null,
        }
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event<A = String> {
    /// The run exists. Always the first record.
    RunStarted {
        /// Name of the workflow.
        workflow: String,
        /// Its bundle.
        digest: Digest,
        /// Inputs, checked, with defaults filled in.
        inputs: Payload,
        /// What started it: an object with `type` and what the trigger gives.
        trigger: Value,
        /// Who started it, as `sys.user` shows it.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        user: Value,
        /// The conversation, when it belongs to one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation: Option<String>,
        /// Whom it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// The conversation's variables when the run started.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        variables: Value,
        /// `env` as the deployment overrides it.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        env: Value,
        /// The parent run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<RunId>,
        /// How deep below the first run it is; 0 for a run without parent.
        #[serde(default, skip_serializing_if = "is_zero")]
        depth: u32,
        /// What whoever started it has given it to use; a parent gives what it has left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        budget: Option<Box<Limits>>,
    },
    /// The run begins with what another one had settled; the records that follow are copies.
    RunForked {
        /// The other run.
        from: RunId,
        /// How far its journal was read.
        at_seq: Seq,
        /// How many nodes were kept.
        kept: u64,
    },
    /// A process owns the run from here on.
    RunTaken {
        /// Counts the owners.
        epoch: u64,
        /// The process.
        owner: SessionId,
        /// How many owners in a row have died, with nothing done in between. One that gave the run back did not.
        #[serde(default, skip_serializing_if = "is_zero")]
        deaths: u32,
        /// Whether the process executes nothing but this run.
        #[serde(default, skip_serializing_if = "is_false")]
        alone: bool,
    },
    /// The variables of the conversation were read again: they had changed while the run waited to begin.
    VariablesRead {
        /// Every variable, by name.
        variables: Value,
    },
    /// A node with effects is about to act, or a pure one went on elsewhere.
    NodeStarted {
        /// The node.
        node: A,
        /// 1 for the first try.
        attempt: u32,
        /// Where it runs.
        place: Place,
    },
    /// A process has taken the job of a node, which is lost when that process dies.
    JobTaken {
        /// The node.
        node: A,
        /// The job.
        job: JobId,
        /// The process.
        session: SessionId,
    },
    /// A container evaluated what it iterates over and opened its frames.
    ContainerOpened {
        /// The container.
        node: A,
        /// 1 for the first try.
        attempt: u32,
        /// What it passes over.
        over: Over,
        /// The fields of a composite by name: what its body sees as `inputs`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fields: Option<Payload>,
    },
    /// A container that failed or was lost goes on: what finished stays.
    ContainerReopened {
        /// The container.
        node: A,
        /// The attempt that begins.
        attempt: u32,
    },
    /// A frame ended.
    FrameFinished {
        /// The container.
        node: A,
        /// Which pass, from 0.
        index: u32,
        /// How it ended.
        end: FrameEnd,
    },
    /// The text of an answer begins to be shown to the caller, after those that began before it. It holds only once the
    /// node has ended.
    AnswerOpened {
        /// The answer.
        node: A,
    },
    /// A node waits for a time or a signal.
    NodeWaiting {
        /// The node.
        node: A,
        /// 1 for the first try.
        attempt: u32,
        /// For what.
        wait: Wait,
        /// What the attempt used of models until then.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        usage: Spent,
    },
    /// A node ended well.
    NodeSucceeded {
        /// The node.
        node: A,
        /// 1 for the first try.
        attempt: u32,
        /// The port it left by; `None` for its only ordinary one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<String>,
        /// Its output: always an object.
        output: Payload,
        /// What it wrote to the conversation.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        writes: Vec<Write>,
        /// Whether the output came from the cache.
        #[serde(default, skip_serializing_if = "is_false")]
        cached: bool,
        /// What the attempt used of models, with the run that it started; after a wait, since then.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        usage: Spent,
        /// What it printed, for people: at most 64 KiB, without secrets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<String>,
    },
    /// An attempt failed.
    NodeFailed {
        /// The node.
        node: A,
        /// 1 for the first try.
        attempt: u32,
        /// Why.
        error: ErrorReport,
        /// What follows from it.
        then: AfterFailure,
        /// What the attempt used of models all the same, with the run that it started.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        usage: Spent,
        /// What it printed until then, for people: at most 64 KiB, without secrets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<String>,
    },
    /// A node was skipped.
    NodeSkipped {
        /// The node.
        node: A,
        /// Why.
        why: SkipReason,
    },
    /// The process that ran a node died.
    NodeLost {
        /// The node.
        node: A,
        /// The attempt that was lost; it is used again.
        attempt: u32,
        /// What it used of models, as far as that is known: it is when the process gave the run back.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        usage: Spent,
        /// Whether the process that had taken its job gave that back: nobody died.
        #[serde(default, skip_serializing_if = "is_false")]
        handed_over: bool,
    },
    /// A node was stopped because its run or frame ends.
    NodeCancelled {
        /// The node.
        node: A,
        /// What it used of models until then, with the run that it started.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        usage: Spent,
    },
    /// A signal came in.
    SignalReceived {
        /// Unique within the run.
        id: String,
        /// For which node or name.
        to: SignalTo,
        /// What it carries.
        payload: Value,
        /// Who sent it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A signal met a wait that was settled already, or nothing that can wait for it.
    SignalIgnored {
        /// Its id.
        id: String,
    },
    /// Someone asked to stop the run.
    CancelRequested {
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Limits of the run are nearly used up, as `budget.warn_at` says. Each is told once.
    BudgetWarned {
        /// What was used of them.
        used: Limits,
        /// The limits.
        limit: Limits,
    },
    /// The run is out of time or budget, or its outputs cannot be computed: its result is fixed, nothing new starts.
    /// While a handler runs, it ends that handler only.
    RunStopping {
        /// Why.
        error: ErrorReport,
    },
    /// `on_failure` or `finally` begins.
    HandlerStarted {
        /// Which.
        handler: Handler,
    },
    /// `on_failure` or `finally` ended.
    HandlerFinished {
        /// Which.
        handler: Handler,
        /// Its failure, if it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<ErrorReport>,
    },
    /// The run ended. Always the last record.
    RunEnded {
        /// How.
        status: RunStatus,
        /// The outputs of a run that succeeded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outputs: Option<Payload>,
        /// Why it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<ErrorReport>,
        /// How many failures were handled by `on_error`.
        #[serde(default, skip_serializing_if = "is_zero")]
        handled_errors: u32,
        /// What the run used of models, with the runs that it started, without what a fork kept.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        usage: Spent,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl<A> Event<A> {
    /// What a node used, in the events that say so.
    pub fn usage_of_node(&self) -> Option<(&A, &Spent)> {
        match self {
            Self::NodeWaiting { node, usage, .. }
            | Self::NodeSucceeded { node, usage, .. }
            | Self::NodeFailed { node, usage, .. }
            | Self::NodeLost { node, usage, .. }
            | Self::NodeCancelled { node, usage } => (!usage.is_nothing()).then_some((node, usage)),
            _ => None,
        }
    }

    /// The same event, when what it used counts elsewhere.
    pub(crate) fn without_usage(mut self) -> Self {
        if let Self::NodeSucceeded { usage, .. } | Self::NodeFailed { usage, .. } = &mut self {
            *usage = Spent::default();
        }
        self
    }

    /// The same event with its node named otherwise.
    pub fn map<B>(self, name: impl FnOnce(A) -> B) -> Event<B> {
        use Event as E;
        match self {
            E::RunStarted {
                workflow,
                digest,
                inputs,
                trigger,
                user,
                conversation,
                subject,
                variables,
                env,
                parent,
                depth,
                budget,
            } => E::RunStarted {
                workflow,
                digest,
                inputs,
                trigger,
                user,
                conversation,
                subject,
                variables,
                env,
                parent,
                depth,
                budget,
            },
            E::RunForked { from, at_seq, kept } => E::RunForked { from, at_seq, kept },
            E::RunTaken { epoch, owner, deaths, alone } => E::RunTaken { epoch, owner, deaths, alone },
            E::VariablesRead { variables } => E::VariablesRead { variables },
            E::NodeStarted { node, attempt, place } => E::NodeStarted { node: name(node), attempt, place },
            E::ContainerOpened { node, attempt, over, fields } => {
                E::ContainerOpened { node: name(node), attempt, over, fields }
            }
            E::ContainerReopened { node, attempt } => E::ContainerReopened { node: name(node), attempt },
            E::FrameFinished { node, index, end } => E::FrameFinished { node: name(node), index, end },
            E::AnswerOpened { node } => E::AnswerOpened { node: name(node) },
            E::NodeWaiting { node, attempt, wait, usage } => E::NodeWaiting { node: name(node), attempt, wait, usage },
            E::NodeSucceeded { node, attempt, port, output, writes, cached, usage, log } => {
                E::NodeSucceeded { node: name(node), attempt, port, output, writes, cached, usage, log }
            }
            E::NodeFailed { node, attempt, error, then, usage, log } => {
                E::NodeFailed { node: name(node), attempt, error, then, usage, log }
            }
            E::NodeSkipped { node, why } => E::NodeSkipped { node: name(node), why },
            E::JobTaken { node, job, session } => E::JobTaken { node: name(node), job, session },
            E::NodeLost { node, attempt, usage, handed_over } => {
                E::NodeLost { node: name(node), attempt, usage, handed_over }
            }
            E::NodeCancelled { node, usage } => E::NodeCancelled { node: name(node), usage },
            E::SignalReceived { id, to, payload, by } => E::SignalReceived { id, to, payload, by },
            E::SignalIgnored { id } => E::SignalIgnored { id },
            E::CancelRequested { by } => E::CancelRequested { by },
            E::BudgetWarned { used, limit } => E::BudgetWarned { used, limit },
            E::RunStopping { error } => E::RunStopping { error },
            E::HandlerStarted { handler } => E::HandlerStarted { handler },
            E::HandlerFinished { handler, error } => E::HandlerFinished { handler, error },
            E::RunEnded { status, outputs, error, handled_errors, usage } => {
                E::RunEnded { status, outputs, error, handled_errors, usage }
            }
        }
    }
}
