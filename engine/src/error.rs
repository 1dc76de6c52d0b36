//! Errors: one class for branching, one code for people.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// A stable identifier such as `LA0203`; `liteagent explain LA0203` tells more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub &'static str);

impl Code {
    /// A code that an author chose. The same text is kept once for the life of the process.
    pub fn interned(text: &str) -> Self {
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(text) {
            return Self(text);
        }
        let text: &'static str = Box::leak(text.into());
        known.insert(text);
        Self(text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What kind of failure it is: what `retry.classes` names, and what an HTTP status is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The input or the configuration is wrong; trying again gives the same.
    Invalid,
    /// What was asked for is not there.
    NotFound,
    /// The state does not allow it, for example a compare-and-set that lost.
    Conflict,
    /// No credentials, or wrong ones.
    Unauthenticated,
    /// The credentials do not allow it, or a guard refused it.
    Forbidden,
    /// The other side asks to slow down.
    RateLimited,
    /// It took too long.
    Timeout,
    /// Someone stopped it.
    Cancelled,
    /// The other side is down or cannot be reached.
    Unavailable,
    /// A limit of size, count or budget was exceeded.
    LimitExceeded,
    /// A fault of the platform.
    Internal,
}

impl ErrorClass {
    /// Every class, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::Invalid,
        Self::NotFound,
        Self::Conflict,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::RateLimited,
        Self::Timeout,
        Self::Cancelled,
        Self::Unavailable,
        Self::LimitExceeded,
        Self::Internal,
    ];

    /// Whether another attempt may succeed. The classes that `retry` covers when it names none.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Timeout | Self::Unavailable)
    }

    /// The name in YAML, journals and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Unavailable => "unavailable",
            Self::LimitExceeded => "limit_exceeded",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an attempt of a node failed.
///
/// The message is lower-case, without a full stop, and says what was expected and what was found.
/// The hint is one imperative sentence with the exact key, command or name.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct NodeError {
    /// The stable code.
    pub code: Code,
    /// The class that `retry` and `on_error` look at.
    pub class: ErrorClass,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How long the other side asks to wait before the next attempt (`Retry-After`).
    pub retry_after: Option<Duration>,
}

impl NodeError {
    /// An error with a code, a class and a message.
    pub fn new(code: Code, class: ErrorClass, message: impl Into<String>) -> Self {
        Self { code, class, message: message.into(), hint: None, retry_after: None }
    }

    /// A fault of the platform.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(crate::codes::NODE_PANICKED, ErrorClass::Internal, message)
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds how long the other side asks to wait.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The form that the journal keeps.
    pub fn report(&self, node: impl Into<String>) -> ErrorReport {
        ErrorReport {
            code: self.code.0.to_owned(),
            class: self.class,
            message: self.message.clone(),
            hint: self.hint.clone(),
            node: Some(node.into()),
        }
    }
}

/// A failure as journals, replies and templates (`NODE.error`) hold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ErrorReport {
    /// The stable code, `LA2110`.
    pub code: String,
    /// The class.
    pub class: ErrorClass,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The path of the node that failed, `each[3].fetch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl ErrorReport {
    /// As templates see it: every member is there, `null` where unknown.
    pub fn to_value(&self, attempts: u32) -> Value {
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        Value::from_pairs([
            ("code", Value::from(self.code.as_str())),
            ("class", Value::from(self.class.as_str())),
            ("message", Value::from(self.message.as_str())),
            ("hint", text(&self.hint)),
            ("node", text(&self.node)),
            ("attempts", Value::from(u64::from(attempts))),
        ])
    }
}

impl fmt::Display for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
