//! A call and its reply.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{Fault, Limits};

/// A programming language of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// CPython 3.14.
    #[serde(alias = "python3")]
    Python,
    /// QuickJS, ES2025.
    #[serde(alias = "nodejs")]
    JavaScript,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::Python, Self::JavaScript];

    /// The name in requests and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is no language of the sandbox.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownLanguage(String);

impl fmt::Display for UnknownLanguage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is no language of the sandbox; expected `python` or `javascript`", self.0)
    }
}

impl std::error::Error for UnknownLanguage {}

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// Reads a name; `python3` and `nodejs`, as Dify says, are accepted.
    fn from_str(name: &str) -> Result<Self, UnknownLanguage> {
        match name {
            "python" | "python3" => Ok(Self::Python),
            "javascript" | "nodejs" => Ok(Self::JavaScript),
            _ => Err(UnknownLanguage(name.to_owned())),
        }
    }
}

/// What is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The function `main` is called with the inputs; what it returns are the outputs.
    #[default]
    Main,
    /// The code is the whole program; what counts is what it prints. The outputs are empty.
    Script,
}

/// A call of the sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The language of the code.
    pub language: Language,
    /// The code.
    pub code: String,
    /// The inputs: the JSON of an object. It is carried as text and never rebuilt.
    #[serde(default = "no_inputs")]
    pub inputs: Box<RawValue>,
    /// Whether `main` is called.
    #[serde(default)]
    pub mode: Mode,
    /// The limits that the caller wants.
    #[serde(default)]
    pub limits: Limits,
}

impl Request {
    /// A call of `main` without inputs, under the default limits.
    pub fn new(language: Language, code: impl Into<String>) -> Self {
        Self { language, code: code.into(), inputs: no_inputs(), mode: Mode::Main, limits: Limits::default() }
    }

    /// Passes the inputs.
    ///
    /// # Errors
    /// When they cannot be written as JSON.
    pub fn with_inputs(mut self, inputs: &impl Serialize) -> serde_json::Result<Self> {
        self.inputs = serde_json::value::to_raw_value(inputs)?;
        Ok(self)
    }

    /// Says what is run.
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Asks for limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

fn no_inputs() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How long it waited for a place, in microseconds.
    #[serde(default)]
    pub wait_us: u64,
    /// Elapsed time in microseconds from the moment that it started.
    pub wall_us: u64,
    /// Computing time in microseconds.
    pub cpu_us: u64,
    /// The most memory that it held, in bytes, the interpreter included.
    pub memory: u64,
}

/// What came of a call that ended well.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Success {
    /// The JSON of the outputs: an object.
    pub outputs: Box<RawValue>,
    /// What the code printed.
    pub stdout: String,
    /// What it printed as warnings and errors.
    pub stderr: String,
    /// What it used.
    pub usage: Usage,
}

impl Success {
    /// Reads the outputs.
    ///
    /// # Errors
    /// When they do not fit the type.
    pub fn outputs<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.outputs.get())
    }
}

/// What came of a call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub error: Fault,
    /// What the code printed until then.
    pub stdout: String,
    /// What it printed as warnings and errors.
    pub stderr: String,
    /// What it used.
    pub usage: Usage,
}

impl Failure {
    /// A failure before the code ran.
    pub fn before(error: Fault) -> Self {
        Self { error, stdout: String::new(), stderr: String::new(), usage: Usage::default() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl std::error::Error for Failure {}

/// What came of a call.
pub type Reply = Result<Success, Box<Failure>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_needs_only_a_language_and_code() {
        let request: Request = serde_json::from_str(r#"{ "language": "python3", "code": "x" }"#).unwrap();
        assert_eq!((request.language, request.mode), (Language::Python, Mode::Main));
        assert_eq!(request.inputs.get(), "{}");
        let wrong = serde_json::from_str::<Request>(r#"{ "language": "python", "code": "", "limits": { "wall": 3 } }"#);
        assert!(wrong.unwrap_err().to_string().contains("unknown field `wall`"));
    }

    #[test]
    fn inputs_are_carried_as_they_were_written() {
        let text = r#"{"language":"javascript","code":"","inputs":{"n": 1.50, "a":[ ]},"mode":"script","limits":{}}"#;
        let request: Request = serde_json::from_str(text).unwrap();
        assert_eq!(request.inputs.get(), r#"{"n": 1.50, "a":[ ]}"#);
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
    }

    #[test]
    fn both_spellings_of_a_language_are_read() {
        for (name, language) in [("python", Language::Python), ("nodejs", Language::JavaScript)] {
            assert_eq!(name.parse(), Ok(language));
        }
        assert_eq!(
            "ruby".parse::<Language>().unwrap_err().to_string(),
            "`ruby` is no language of the sandbox; expected `python` or `javascript`"
        );
    }
}
