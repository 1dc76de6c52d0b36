//! What is said about the fields of a node before it runs.

use std::ops::Range;

use crate::{capability::Modules, diagnostic::Severity, error::Code};

/// What checks know of the installation, besides the workflow.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What Python code can import. When it is empty, imports are not checked.
    pub python: Modules,
    /// The names of the MCP servers. When it is `None`, they are not checked.
    pub mcp: Option<Vec<String>>,
}

/// A configuration that can never run.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The stable code.
    pub code: Code,
    /// The field, as a JSON pointer below the node: `/cases/other`. Empty for the node as a whole.
    pub field: String,
    /// What of the field is meant.
    pub spot: Spot,
    /// What was expected and what was found.
    pub message: String,
    /// A few words under the caret; may be empty.
    pub label: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What of a field a finding means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Spot {
    /// Its value.
    #[default]
    Value,
    /// Its name.
    Key,
    /// A part of its text, in bytes of the text as the node sees it.
    Text(Range<usize>),
}

impl ConfigError {
    /// An error about a field.
    pub fn new(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self { code, field, spot: Spot::Value, message, label: String::new(), hint: None }
    }

    /// Says what of the field is meant.
    pub fn at(mut self, spot: Spot) -> Self {
        self.spot = spot;
        self
    }

    /// Adds the words under the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A finding about a configuration that could be built.
#[derive(Clone, Debug)]
pub struct ConfigFinding {
    /// How much it weighs.
    pub severity: Severity,
    /// What it is.
    pub error: ConfigError,
}
