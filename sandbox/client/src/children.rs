//! Child processes that run calls: started, watched, started again when they die.

mod connection;
mod process;

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::future::join_all;
use liteagent_sandbox_protocol::{Failure, Fault, Kind, Load, Reply, Request, Runner};
use serde::Serialize;
use tokio::{sync::watch, task::AbortHandle};

use self::{
    connection::{Connection, Lost},
    process::Process,
};
use crate::wire::{self, Locked};

/// How often a child is asked whether it is still there, and how long it may take to say so.
const LOOK: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// The first and the longest wait before a child that cannot live is started again.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A child that lived shorter than this could not live.
const LIVED: Duration = Duration::from_secs(1);

/// How a child process is started: a program that calls [`child::serve`](crate::child::serve).
#[derive(Clone, Debug)]
pub struct Program {
    /// The program, by its absolute path.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A number of child processes, among which calls are spread.
///
/// A call whose child dies fails as `unavailable`, and the next call is served: the child is started again.
pub struct Children {
    shared: Arc<Shared>,
    watchers: Vec<AbortHandle>,
}

struct Shared {
    program: Program,
    configuration: Vec<u8>,
    states: watch::Sender<Vec<State>>,
    /// Where the search for a child with little to do begins, so that none is always first.
    turn: AtomicUsize,
}

/// What is known of a child.
#[derive(Clone)]
enum State {
    Starting,
    Up(Arc<Connection>),
    /// It could not start, and will be tried again.
    Down(Fault),
}

impl State {
    fn up(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Up(child) if !child.is_closed() => Some(child),
            Self::Up(_) | Self::Starting | Self::Down(_) => None,
        }
    }
}

impl Children {
    /// Starts `count` children, each with the same configuration, and watches them on the current runtime until this is
    /// dropped, which ends them. Calls wait for a child that starts.
    ///
    /// # Errors
    /// When the configuration is no JSON.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(program: Program, configuration: &impl Serialize, count: usize) -> Result<Self, Fault> {
        let configuration = wire::frame(configuration).map_err(|error| cannot(&error))?;
        let states = watch::Sender::new(vec![State::Starting; count.max(1)]);
        let shared = Arc::new(Shared { program, configuration, states, turn: AtomicUsize::new(0) });
        let watch = |at| tokio::spawn(Arc::clone(&shared).watch(at)).abort_handle();
        let watchers = (0..count.max(1)).map(watch).collect();
        Ok(Self { shared, watchers })
    }

    /// The ids of the processes that are up.
    pub fn ids(&self) -> Vec<u32> {
        self.shared.up().iter().map(|child| child.id).collect()
    }

    /// What each child that is up cannot do any more.
    pub fn locked(&self) -> Vec<Locked> {
        self.shared.up().iter().map(|child| child.locked.clone()).collect()
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
    }
}

#[async_trait]
impl Runner for Children {
    async fn run(&self, mut request: Request) -> Reply {
        let before = |fault| Box::new(Failure::before(fault));
        loop {
            let child = self.shared.pick().await.map_err(before)?;
            match child.call(request).await {
                Ok(reply) => return reply,
                // It never left this process.
                Err(Lost::Before(back)) => request = back,
                Err(Lost::During(why)) => return Err(before(died(&why))),
            }
        }
    }

    async fn ready(&self) -> Result<(), Fault> {
        let settled = |states: &Vec<State>| !states.iter().any(|state| matches!(state, State::Starting));
        let mut seen = self.shared.states.subscribe();
        let states = seen.wait_for(settled).await.map_err(|_| cannot(&"they are being stopped"))?;
        let down = states.iter().find_map(|state| if let State::Down(fault) = state { Some(fault) } else { None });
        down.map_or(Ok(()), |fault| Err(fault.clone()))
    }

