//! The limits of a call.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a caller asks for. What is missing is the sandbox's default; what is above its maximum is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How long the call may take, in milliseconds, from the moment that it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// How long it may compute, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// How much memory it may hold, in bytes, the interpreter included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// How large the JSON of its outputs may be, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// How much it may print, in bytes, stdout and stderr together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<u64>,
}

/// A limit by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Elapsed time.
    Wall,
    /// Computing time.
    Cpu,
    /// Memory.
    Memory,
    /// The JSON of the outputs.
    Output,
    /// What the code prints.
    Log,
    /// The code and the JSON of its inputs.
    Input,
}

impl Limit {
    /// The name in requests, configuration and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Log => "log",
            Self::Input => "input",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
