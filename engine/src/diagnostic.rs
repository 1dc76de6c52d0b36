//! A finding about a file: code, place, message, label and hint.

mod position;
pub mod render;

use std::{ops::Range, sync::Arc};

pub use self::position::{Lines, Position};

use crate::error::Code;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Likely a mistake; the workflow runs.
    Warning,
    /// The workflow cannot run.
    Error,
}

/// A file that was read: its name as messages show it, and its text.
#[derive(Debug)]
pub struct SourceFile {
    /// The path as the author wrote it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A place in a file, in bytes.
#[derive(Clone, Debug)]
pub struct Span {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The bytes; may be empty.
    pub range: Range<usize>,
}

impl Span {
    /// Whether both are in the same file.
    pub fn is_in_file_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file)
    }
}

/// A further place that explains a finding.
#[derive(Clone, Debug)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Stable id.
    pub code: Code,
    /// How much it weighs.
    pub severity: Severity,
    /// What was expected and what was found: lower-case, no full stop, names in backticks.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// A few words under the caret; may be empty.
    pub label: String,
    /// Other places that explain it.
    pub related: Vec<Label>,
    /// What to do: one imperative sentence with the exact key, command or name.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            span,
            label: String::new(),
            related: Vec::new(),
            hint: None,
        }
    }

    /// A warning at a place.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// A note at a place.
    pub fn note(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(code, span, message) }
    }

    /// Adds the words under the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds another place.
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label { span, text: text.into() });
        self
    }
}
