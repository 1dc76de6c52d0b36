//! `/api/agents`: the published workflows that people talk with, or that let a model call tools.

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use liteagent_engine::codes;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{self, Path},
    problem::Problem,
    routes::Routes,
    workflows::{Published, inputs_schema, sample_inputs},
};

/// The node type that makes a workflow an agent.
const AGENT: &str = "agent";
/// The keys of a tool that say what it is.
const KINDS: [&str; 6] = ["workflow", "builtin", "knowledge", "openapi", "mcp", "caller"];

pub(crate) fn routes(routes: Routes) -> Routes {
    let access = Access::UserOrKey(Role::Viewer);
    routes.add(access, routes!(list)).add(access, routes!(show))
}

/// A workflow that is a chat, or has a node `agent`.
#[derive(Serialize, ToSchema)]
struct Agent {
    /// The name of the workflow.
    #[schema(example = "support/answer")]
    name: String,
    /// The version that new runs are of.
    version: u32,
    /// What it does.
    description: Option<String>,
    /// Whether it keeps conversations: its runs take `message`, and `conversation` goes on with one.
    chat: bool,
    /// What it says before the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<String>,
    /// Messages to begin with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<String>,
    /// The schema of its inputs.
    #[schema(value_type = Object)]
    inputs: Json,
    /// What its models may call.
    tools: Vec<Tool>,
    /// The models that it names, `provider/model` or an alias; empty where it takes `default`.
    models: Vec<String>,
    /// A body for `POST /api/runs`; `null` where its inputs are too particular to be made up.
    #[schema(value_type = Option<Object>)]
    example: Option<Json>,
}

/// Something that a model may call.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Tool {
    /// The name that the model sees.
    name: String,
    /// `workflow`, `builtin`, `knowledge`, `openapi`, `mcp`, or `caller`: those that the caller of a run brings.
    kind: String,
    /// What it is called there; `null` of `openapi`, which is a whole description, and of `caller`.
    target: Option<String>,
    /// When to use it, where the workflow says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether a person is asked before a call.
    approval: bool,
}

impl Agent {
    /// The agent that a workflow is.
    fn of(published: &Published) -> Option<Self> {
        let definition = published.bundle.entry()?;
        let mut found = Found::default();
        let whole = serde_json::to_value(definition).unwrap_or_default();
        found.look(&whole["nodes"]);
        if definition.conversation.is_none() && !found.is_agent {
            return None;
        }
        let chat = definition.conversation.as_ref();
        let name = published.row.workflow.clone();
        let example = sample_inputs(definition).map(|inputs| json!({ "workflow": name, "inputs": inputs }));
        Some(Self {
            version: published.row.version,
            description: definition.description.clone(),
            chat: chat.is_some(),
            opening: chat.and_then(|chat| chat.opening.clone()),
            suggestions: chat.map(|chat| chat.suggestions.clone()).unwrap_or_default(),
            inputs: inputs_schema(definition),
            tools: found.tools,
            models: found.models.into_iter().collect(),
            example,
            name,
        })
    }
}

/// What stands in the nodes of a workflow.
#[derive(Default)]
struct Found {
    is_agent: bool,
    tools: Vec<Tool>,
    models: BTreeSet<String>,
}

impl Found {
    /// Looks through nodes, and those inside of them.
    fn look(&mut self, nodes: &Json) {
        for (_, node) in members(nodes) {
            self.is_agent |= node["type"] == AGENT;
            match &node["model"] {
                Json::String(model) => drop(self.models.insert(model.clone())),
                Json::Array(models) => self.models.extend(models.iter().filter_map(Json::as_str).map(str::to_owned)),
                _ => {}
            }
            for tool in members(&node["tools"]).map(|(name, tool)| Tool::of(name, tool)) {
                if !self.tools.contains(&tool) {
                    self.tools.push(tool);
                }
            }
            self.look(&node["nodes"]);
        }
    }
}

impl Tool {
    fn of(name: &str, tool: &Json) -> Self {
        let kind = KINDS.into_iter().find(|kind| !tool[kind].is_null()).unwrap_or_default();
        let target = Some(&tool[kind]).filter(|_| kind != "openapi").and_then(Json::as_str);
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            target: target.map(str::to_owned),
            description: tool["description"].as_str().map(str::to_owned),
            approval: tool["approval"].is_object(),
        }
    }
}

fn members(json: &Json) -> impl Iterator<Item = (&str, &Json)> {
    json.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Agents.
#[derive(Serialize, ToSchema)]
struct AgentList {
    /// By name.
    agents: Vec<Agent>,
}

/// Lists the agents: published workflows that are a chat, or have a node `agent`
///
/// An API key sees its own.
#[utoipa::path(get, path = "/api/agents", tag = "agents", responses((status = 200, body = AgentList)))]
async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<extract::Json<AgentList>, Problem> {
    let own = caller.only_workflow()?;
    let published = app.workflows.all_published();
    let visible = published.iter().filter(|published| own.is_none_or(|own| own == published.row.workflow));
    Ok(extract::Json(AgentList { agents: visible.filter_map(|published| Agent::of(published)).collect() }))
}

/// Which agent.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct AgentPath {
    /// The name of the workflow; a `/` in it is written as `%2F`.
    name: String,
}

/// Shows an agent
#[utoipa::path(get, path = "/api/agents/{name}", tag = "agents", params(AgentPath), responses((status = 200, body = Agent)))]
async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(AgentPath { name }): Path<AgentPath>,
) -> Result<extract::Json<Agent>, Problem> {
    caller.check_workflow(&name)?;
    let published = app.workflows.published(&name)?;
    let agent = Agent::of(&published).ok_or_else(|| {
        Problem::missing(codes::NO_WORKFLOW, format!("the workflow `{name}` is no agent"))
            .hint("an agent has `conversation`, or a node of the type `agent`: GET /api/agents lists them")
    })?;
    Ok(extract::Json(agent))
}
