//! The types of a test file. `schemas/workflow-test.schema.json` and its checks derive from them.

use indexmap::IndexMap;
use liteagent_engine::{error::ErrorClass, units::Duration};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::ended::AfterRun;

/// Tests of a workflow: what it is given, what stands in for its nodes, and what must come of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Workflow tests")]
pub(crate) struct TestFile {
    /// The name of the workflow, or its path. By default the workflow in the file of the same name.
    #[serde(default)]
    pub(crate) workflow: Option<String>,
    /// What all tests of this file share.
    #[serde(default)]
    pub(crate) defaults: Defaults,
    /// The tests. They run in any order, each in a world of its own.
    #[schemars(length(min = 1))]
    pub(crate) tests: Vec<Test>,
}

impl TestFile {
    /// Whether a test of this file uses the cassette.
    pub(crate) fn uses_cassette(&self, test: &Test) -> bool {
        test.cassette.unwrap_or(self.defaults.cassette)
    }
}

/// What all tests of a file share.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Defaults {
    /// Secrets by name. Those of this machine are never used.
    #[serde(default)]
    pub(crate) secrets: IndexMap<String, String>,
    /// The time at which a test begins: `2026-03-01T09:00:00Z`, which is also the default. Waits and retries cost none.
    #[serde(default)]
    pub(crate) clock: Option<String>,
    /// Whether tests use the cassette of the file; a test that says otherwise wins.
    #[serde(default)]
    pub(crate) cassette: bool,
    /// What stands in for nodes; a test or a turn wins.
    #[serde(default)]
    pub(crate) fakes: Fakes,
}

/// What stands in for nodes, by the path of the node: `fetch`, `each.fetch` for every frame, `each[3].fetch` for one,
/// and `call.fetch` for the node `fetch` of the workflow that the node `call` runs.
pub(crate) type Fakes = IndexMap<String, FakeCalls>;

/// A test: one run, or several turns.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Test {
    /// What it shows, in a few words; unique in the file.
    pub(crate) name: String,
    /// The inputs of the run.
    #[serde(default)]
    pub(crate) inputs: Option<Map<String, Json>>,
    /// Messages of a chat, or the steps of one run. Instead of `inputs` and what follows it here.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) turns: Option<Vec<Turn>>,
    /// Starts the run by a trigger of the workflow, with the inputs that it gives.
    #[serde(default)]
    pub(crate) trigger: Option<Trigger>,
    /// Whether models and HTTP services that are not faked answer as they were recorded: `liteagent test --record` asks the
    /// real ones, and writes what they answer into `NAME.cassette.yaml` beside this file.
    #[serde(default)]
    pub(crate) cassette: Option<bool>,
    /// What stands in for nodes.
    #[serde(default)]
    pub(crate) fakes: Fakes,
    /// Lets the process die once. A new one takes the run.
    #[serde(default)]
    pub(crate) crash: Option<Crash>,
    /// Answers the node that waits when the run has come to rest.
    #[serde(default)]
    pub(crate) signal: Option<Signal>,
    /// Lets time pass when the run has come to rest, before `signal`.
    #[serde(default)]
    pub(crate) advance: Option<Duration>,
    /// What must come of it.
    #[serde(default)]
    pub(crate) expect: Option<Expect>,
}

/// A turn: a message, or the next step of the run that waits.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    /// The message of the person; starts a run in the same conversation.
    #[serde(default)]
    pub(crate) say: Option<String>,
    /// The inputs of the run; starts one. Without `say` and `inputs` the run of the turn before goes on.
    #[serde(default)]
    pub(crate) inputs: Option<Map<String, Json>>,
    /// What stands in for nodes, from this turn on.
    #[serde(default)]
    pub(crate) fakes: Fakes,
    /// Lets the process die once. A new one takes the run.
    #[serde(default)]
    pub(crate) crash: Option<Crash>,
    /// Answers the node that waits when the run has come to rest. Where `expect` says that the run is `waiting`, it is
    /// looked at before the answer; else after it.
    #[serde(default)]
    pub(crate) signal: Option<Signal>,
    /// Lets time pass when the run has come to rest, before `signal` and `expect`.
    #[serde(default)]
    pub(crate) advance: Option<Duration>,
    /// What must come of it.
    #[serde(default)]
    pub(crate) expect: Option<Expect>,
}

