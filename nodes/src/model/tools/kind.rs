//! The kinds of tools: what each takes, what it is told a model as, and what it does.

use liteagent_engine::{
    capability::model::ToolSpec,
    node::prelude::*,
    types::{Misfit, fit_all},
};
use serde_json::{Map, Value as Json, json};

use super::{Builtin, OF, ToolDef, builtin, callable, caller, http::HttpTool, knowledge, mcp, openapi::OpenApiTool};
use crate::io::http_request::{Auth, Method};

/// The fields that say what a tool is.
pub(crate) struct KindFields<'f> {
    pub(crate) workflow: Option<&'f str>,
    pub(crate) builtin: Option<Builtin>,
    pub(crate) knowledge: Option<&'f str>,
    pub(crate) openapi: Option<&'f str>,
    pub(crate) mcp: Option<&'f str>,
    pub(crate) caller: bool,
    pub(crate) allow: &'f [String],
    pub(crate) hosts: &'f [String],
    pub(crate) methods: &'f [Method],
    pub(crate) auth: Option<&'f Auth>,
    pub(crate) parameters: Option<&'f IndexMap<String, Type>>,
}

/// What a tool is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A run of its own.
    Workflow { name: String, parameters: Option<IndexMap<String, Type>> },
    /// What time it is.
    Time,
    /// Arithmetic.
    Calculator,
    /// Code that a model wrote.
    Code,
    /// Requests.
    Http(HttpTool),
    /// A search in the knowledge base of this name.
    Knowledge(String),
    /// Operations of a service.
    OpenApi(Arc<OpenApiTool>),
    /// Tools of a server.
    Mcp { server: String, allow: Vec<String> },
    /// What the caller of the run brings and calls itself.
    Caller,
}

/// What a tool takes.
#[derive(Debug)]
pub(crate) enum Parameters {
    /// Values of these types.
    Types(IndexMap<String, Type>),
    /// An object of this schema.
    Schema(Json),
    /// Only the other side knows.
    Unknown,
}

/// What came of a call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolOutput {
    /// The result as a model reads it.
    pub text: String,
    /// The result.
    pub data: Value,
}

impl Kind {
    /// Reads what a tool is.
    ///
    /// # Errors
    /// When it is not exactly one thing, or can never be called.
    pub(crate) fn read(fields: &KindFields<'_>) -> Result<Self, ConfigError> {
        let set = [
            ("workflow", fields.workflow.is_some()),
            ("builtin", fields.builtin.is_some()),
            ("knowledge", fields.knowledge.is_some()),
            ("openapi", fields.openapi.is_some()),
            ("mcp", fields.mcp.is_some()),
            ("caller", fields.caller),
        ];
        let set: Vec<&str> = set.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect();
        let [name] = set[..] else {
            let (field, found) = match set[..] {
                [] => (String::new(), "none of them".to_owned()),
                [first, second, ..] => (format!("/{second}"), format!("`{first}` and `{second}`")),
                [_] => unreachable!("one was taken above"),
            };
            let message = format!(
                "expected exactly one of `workflow`, `builtin`, `knowledge`, `openapi`, `mcp` and `caller`, found {found}"
            );
            return Err(
                ConfigError::new(codes::TOOL_KIND, field, message).hint("say what the tool is: `builtin: calculator`")
            );
        };
        Self::check_options(fields, name)?;
        if fields.caller {
            return Ok(Self::Caller);
        }
        if let Some(knowledge) = fields.knowledge {
            return knowledge::check(knowledge).map(|()| Self::Knowledge(knowledge.to_owned()));
        }
        Ok(match (fields.workflow, fields.builtin, fields.openapi, fields.mcp) {
            (Some(workflow), ..) => {
                if liteagent_engine::template::is_template(workflow) || workflow.is_empty() {
                    let message = format!("expected the name of a workflow, found `{workflow}`");
                    return Err(ConfigError::new(codes::WORKFLOW_NAME, "/workflow", message)
                        .hint("write the name itself, as in `workflow: orders/lookup`"));
                }
                Self::Workflow { name: workflow.to_owned(), parameters: fields.parameters.cloned() }
            }
            (_, Some(Builtin::Time), ..) => Self::Time,
            (_, Some(Builtin::Calculator), ..) => Self::Calculator,
            (_, Some(Builtin::Code), ..) => Self::Code,
            (_, Some(Builtin::Http), ..) => Self::Http(HttpTool::new(fields.hosts, fields.methods, fields.auth)?),
            (_, _, Some(openapi), _) => Self::OpenApi(Arc::new(OpenApiTool::new(openapi, fields.allow, fields.auth)?)),
            (.., mcp) => Self::Mcp { server: mcp.unwrap_or_default().to_owned(), allow: fields.allow.to_vec() },
        })
    }

