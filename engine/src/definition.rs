//! The types of a workflow file. They are its schema: `schemas/workflow.schema.json` and the checks derive from them.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use self::{
    budget::{Budget, Limits, NodeBudget},
    failure::{OnError, OnLost, Retry},
    runs::{Concurrency, Conversation, WhenFull},
    trigger::{
        After, AfterTrigger, BearerAuth, Ends, HmacAlgorithm, HmacAuth, HmacScheme, HookAuth, HookMethod, HookReply,
        Missed, NoAuth, Overlap, ScheduleTrigger, Trigger, Webhook, WebhookTrigger,
    },
};
use crate::{
    queue::Group,
    template::{Template, TemplateTree},
    types::Type,
    units::Duration,
    value::Value,
};

mod budget;
mod failure;
mod runs;
mod trigger;

/// The format number that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// What ids of nodes look like, and how editors say so.
pub(crate) const ID_PATTERN: &str = "^[a-z][a-z0-9_]*$";
pub(crate) const ID_MESSAGE: &str = "expected an id: lower-case letters, digits and `_`, beginning with a letter";
/// The same of the names of inputs and outputs.
pub(crate) const NAME_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
pub(crate) const NAME_MESSAGE: &str = "expected a name: letters, digits and `_`";

/// A workflow: a graph of typed nodes that computes outputs from inputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The version of the format; 1 if missing.
    #[serde(default = "format_number")]
    pub format: u32,
    /// Unique name, as in `support/answer`. By default the path of the file below the definitions root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[a-z0-9_-]+(/[a-z0-9_-]+)*$"),
        extend("patternErrorMessage" = "expected a name such as `support/answer`")
    )]
    pub name: Option<String>,
    /// What it does, for people and for models that may call it as a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Free labels, for lists and filters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What a run is given: a map from name to type.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, Type>,
    /// The names of the secrets that this workflow uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Constants of this file; a deployment may override them.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub env: IndexMap<String, Value>,
    /// Settings that are merged into every node; the node wins.
    #[serde(default, skip_serializing_if = "Defaults::is_empty")]
    pub defaults: Defaults,
    /// Makes this a chat workflow, with the inputs `message` and `files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation>,
    /// What starts runs besides a person; the key is the trigger's identity.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub triggers: IndexMap<String, Trigger>,
    /// The nodes, by id. References and `needs` are the edges.
    pub nodes: NodeMap,
    /// Nodes that run after a failure. They read `status`, `error` and any node; their own failure changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<NodeMap>,
    /// Nodes that always run at the end, also after a cancel, within 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finally: Option<NodeMap>,
    /// What a run gives back: a map from name to template.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub outputs: IndexMap<String, TemplateTree>,
    /// How long a run may take, waits included. No limit if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How many nodes of a run may be running at once.
    #[serde(default = "parallel_nodes")]
    #[schemars(range(min = 1, max = 10_000))]
    pub parallel: u32,
    /// How many runs may go on at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// What a run may use up, with the runs that it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// When results are made durable.
    #[serde(default)]
    pub durability: Durability,
}

impl Definition {
    /// What a run is given: `inputs`, and for a chat workflow `message` and `files` before them.
    ///
    /// # Panics
    /// Never: both types are well-formed.
    pub fn run_inputs(&self) -> IndexMap<String, Type> {
        let mut inputs = IndexMap::new();
        if self.conversation.is_some() {
            let chat = serde_json::json!({ "message": "string", "files": { "type": "file[]", "default": [] } });
            inputs = serde_json::from_value(chat).expect("both types are well-formed");
        }
        inputs.extend(self.inputs.clone());
        inputs
    }
}

fn format_number() -> u32 {
    FORMAT
}

fn parallel_nodes() -> u32 {
    64
}

/// Nodes by id, in the order of the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeMap(pub IndexMap<Arc<str>, NodeDef>);

