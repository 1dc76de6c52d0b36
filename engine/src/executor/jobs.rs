//! Nodes that run elsewhere: which of them leave, how their jobs are pushed and looked after, and what comes back.
//!
//! The queue may lose a job at any time, and the process that took it may die. Both are seen by the owner, which looks after
//! its open jobs: one that nobody has taken is pushed again, one whose process died is lost as a node here would be.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{beside::Beside, owner::Owner, replay, texts::Texts};
use crate::{
    codes,
    engine::{Fleet, LossCause},
    error::{Code, ErrorClass, NodeError},
    event::{Event, Place},
    id::{JobId, SessionId},
    node::Container,
    plan::{Border, PlanNode},
    queue::{Depth, Group, Job, Pointer, QueueError, StepText, Wake},
    run::{Addr, FrameId, OpenJob, path},
    store::{StepResult, StoreError},
    units::Millis,
    usage::Spent,
};

/// How often an owner looks after its open jobs.
const EVERY: Millis = 5_000;
/// A job that its queue has passed is pushed again when its last push is older than this.
const PASSED: Millis = 30_000;
/// A node that is stopped elsewhere has so long to say what it used.
const GRACE: Millis = 1_000;

/// So many nodes of one run a process runs at once; what passes of iterations have beyond that goes out as jobs.
const CARRIES: usize = 64;

/// What an owner knows of its open jobs, besides what the journal says.
pub(super) struct Jobs {
    /// Those that this owner has pushed.
    pushed: HashMap<Addr, Pushed>,
    /// Nodes that are being stopped elsewhere, and until when that is waited for.
    stopping: HashMap<Addr, Millis>,
    /// When they are looked after next; 0 before the first time.
    look_at: Millis,
    looking: bool,
    /// Those that this process runs itself, because nobody had taken them when there was room again.
    own: HashSet<Addr>,
    pub(super) texts: Texts,
    pub(super) looks: (mpsc::UnboundedSender<Look>, mpsc::UnboundedReceiver<Look>),
}

struct Pushed {
    at: Millis,
    /// The generation of its queue then; `None` until the queue has it.
    generation: Option<Arc<str>>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            pushed: HashMap::new(),
            stopping: HashMap::new(),
            look_at: 0,
            looking: false,
            own: HashSet::new(),
            texts: Texts::default(),
            looks: mpsc::unbounded_channel(),
        }
    }
}

/// What was seen of queues and of other processes, beside the loop: it must not wait for them.
pub(super) enum Look {
    /// Jobs were pushed to a queue of this generation.
    Pushed {
        /// Whose.
        which: Vec<Addr>,
        /// The generation.
        generation: Arc<str>,
    },
    /// A job that this process ran itself is over.
    Own(Addr),
    /// A job gave out text.
    Text(Arc<StepText>),
    /// Where jobs wait, and which of the processes that have taken some are dead.
    Seen {
        /// The generation of each queue, and what waits there.
        queues: HashMap<Group, (String, Depth)>,
        /// The dead.
        dead: HashSet<SessionId>,
    },
}

impl Owner {
    /// The queue that a node leaves for instead of running here.
    pub(super) fn leaves_for(&self, at: Addr, node: &PlanNode) -> Option<Group> {
        let fleet = self.engine.fleet.as_ref().filter(|_| node.may_leave)?;
        if self.detached.is_some() || self.engine.alone.is_some() || self.is_in_call(at.frame) {
            return None;
        }
        if self.carried() >= CARRIES && self.is_in_pass(at.frame) {
            // One that is served here: when nobody else comes, it is run here after all.
            let mut served = [Group::Workflow, Group::Indexing].into_iter().chain(fleet.serves.iter().copied());
            return node.queue.or_else(|| served.find(|group| fleet.serves.contains(group)));
        }
        node.queue.filter(|queue| !fleet.serves.contains(queue))
    }

    /// How many nodes of the run this process runs.
    fn carried(&self) -> usize {
        self.running.len() + self.to_start.len() + self.jobs.own.len()
    }

    /// Whether a frame is a pass of an iteration.
    fn is_in_pass(&self, frame: FrameId) -> bool {
        let container = self.state.frame(frame).and_then(|frame| frame.parent);
        let passes = container.and_then(|at| self.node(&self.plan, at).passes.as_ref());
        passes.is_some_and(|passes| passes.kind == Container::Items)
    }

