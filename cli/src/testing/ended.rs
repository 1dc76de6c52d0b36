//! Ends of runs of other workflows, as test files give them.

use liteagent_engine::event::RunStatus;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// The end of a run of another workflow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AfterRun {
    /// What kind of trigger it is.
    #[serde(rename = "type")]
    #[schemars(with = "String", extend("const" = "after"))]
    #[expect(dead_code, reason = "it tells the kinds apart")]
    pub(crate) kind: AfterKind,
    /// Its name in the workflow.
    pub(crate) name: String,
    /// The run that ended.
    #[serde(default)]
    pub(crate) run: EndedRun,
}

/// The word `after`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AfterKind {
    /// The only one.
    After,
}

/// A run of another workflow that ended.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndedRun {
    /// How it ended; the first way that the trigger waits for, if missing.
    #[serde(default)]
    pub(crate) status: Option<RunStatus>,
    /// Its outputs.
    #[serde(default)]
    pub(crate) outputs: Map<String, Json>,
    /// Why it did not succeed: `code`, `message` and so on.
    #[serde(default)]
    pub(crate) error: Json,
}
