//! Tools: what models may call, as authors describe it, as models are told of it, and the nodes that run for a call.
//!
//! * [`Tools`] is the field of `llm`, `agent` and `tool-calls`; [`ToolSet`] is what was made of it;
//! * `kind.rs` knows the kinds of tools, each with a file of its own; `branch.rs` makes the nodes of a call.

use liteagent_engine::{
    capability::model::ToolSpec,
    definition::{NodeMap, Retry},
    diagnostic::Severity,
    node::{Spot, prelude::*},
};
use schemars::SchemaGenerator;

pub use self::kind::ToolOutput;
pub(crate) use self::{
    caller::called,
    kind::{Kind, KindFields},
};
use crate::io::http_request::{Auth, Method};

mod branch;
mod builtin;
mod calculator;
mod caller;
mod http;
mod kind;
mod knowledge;
mod mcp;
mod openapi;

/// What a model may call: a tool by the name that the model sees.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tools(pub IndexMap<String, ToolDef>);

impl JsonSchema for Tools {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tools".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tool = generator.subschema_for::<ToolDef>();
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": tool,
            "propertyNames": {
                "pattern": NAME,
                "patternErrorMessage": "expected the name of a tool: letters, digits and `_`, beginning with a letter",
            },
            "x-liteagent-tools": true,
        })
    }
}

/// What models can call.
const NAME: &str = "^[A-Za-z][A-Za-z0-9_]*$";
/// Services refuse longer names.
const LONGEST_NAME: usize = 64;
/// Between the name of a tool and that of one of its operations.
const OF: &str = "__";

/// A tool: exactly one of `workflow`, `builtin`, `knowledge`, `openapi`, `mcp` and `caller`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolDef {
    /// A workflow, which is a run of its own: its name, or a path that begins with `./`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// One that comes with the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<Builtin>,
    /// Searches a knowledge base: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge: Option<String>,
    /// Operations of an HTTP service: its OpenAPI description, as `{ file: assets/shop.yaml }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-liteagent-file" = "text", "x-liteagent-literal" = true))]
    pub openapi: Option<String>,
    /// The tools of an MCP server: its name in `liteagent.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<String>,
    /// The tools that the caller of the run brings, as clients of OpenAI's API do, and calls itself. Only for an `llm`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub caller: bool,
    /// When to use it, for the model. By default what the workflow, the service or the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Inputs with a fixed value. The model neither sees nor chooses them.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, TemplateTree>,
    /// The operations that may be called, of `openapi` and `mcp`. All of them if missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// The hosts that `builtin: http` may reach: `api.example.org`, `*.example.org`, `localhost:8080`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The methods that `builtin: http` may use. `GET` if missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// The credentials of `openapi` and `builtin: http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Who is asked before a call, or `none`. A tool that changes something outside needs one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// How long a call may take, an approval left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whether and how a call that failed is tried again before the model is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The inputs of the workflow that the model passes, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub parameters: Option<IndexMap<String, Type>>,
}

/// A tool that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// What time it is, in any time zone.
    Time,
    /// Exact arithmetic.
    Calculator,
    /// Requests to the `hosts` that are named.
    Http,
    /// Runs Python or JavaScript that the model writes, isolated, without network or files.
    Code,
}

/// Whether a person is asked before a call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Approval {
    /// Nobody is asked.
    None(NoApproval),
    /// Someone is.
    Ask(AskApproval),
}

/// Nobody is asked: the model may do it by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoApproval {
    /// The model may do it by itself.
    None,
}

/// Someone is asked. What is approved are the arguments that are shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskApproval {
    /// Whether this call needs it, read from `call`, the arguments. Every call does if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-liteagent-item" = ["call"]))]
    pub when: Option<Template<bool>>,
    /// What the person is asked; `call` are the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-liteagent-item" = ["call"]))]
    pub message: Option<Template<String>>,
    /// Who is asked: a person, a group or an address. Anyone who may see the run, when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-liteagent-item" = ["call"]))]
    pub to: Option<Template<String>>,
    /// How long an answer is waited for. Without one, the call waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// Tools that can be called.
#[derive(Debug, Default)]
pub struct ToolSet(IndexMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    def: ToolDef,
    kind: Kind,
}

/// The tool that a call means.
#[derive(Debug, PartialEq)]
pub(crate) struct Target<'t> {
    pub(crate) tool: &'t str,
    /// Of tools that have several.
    pub(crate) operation: Option<String>,
}

