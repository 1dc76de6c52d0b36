//! Tools of the caller: it describes them, the model of the workflow asks for calls, and the caller makes these.

use liteagent_engine::{bundle::Bundle, capability::model::ToolCall, codes, value, value::Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// The output of a workflow that has the calls of the caller's tools.
const CALLS: &str = "calls";
/// The most tools of a request.
const MOST: usize = 128;

/// A tool of the caller.
#[derive(Clone, Deserialize, ToSchema)]
pub(super) struct Tool {
    /// What it is: nothing else can be called.
    #[serde(rename = "type")]
    #[expect(dead_code, reason = "there is one kind, and others are refused as they are read")]
    kind: ToolKind,
    /// The function.
    function: Function,
}

/// What a tool is.
#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToolKind {
    /// A function.
    #[default]
    Function,
}

/// A function of the caller.
#[derive(Clone, Deserialize, ToSchema)]
struct Function {
    /// Its name.
    #[schema(example = "opening_hours", pattern = "^[A-Za-z0-9_-]{1,64}$")]
    name: String,
    /// When to call it.
    description: Option<String>,
    /// The JSON Schema of its arguments.
    #[schema(value_type = Option<Object>)]
    parameters: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A call of a tool.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub(super) struct Call {
    /// Unique within the answer.
    id: String,
    #[serde(rename = "type", default)]
    kind: ToolKind,
    /// What is called.
    function: CallOf,
}

/// What is called.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
struct CallOf {
    /// The name of the function.
    name: String,
    /// Its arguments, as the text of JSON.
    arguments: String,
}

impl From<Call> for ToolCall {
    fn from(Call { id, function, .. }: Call) -> Self {
        Self { id, name: function.name, arguments: function.arguments }
    }
}

/// The tools as a run is given them.
///
/// # Errors
/// When the workflow gives nobody's tools to its model, or does not say what its model asks for.
pub(super) fn for_run(tools: &[Tool], bundle: &Bundle) -> Result<Value, Problem> {
    let refused = |detail: String, hint: &str| Err(Problem::invalid(codes::REQUEST_BODY, detail).hint(hint));
    if tools.len() > MOST {
        return refused(format!("expected at most {MOST} `tools`, found {}", tools.len()), "send those that matter");
    }
    let takes = bundle
        .workflows
        .values()
        .any(|workflow| serde_json::to_value(workflow).is_ok_and(|workflow| takes_tools_of_caller(&workflow)));
    let tells = bundle.entry().is_some_and(|workflow| workflow.outputs.contains_key(CALLS));
    if !takes || !tells {
        return refused(
            format!("the workflow `{}` does not take `tools` of its caller", bundle.entry),
            "give an `llm` of it `tools: { theirs: { caller: true } }`, and the workflow the output `calls: \"{{ NODE.calls }}\"`",
        );
    }
    let tool = |Tool { function: Function { name, description, parameters }, .. }: &Tool| {
        let parameters = parameters.clone().map_or(Value::Null, |schema| serde_json::Value::Object(schema).into());
        value!({ "name": name.as_str(), "description": description.as_deref().unwrap_or_default(), "parameters": parameters })
    };
    Ok(tools.iter().map(tool).collect::<Vec<_>>().into())
}

fn takes_tools_of_caller(definition: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match definition {
        Json::Object(members) => members.iter().any(|(name, member)| {
            let is_tool = |tool: &Json| tool.get("caller") == Some(&Json::Bool(true));
            let has = name == "tools" && member.as_object().is_some_and(|tools| tools.values().any(is_tool));
            has || takes_tools_of_caller(member)
        }),
        Json::Array(items) => items.iter().any(takes_tools_of_caller),
        _ => false,
    }
}

/// The calls of the caller's tools that a run ended with.
pub(super) fn asked_for(outputs: &Value, tools: &[Tool]) -> Vec<Call> {
    let call = |call: &Value| {
        let text = |name: &str| call.get(name).and_then(Value::as_str).map(str::to_owned);
        let name = text("name").filter(|name| tools.iter().any(|tool| tool.function.name == *name))?;
        let arguments = match call.get("arguments")? {
            // What the model wrote, when it is no JSON.
            Value::String(text) => text.to_string(),
            arguments => arguments.to_string(),
        };
        Some(Call { id: text("id")?, kind: ToolKind::Function, function: CallOf { name, arguments } })
    };
    outputs.get(CALLS).and_then(Value::as_list).unwrap_or_default().iter().filter_map(call).collect()
}
