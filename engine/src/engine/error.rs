//! Why the engine did not do what it was asked.

use crate::{
    bundle::BundleError,
    error::NodeError,
    id::{Digest, RunId},
    plan::CompileError,
    queue::QueueError,
    store::{StoreError, hold},
    types::Misfit,
};

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The inputs do not fit the workflow.
    #[error("the inputs do not fit `{workflow}`")]
    Inputs {
        /// The workflow.
        workflow: String,
        /// Every misfit.
        misfits: Vec<Misfit>,
    },
    /// A declared secret is nowhere.
    #[error("the secret `{0}` is missing")]
    MissingSecret(String),
    /// A declared secret is not meant for the workflow that declares it.
    #[error("the secret `{secret}` is not meant for the workflow `{workflow}`")]
    SecretNotMeant {
        /// The secret.
        secret: String,
        /// The workflow.
        workflow: String,
    },
    /// A declared secret is there, and cannot be read.
    #[error("{}", .0.message)]
    Secret(NodeError),
    /// There is no such run.
    #[error("there is no run `{0}`")]
    UnknownRun(RunId),
    /// The run has ended.
    #[error("the run `{0}` has ended")]
    HasEnded(RunId),
    /// The run came out of a backup, and nobody has released it.
    #[error("the run `{0}` is held: it came out of a backup")]
    Held(RunId),
    /// As many runs go on here, and wait, as may.
    #[error("{running} runs go on, and {waiting} wait: no more may")]
    Busy {
        /// So many this process executes.
        running: usize,
        /// So many wait in the queue.
        waiting: u32,
    },
    /// Another process executes the run.
    #[error("another process executes the run `{0}`")]
    Elsewhere(RunId),
    /// The idempotency key was used with other inputs.
    #[error("the idempotency key belongs to the run `{0}`, which was started with other inputs")]
    KeyConflict(RunId),
    /// As many runs go on as may at once, and the workflow does not let more wait.
    #[error("{}", hold::full(.0).message)]
    Full(Vec<RunId>),
    /// The key of `concurrency` cannot be rendered.
    #[error("{}", .0.message)]
    Key(NodeError),
    /// The workflow has no such node.
    #[error("the workflow has no node `{0}`")]
    UnknownNode(String),
    /// The workflow cannot be run by this program.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue cannot be used.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The run cannot go on here.
    #[error("the run cannot go on: {0}")]
    Stuck(String),
}

/// Why a bundle has no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The store does not have it.
    #[error("the bundle {0} is missing")]
    Missing(Digest),
}