    /// Runs jobs here that nobody has taken, when there is room again: all workers may be waiting for such jobs themselves.
    fn carry_jobs(&mut self) {
        let Some(fleet) = &self.engine.fleet else { return };
        let mut room = CARRIES.saturating_sub(self.carried());
        if room == 0 || self.jobs.pushed.is_empty() {
            return;
        }
        let is_idle = |(at, job): &(Addr, OpenJob)| {
            job.taken.is_none() && fleet.serves.contains(&job.queue) && !self.jobs.own.contains(at)
        };
        let idle: Vec<Addr> = self.state.jobs().filter(is_idle).map(|(at, _)| at).collect();
        for at in idle.into_iter().filter(|at| self.jobs.pushed.contains_key(at)) {
            if room == 0 {
                return;
            }
            room -= 1;
            self.jobs.own.insert(at);
            let (engine, pointer, looks) = (self.engine.clone(), self.pointer(at), self.jobs.looks.0.clone());
            tokio::spawn(async move {
                if let Err(error) = engine.step(pointer).await {
                    tracing::warn!(%error, "a step could not be run by the owner of its run");
                }
                // Nobody listens when the run is owned elsewhere by now.
                let _ = looks.send(Look::Own(at));
            });
        }
    }

    fn pointer(&self, at: Addr) -> Pointer {
        let attempt = self.state.node(at).map_or(1, |node| node.attempt);
        Pointer::Step { run: self.run, node: path::path(&self.plan, &self.state, at).to_string(), attempt }
    }

    /// Whether a frame belongs to a call of a tool, at any depth.
    fn is_in_call(&self, frame: FrameId) -> bool {
        let outwards = std::iter::successors(self.state.frame(frame), |inner| self.state.frame(inner.parent?.frame));
        outwards.into_iter().any(|frame| matches!(self.plan.bodies[frame.body].border, Border::Call { .. }))
    }

    /// Journals that an attempt runs as a job, which is pushed once that is durable.
    pub(super) fn dispatch(&mut self, at: Addr, attempt: u32, queue: Group) {
        self.record(Event::NodeStarted { node: at, attempt, place: Place::Job { id: JobId::random(), queue } });
        self.pending.jobs.push(at);
        self.pending.urgent = true;
    }

    /// Pushes every job that nobody has taken: who takes a run over does not know what became of them. A process that knows of
    /// no others does them itself.
    pub(super) fn push_open_jobs(&mut self) {
        let open: Vec<Addr> = self.state.jobs().filter(|(_, job)| job.taken.is_none()).map(|(at, _)| at).collect();
        if self.engine.fleet.is_some() {
            return self.push_jobs(&open);
        }
        for at in open {
            self.lose(at, Spent::default(), LossCause::HandOver, true);
        }
    }

    /// Pushes those of these jobs that are open and that nobody has taken.
    pub(super) fn push_jobs(&mut self, which: &[Addr]) {
        let Some(fleet) = self.engine.fleet.as_ref().filter(|_| !which.is_empty()) else { return };
        let (fleet, hears) = (fleet.clone(), self.hear_texts());
        let now = self.engine.clock.now();
        let mut jobs: BTreeMap<Group, (Vec<Addr>, Vec<Job>)> = BTreeMap::new();
        for at in which {
            let Some(OpenJob { queue, taken: None, .. }) = self.state.job(*at) else { continue };
            let job = Job::new(self.pointer(*at), now);
            let priority = priority(self.node(&self.plan, *at).priority);
            let key = self.state.start.subject.as_deref().unwrap_or(&self.plan.workflow);
            let (which, jobs) = jobs.entry(queue).or_default();
            which.push(*at);
            jobs.push(job.priority(priority).key(key));
            self.jobs.pushed.insert(*at, Pushed { at: now, generation: None });
        }
        for (group, (which, jobs)) in jobs {
            let (queue, looks, run) = (fleet.queue.clone(), self.jobs.looks.0.clone(), self.run);
            let hears = hears.clone();
            tokio::spawn(async move {
                if let Some(mut hears) = hears {
                    // An error means that the run is owned elsewhere by now.
                    let _ = hears.wait_for(|hears| *hears).await;
                }
                let push = async {
                    // Asked for before: what is emptied in between is seen as lost.
                    let generation = queue.generation(group).await?;
                    queue.push(group, jobs).await.map(|()| generation)
                };
                match push.await {
                    // Nobody listens when the run is owned elsewhere by now.
                    Ok(generation) => drop(looks.send(Look::Pushed { which, generation: generation.into() })),
                    Err(error) => {
                        tracing::warn!(%run, %group, %error, "steps could not be pushed; they are again soon");
                    }
                }
            });
        }
    }

