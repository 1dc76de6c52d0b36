//! What the JSON of a server says, as far as it is read here.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime};
use indexmap::IndexMap;
use liteagent_engine::{
    engine::{OpenWait, RunEnd},
    error::ErrorReport,
    event::Wait,
    id::{Digest, RunId},
    store::{Parent, RunRow, UsageRow},
    types::Type,
    units::Millis,
    usage::{Spent, Usage},
    value::Value,
};
use liteagent_server::Standing;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value as Json, json};

use super::problem::Finding;

/// Who is signed in.
#[derive(Debug, Deserialize)]
pub(crate) struct Me {
    pub(crate) email: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) key: Option<MyKey>,
}

/// An API key.
#[derive(Debug, Deserialize)]
pub(crate) struct MyKey {
    pub(crate) name: String,
    pub(crate) scope: Json,
}

impl Me {
    /// In a few words.
    pub(crate) fn told(&self) -> String {
        match (&self.email, &self.role, &self.key) {
            (Some(email), Some(role), _) => format!("{email} ({role})"),
            (_, _, Some(MyKey { name, scope })) => {
                let of =
                    |(kind, of): (&String, &Json)| format!("{} {}", kind.replace('_', " "), of.as_str().unwrap_or("?"));
                let scope =
                    scope.as_object().and_then(|scope| scope.iter().next()).map_or_else(|| scope.to_string(), of);
                format!("the API key {name} ({scope})")
            }
            _ => "somebody".to_owned(),
        }
    }
}

/// A page of workflows.
#[derive(Debug, Deserialize)]
pub(crate) struct WorkflowPage {
    pub(crate) workflows: Vec<Workflow>,
    pub(crate) next: Option<String>,
}

/// A workflow.
#[derive(Debug, Deserialize)]
pub(crate) struct Workflow {
    pub(crate) name: String,
    pub(crate) published: Option<u32>,
    #[serde(default)]
    inputs: Json,
}

impl Workflow {
    /// The inputs that it takes, as far as the command line must know: what is a text, and what may be missing.
    pub(crate) fn inputs(&self) -> IndexMap<String, Type> {
        let required = self.inputs["required"].as_array().cloned().unwrap_or_default();
        let properties = self.inputs["properties"].as_object().into_iter().flatten();
        let kind = |(name, schema): (&String, &Json)| {
            let is_file = |schema: &Json| schema["properties"].get("sha256").is_some();
            let word = match schema["type"].as_str() {
                Some("string") => "string",
                _ if is_file(schema) => "file",
                Some("array") if is_file(&schema["items"]) => "file[]",
                _ => "any",
            };
            let mut form = json!({ "type": word, "optional": !required.contains(&json!(name)) });
            if let Some(description) = schema.get("description").filter(|text| text.is_string()) {
                form["description"] = description.clone();
            }
            Type::new(form).ok().map(|kind| (name.clone(), kind))
        };
        properties.filter_map(kind).collect()
    }
}

/// A version with its texts.
#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    #[serde(rename = "version")]
    pub(crate) number: u32,
    #[serde(default)]
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

/// What a check said.
#[derive(Debug, Deserialize)]
pub(crate) struct Checked {
    pub(crate) valid: bool,
    pub(crate) diagnostics: Vec<Finding>,
}

/// A run that was started, or has ended.
#[derive(Debug, Deserialize)]
pub(crate) struct Reply {
    pub(crate) id: RunId,
    status: Standing,
    #[serde(default)]
    outputs: Value,
    error: Option<ErrorReport>,
    #[serde(default)]
    handled_errors: u32,
}

impl Reply {
    /// How it ended, when it has; `usage` is what its records say that it used.
    pub(crate) fn end(self, usage: Spent) -> Option<RunEnd> {
        let Self { status, outputs, error, handled_errors, .. } = self;
        Some(RunEnd { status: status.end()?, outputs, error, handled_errors, usage })
    }
}

/// A page of runs.
#[derive(Debug, Deserialize)]
pub(crate) struct RunPage {
    pub(crate) runs: Vec<Run>,
}

/// A run in a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    id: RunId,
    workflow: String,
    digest: Digest,
    status: Standing,
    trigger: String,
    parent: Option<RunId>,
    conversation: Option<String>,
    subject: Option<String>,
    error: Option<String>,
    #[serde(deserialize_with = "usage")]
    usage: Usage,
    created_at: String,
    updated_at: String,
    wake_at: Option<String>,
}

/// What runs used of models.
#[derive(Debug, Deserialize)]
pub(crate) struct UsagePage {
    pub(crate) usage: Vec<UsageOfDay>,
}

/// What the runs of a workflow that ended on a day used of a model.
#[derive(Debug, Deserialize)]
pub(crate) struct UsageOfDay {
    day: NaiveDate,
    workflow: String,
    model: String,
    runs: u64,
    #[serde(flatten, deserialize_with = "usage")]
    usage: Usage,
}

impl From<UsageOfDay> for UsageRow {
    fn from(row: UsageOfDay) -> Self {
        let UsageOfDay { day, workflow, model, runs, usage } = row;
        Self { day: day.and_time(NaiveTime::MIN).and_utc().timestamp_millis(), workflow, model, runs, usage }
    }
}

/// What models were used for; sums are left out.
fn usage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Usage, D::Error> {
    let mut members = serde_json::Map::deserialize(deserializer)?;
    members.remove("tokens");
    serde_json::from_value(members.into()).map_err(D::Error::custom)
}

impl From<Run> for RunRow {
    fn from(run: Run) -> Self {
        let moment = |text: &str| DateTime::parse_from_rfc3339(text).map_or(0, |at| at.timestamp_millis());
        Self {
            id: run.id,
            workflow: run.workflow,
            digest: run.digest,
            phase: run.status.phase(),
            status: run.status.end(),
            // What only owners of runs need is not told.
            epoch: 0,
            seq: 0,
            owner: None,
            wake_at: run.wake_at.as_deref().map(moment),
            parent: run.parent.map(|run| Parent { run, node: String::new(), attempt: 1 }),
            trigger: run.trigger,
            conversation: run.conversation,
            subject: run.subject,
            error: run.error,
            usage: run.usage,
            created_at: moment(&run.created_at),
            updated_at: moment(&run.updated_at),
        }
    }
}

/// A run with all that is known of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    pub(crate) run: Run,
    #[serde(default)]
    pub(crate) inputs: Value,
    #[serde(default)]
    pub(crate) outputs: Value,
    pub(crate) failure: Option<ErrorReport>,
    #[serde(default)]
    pub(crate) handled_errors: u32,
    #[serde(default)]
    pub(crate) waits: Vec<Waiting>,
}

/// A node that waits.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Waiting {
    run: RunId,
    node: String,
    signal: Option<String>,
    until: Option<Millis>,
    #[serde(default)]
    ask: Value,
}

impl From<Waiting> for OpenWait {
    fn from(waiting: Waiting) -> Self {
        let Waiting { run, node, signal, until, ask } = waiting;
        Self { run, node, wait: Wait { signal, until, ask } }
    }
}

impl Detail {
    /// The nodes that wait for somebody, when nothing goes on before that.
    pub(crate) fn rests_on(self) -> Vec<OpenWait> {
        if self.run.status != Standing::Waiting {
            return Vec::new();
        }
        self.waits.into_iter().map(OpenWait::from).collect()
    }
}

/// A part of a journal.
#[derive(Debug, Deserialize)]
pub(crate) struct JournalPage {
    pub(crate) records: Vec<Json>,
    pub(crate) next: Option<u64>,
}