/// What starts the run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Trigger {
    /// The name of a trigger of the workflow, which fires when the test begins.
    Name(String),
    /// A schedule of the workflow, with its times.
    Schedule(Schedule),
    /// A webhook of the workflow, with what it is sent.
    Request(Request),
    /// A trigger of the workflow that waits for runs of another one, with the run that ended.
    After(AfterRun),
}

impl Trigger {
    /// Its name in the workflow.
    pub(crate) fn name(&self) -> &String {
        match self {
            Self::Name(name) => name,
            Self::Schedule(schedule) => &schedule.name,
            Self::Request(request) => &request.name,
            Self::After(after) => &after.name,
        }
    }
}

/// The word `schedule`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScheduleKind {
    /// The only one.
    Schedule,
}

/// A request to a webhook. Who sends it is not looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// What kind of trigger it is.
    #[serde(rename = "type")]
    #[schemars(with = "String", extend("const" = "webhook"))]
    #[expect(dead_code, reason = "it tells the kinds apart")]
    pub(crate) kind: WebhookKind,
    /// Its name in the workflow.
    pub(crate) name: String,
    /// The body as JSON.
    #[serde(default)]
    pub(crate) json: Json,
    /// The body as text; that of `json`, if missing.
    #[serde(default)]
    pub(crate) body: Option<String>,
    /// Its headers, with their names in lower case.
    #[serde(default)]
    pub(crate) headers: Map<String, Json>,
    /// The parameters of its query.
    #[serde(default)]
    pub(crate) query: Map<String, Json>,
}

/// The word `webhook`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WebhookKind {
    /// The only one.
    Webhook,
}

/// A schedule that fires.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schedule {
    /// What kind of trigger it is.
    #[serde(rename = "type")]
    #[schemars(with = "String", extend("const" = "schedule"))]
    #[expect(dead_code, reason = "it tells the kinds apart")]
    pub(crate) kind: ScheduleKind,
    /// Its name in the workflow.
    pub(crate) name: String,
    /// When it was due: `2026-03-01T09:00:00Z`. When the test begins, if missing.
    #[serde(default)]
    pub(crate) scheduled_at: Option<String>,
    /// When the last run that succeeded was due.
    #[serde(default)]
    pub(crate) previous_at: Option<String>,
}

/// One answer for every call of a node, or a list with one for each call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum FakeCalls {
    /// One for each call, in order. A further call fails the test.
    // First, because serde reads a list as the fields of a struct, too.
    Each(Vec<Fake>),
    /// The same for every call.
    All(Box<Fake>),
}

/// What a node gives instead of running.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fake {
    /// Its outputs. Members that are left out are empty or `null`.
    #[serde(default)]
    pub(crate) outputs: Option<Map<String, Json>>,
    /// The port that it leaves by.
    #[serde(default)]
    pub(crate) port: Option<String>,
    /// What the model says that the node asks. With `json` and `call`: the node itself runs, and only its model is faked.
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// The JSON that the model says.
    #[serde(default)]
    pub(crate) json: Option<Json>,
    /// The tools that the model calls, by name, with their arguments; a list where one is called twice. A text as arguments
    /// is what the model wrote that is no JSON.
    #[serde(default)]
    pub(crate) call: Option<Calls>,
    /// Lets it fail.
    #[serde(default)]
    pub(crate) fail: Option<Fail>,
    /// How long it takes, on the clock of the test.
    #[serde(default)]
    pub(crate) delay: Option<Duration>,
}

/// Calls of tools.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Calls {
    /// In order.
    Several(Vec<Map<String, Json>>),
    /// Each tool once.
    Once(Map<String, Json>),
}

/// A failure of a node.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fail {
    /// The class of the error: what `retry` and `on_error` look at.
    pub(crate) class: ErrorClass,
    /// The code of the error.
    #[serde(default)]
    pub(crate) code: Option<String>,
    /// Its message.
    #[serde(default)]
    pub(crate) message: Option<String>,
    /// How often it fails, before `outputs` are given. Always, if missing.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(crate) times: Option<u32>,
}