    fn check_options(fields: &KindFields<'_>, name: &str) -> Result<(), ConfigError> {
        let is_http = fields.builtin == Some(Builtin::Http);
        let has_several = fields.openapi.is_some() || fields.mcp.is_some();
        let options = [
            ("allow", !fields.allow.is_empty(), has_several, "`openapi` and `mcp`"),
            ("hosts", !fields.hosts.is_empty(), is_http, "`builtin: http`"),
            ("methods", !fields.methods.is_empty(), is_http, "`builtin: http`"),
            ("auth", fields.auth.is_some(), is_http || fields.openapi.is_some(), "`builtin: http` and `openapi`"),
        ];
        match options.into_iter().find(|(_, is_set, goes, _)| *is_set && !goes) {
            None => Ok(()),
            Some((option, .., kinds)) => {
                let message = format!("`{option}` means nothing for this `{name}`: it is for {kinds}");
                Err(ConfigError::new(codes::TOOL_OPTION, format!("/{option}"), message)
                    .hint(format!("remove `{option}`")))
            }
        }
    }

    /// Whether an author may fix an input of this name.
    pub(crate) fn may_fix(&self, input: &str) -> bool {
        match self {
            // The checks of the file know the inputs of workflows; a server knows its own.
            Self::Workflow { .. } | Self::Mcp { .. } => true,
            Self::OpenApi(tool) => tool.has_parameter(input),
            _ => matches!(self.parameters(None, &[]), Parameters::Types(types) if types.contains_key(input)),
        }
    }

    /// Whether a call changes something outside. Of a workflow, the checks of the file know.
    pub(crate) fn acts(&self) -> bool {
        match self {
            Self::Workflow { .. } | Self::Time | Self::Calculator | Self::Code | Self::Knowledge(_) | Self::Caller => {
                false
            }
            Self::Http(tool) => tool.writes(),
            Self::OpenApi(tool) => tool.writes(),
            Self::Mcp { .. } => true,
        }
    }

    /// Why a call must be approved, or allowed in so many words, and what to do.
    pub(crate) fn needs_approval(&self, name: &str) -> Option<(String, &'static str)> {
        match self {
            Self::Mcp { server, allow } if allow.is_empty() => Some((
                format!("`{name}` lets a model call whatever the MCP server `{server}` offers"),
                "name the tools under `allow`, or add `approval: { to: ... }`; `approval: none` allows them all",
            )),
            // Its author has named each of them.
            Self::Mcp { .. } => None,
            _ if self.acts() => Some((
                format!("`{name}` changes something outside, and nobody is asked before a model does so"),
                "add `approval: { to: ..., message: ... }`, or write `approval: none` when the model may do it by itself",
            )),
            _ => None,
        }
    }

    /// An MCP server that the installation does not have.
    pub(crate) fn unknown_server(&self, known: &Known) -> Option<ConfigError> {
        let Self::Mcp { server, .. } = self else { return None };
        let servers = known.mcp.as_ref().filter(|servers| !servers.contains(server))?;
        let message = format!("no MCP server is called `{server}`");
        let hint = liteagent_engine::suggest::hint(server, servers.iter().map(String::as_str));
        let hint = hint.unwrap_or_else(|| format!("add `[mcp.{server}]` with its `url` to `liteagent.toml`"));
        Some(ConfigError::new(codes::MCP_UNKNOWN, "/mcp", message).label("not in `liteagent.toml`").hint(hint))
    }

    /// What another attempt of a call may repeat.
    pub(crate) fn effect(&self) -> Effect {
        match self {
            Self::Workflow { .. } | Self::Time | Self::Calculator | Self::Code => Effect::Pure,
            _ if self.acts() => Effect::AtLeastOnce,
            _ => Effect::Idempotent,
        }
    }

