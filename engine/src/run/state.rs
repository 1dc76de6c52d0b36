//! What is known of a run.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use super::{deaths::Deaths, said::Said};
use crate::{
    definition::Limits,
    error::ErrorReport,
    event::{Handler, OnItemError, Place, RunStatus, Seq, SignalTo, SkipReason, Wait},
    id::{RunId, SessionId},
    node::Resume,
    plan::{BodyIx, NodeIx, Plan},
    scope::NodeView,
    units::Millis,
    usage::{Spent, Usage},
    value::Value,
};

/// A frame: one pass over a body. Counts from 0, the workflow itself, in the order in which frames open.
pub type FrameId = u32;

/// A node in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Addr {
    /// The frame.
    pub frame: FrameId,
    /// The node in the body of that frame.
    pub node: NodeIx,
}

/// What is known of a run: a fold of its records.
#[derive(Debug, Default)]
pub struct RunState {
    /// The newest record.
    pub seq: Seq,
    /// Its time: `sys.now`.
    pub now: Millis,
    /// Counts the owners.
    pub epoch: u64,
    /// Where the run stands.
    pub phase: Phase,
    /// What `RunStarted` said.
    pub start: Start,
    /// The variables of the conversation.
    pub conversation: Value,
    /// How many nodes started, failed attempts included.
    pub started: u64,
    /// What was used of models, with the runs that it started.
    pub used: Spent,
    /// What its own nodes used: `used` without the runs that it started.
    pub used_here: Spent,
    /// `sys.usage`; `null` while nothing was used.
    pub usage: Value,
    /// What it may use: the tighter of its own budget and what whoever started it has given it.
    pub limits: Limits,
    /// Whether it has any limit.
    pub(super) is_limited: bool,
    /// The limits of which it was told that they are nearly used up.
    pub warned: Limits,
    /// How many failures were handled by `on_error`.
    pub handled_errors: u32,
    /// How the owners of the run went.
    pub deaths: Deaths,

    pub(super) frames: Vec<Option<Box<Frame>>>,
    pub(super) handlers: HashMap<Handler, FrameId>,
    /// Nodes that run, here or as jobs; bounded by `parallel`.
    pub(super) running: u32,
    /// The nodes that run as jobs, and who has taken each.
    pub(super) jobs: HashMap<Addr, Option<SessionId>>,
    pub(super) ready: BinaryHeap<Ready>,
    pub(super) ready_count: u64,
    pub(super) due: BinaryHeap<Reverse<(Millis, Due)>>,
    pub(super) skips: VecDeque<(Addr, SkipReason)>,
    pub(super) resumes: VecDeque<(Addr, Resume)>,
    pub(super) closing: VecDeque<FrameId>,
    pub(super) ending: VecDeque<Addr>,
    pub(super) cancels: VecDeque<Addr>,
    pub(super) signals: Vec<Signal>,
    pub(super) finishing: bool,
    pub(super) said: Vec<Said>,
    /// Answers whose text may begin to be shown before they run.
    pub(super) unopened: Vec<Addr>,
    /// Whether something was folded since they were last looked at.
    pub(super) answers_changed: bool,
}

/// What `RunStarted` said.
#[derive(Debug, Default)]
pub struct Start {
    /// Inputs, checked.
    pub inputs: Value,
    /// What started the run.
    pub trigger: Value,
    /// Who started it.
    pub user: Value,
    /// `env` as the deployment overrides it.
    pub env: Value,
    /// The conversation.
    pub conversation: Option<String>,
    /// Whom it is about.
    pub subject: Option<String>,
    /// The parent run.
    pub parent: Option<RunId>,
    /// How deep below the first run it is.
    pub depth: u32,
    /// What whoever started it has given it to use.
    pub budget: Limits,
    /// When it started.
    pub at: Millis,
}

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// `RunStarted` was not folded yet.
    #[default]
    New,
    /// Its nodes run.
    Running,
    /// Its result is fixed; what still runs is being stopped.
    Stopping(Ending),
    /// A handler runs.
    Handling(Handler, Ending),
    /// It ended.
    Ended(Ending),
}

/// The result of a run, once it is fixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// How.
    pub status: RunStatus,
    /// Why it did not succeed.
    pub error: Option<ErrorReport>,
}

/// One pass over a body.
#[derive(Debug)]
pub struct Frame {
    /// The body.
    pub body: BodyIx,
    /// The container whose pass this is.
    pub parent: Option<Addr>,
    /// Which pass, from 0.
    pub index: u32,
    /// `item`, `state`, or the call.
    pub item: Value,
    /// What the paths of its nodes begin with: `each[3].`; empty for the workflow itself.
    pub prefix: Arc<str>,
    /// Its nodes.
    pub nodes: Vec<NodeState>,
    pub(super) unsettled: u32,
    /// How many nodes run, wait, sleep or are open containers.
    pub(super) active: u32,
    /// Why nothing new starts here.
    pub(super) stopping: Option<Stop>,
    /// Whether its end waits to be decided.
    pub(super) queued: bool,
}