impl JsonSchema for NodeMap {
    fn schema_name() -> Cow<'static, str> {
        "Nodes".into()
    }
    /// The checks walk into a map of nodes themselves; the editor's schema puts the node types here.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "minProperties": 1, "x-liteagent-nodes": true })
    }
}

/// A node: its type, what every node has, and the fields of its type, all flat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeDef {
    /// The node type, `http-request`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What every node has.
    #[serde(flatten)]
    pub common: NodeCommon,
    /// The fields of its type.
    #[serde(flatten)]
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// The fields that every node has.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct NodeCommon {
    /// A short name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What must have been taken before it runs: `node`, `node.port`, or `{ any: [a.x, b.y] }`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// A condition on top of `needs` and references; when it is false, the node is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Template<bool>>,
    /// Whether and how a failed attempt is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How long one attempt may take; for nodes that wait, how long they wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What a failure means: `fail`, `continue` (the port `error` opens), or `{ outputs: ... }` to stand in.
    #[serde(default, skip_serializing_if = "OnError::is_fail")]
    pub on_error: OnError,
    /// What happens when the process that ran it dies: start it again under the same idempotency key, or fail.
    /// The default is `retry`, except for node types that say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_lost: Option<OnLost>,
    /// Reuses the output of an earlier run with the same configuration and key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// What it may use of models, all its attempts together: with everything inside it, and the run that it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<NodeBudget>,
    /// Where it waits for a worker when the process that executes the run does not serve this queue. Without it the type of
    /// the node decides; most nodes stay with their run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Group>,
    /// From 0 to 9; of the nodes that are ready, higher ones start first.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(max = 9))]
    pub priority: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// An entry of `needs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Need {
    /// One exit.
    One(Exit),
    /// A join: any of these exits.
    Any {
        /// The exits.
        any: Vec<Exit>,
    },
}

impl Need {
    /// Its exits.
    pub fn exits(&self) -> &[Exit] {
        match self {
            Self::One(exit) => std::slice::from_ref(exit),
            Self::Any { any } => any,
        }
    }
}

/// `node` (any ordinary port, so not `error` or `timeout`) or `node.port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Exit {
    /// The node.
    pub node: String,
    /// The port; any ordinary one if `None`.
    pub port: Option<String>,
}

impl From<String> for Exit {
    fn from(text: String) -> Self {
        match text.split_once('.') {
            Some((node, port)) => Self { node: node.to_owned(), port: Some(port.to_owned()) },
            None => Self { node: text, port: None },
        }
    }
}

impl From<Exit> for String {
    fn from(exit: Exit) -> Self {
        match exit.port {
            Some(port) => format!("{}.{port}", exit.node),
            None => exit.node,
        }
    }
}

impl JsonSchema for Need {
    fn schema_name() -> Cow<'static, str> {
        "Need".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let exit = serde_json::json!({
            "type": "string",
            "pattern": r"^[a-z][a-z0-9_]*(\.[A-Za-z0-9_-]+)?$",
            "patternErrorMessage": "expected `node` or `node.port`",
        });
        json_schema!({
            "anyOf": [
                exit,
                {
                    "type": "object",
                    "properties": { "any": { "type": "array", "items": exit, "minItems": 1 } },
                    "required": ["any"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

/// Reuses the output of an earlier run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// What the output depends on besides the rendered configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Template<Value>>,
    /// How long an output is reused.
    pub ttl: Duration,
}

/// Settings that are merged into every node; the node wins.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The model of nodes that ask one and name none: `provider/model`, an alias, or a list of which the next is asked when
    /// one cannot answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<DefaultModel>,
    /// The retry policy of nodes that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The timeout per attempt of nodes that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

impl Defaults {
    fn is_empty(&self) -> bool {
        self.model.is_none() && self.retry.is_none() && self.timeout.is_none()
    }
}

/// One model, or several in the order in which they are tried.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DefaultModel {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// When results are made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Node by node: a run survives a crash, and no finished node runs again.
    #[default]
    Step,
    /// Only when the run ends: for short runs without effects that the caller can simply repeat.
    End,
}