    /// The operation that a model means by a name; `None` when there is none. Tools without operations have `Some(None)`.
    #[expect(clippy::option_option, reason = "no such operation, and no operations, are two things")]
    pub(crate) fn operation(&self, named: Option<&str>) -> Option<Option<String>> {
        let among = |mut known: &mut dyn Iterator<Item = &str>| {
            Iterator::find(&mut known, |known| named.is_some_and(|named| callable(known) == named))
                .map(|known| Some(known.to_owned()))
        };
        match self {
            Self::OpenApi(tool) => match (tool.only(), named) {
                (Some(only), None) => Some(Some(only.to_owned())),
                _ => among(&mut tool.names()),
            },
            // No node makes these calls.
            Self::Caller => None,
            Self::Mcp { allow, .. } if allow.is_empty() => named.map(|named| Some(named.to_owned())),
            Self::Mcp { allow, .. } => among(&mut allow.iter().map(String::as_str)),
            _ => named.is_none().then_some(None),
        }
    }

    /// The names that a model may call, as far as they are known.
    pub(crate) fn names(&self, name: &str) -> Vec<String> {
        let of = |operation: &str| format!("{name}{OF}{}", callable(operation));
        match self {
            Self::OpenApi(tool) if tool.only().is_some() => vec![name.to_owned()],
            Self::OpenApi(tool) => tool.names().map(of).collect(),
            Self::Mcp { allow, .. } => allow.iter().map(|operation| of(operation)).collect(),
            Self::Caller => Vec::new(),
            _ => vec![name.to_owned()],
        }
    }

    /// What a call takes, without what its author fixed.
    pub(crate) fn parameters(&self, operation: Option<&str>, fixed: &[&str]) -> Parameters {
        let without_fixed = |types: &IndexMap<String, Type>| {
            types
                .iter()
                .filter(|(name, _)| !fixed.contains(&name.as_str()))
                .map(|(n, ty)| (n.clone(), ty.clone()))
                .collect()
        };
        match self {
            Self::Workflow { parameters: Some(types), .. } => Parameters::Types(without_fixed(types)),
            Self::Workflow { parameters: None, .. } | Self::Mcp { .. } | Self::Caller => Parameters::Unknown,
            Self::Time => Parameters::Types(without_fixed(&builtin::time_parameters())),
            Self::Calculator => Parameters::Types(without_fixed(&builtin::calculator_parameters())),
            Self::Code => Parameters::Types(without_fixed(&builtin::code_parameters())),
            Self::Http(tool) => Parameters::Types(without_fixed(&tool.parameters())),
            Self::Knowledge(_) => Parameters::Types(without_fixed(&knowledge::parameters())),
            Self::OpenApi(tool) => Parameters::Schema(tool.schema(operation.unwrap_or_default(), fixed)),
        }
    }

    /// What a model is told.
    pub(crate) async fn specs(&self, name: &str, def: &ToolDef, ctx: &NodeCtx) -> Result<Vec<ToolSpec>, NodeError> {
        let fixed: Vec<&str> = def.inputs.keys().map(String::as_str).collect();
        let told = |usual: &str| def.description.clone().unwrap_or_else(|| usual.to_owned());
        let spec = |name: String, description: String, operation: Option<&str>| ToolSpec {
            name,
            description,
            parameters: self.parameters(operation, &fixed).schema().into(),
        };
        Ok(match self {
            Self::OpenApi(tool) => {
                let all = tool.names().zip(self.names(name));
                all.map(|(operation, name)| spec(name, told(tool.description(operation)), Some(operation))).collect()
            }
            Self::Mcp { server, allow } => {
                mcp::specs(ctx, name, server, allow, def.description.as_deref(), &fixed).await?
            }
            Self::Caller => caller::specs(ctx)?,
            Self::Workflow { .. } => vec![spec(name.to_owned(), told(""), None)],
            Self::Time => vec![spec(name.to_owned(), told(builtin::TIME), None)],
            Self::Calculator => vec![spec(name.to_owned(), told(builtin::CALCULATOR), None)],
            Self::Code => vec![spec(name.to_owned(), told(builtin::CODE), None)],
            Self::Http(tool) => vec![spec(name.to_owned(), told(&tool.told()), None)],
            Self::Knowledge(base) => vec![spec(name.to_owned(), told(&knowledge::told(base)), None)],
        })
    }

