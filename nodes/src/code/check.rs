//! What can be said of code without running it. It is parsed, never evaluated.

use std::{ops::Range, panic::AssertUnwindSafe, thread};

use liteagent_engine::{capability::Modules, diagnostic::Severity, node::prelude::*};

use self::signature::Main;
use super::code::Language;

mod braces;
mod imports;
mod javascript;
mod nesting;
mod python;
mod signature;

/// Longer code is run, but not looked at.
const LONGEST: usize = 128 << 10;
/// Parsers recurse: what a parser needs of its stack at most, for each byte of code that may begin something deeper.
const STACK_PER_BYTE: usize = 4 << 10;
const STACK: usize = 8 << 20;
/// More findings about one code are not told.
const MOST: usize = 20;

/// What is looked at.
pub(super) struct Subject<'a> {
    pub(super) language: Language,
    pub(super) code: &'a str,
    /// The names of the inputs.
    pub(super) inputs: Vec<&'a str>,
    /// What Python can import; nothing when that is not known.
    pub(super) modules: &'a Modules,
}

/// A finding about a part of the code.
#[derive(Debug)]
struct Found {
    severity: Severity,
    code: Code,
    range: Range<usize>,
    message: String,
    label: String,
    hint: Option<String>,
}

/// What a parser found.
#[derive(Debug, Default)]
struct Parsed {
    findings: Vec<Found>,
    main: Main,
    /// Parts in which braces mean something of their own.
    texts: Vec<Range<usize>>,
}

impl Found {
    fn error(code: Code, range: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, range, message: message.into(), label: String::new(), hint: None }
    }

    fn warning(code: Code, range: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, range, message) }
    }

    fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Found> for ConfigFinding {
    fn from(found: Found) -> Self {
        let Found { severity, code, range, message, label, hint } = found;
        let error = ConfigError { hint, ..ConfigError::new(code, "/code", message).at(Spot::Text(Box::new(range))).label(label) };
        Self { severity, error }
    }
}

/// Everything that is wrong with code, or may be.
pub(super) fn findings(subject: &Subject<'_>) -> Vec<ConfigFinding> {
    let parsed = match parse(subject) {
        Ok(parsed) => parsed,
        Err(why) => return vec![unchecked(why)],
    };
    let Parsed { mut findings, main, texts } = parsed;
    findings.extend(braces::find(subject.code, &texts));
    findings.sort_by_key(|found| found.range.start);
    findings.truncate(MOST);
    let mut all: Vec<_> = findings.into_iter().map(ConfigFinding::from).collect();
    all.extend(main.against(subject.language, &subject.inputs));
    all
}

/// Parses where there is room enough to recurse; nothing that a text can hold ends the process.
fn parse(subject: &Subject<'_>) -> Result<Parsed, &'static str> {
    if subject.code.len() > LONGEST {
        return Err("is longer than 128 KiB");
    }
    if subject.language == Language::JavaScript && nesting::is_too_deep(subject.code) {
        return Err("is nested too deep");
    }
    let work = || match subject.language {
        Language::Python => python::parse(subject.code, subject.modules),
        Language::JavaScript => javascript::parse(subject.code),
    };
    let stack = STACK + subject.code.len() * STACK_PER_BYTE;
    thread::scope(|scope| {
        let parser = thread::Builder::new().name("parser of code".to_owned()).stack_size(stack);
        let parser = parser.spawn_scoped(scope, || std::panic::catch_unwind(AssertUnwindSafe(work)));
        let parser = parser.map_err(|_| "finds no memory to be parsed in")?;
        // A parser that fails on some text has a fault; the code is run all the same.
        parser.join().ok().and_then(Result::ok).ok_or("cannot be parsed here")
    })
}

fn unchecked(why: &str) -> ConfigFinding {
    let message = format!("the code {why}, so it is not checked before it runs");
    let error = ConfigError::new(codes::CODE_UNCHECKED, "/code", message).label("not checked");
    let hint = "split the work over several nodes; the sandbox says what is wrong when it runs";
    ConfigFinding { severity: Severity::Warning, error: error.hint(hint) }
}

#[cfg(test)]
mod tests;