impl ToolSet {
    /// Makes tools ready to be called; `field` is where they stand.
    ///
    /// # Errors
    /// The first tool that can never be called, by its place below `field`.
    pub fn new(tools: &Tools, field: &str) -> Result<Self, ConfigError> {
        let mut entries = IndexMap::new();
        for (name, def) in &tools.0 {
            let at = format!("{field}/{name}");
            if name.len() > LONGEST_NAME || name.contains(OF) {
                let message =
                    format!("`{name}` cannot be called: expected at most {LONGEST_NAME} characters, and no `{OF}`");
                return Err(ConfigError::new(codes::TOOL_NAME, at, message).hint("give it a shorter name"));
            }
            let kind = Kind::read(&def.kind_fields())
                .map_err(|error| ConfigError { field: format!("{at}{}", error.field), ..error })?;
            if let Some(unknown) = def.inputs.keys().find(|input| !kind.may_fix(input)) {
                let message = format!("`{name}` has no input `{unknown}`");
                return Err(ConfigError::new(codes::TOOL_OPTION, format!("{at}/inputs/{unknown}"), message));
            }
            entries.insert(name.clone(), Entry { def: def.clone(), kind });
        }
        Ok(Self(entries))
    }

    /// The tools that the caller of the run calls itself: their name here.
    pub(crate) fn of_caller(&self) -> Option<&str> {
        self.0.iter().find_map(|(name, entry)| matches!(entry.kind, Kind::Caller).then_some(name.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the author must say and did not: about approval, and about the world outside. Of workflows the checks of the
    /// file know more.
    pub fn check(&self, field: &str, known: &Known) -> Vec<ConfigFinding> {
        let mut findings = Vec::new();
        for (name, entry) in &self.0 {
            let at = format!("{field}/{name}");
            if entry.def.approval.is_none()
                && let Some((message, hint)) = entry.kind.needs_approval(name)
            {
                let error = ConfigError::new(codes::TOOL_APPROVAL, &at, message).at(Spot::Key).hint(hint);
                findings.push(error.label("acts on the outside"));
            }
            findings.extend(
                entry.kind.unknown_server(known).map(|error| ConfigError { field: format!("{at}/mcp"), ..error }),
            );
        }
        findings.into_iter().map(|error| ConfigFinding { severity: Severity::Error, error }).collect()
    }

    /// Whether a call of one changes something outside; what workflows do is not known here.
    pub fn acts(&self) -> bool {
        self.0.values().any(|entry| entry.kind.acts())
    }

    /// What a model is told.
    ///
    /// # Errors
    /// When an MCP server cannot be asked for its tools.
    pub async fn specs(&self, ctx: &NodeCtx) -> Result<Vec<ToolSpec>, NodeError> {
        let mut specs = Vec::new();
        for (name, Entry { def, kind }) in &self.0 {
            specs.extend(kind.specs(name, def, ctx).await?);
        }
        caller::check_names(&specs)?;
        Ok(specs)
    }

    /// The tool that a name means; `None` when no tool has it.
    pub(crate) fn find(&self, name: &str) -> Option<Target<'_>> {
        let (tool, operation) = match name.split_once(OF) {
            Some((tool, operation)) => (tool, Some(operation)),
            None => (name, None),
        };
        let (tool, entry) = self.0.get_key_value(tool)?;
        Some(Target { tool, operation: entry.kind.operation(operation)? })
    }

    /// The names that a model may call, as far as they are known without asking anyone.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().flat_map(|(name, entry)| entry.kind.names(name)).collect()
    }

    /// What is wrong with the arguments of a call; `None` when they fit, as far as that is known.
    pub(crate) fn misfit(&self, target: &Target<'_>, arguments: &Value) -> Option<String> {
        let entry = self.0.get(target.tool)?;
        let fixed: Vec<&str> = entry.def.inputs.keys().map(String::as_str).collect();
        entry.kind.parameters(target.operation.as_deref(), &fixed).misfit(arguments)
    }

    /// The nodes that run for a call, by tool.
    pub(crate) fn branches(&self) -> IndexMap<String, NodeMap> {
        self.0.iter().map(|(name, entry)| (name.clone(), branch::nodes(name, &entry.def))).collect()
    }
}

impl ToolDef {
    fn kind_fields(&self) -> KindFields<'_> {
        KindFields {
            workflow: self.workflow.as_deref(),
            builtin: self.builtin,
            knowledge: self.knowledge.as_deref(),
            openapi: self.openapi.as_deref(),
            mcp: self.mcp.as_deref(),
            caller: self.caller,
            allow: &self.allow,
            hosts: &self.hosts,
            methods: &self.methods,
            auth: self.auth.as_ref(),
            parameters: self.parameters.as_ref(),
        }
    }
}

/// The name of an operation as models can write it.
pub(crate) fn callable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect()
}
