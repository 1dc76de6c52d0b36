//! Why a command did not do what it was asked, and the exit codes.

use std::{io, process::ExitCode};

use liteagent_engine::error::Code;

/// How the program ends: the numbers are part of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// A run, a test or a check failed.
    Failed = 1,
    /// Wrong usage: arguments, inputs, configuration.
    Usage = 2,
    /// The platform failed: the store, the disk.
    Platform = 3,
    /// The run waits for a person or a signal.
    Waiting = 4,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// The stable code; `None` when nothing shall be said: a closed pipe.
    pub(crate) code: Option<Code>,
    /// What was expected and what was found.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// The command was used wrongly.
    pub(crate) fn usage(code: Code, message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, code: Some(code), message: message.into(), hint: None }
    }

    /// The platform failed.
    pub(crate) fn platform(code: Code, message: impl Into<String>) -> Self {
        Self { exit: Exit::Platform, ..Self::usage(code, message) }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds `did you mean` where a known name is near, else what to do instead.
    pub(crate) fn near<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> Self {
        match nearest(name, known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self.hint(otherwise),
        }
    }
}

/// Output that nobody reads any more is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Done, code: None, message: String::new(), hint: None };
        }
        Self::platform(liteagent_engine::codes::OUTPUT, format!("cannot write the output: {error}"))
    }
}

/// The known name that a person probably meant.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    let best = known.into_iter().map(|known| (distance(known), known)).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= 1 + name.chars().count() / 4).then_some(best.1)
}
