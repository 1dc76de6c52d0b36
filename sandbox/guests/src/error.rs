//! Why a guest cannot be built.

use std::io;

use crate::Error;

/// What kind of thing is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An entry of `packages` is no `NAME==VERSION`.
    Entry,
    /// The lock cannot be read, or does not fit `packages`.
    Lock,
    /// A package needs code for a machine.
    Native,
    /// A package cannot be had.
    Unavailable,
    /// Packages cannot stand together.
    Conflict,
    /// A package is not what was locked.
    Digest,
    /// A tool is missing or failed.
    Tool,
}

/// Why a guest cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// What kind of thing is in the way.
    pub kind: Kind,
    /// What was expected and what was found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl BuildError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<Error> for BuildError {
    fn from(error: Error) -> Self {
        Self::new(Kind::Tool, error.to_string())
    }
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::new(Kind::Tool, error.to_string())
    }
}
