//! `main`, and whether the inputs of the node go with it.

use std::ops::Range;

use liteagent_engine::{diagnostic::Severity, node::prelude::*, suggest};

use super::super::code::Language;

/// What is known of `main`.
#[derive(Debug, Default)]
pub(super) enum Main {
    /// Nothing, or only that there is one.
    #[default]
    Unknown,
    /// There is none.
    Missing {
        /// The only function that there is, with its name.
        only: Option<(String, Range<usize>)>,
    },
    /// It is there, but nobody outside the module sees it.
    NotExported(Range<usize>),
    /// It is called with these.
    Takes(Signature),
}

/// The parameters of `main`.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) parameters: Vec<Parameter>,
    /// Whether it takes inputs of any other name, too.
    pub(super) takes_more: bool,
}

/// A parameter of `main`.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) range: Range<usize>,
    /// Whether it has no default.
    pub(super) required: bool,
    pub(super) way: Way,
}

/// How a parameter gets its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By its name.
    Name,
    /// By its place alone, which no input has.
    Place,
}

impl Main {
    /// What does not go together.
    pub(super) fn against(&self, language: Language, inputs: &[&str]) -> Vec<ConfigFinding> {
        match self {
            Self::Unknown => Vec::new(),
            Self::Missing { only } => vec![missing(language, only.as_ref())],
            Self::NotExported(range) => vec![not_exported(range)],
            Self::Takes(signature) => signature.against(language, inputs),
        }
    }
}

fn missing(language: Language, only: Option<&(String, Range<usize>)>) -> ConfigFinding {
    let form = match language {
        Language::Python => "def main(...):",
        Language::JavaScript => "function main({ ... }) { ... }",
    };
    let error = ConfigError::new(codes::CODE_NO_MAIN_FOUND, "/code", "the code defines no function `main`");
    let error = match only {
        Some((name, range)) => {
            let error = error.at(Spot::Text(Box::new(range.clone()))).label("not called by anyone");
            error.hint(format!("rename `{name}` to `main`: it is called with the inputs and returns the outputs"))
        }
        None => error
            .label("no `main`")
            .hint(format!("write `{form}`: it is called with the inputs and returns the outputs")),
    };
    ConfigFinding { severity: Severity::Error, error }
}

fn not_exported(range: &Range<usize>) -> ConfigFinding {
    let error =
        ConfigError::new(codes::CODE_NO_MAIN_FOUND, "/code", "`main` is not exported, and the code is a module");
    let error = error.at(Spot::Text(Box::new(range.clone()))).label("seen in the module only");
    let hint = "write `export` before it: code with `import`, `export` or `await` outside of functions is a module";
    ConfigFinding { severity: Severity::Error, error: error.hint(hint) }
}

impl Signature {
    fn against(&self, language: Language, inputs: &[&str]) -> Vec<ConfigFinding> {
        // A JavaScript function that is not given something sees `undefined`, and ignores what it does not name.
        let severity = match language {
            Language::Python => Severity::Error,
            Language::JavaScript => Severity::Warning,
        };
        let mut findings = Vec::new();
        for parameter in self.parameters.iter().filter(|parameter| parameter.required) {
            let given = parameter.way == Way::Name && inputs.contains(&&*parameter.name);
            if !given {
                findings.push(not_passed(parameter, language, severity, inputs));
            }
        }
        if self.takes_more {
            return findings;
        }
        for input in inputs.iter().filter(|input| !self.takes(input)) {
            findings.push(self.not_taken(input, severity));
        }
        findings
    }

    fn takes(&self, input: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.way == Way::Name && parameter.name == input)
    }

    fn not_taken(&self, input: &str, severity: Severity) -> ConfigFinding {
        let names = || self.parameters.iter().filter(|known| known.way == Way::Name).map(|known| &*known.name);
        let at = format!("/inputs/{}", liteagent_engine::graph::escape(input));
        let message = format!("`main` does not take the input `{input}`");
        let error = ConfigError::new(codes::CODE_PARAMETERS, at, message).at(Spot::Key).label("not a parameter");
        let hint = match suggest::nearest(input, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add the parameter `{input}` to `main`, or remove the input"),
        };
        ConfigFinding { severity, error: error.hint(hint) }
    }
}

fn not_passed(parameter: &Parameter, language: Language, severity: Severity, inputs: &[&str]) -> ConfigFinding {
    let name = &parameter.name;
    let range = Spot::Text(Box::new(parameter.range.clone()));
    if parameter.way == Way::Place {
        let (message, hint) = match language {
            Language::Python => (
                format!("`main` takes `{name}` by its place alone, and inputs are passed by name"),
                "remove the `/` from the parameters".to_owned(),
            ),
            Language::JavaScript => (
                format!("`main` is called with one object, so `{name}` is never given"),
                "write `main({ a, b })`: one object with every input".to_owned(),
            ),
        };
        let error = ConfigError::new(codes::CODE_PARAMETERS, "/code", message).at(range).label("never given");
        return ConfigFinding { severity: Severity::Error, error: error.hint(hint) };
    }
    let message = format!("`main` needs `{name}`, which is not among the inputs");
    let error = ConfigError::new(codes::CODE_PARAMETERS, "/code", message).at(range).label("not passed");
    let hint = match suggest::nearest(name, inputs.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add `{name}: ...` under `inputs`, or give it a default"),
    };
    ConfigFinding { severity, error: error.hint(hint) }
}
