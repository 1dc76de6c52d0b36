//! Why a file has no text.

use liteagent_engine::{
    codes,
    error::{ErrorClass, NodeError},
};
use serde::{Deserialize, Serialize};

/// Why a file has no text. Its message goes on after the name of the file: "is broken: …".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// What kind of trouble it is.
    pub kind: Kind,
    /// What is the matter with the file.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Kinds of trouble, one for each code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// LA2651: the file breaks the rules of its format.
    Broken,
    /// LA2652: it cannot be read without a password.
    Encrypted,
    /// LA2653: nobody here reads its format.
    Format,
    /// LA2654: reading it takes more than is allowed.
    Limit,
    /// LA2655: it holds no text.
    Empty,
    /// LA2656: whoever was to read it cannot be used.
    Reader,
}

impl Trouble {
    /// The file breaks the rules of its format.
    pub(crate) fn broken(why: impl std::fmt::Display) -> Self {
        Self::new(Kind::Broken, format!("is broken: {why}"), "open it with the program that made it, and save it again")
    }

    /// The file is encrypted.
    pub(crate) fn encrypted() -> Self {
        Self::new(Kind::Encrypted, "is encrypted", "save it without a password")
    }

    /// The file is something that is not read.
    pub(crate) fn format(what: &str, hint: &str) -> Self {
        Self::new(Kind::Format, format!("is {what}, which is not read"), hint)
    }

    /// A limit that `[documents]` of `liteagent.toml` sets.
    pub(crate) fn limit(key: &str, what: impl Into<String>) -> Self {
        let hint = format!("raise `{key}` under `[documents]` in `liteagent.toml`, or make the file smaller");
        Self::new(Kind::Limit, what, &hint)
    }

    /// A limit that nobody sets.
    pub(crate) fn fixed_limit(what: impl Into<String>) -> Self {
        Self::new(Kind::Limit, what, "make the file simpler: it looks like one that is made to harm its reader")
    }

    /// The file holds no text.
    pub(crate) fn empty(hint: &str) -> Self {
        Self::new(Kind::Empty, "holds no text", hint)
    }

    pub(crate) fn new(kind: Kind, message: impl Into<String>, hint: &str) -> Self {
        Self { kind, message: message.into(), hint: hint.to_owned() }
    }

    /// The failure of the node that wanted the text of the file `name`.
    pub fn error(self, name: &str) -> NodeError {
        let (code, class) = match self.kind {
            Kind::Broken => (codes::DOCUMENT_BROKEN, ErrorClass::Invalid),
            Kind::Encrypted => (codes::DOCUMENT_ENCRYPTED, ErrorClass::Invalid),
            Kind::Format => (codes::DOCUMENT_FORMAT, ErrorClass::Invalid),
            Kind::Limit => (codes::DOCUMENT_LIMIT, ErrorClass::LimitExceeded),
            Kind::Empty => (codes::DOCUMENT_EMPTY, ErrorClass::Invalid),
            Kind::Reader => (codes::DOCUMENT_READER, ErrorClass::Unavailable),
        };
        NodeError::new(code, class, format!("`{}` {}", name.escape_debug(), self.message)).hint(self.hint)
    }
}