    async fn load(&self) -> Load {
        let up = self.shared.up();
        let loads = join_all(up.iter().map(|child| child.load())).await;
        let add =
            |sum: Load, load: &Load| Load { running: sum.running + load.running, waiting: sum.waiting + load.waiting };
        // Of one that has just died nothing runs.
        loads.iter().flatten().fold(Load::default(), add)
    }

    fn describe(&self) -> String {
        match self.watchers.len() {
            1 => "in a child process".to_owned(),
            count => format!("in {count} child processes"),
        }
    }
}

impl Shared {
    /// Starts a child, waits until it ends, and begins again.
    async fn watch(self: Arc<Self>, at: usize) {
        let mut failures = 0;
        loop {
            match Process::start(&self.program, &self.configuration).await {
                Ok((process, connection)) => {
                    let connection = Arc::new(connection);
                    tracing::info!(id = connection.id, locked = ?connection.locked, "a child process of the sandbox is up");
                    self.set(at, State::Up(Arc::clone(&connection)));
                    let lived = look_after(process, &connection, || self.set(at, State::Starting)).await;
                    failures = if lived < LIVED { failures + 1 } else { 0 };
                }
                Err(fault) => {
                    tracing::error!(%fault, "a child process of the sandbox cannot start");
                    self.set(at, State::Down(fault));
                    failures += 1;
                }
            }
            if failures > 1 {
                tokio::time::sleep(LONGEST_WAIT.min(FIRST_WAIT * (1 << (failures - 2).min(10)))).await;
            }
        }
    }

    fn set(&self, at: usize, state: State) {
        self.states.send_modify(|states| states[at] = state);
    }

    fn up(&self) -> Vec<Arc<Connection>> {
        self.states.borrow().iter().filter_map(State::up).cloned().collect()
    }

    /// The child with the least to do. Waits for one that starts when none is up.
    async fn pick(&self) -> Result<Arc<Connection>, Fault> {
        let mut seen = self.states.subscribe();
        loop {
            let up = self.up();
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let order = (0..up.len()).map(|at| &up[(at + turn) % up.len()]);
            if let Some(child) = order.min_by_key(|child| child.calls()) {
                return Ok(Arc::clone(child));
            }
            let all_down = |states: &Vec<State>| states.iter().all(|state| matches!(state, State::Down(_)));
            let any_up = |states: &Vec<State>| states.iter().any(|state| state.up().is_some());
            let states = seen.wait_for(|states| all_down(states) || any_up(states)).await;
            let states = states.map_err(|_| cannot(&"they are being stopped"))?;
            if let (true, Some(State::Down(fault))) = (all_down(&states), states.first()) {
                return Err(fault.clone());
            }
        }
    }
}

/// Waits until a child ends, or ends one that does not answer any more, and says so. Gives how long it lived.
#[expect(clippy::disallowed_methods, reason = "how long a process lived decides how soon another is started")]
async fn look_after(mut process: Process, connection: &Connection, gone: impl FnOnce()) -> Duration {
    let began = Instant::now();
    loop {
        tokio::select! {
            () = connection.closed() => {
                gone();
                let why = process.end().await;
                connection.end(&why);
                tracing::warn!(id = connection.id, %why, "a child process of the sandbox has ended");
                return began.elapsed();
            }
            () = tokio::time::sleep(LOOK) => {
                if tokio::time::timeout(PATIENCE, connection.load()).await.is_err() {
                    process.kill();
                }
            }
        }
    }
}

fn died(why: &str) -> Fault {
    Fault::new(Kind::Sandbox, format!("a child process of the sandbox ended while it ran the call: {why}"))
        .hint("try again: another one has been started")
}

fn cannot(why: &dyn std::fmt::Display) -> Fault {
    Fault::new(Kind::Sandbox, format!("the child processes of the sandbox cannot be used: {why}"))
}

fn could_not_start(program: &Program, why: &dyn std::fmt::Display) -> Fault {
    let path = program.path.display();
    Fault::new(Kind::Sandbox, format!("a child process of the sandbox (`{path}`) did not start: {why}"))
}