    /// Does it.
    pub(crate) async fn call(
        &self,
        ctx: &NodeCtx,
        operation: Option<&str>,
        inputs: Value,
    ) -> Result<Outcome<ToolOutput>, NodeError> {
        let fitted = match self.parameters(operation, &[]) {
            Parameters::Types(types) if !matches!(self, Self::Workflow { .. }) => {
                fit_all(&types, inputs).map_err(|misfits| arguments(&describe(&misfits)))?
            }
            Parameters::Schema(schema) => match (Parameters::Schema(schema)).misfit(&inputs) {
                Some(misfit) => return Err(arguments(&misfit)),
                None => inputs,
            },
            // The run that it starts looks at them itself.
            _ => inputs,
        };
        Ok(Outcome::Done(match self {
            Self::Workflow { name, .. } => {
                return Ok(Outcome::Child { workflow: name.clone(), inputs: fitted });
            }
            Self::Time => builtin::time(ctx, &fitted)?,
            Self::Calculator => builtin::calculate(&fitted)?,
            Self::Code => builtin::code(ctx, &fitted).await?,
            Self::Http(tool) => tool.call(ctx, &fitted).await?,
            Self::Knowledge(base) => knowledge::search(ctx, base, &fitted).await?,
            Self::OpenApi(tool) => tool.call(ctx, operation.unwrap_or_default(), &fitted).await?,
            Self::Mcp { server, .. } => mcp::call(ctx, server, operation.unwrap_or_default(), fitted).await?,
            Self::Caller => return Err(caller::not_here()),
        }))
    }
}

impl Parameters {
    /// The JSON Schema of the arguments: that of an object.
    pub(crate) fn schema(&self) -> Json {
        match self {
            Self::Schema(schema) => schema.clone(),
            Self::Unknown => json!({ "type": "object" }),
            Self::Types(types) => {
                let of = |(name, ty): (&String, &Type)| {
                    let mut schema = Json::from(ty.schema());
                    // What a model need not pass it leaves out.
                    if let Some(rules) = schema.as_object_mut() {
                        rules.remove("default");
                        if let Some([kind, Json::String(null)]) =
                            rules.get("type").and_then(Json::as_array).map(Vec::as_slice)
                            && null == "null"
                        {
                            let kind = kind.clone();
                            rules.insert("type".to_owned(), kind);
                        }
                    }
                    (name.clone(), schema)
                };
                let properties: Map<_, _> = types.iter().map(of).collect();
                let required: Vec<_> = types.iter().filter(|(_, ty)| !ty.is_optional()).map(|(name, _)| name).collect();
                json!({
                    "type": "object",
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                })
            }
        }
    }

    /// What is wrong with arguments; `None` when they fit.
    pub(crate) fn misfit(&self, arguments: &Value) -> Option<String> {
        match self {
            Self::Unknown => None,
            Self::Types(types) => fit_all(types, arguments.clone()).err().map(|misfits| describe(&misfits)),
            Self::Schema(schema) => {
                let properties = schema["properties"].as_object();
                let given = arguments.as_object().into_iter().flat_map(|members| members.keys());
                let is_closed = schema["additionalProperties"] == Json::Bool(false);
                let unknown =
                    given.filter(|name| is_closed && !properties.is_some_and(|known| known.contains_key(&***name)));
                let unknown = unknown.map(|name| format!("unknown name `{name}`"));
                let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
                let missing = required.filter(|name| arguments.get(name).is_none());
                let all: Vec<_> = unknown.chain(missing.map(|name| format!("missing `{name}`"))).collect();
                (!all.is_empty()).then(|| all.join("; "))
            }
        }
    }
}

fn describe(misfits: &[Misfit]) -> String {
    let line = |misfit: &Misfit| match misfit.pointer.trim_start_matches('/') {
        "" => misfit.message.clone(),
        place => format!("`{}`: {}", place.replace('/', "."), misfit.message),
    };
    misfits.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn arguments(misfit: &str) -> NodeError {
    NodeError::new(codes::TOOL_ARGUMENTS, ErrorClass::Invalid, format!("the arguments do not fit: {misfit}"))
}

impl ToolOutput {
    /// The outputs of a workflow: a text that is all of them speaks for itself.
    pub(crate) fn of_outputs(data: Value) -> Self {
        let only = data.as_object().filter(|outputs| outputs.len() == 1).and_then(|outputs| outputs.values().next());
        let text = match only {
            Some(Value::String(text)) => text.to_string(),
            _ => data.to_string(),
        };
        Self { text, data }
    }
}