    /// When open jobs need something next.
    pub(super) fn next_tending(&self) -> Option<Millis> {
        let look = (self.state.has_jobs() && !self.jobs.looking).then_some(self.jobs.look_at);
        look.into_iter().chain(self.jobs.stopping.values().copied()).min()
    }

    /// Looks after open jobs when it is time. Whether something was journaled.
    pub(super) fn tend_jobs(&mut self, now: Millis) -> bool {
        if !self.state.has_jobs() {
            if self.jobs.look_at > 0 {
                self.jobs.pushed.clear();
                self.jobs.own.clear();
                self.jobs.stopping.clear();
                self.jobs.texts = Texts::default();
                self.jobs.look_at = 0;
            }
            return false;
        }
        let over = self.jobs.stopping.iter().filter(|(_, until)| **until <= now).map(|(at, _)| *at);
        let over: Vec<Addr> = over.collect();
        let mut journaled = false;
        for at in over {
            self.jobs.stopping.remove(&at);
            if self.state.job(at).is_some() {
                self.record(Event::NodeCancelled { node: at, usage: Spent::default() });
                journaled = true;
            }
        }
        if self.jobs.look_at == 0 {
            self.jobs.look_at = now + EVERY;
        } else if !self.jobs.looking && self.jobs.look_at <= now {
            self.jobs.looking = true;
            self.look();
        }
        self.carry_jobs();
        journaled
    }

    /// Looks where jobs wait, and whether those who have taken some live.
    fn look(&self) {
        let (mut groups, mut sessions) = (HashSet::new(), HashSet::new());
        for (_, job) in self.state.jobs() {
            match job.taken {
                Some(session) => drop(sessions.insert(session)),
                None => drop(groups.insert(job.queue)),
            }
        }
        let (engine, looks) = (self.engine.clone(), self.jobs.looks.0.clone());
        tokio::spawn(async move {
            let mut queues = HashMap::new();
            for group in groups {
                let Some(Fleet { queue, .. }) = &engine.fleet else { break };
                let look = async { Ok::<_, QueueError>((queue.generation(group).await?, queue.depth(group).await?)) };
                match look.await {
                    Ok(seen) => drop(queues.insert(group, seen)),
                    Err(error) => tracing::warn!(%group, %error, "a queue cannot be looked at"),
                }
            }
            let mut dead = HashSet::new();
            for session in sessions {
                match engine.stores.journal.is_alive(session, engine.clock.now()).await {
                    Ok(true) => {}
                    Ok(false) => drop(dead.insert(session)),
                    Err(error) => tracing::warn!(%session, %error, "nobody knows whether a process lives"),
                }
            }
            // Nobody listens when the run is owned elsewhere by now.
            let _ = looks.send(Look::Seen { queues, dead });
        });
    }

    /// Does what follows from a look: jobs that a queue has lost are pushed again, those of dead processes are lost.
    pub(super) fn looked(&mut self, look: Look) {
        let (queues, dead) = match look {
            Look::Pushed { which, generation } => {
                for at in which {
                    if let Some(pushed) = self.jobs.pushed.get_mut(&at) {
                        pushed.generation = Some(generation.clone());
                    }
                }
                return;
            }
            Look::Own(at) => {
                self.jobs.own.remove(&at);
                // Another process may have taken it first: the inbox says so.
                self.wake.notify_one();
                return;
            }
            Look::Text(text) => return self.show_text(&text),
            Look::Seen { queues, dead } => (queues, dead),
        };
        let now = self.engine.clock.now();
        self.jobs.looking = false;
        self.jobs.look_at = now + EVERY;
        let mut again = Vec::new();
        for (at, job) in self.state.jobs().collect::<Vec<_>>() {
            match job.taken {
                Some(session) if dead.contains(&session) => {
                    self.pending.urgent = true;
                    self.jobs.stopping.remove(&at);
                    self.lose(at, Spent::default(), LossCause::Death, false);
                }
                Some(_) => {}
                None => {
                    let Some((generation, depth)) = queues.get(&job.queue) else { continue };
                    let is_there = self.jobs.pushed.get(&at).is_some_and(|pushed| {
                        let waits = depth.oldest.is_some_and(|oldest| oldest <= pushed.at);
                        pushed.generation.as_deref() == Some(generation) && (waits || now - pushed.at < PASSED)
                    });
                    if !is_there {
                        again.push(at);
                    }
                }
            }
        }
        self.push_jobs(&again);
    }