/// Why nothing new starts in a frame.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// A node of it failed.
    Failure(ErrorReport),
    /// What is around it stops.
    Outside,
}

impl Stop {
    pub(super) fn failure(&self) -> Option<&ErrorReport> {
        match self {
            Self::Failure(error) => Some(error),
            Self::Outside => None,
        }
    }
}

/// What is known of a node.
#[derive(Debug, Default)]
pub struct NodeState {
    /// Where it stands.
    pub status: Status,
    /// The newest attempt; 0 before the first.
    pub attempt: u32,
    /// How often a process that executed nothing but its run died while it ran.
    pub losses: u32,
    /// What all its attempts used of models, with everything inside it and the runs that it started.
    pub(super) used: Option<Box<Usage>>,
    /// Whether the newest attempt was lost: it is used again.
    pub(super) lost: bool,
    /// Of an answer: whether its text was begun to be shown.
    pub(super) opened: bool,
    pub(super) pending: u32,
    /// What a container that failed or was stopped has done so far.
    pub(super) kept: Option<Box<OpenContainer>>,
}

/// Where a node stands.
#[derive(Debug, Default)]
pub enum Status {
    /// It waits for its edges.
    #[default]
    Pending,
    /// It may start.
    Ready,
    /// The shell was told to start it, or to go on with it.
    Issued,
    /// It acts.
    Started(Place),
    /// It is tried again at this time.
    Sleeping(Millis),
    /// It waits for a signal or a time.
    Waiting(Box<Waiting>),
    /// A container with frames.
    Open(Box<OpenContainer>),
    /// It ended by a port.
    Ended {
        /// The port; `None` for its only ordinary one.
        port: Option<Arc<str>>,
        /// Its output; `null` when it failed without a stand-in.
        output: Value,
        /// `NODE.error`.
        error: Option<Value>,
    },
    /// It was skipped.
    Skipped,
    /// It failed, and nothing handled that.
    Failed(Value),
    /// It was stopped.
    Cancelled,
}

/// What a node waits for.
#[derive(Debug)]
pub struct Waiting {
    /// As it was journaled.
    pub wait: Wait,
    /// The signal that it goes on with.
    pub(super) signal: Option<String>,
    /// Whether the shell was told to go on with it.
    pub(super) resumed: bool,
}

/// A container whose frames run.
#[derive(Debug)]
pub struct OpenContainer {
    pub(super) over: OpenOver,
    /// The fields of a composite.
    pub(super) fields: Option<Value>,
    /// The frames that are open, by index.
    pub(super) frames: HashMap<u32, FrameId>,
    /// Frames that failed or were stopped, kept for a retry of the container.
    pub(super) kept: HashMap<u32, FrameId>,
    /// The next index that was never opened.
    pub(super) next: u32,
    /// The failure that ends it.
    pub(super) failed: Option<ErrorReport>,
    pub(super) queued: bool,
}

#[derive(Debug)]
pub(super) enum OpenOver {
    Items {
        items: Arc<Vec<Value>>,
        parallel: u32,
        on_item_error: OnItemError,
        /// By index: the output, or the failure.
        results: Vec<Option<Result<Value, Value>>>,
    },
    Rounds {
        state: Value,
        /// The output of the last round.
        done: Option<Value>,
    },
    Once {
        done: Option<Value>,
    },
    Calls {
        calls: Arc<Vec<Value>>,
        parallel: u32,
        /// By index: the result, or the failure.
        results: Vec<Option<Result<Value, Value>>>,
    },
}

/// A signal that no node took yet.
#[derive(Clone, Debug)]
pub(super) struct Signal {
    pub id: String,
    pub to: SignalTo,
    pub payload: Value,
    pub by: Option<String>,
    pub at: Millis,
    /// The node that goes on with it.
    pub taken_by: Option<Addr>,
}

/// What time brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A retry, or the end of a wait.
    Node(Addr),
    /// The end of the run's time.
    Run,
    /// The end of a handler's time.
    Handler,
}

/// A node that may start: higher priorities first, then first come, first served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ready {
    pub priority: u8,
    pub order: Reverse<u64>,
    pub at: Addr,
}

