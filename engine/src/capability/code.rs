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
    async fn run(&self, call: CodeCall) -> Result<CodeReply, Box<CodeFailure>>;
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

/// Why nothing came of it.
#[derive(Clone, Debug)]
pub struct CodeFailure {
    /// What went wrong.
    pub error: NodeError,
    /// What the code printed until then.
    pub stdout: String,
    /// What it printed as warnings and errors.
    pub stderr: String,
    /// The frames of the code where the error was raised, as its language shows them.
    pub traceback: Option<String>,
}

impl From<NodeError> for Box<CodeFailure> {
    /// A failure before anything was printed.
    fn from(error: NodeError) -> Self {
        Self::new(CodeFailure { error, stdout: String::new(), stderr: String::new(), traceback: None })
    }
}
