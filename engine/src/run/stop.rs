//! Failure, cancel, end: `ENGINE.md` section 6.

use super::state::{Addr, Ending, FrameId, Phase, RunState, Status, Stop};
use crate::{
    error::ErrorReport,
    event::RunStatus,
    plan::{NodeIx, Plan},
};

impl RunState {
    /// A node of a frame failed, and nothing handled that.
    pub(super) fn fail_frame(&mut self, _plan: &Plan, id: FrameId, error: &ErrorReport) {
        let Some(frame) = self.frame(id) else { return };
        if frame.stopping.is_some() {
            return;
        }
        if id == 0 {
            self.stop_run(Ending { status: RunStatus::Failed, error: Some(error.clone()) });
        } else {
            self.stop_frame(id, Stop::Failure(error.clone()));
        }
    }

    pub(super) fn cancel_requested(&mut self, _plan: &Plan) {
        match &self.phase {
            Phase::Running => self.stop_run(Ending { status: RunStatus::Cancelled, error: None }),
            // A second cancel ends the handlers.
            Phase::Handling(handler, _) => {
                if let Some(frame) = self.handler(*handler) {
                    self.stop_frame(frame, Stop::Outside);
                }
            }
            Phase::New | Phase::Stopping(_) | Phase::Ended(_) => {}
        }
    }

    pub(super) fn run_stopping(&mut self, _plan: &Plan, error: &ErrorReport) {
        match &self.phase {
            Phase::Handling(handler, _) => {
                if let Some(frame) = self.handler(*handler) {
                    self.stop_frame(frame, Stop::Failure(error.clone()));
                }
            }
            Phase::Running => self.stop_run(Ending { status: RunStatus::Failed, error: Some(error.clone()) }),
            Phase::New | Phase::Stopping(_) | Phase::Ended(_) => {}
        }
    }

    /// Fixes the result of the run: nothing new starts.
    fn stop_run(&mut self, ending: Ending) {
        self.phase = Phase::Stopping(ending);
        self.finishing = false;
        self.stop_frame(0, Stop::Outside);
    }

    /// Lets nothing new start in a frame, and stops what runs there and below.
    pub(super) fn stop_frame(&mut self, id: FrameId, why: Stop) {
        let Some(frame) = self.frame_mut(id) else { return };
        frame.stopping = Some(why);
        let mut inner = Vec::new();
        let mut containers = Vec::new();
        let mut cancels = Vec::new();
        for (node, state) in frame.nodes.iter().enumerate() {
            let at = Addr { frame: id, node: node as NodeIx };
            match &state.status {
                Status::Open(open) => {
                    inner.extend(open.frames.values().copied());
                    containers.push(at);
                }
                status if status.is_active() => cancels.push(at),
                _ => {}
            }
        }
        inner.sort_unstable();
        self.cancels.extend(cancels);
        for frame in inner {
            self.stop_frame(frame, Stop::Outside);
        }
        for container in containers {
            self.check_container(container);
        }
        self.check_frame(id);
    }

    /// Sees whether a frame has come to its end.
    pub(super) fn check_frame(&mut self, id: FrameId) {
        let Some(frame) = self.frame(id) else { return };
        let quiet = match &frame.stopping {
            Some(_) => frame.active == 0,
            None => frame.unsettled == 0,
        };
        if !quiet {
            return;
        }
        match frame.parent {
            None if id == 0 => self.finishing = !matches!(self.phase, Phase::Handling(..)),
            Some(container) if matches!(frame.stopping, Some(Stop::Outside)) => {
                let index = frame.index;
                if let Some(Status::Open(open)) = self.node_mut(container).map(|node| &mut node.status)
                    && open.frames.remove(&index).is_some()
                {
                    open.kept.insert(index, id);
                }
                self.check_container(container);
            }
            _ => {
                let Some(frame) = self.frame_mut(id) else { return };
                if !std::mem::replace(&mut frame.queued, true) {
                    self.closing.push_back(id);
                }
            }
        }
    }
}
