//! Deciding: what to do next. It costs what the records changed, not the size of the run.

use super::{
    budget::Overrun,
    container::ContainerEnd,
    state::{Addr, Due, FrameId, Phase, RunState, Status},
};
use crate::{
    definition::Limits,
    error::ErrorReport,
    event::{Handler, Place, SignalTo, SkipReason},
    node::Resume,
    plan::Plan,
    run::path,
    units::Millis,
};

/// Something that the shell must do, and journal.
#[derive(Debug)]
pub enum Command {
    /// Start an attempt of a node.
    Start {
        /// The node.
        at: Addr,
        /// 1 for the first try.
        attempt: u32,
    },
    /// Journal that a node is skipped.
    Skip {
        /// The node.
        at: Addr,
        /// Why.
        why: SkipReason,
    },
    /// Go on with a waiting node.
    Resume {
        /// The node.
        at: Addr,
        /// With what.
        with: Resume,
    },
    /// Journal that a signal met nothing that can take it.
    Ignore {
        /// The signal.
        id: String,
    },
    /// Evaluate what a frame gives, or journal its failure.
    CloseFrame {
        /// The frame; its container is its parent.
        frame: FrameId,
        /// Its failure.
        failed: Option<ErrorReport>,
    },
    /// Journal the end of a container.
    EndContainer {
        /// The container.
        at: Addr,
        /// How it ends.
        end: ContainerEnd,
    },
    /// Journal that the text of an answer begins to be shown.
    OpenAnswer {
        /// The node.
        at: Addr,
    },
    /// Stop a node, and journal that it was stopped.
    Cancel {
        /// The node.
        at: Addr,
    },
    /// A limit stands in the way of a node: journal that the run stops, or, when the budget is that of a node, that the
    /// attempt failed.
    OutOfBudget {
        /// The node.
        at: Addr,
        /// The attempt that does not start.
        attempt: u32,
        /// The limit.
        over: Overrun,
    },
    /// Journal that limits of the run are nearly used up.
    WarnOfBudget {
        /// What was used.
        used: Limits,
        /// Of what.
        limit: Limits,
    },
    /// The run's time is over: journal that it stops.
    OutOfTime,
    /// A handler's time is over: journal that it stops.
    HandlerOutOfTime(Handler),
    /// Journal the end of a handler.
    EndHandler {
        /// Which.
        handler: Handler,
        /// Its failure.
        error: Option<ErrorReport>,
    },
    /// Nothing runs any more: start the next handler, or journal the end of the run.
    Finish,
}

/// Says what to do next. Pure: the same plan, state and time give the same commands; each is given once.
pub fn decide(plan: &Plan, state: &mut RunState, now: Millis) -> Vec<Command> {
    let mut commands = Vec::new();
    if matches!(state.phase, Phase::New | Phase::Ended(_)) {
        return commands;
    }
    state.take_cancels(&mut commands);
    state.take_ends(&mut commands);
    state.take_due(plan, now, &mut commands);
    state.take_resumes(&mut commands);
    state.take_ignored(plan, &mut commands);
    while let Some((at, why)) = state.skips.pop_front() {
        let stopping = state.frame(at.frame).is_none_or(|frame| frame.stopping.is_some());
        if !stopping && matches!(state.node(at).map(|node| &node.status), Some(Status::Pending)) {
            commands.push(Command::Skip { at, why });
        }
    }
    if plan.budget.warn_at.is_some()
        && let Some((used, limit)) = state.nearly_used_up(plan)
    {
        commands.push(Command::WarnOfBudget { used, limit });
    }
    state.take_ready(plan, now, &mut commands);
    // After what starts: both become durable at once, and before the first piece of text can come.
    state.take_answers(plan, &mut commands);
    if std::mem::take(&mut state.finishing) {
        commands.push(Command::Finish);
    }
    commands
}

impl RunState {
    fn take_cancels(&mut self, commands: &mut Vec<Command>) {
        while let Some(at) = self.cancels.pop_front() {
            if self.node(at).is_some_and(|node| node.status.is_active()) {
                commands.push(Command::Cancel { at });
            }
        }
    }