/// Where the process dies.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Crash {
    /// The path of a node: the process dies as soon as its result is durable.
    pub(crate) after: String,
}

/// An answer to what a run waits for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Signal {
    /// To the node at a path.
    Node(ToNode),
    /// To whichever node waits for a name.
    Name(ToName),
    /// To the one `human-input` that waits: the action, and the values of the form by name.
    Action(Answer),
}

/// A signal to the node at a path.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToNode {
    /// The path of the node.
    pub(crate) node: String,
    /// What it carries: `{ action, form }` for a `human-input`.
    #[serde(default)]
    pub(crate) payload: Json,
}

/// A signal to whichever node waits for a name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToName {
    /// The name of the signal.
    pub(crate) name: String,
    /// What it carries.
    #[serde(default)]
    pub(crate) payload: Json,
}

/// The action of a person, and the values of the form by name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(crate) struct Answer(pub(crate) IndexMap<String, Option<Map<String, Json>>>);

/// What must come of a run. What is not named is not looked at, except that a run must have succeeded unless `status`,
/// `error` or `waiting_for` say otherwise.
///
/// A value stands for itself; `{ contains: ... }` and `{ matches: REGEX }` may stand at any depth instead.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Where the run stands.
    #[serde(default)]
    pub(crate) status: Option<Status>,
    /// Outputs by name. Others are not looked at.
    #[serde(default)]
    pub(crate) outputs: IndexMap<String, Json>,
    /// What a chat shows: the texts of the `answer` nodes, or else the output `text`.
    #[serde(default)]
    pub(crate) answer: Option<Json>,
    /// Parts of outputs by name: short for `outputs: { NAME: { contains: ... } }`.
    #[serde(default)]
    pub(crate) contains: IndexMap<String, Json>,
    /// Patterns of outputs by name: short for `outputs: { NAME: { matches: ... } }`.
    #[serde(default)]
    pub(crate) matches: IndexMap<String, String>,
    /// Nodes that ran, by path.
    #[serde(default)]
    pub(crate) ran: Vec<String>,
    /// Nodes that were skipped, by path.
    #[serde(default)]
    pub(crate) skipped: Vec<String>,
    /// Nodes that did not run, for whatever reason, by path.
    #[serde(default)]
    pub(crate) not_run: Vec<String>,
    /// How often nodes were tried, by path, as the journal counts it.
    #[serde(default)]
    pub(crate) attempts: IndexMap<String, u32>,
    /// How often nodes were really called, by path, crashes included.
    #[serde(default)]
    pub(crate) calls: IndexMap<String, u32>,
    /// What models were asked, by the path of the node and the number of the question, from 1: the whole conversation as
    /// text, each message with its role.
    #[serde(default)]
    pub(crate) prompts: IndexMap<String, IndexMap<String, Json>>,
    /// The tools that models called, in order, each with its arguments.
    #[serde(default)]
    pub(crate) tools: Option<Vec<Map<String, Json>>>,
    /// Why the run failed.
    #[serde(default)]
    pub(crate) error: Option<ExpectError>,
    /// What the run waits for.
    #[serde(default)]
    pub(crate) waiting_for: Option<ExpectWait>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It ended well.
    Succeeded,
    /// It failed.
    Failed,
    /// Someone stopped it.
    Cancelled,
    /// It waits for a person or a signal.
    Waiting,
}

/// Why a run failed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectError {
    /// The code.
    #[serde(default)]
    pub(crate) code: Option<String>,
    /// The class.
    #[serde(default)]
    pub(crate) class: Option<ErrorClass>,
    /// The message.
    #[serde(default)]
    pub(crate) message: Option<Json>,
    /// The path of the node that failed.
    #[serde(default)]
    pub(crate) node: Option<String>,
}

/// What a run waits for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectWait {
    /// The path of the node that waits.
    #[serde(default)]
    pub(crate) node: Option<String>,
    /// The person or group that is asked.
    #[serde(default)]
    pub(crate) to: Option<Json>,
}
