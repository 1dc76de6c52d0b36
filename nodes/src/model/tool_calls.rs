//! `tool-calls`: the calls of tools that a model asks for.

use liteagent_engine::{
    capability::model::Message, definition::NodeMap, node::prelude::*, scope::NodeView, suggest, value,
};

use super::tools::{Target, ToolSet, Tools};

/// Calls the tools that a model asks for, at once, and tells it what came of each.
///
/// Each call is a frame named by the tool: `tools.refund[0].call`. Where the tool has an `approval`, a person is asked first,
/// and what is called are the arguments that the person saw. Nothing that a tool does fails the node: an unknown name,
/// arguments that do not fit, a refusal, a failure are results that say so, and the model can go on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolCallsConfig {
    /// The calls: a list of objects with `id`, `name` and `arguments`, as `llm` gives them in `calls`.
    pub calls: Template<Value>,
    /// What may be called: a tool by the name that the model sees.
    pub tools: Tools,
    /// How many calls run at once.
    #[serde(default = "eight")]
    #[schemars(range(min = 1, max = 100))]
    pub parallel: u32,
}

const fn eight() -> u32 {
    8
}

/// What came of the calls, in their order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolCallsOutput {
    /// The results as messages to the model.
    #[schemars(with = "Vec<Value>")]
    pub messages: Vec<Message>,
    /// The calls, without their results.
    pub calls: Vec<Call>,
    /// The results.
    pub results: Vec<CallResult>,
}

/// A call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Call {
    /// The name of the tool, as the model wrote it.
    pub name: String,
    /// The arguments.
    pub arguments: Value,
    /// Whether it failed, was refused, or could not be made.
    pub failed: bool,
}

/// What came of a call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CallResult {
    /// The id of the call.
    pub id: String,
    /// The name of the tool, as the model wrote it.
    pub name: String,
    /// The arguments.
    pub arguments: Value,
    /// The result as the model reads it.
    pub text: String,
    /// The result; `null` when the call failed.
    pub data: Value,
    /// Whether it failed, was refused, or could not be made.
    pub failed: bool,
}

/// See [`ToolCallsConfig`].
pub struct ToolCalls {
    config: ToolCallsConfig,
    tools: ToolSet,
}

impl Node for ToolCalls {
    const TYPE: &'static str = "tool-calls";
    const META: NodeMeta = NodeMeta { container: Some(Container::Calls), ..NodeMeta::pure(Family::Model, EXAMPLES) };
    type Config = ToolCallsConfig;
    type Output = ToolCallsOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let tools = ToolSet::new(&config.tools, "/tools")?;
        if let Some(name) = tools.of_caller() {
            let message = format!("`{name}` is called by whoever started the run, and not by the workflow");
            return Err(ConfigError::new(codes::TOOL_OPTION, format!("/tools/{name}/caller"), message)
                .hint("give it to an `llm` outside of an agent, and pass its `calls` on under `outputs`"));
        }
        Ok(Self { config, tools })
    }

    fn acts(&self) -> bool {
        self.tools.acts()
    }

    fn branches(&self) -> IndexMap<String, NodeMap> {
        self.tools.branches()
    }

    fn check(&self, known: &Known) -> Vec<ConfigFinding> {
        self.tools.check("/tools", known)
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let calls = ctx.render(&self.config.calls)?;
        let Some(calls) = calls.as_list() else { return Err(no_calls("a list of calls", &calls)) };
        let calls = calls.iter().map(|call| self.call(call)).collect::<Result<Vec<_>, _>>()?;
        Ok(Outcome::Calls { calls: Arc::new(calls), parallel: self.config.parallel })
    }

    fn close_frame(&self, scope: &Arc<Scope>, _: FrameInfo) -> Result<FrameClose, NodeError> {
        let ended = |id: &str| scope.nodes.iter().find(|(node, _)| &**node == id).map(|(_, view)| view);
        if let Some(NodeView::Ended { output, .. }) = ended("call") {
            return Ok(FrameClose::Item(cut(output)));
        }
        Ok(FrameClose::Item(match ended("approval") {
            Some(NodeView::Ended { port, output, .. }) if port.as_deref() == Some("reject") => {
                let note = output.get("form").and_then(|form| form.get("note")).and_then(Value::as_str);
                let note = note.filter(|note| !note.trim().is_empty()).map(|note| format!(" They say: {note}"));
                refused(&format!("A person refused this call; it was not made.{}", note.unwrap_or_default()))
            }
            Some(NodeView::Ended { .. }) => {
                refused("Nobody answered in time whether this call may be made; it was not.")
            }
            _ => return Err(NodeError::internal("a call ended without a result")),
        }))
    }
}

