//! What a failure of a node means: trying again, handling, standing in; and what the death of its process means.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{error::ErrorClass, units::Duration};

/// Whether and how a failed attempt is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often it is tried in all, the first time included.
    #[serde(default = "attempts")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The wait before the second attempt.
    #[serde(default = "backoff")]
    pub backoff: Duration,
    /// By what each further wait is longer.
    #[serde(default = "factor")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub factor: f64,
    /// The longest wait.
    #[serde(default = "longest")]
    pub max: Duration,
    /// The share of a wait that is drawn at random, from 0 to 1, so that many runs do not come back at once.
    #[serde(default = "jitter")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
    /// The classes of errors that are tried again; by default `rate_limited`, `timeout` and `unavailable`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ErrorClass>,
}

fn attempts() -> u32 {
    3
}
fn backoff() -> Duration {
    Duration::from_secs(1)
}
fn factor() -> f64 {
    2.0
}
fn longest() -> Duration {
    Duration::from_secs(60)
}
fn jitter() -> f64 {
    0.2
}

/// What a failure of a node means for the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "OnErrorForm", into = "OnErrorForm")]
pub enum OnError {
    /// The run (or the pass of the container) fails.
    #[default]
    Fail,
    /// The failure is handled: the port `error` opens, other exits do not.
    Continue,
    /// These outputs stand in; the node leaves by its ordinary exit.
    Outputs(serde_json::Map<String, serde_json::Value>),
}

impl OnError {
    pub(super) fn is_fail(&self) -> bool {
        *self == Self::Fail
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum OnErrorForm {
    Word(OnErrorWord),
    Outputs { outputs: serde_json::Map<String, serde_json::Value> },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnErrorWord {
    Fail,
    Continue,
}

impl From<OnErrorForm> for OnError {
    fn from(form: OnErrorForm) -> Self {
        match form {
            OnErrorForm::Word(OnErrorWord::Fail) => Self::Fail,
            OnErrorForm::Word(OnErrorWord::Continue) => Self::Continue,
            OnErrorForm::Outputs { outputs } => Self::Outputs(outputs),
        }
    }
}

impl From<OnError> for OnErrorForm {
    fn from(value: OnError) -> Self {
        match value {
            OnError::Fail => Self::Word(OnErrorWord::Fail),
            OnError::Continue => Self::Word(OnErrorWord::Continue),
            OnError::Outputs(outputs) => Self::Outputs { outputs },
        }
    }
}

impl JsonSchema for OnError {
    fn schema_name() -> Cow<'static, str> {
        "OnError".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "enum": ["fail", "continue"] },
                {
                    "type": "object",
                    "properties": { "outputs": { "type": "object", "description": "The outputs that stand in." } },
                    "required": ["outputs"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

/// What happens when the process that ran a node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// It starts again, under the same idempotency key.
    Retry,
    /// It fails.
    Fail,
}
