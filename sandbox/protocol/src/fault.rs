//! What goes wrong, classified once.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::Limit;

/// What kind of thing went wrong. Each kind has a code, which never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The code raised an error.
    Exception,
    /// The code cannot be parsed.
    Syntax,
    /// The code defines no `main`.
    NoMain,
    /// The code imports a module that is not there.
    MissingModule,
    /// What the code returned cannot be its outputs.
    Outputs,
    /// A limit was exceeded.
    Limit,
    /// The code tried what the sandbox does not allow.
    Refused,
    /// The code ended its process.
    Exited,
    /// The request cannot be served as it is.
    Request,
    /// Too many calls are waiting.
    Busy,
    /// The sandbox failed.
    Sandbox,
}

/// What may be done about it: the classes of the engine's errors, under the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The code or its inputs are wrong; trying again gives the same.
    Invalid,
    /// It is not allowed.
    Forbidden,
    /// There is too much to do; try again later.
    RateLimited,
    /// It took too long.
    Timeout,
    /// A limit of size was exceeded.
    LimitExceeded,
    /// The sandbox is not there.
    Unavailable,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Exception,
        Self::Syntax,
        Self::NoMain,
        Self::MissingModule,
        Self::Outputs,
        Self::Limit,
        Self::Refused,
        Self::Exited,
        Self::Request,
        Self::Busy,
        Self::Sandbox,
    ];

    /// The stable code; `docs/errors` has a page for each.
    pub fn code(self) -> &'static str {
        match self {
            Self::Exception => "LA2301",
            Self::Syntax => "LA2302",
            Self::NoMain => "LA2303",
            Self::MissingModule => "LA2304",
            Self::Outputs => "LA2305",
            Self::Limit => "LA2306",
            Self::Refused => "LA2307",
            Self::Exited => "LA2308",
            Self::Request => "LA2309",
            Self::Busy => "LA2310",
            Self::Sandbox => "LA2311",
        }
    }
}

/// What went wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The kind of fault.
    pub kind: Kind,
    /// Its stable code.
    pub code: Cow<'static, str>,
    /// What may be done about it.
    pub class: Class,
    /// What happened, in one line.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Box<str>>,
    /// The limit that was exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// The module that is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Box<str>>,
    /// The line of the code, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The frames of the code, without those of the interpreter and its library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<Box<str>>,
    /// The code that the program ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

impl Fault {
    /// A fault of a kind. The class follows from the kind, and for limits from which one it was.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let class = match kind {
            Kind::Exception
            | Kind::Syntax
            | Kind::NoMain
            | Kind::MissingModule
            | Kind::Outputs
            | Kind::Exited
            | Kind::Request => Class::Invalid,
            Kind::Limit => Class::LimitExceeded,
            Kind::Refused => Class::Forbidden,
            Kind::Busy => Class::RateLimited,
            Kind::Sandbox => Class::Unavailable,
        };
        Self {
            kind,
            code: Cow::Borrowed(kind.code()),
            class,
            message: message.into(),
            hint: None,
            limit: None,
            module: None,
            line: None,
            traceback: None,
            exit_code: None,
        }
    }

    /// A limit that was exceeded. Times are of the class `timeout`.
    pub fn limit(limit: Limit, message: impl Into<String>) -> Self {
        let class = if matches!(limit, Limit::Wall | Limit::Cpu) { Class::Timeout } else { Class::LimitExceeded };
        Self { limit: Some(limit), class, ..Self::new(Kind::Limit, message) }
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_code_of_its_own_with_a_page() {
        let codes: std::collections::HashSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        for code in codes {
            let page = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{page}: {error}"));
            assert!(text.starts_with(&format!("# {code}: ")), "{page}");
        }
    }

    #[test]
    fn a_fault_reads_back_as_it_was_written() {
        let fault = Fault { line: Some(3), ..Fault::limit(Limit::Wall, "too long").hint("be quick") };
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(
            text,
            r#"{"kind":"limit","code":"LA2306","class":"timeout","message":"too long","hint":"be quick","limit":"wall","line":3}"#
        );
        assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault);
    }
}