impl ToolCalls {
    /// A call as it is journaled: with its tool, or with why it cannot be made.
    fn call(&self, call: &Value) -> Result<Value, NodeError> {
        let text = |name: &str| call.get(name).and_then(Value::as_str);
        let (Some(id), Some(name)) = (text("id"), text("name")) else {
            return Err(no_calls("calls with `id`, `name` and `arguments`", call));
        };
        let given = call.get("arguments").cloned().unwrap_or_default();
        let of = |arguments: Value, more: Vec<(&str, Value)>| {
            let known = [("id", Value::from(id)), ("name", Value::from(name)), ("arguments", arguments)];
            Value::from_pairs(known.into_iter().chain(more))
        };
        let impossible = |arguments: Value, why: &str| Ok(of(arguments, vec![("result", refused(why))]));
        let arguments = match arguments(&given) {
            Ok(arguments) => arguments,
            Err(why) => return impossible(given, &why),
        };
        let Some(target) = self.tools.find(name) else {
            let known = self.tools.names();
            let near = suggest::nearest(name, known.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!(" Did you mean `{near}`?"));
            let why = format!("There is no tool `{name}`.{near} The tools are: {}.", known.join(", "));
            return impossible(arguments, &why);
        };
        if let Some(misfit) = self.tools.misfit(&target, &arguments) {
            return impossible(arguments, &format!("The arguments do not fit, so the tool was not called: {misfit}"));
        }
        let Target { tool, operation } = target;
        let operation = operation.map(|operation| ("operation", Value::from(operation)));
        Ok(of(arguments, std::iter::once(("tool", Value::from(tool))).chain(operation).collect()))
    }
}

/// The arguments as an object: a model may have written them as text, and that text may be broken.
fn arguments(given: &Value) -> Result<Value, String> {
    let read = match given {
        Value::Null => Value::object(),
        Value::String(text) if text.trim().is_empty() => Value::object(),
        Value::String(text) => serde_json::from_str(text)
            .map_err(|error| format!("The arguments are not valid JSON, so the tool was not called: {error}"))?,
        other => other.clone(),
    };
    match read {
        Value::Object(_) => Ok(read),
        other => Err(format!("The arguments must be an object, found {}; the tool was not called.", other.kind())),
    }
}

fn refused(why: &str) -> Value {
    value!({ "text": why, "failed": true })
}

/// More of a result than this is not shown to a model, in bytes.
const MOST: usize = 64 << 10;

/// The result of a tool; a text that is too long loses its end.
fn cut(output: &Value) -> Value {
    let text = output.get("text").and_then(Value::as_str).unwrap_or_default();
    if text.len() <= MOST {
        return output.clone();
    }
    let end = (0..=MOST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let text = format!("{}\n(the result goes on; only its beginning is shown)", &text[..end]);
    Value::from_pairs([("text", Value::from(text)), ("data", output.get("data").cloned().unwrap_or_default())])
}

fn no_calls(expected: &str, found: &Value) -> NodeError {
    let message = format!("expected {expected} in `calls`, found {}", found.kind());
    NodeError::new(codes::TOOL_CALLS, ErrorClass::Invalid, message).hint("write `calls: \"{{ model.calls }}\"`")
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Each call gets its frame, or a result that says why not",
        yaml: "\
type: tool-calls
calls: \"{{ model.calls }}\"
tools:
  sums: { builtin: calculator }
  refund: { workflow: orders/refund, approval: { to: billing } }
",
        scope: "\
model:
  calls:
    - { id: a, name: sums, arguments: { expression: 1 + 1 } }
    - { id: b, name: refund, arguments: '{\"amount\": 80}' }
    - { id: c, name: reffund, arguments: {} }
    - { id: d, name: sums, arguments: '{\"expression\":' }
    - { id: e, name: sums, arguments: { expr: 1 } }
",
        gives: "\
calls:
  - { id: a, name: sums, arguments: { expression: 1 + 1 }, tool: sums }
  - { id: b, name: refund, arguments: { amount: 80 }, tool: refund }
  - id: c
    name: reffund
    arguments: {}
    result:
      text: \"There is no tool `reffund`. Did you mean `refund`? The tools are: sums, refund.\"
      failed: true
  - id: d
    name: sums
    arguments: '{\"expression\":'
    result:
      text: \"The arguments are not valid JSON, so the tool was not called: EOF while parsing a value at line 1 column 14\"
      failed: true
  - id: e
    name: sums
    arguments: { expr: 1 }
    result:
      text: \"The arguments do not fit, so the tool was not called: `expr`: unknown name `expr`; `expression`: missing `expression`: expected a string\"
      failed: true
",
    },
    Example {
        title: "A tool is one thing",
        yaml: "\
type: tool-calls
calls: []
tools:
  both: { builtin: time, workflow: clocks/now }
",
        scope: "",
        gives: "{ error: LA0267 }",
    },
];
