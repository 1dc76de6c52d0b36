//! Running code of authors, isolated.

use async_trait::async_trait;

use crate::{
    error::NodeError,
    units::{Duration, Size},
    value::Value,
};

/// Runs the code of `code` nodes. Nothing of a call reaches another one, or the machine.
#[async_trait]
pub trait Code: Send + Sync {
    /// Calls `main` of the code with the inputs.
    ///
    /// # Errors
    /// What went wrong in the code, the limit that it exceeded, or why the sandbox could not run it.
    async fn run(&self, call: CodeCall) -> Result<CodeReply, NodeError>;
}

/// A call.
#[derive(Clone, Debug)]
pub struct CodeCall {
    /// `python` or `javascript`.
    pub language: &'static str,
    /// The code.
    pub code: std::sync::Arc<str>,
    /// The inputs: an object.
    pub inputs: Value,
    /// What it may use; what is missing is the sandbox's default.
    pub limits: CodeLimits,
}

/// What a call may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct CodeLimits {
    /// Elapsed time.
    pub wall: Option<Duration>,
    /// Computing time.
    pub cpu: Option<Duration>,
    /// Memory, the interpreter included.
    pub memory: Option<Size>,
    /// The JSON of the outputs.
    pub output: Option<Size>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct CodeReply {
    /// The outputs: an object.
    pub outputs: Value,
    /// What the code printed.
    pub stdout: String,
    /// What it printed as warnings and errors.
    pub stderr: String,
}