    /// Stops a node that runs elsewhere; whether it is waited for, because it may have used something.
    pub(super) fn stop_job(&mut self, at: Addr) -> bool {
        let is_taken = self.state.job(at).is_some_and(|job| job.taken.is_some());
        if is_taken {
            self.jobs.stopping.insert(at, self.engine.clock.now() + GRACE);
            self.pending.urgent = true;
        }
        is_taken
    }

    /// Lets those who run nodes that are being stopped look at the journal at once.
    pub(super) fn tell_stopped(&self) {
        let Some(fleet) = self.engine.fleet.as_ref().filter(|_| !self.jobs.stopping.is_empty()) else { return };
        let (wakes, wake) = (fleet.wakes.clone(), Wake::Record(self.run, self.durable));
        // They find out a little later when it fails.
        tokio::spawn(async move { wakes.publish(wake).await });
    }

    /// A process says that it has taken a job; `is_over` tells of an attempt whose result is there, too.
    pub(super) fn job_taken(&mut self, name: &str, job: JobId, session: SessionId, is_over: impl Fn(u32) -> bool) {
        if let Some(at) = self.open_job(name, job)
            && !self.state.node(at).is_some_and(|node| is_over(node.attempt))
        {
            self.record(Event::JobTaken { node: at, job, session });
        }
    }

    /// The process that has a job gives it back: it closes, it cannot go on, or it has seen that the node must stop.
    pub(super) fn job_given_back(&mut self, name: &str, job: JobId, session: SessionId, usage: Spent) {
        let is_its_own = |at: &Addr| self.state.job(*at).is_some_and(|open| open.taken == Some(session));
        if let Some(at) = self.open_job(name, job).filter(is_its_own) {
            self.pending.urgent = true;
            self.jobs.stopping.remove(&at);
            self.lose(at, usage, LossCause::HandOver, true);
        }
    }

    pub(super) fn open_job(&self, name: &str, job: JobId) -> Option<Addr> {
        let at = path::resolve(&self.plan, &self.state, name)?;
        self.state.job(at).filter(|open| open.id == job).map(|_| at)
    }

    /// Fetches the output of an attempt that ran elsewhere, when it is a blob.
    pub(super) async fn load_result(&self, result: &mut StepResult) -> Result<(), StoreError> {
        let StepResult::Done { output, .. } = result else { return Ok(()) };
        match replay::load(&self.engine.stores, output).await {
            Err(StoreError::Damaged(why)) => {
                // Its effect has happened, and nothing can bring the result back: that is a loss of another kind.
                let error =
                    NodeError::new(codes::NODE_LOST, ErrorClass::Unavailable, format!("its result is lost: {why}"))
                        .hint("look whether its effect happened, then restart the run from this node");
                *result = StepResult::Failed { error: error.report(""), retry_after: None };
                Ok(())
            }
            other => other,
        }
    }

    /// Journals what came of an attempt that ran elsewhere; one that nobody waits for comes too late and counts for nothing.
    pub(super) fn step_ended(
        &mut self,
        name: &str,
        attempt: u32,
        result: StepResult,
        usage: Spent,
        log: Option<String>,
    ) {
        let Some(at) = path::resolve(&self.plan, &self.state, name) else { return };
        if !self.state.awaits(at, attempt) {
            return;
        }
        self.pending.urgent = true;
        self.jobs.stopping.remove(&at);
        self.to_start.retain(|(waiting, _)| *waiting != at);
        if let Some(running) = self.running.remove(&at) {
            // It was taken for lost, and begun again here.
            running.abort.abort();
        }
        if !self.may_start(at) {
            return self.record(Event::NodeCancelled { node: at, usage });
        }
        let beside = Beside { usage, log };
        match result {
            StepResult::Done { port, output, writes } => {
                self.succeeded(at, attempt, port, output.value(), writes, beside);
            }
            StepResult::Failed { error, retry_after } => {
                let error = NodeError {
                    code: Code::interned(&error.code),
                    class: error.class,
                    message: error.message,
                    hint: error.hint,
                    retry_after: retry_after.map(Duration::from_millis),
                };
                self.failed(at, attempt, &error, beside);
            }
        }
    }
}

/// The priority of a job: from 5, the usual one, up to the highest, as the node's goes from 0 to 9.
fn priority(of_node: u8) -> u8 {
    const USUAL: u8 = 5;
    USUAL + of_node.min(Job::HIGHEST) * (Job::HIGHEST - USUAL) / Job::HIGHEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_priority_of_a_job_grows_with_that_of_its_node() {
        let all: Vec<u8> = (0..=9).map(priority).collect();
        assert_eq!(all, [5, 5, 5, 6, 6, 7, 7, 8, 8, 9]);
    }
}