    fn take_ends(&mut self, commands: &mut Vec<Command>) {
        while let Some(id) = self.closing.pop_front() {
            let Some(frame) = self.frame_mut(id) else { continue };
            frame.queued = false;
            let failed = frame.stopping.as_ref().and_then(|stop| stop.failure().cloned());
            if frame.parent.is_none() {
                if let Phase::Handling(handler, _) = self.phase {
                    commands.push(Command::EndHandler { handler, error: failed });
                }
            } else if frame.stopping.is_none() || failed.is_some() {
                commands.push(Command::CloseFrame { frame: id, failed });
            }
        }
        while let Some(at) = self.ending.pop_front() {
            if let Some(end) = self.container_end(at) {
                commands.push(Command::EndContainer { at, end });
            }
        }
    }

    fn take_due(&mut self, plan: &Plan, now: Millis, commands: &mut Vec<Command>) {
        while let Some(std::cmp::Reverse((at, due))) = self.due.peek().copied() {
            if at > now {
                return;
            }
            self.due.pop();
            match due {
                Due::Run if self.phase == Phase::Running => commands.push(Command::OutOfTime),
                Due::Handler => {
                    if let Phase::Handling(handler, _) = self.phase {
                        commands.push(Command::HandlerOutOfTime(handler));
                    }
                }
                Due::Node(node) => self.node_due(plan, node, at, now),
                Due::Run => {}
            }
        }
    }

    fn node_due(&mut self, plan: &Plan, at: Addr, due: Millis, now: Millis) {
        if self.frame(at.frame).is_none_or(|frame| frame.stopping.is_some()) {
            return;
        }
        match self.node_mut(at).map(|node| &mut node.status) {
            // It goes on sleeping, as a replay would have it, until the shell is told to start it.
            Some(Status::Sleeping(until)) if *until == due => self.push_ready(plan, at),
            Some(Status::Waiting(waiting)) if waiting.wait.until == Some(due) && !waiting.resumed => {
                waiting.resumed = true;
                self.resumes.push_back((at, Resume::TimedOut { at: now }));
            }
            _ => {}
        }
    }

    fn take_resumes(&mut self, commands: &mut Vec<Command>) {
        while let Some((at, with)) = self.resumes.pop_front() {
            let stopping = self.frame(at.frame).is_none_or(|frame| frame.stopping.is_some());
            if !stopping && matches!(self.node(at).map(|node| &node.status), Some(Status::Waiting(_))) {
                commands.push(Command::Resume { at, with });
            }
        }
    }

    /// Signals to a node that is settled are ignored; the others are kept until a node waits for them.
    fn take_ignored(&mut self, plan: &Plan, commands: &mut Vec<Command>) {
        for signal in &self.signals {
            let SignalTo::Node(path) = &signal.to else { continue };
            if signal.taken_by.is_some() {
                continue;
            }
            let settled = path::resolve(plan, self, path)
                .and_then(|at| self.node(at))
                .is_none_or(|node| node.status.is_settled());
            if settled {
                commands.push(Command::Ignore { id: signal.id.clone() });
            }
        }
    }

    fn take_ready(&mut self, plan: &Plan, now: Millis, commands: &mut Vec<Command>) {
        while self.running < plan.parallel {
            let Some(next) = self.ready.pop() else { return };
            let at = next.at;
            let stopping = self.frame(at.frame).is_none_or(|frame| frame.stopping.is_some());
            let may_start = match self.node(at).map(|node| &node.status) {
                Some(Status::Ready) => true,
                Some(Status::Sleeping(until)) => *until <= now,
                _ => false,
            };
            if stopping || !may_start {
                continue;
            }
            let node = self.node(at).expect("its status was just read");
            // A lost attempt is used again; a failed one counts on.
            let attempt = if node.lost { node.attempt } else { node.attempt + 1 };
            if (self.is_limited || plan.has_node_budgets)
                && let Some(over) = self.overrun(plan, at)
            {
                commands.push(Command::OutOfBudget { at, attempt, over });
                if over.of.is_none() {
                    self.ready.push(next);
                    return;
                }
                self.transition(at, Status::Issued);
                continue;
            }
            self.transition(at, Status::Issued);
            self.answers_changed |= !self.unopened.is_empty();
            commands.push(Command::Start { at, attempt });
        }
    }

    /// The nodes that an older owner left running here, which the new owner must settle first (R9).
    pub fn lost(&self) -> Vec<Addr> {
        self.nodes()
            .filter(|(_, node)| matches!(node.status, Status::Started(Place::Local { epoch }) if epoch < self.epoch))
            .map(|(at, _)| at)
            .collect()
    }
}