impl RunState {
    /// The frame with this id; `None` when it has ended.
    pub fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.frames.get(id as usize)?.as_deref()
    }

    /// What is known of a node; `None` when its frame has ended.
    pub fn node(&self, at: Addr) -> Option<&NodeState> {
        self.frame(at.frame)?.nodes.get(at.node as usize)
    }

    /// The frame of a handler that has started.
    pub fn handler(&self, handler: Handler) -> Option<FrameId> {
        self.handlers.get(&handler).copied()
    }

    /// The open frames.
    pub fn frames(&self) -> impl Iterator<Item = (FrameId, &Frame)> {
        self.frames.iter().enumerate().filter_map(|(id, frame)| Some((id as FrameId, frame.as_deref()?)))
    }

    /// The fields of a composite that is open.
    pub fn fields(&self, composite: Addr) -> Option<&Value> {
        match &self.node(composite)?.status {
            Status::Open(open) => open.fields.as_ref(),
            _ => None,
        }
    }

    /// The nodes that wait, with what they wait for.
    pub fn waiting(&self) -> impl Iterator<Item = (Addr, &Wait)> {
        self.nodes().filter_map(|(at, node)| match &node.status {
            Status::Waiting(waiting) => Some((at, &waiting.wait)),
            _ => None,
        })
    }

    /// What a node waits for, when it does.
    pub fn wait(&self, at: Addr) -> Option<&Wait> {
        match &self.node(at)?.status {
            Status::Waiting(waiting) => Some(&waiting.wait),
            _ => None,
        }
    }

    /// Every node of every open frame.
    pub fn nodes(&self) -> impl Iterator<Item = (Addr, &NodeState)> {
        self.frames().flat_map(|(frame, inner)| {
            inner.nodes.iter().enumerate().map(move |(node, state)| (Addr { frame, node: node as NodeIx }, state))
        })
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Millis> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether the run has ended.
    pub fn ended(&self) -> Option<&Ending> {
        match &self.phase {
            Phase::Ended(ending) => Some(ending),
            _ => None,
        }
    }

    /// The result of the run once it is fixed; `None` while it may still succeed.
    pub fn fixed(&self) -> Option<&Ending> {
        match &self.phase {
            Phase::Stopping(ending) | Phase::Handling(_, ending) | Phase::Ended(ending) => Some(ending),
            Phase::New | Phase::Running => None,
        }
    }

    /// Whether the next decision has something to do at once.
    pub fn is_pressing(&self, plan: &Plan) -> bool {
        self.finishing
            || !(self.skips.is_empty() && self.resumes.is_empty() && self.closing.is_empty())
            || !(self.ending.is_empty() && self.cancels.is_empty())
            || (!self.ready.is_empty() && self.running < plan.parallel)
    }

    /// Lets the end of the run be decided again: a message came first.
    pub fn reconsider_end(&mut self) {
        self.finishing = true;
    }

    pub(super) fn frame_mut(&mut self, id: FrameId) -> Option<&mut Frame> {
        self.frames.get_mut(id as usize)?.as_deref_mut()
    }

    pub(super) fn node_mut(&mut self, at: Addr) -> Option<&mut NodeState> {
        self.frame_mut(at.frame)?.nodes.get_mut(at.node as usize)
    }

    pub(super) fn push_ready(&mut self, plan: &Plan, at: Addr) {
        let Some(frame) = self.frame_mut(at.frame) else { return };
        let status = &mut frame.nodes[at.node as usize].status;
        if matches!(status, Status::Pending) {
            *status = Status::Ready;
        }
        let priority = plan.bodies[frame.body].node(at.node).priority;
        self.ready_count += 1;
        self.ready.push(Ready { priority, order: Reverse(self.ready_count), at });
    }
}

impl NodeState {
    /// What all its attempts used of models, with everything inside it and the runs that it started.
    pub fn used(&self) -> Usage {
        self.used.as_deref().copied().unwrap_or_default()
    }
}

impl Frame {
    /// Whether nothing new starts here.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }
}

impl Status {
    /// Whether the node has come to its end.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Ended { .. } | Self::Skipped | Self::Failed(_) | Self::Cancelled)
    }

    /// Whether something of it must be stopped before its frame can end.
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Issued | Self::Started(_) | Self::Sleeping(_) | Self::Waiting(_) | Self::Open(_))
    }

    /// Whether it takes one of the places that `parallel` bounds.
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Issued | Self::Started(Place::Local { .. } | Place::Job { .. }))
    }

    /// What templates of other nodes see of it.
    pub fn view(&self) -> NodeView {
        match self {
            Self::Ended { port, output, error } => {
                NodeView::Ended { output: output.clone(), port: port.clone(), error: error.clone() }
            }
            Self::Failed(error) => {
                NodeView::Ended { output: Value::Null, port: Some("error".into()), error: Some(error.clone()) }
            }
            Self::Skipped => NodeView::Skipped,
            _ => NodeView::Unsettled,
        }
    }
}
