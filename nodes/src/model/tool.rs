//! `tool`: one call of a tool.

use liteagent_engine::{diagnostic::Severity, node::prelude::*};

pub use super::tools::ToolOutput;
use super::tools::{Builtin, Kind, KindFields};
use crate::{
    flow::workflow,
    io::http_request::{Auth, Method},
};

/// Calls a tool: the same that a model may call, with inputs that the workflow chooses.
///
/// It is exactly one of `workflow`, `builtin`, `knowledge`, `openapi` and `mcp`. Nobody is asked before: what a workflow does
/// is for its author to say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolConfig {
    /// A workflow, which is a run of its own: its name, or a path that begins with `./`.
    pub workflow: Option<String>,
    /// One that comes with the program.
    pub builtin: Option<Builtin>,
    /// Searches a knowledge base: its name.
    pub knowledge: Option<String>,
    /// Operations of an HTTP service: its OpenAPI description, as `{ file: assets/shop.yaml }`.
    #[schemars(extend("x-liteagent-file" = "text", "x-liteagent-literal" = true))]
    pub openapi: Option<String>,
    /// The tools of an MCP server: its name in `liteagent.toml`.
    pub mcp: Option<String>,
    /// What is called, of `openapi` and `mcp`. A name from a template must stand under `allow`.
    pub operation: Option<Template<Value>>,
    /// Its inputs by name.
    #[serde(default)]
    pub inputs: IndexMap<String, TemplateTree>,
    /// More inputs, as one object; those in `inputs` win.
    pub arguments: Option<Template<Value>>,
    /// The operations that may be called, of `openapi` and `mcp`. All of them if missing.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The hosts that `builtin: http` may reach: `api.example.org`, `*.example.org`, `localhost:8080`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The methods that `builtin: http` may use. `GET` if missing.
    #[serde(default)]
    pub methods: Vec<Method>,
    /// The credentials of `openapi` and `builtin: http`.
    pub auth: Option<Auth>,
    /// The inputs of the workflow, once they are known.
    #[schemars(skip)]
    pub parameters: Option<IndexMap<String, Type>>,
}

/// See [`ToolConfig`].
pub struct Tool {
    config: ToolConfig,
    kind: Kind,
}

impl Node for Tool {
    const TYPE: &'static str = "tool";
    const META: NodeMeta =
        NodeMeta { effect: Effect::AtLeastOnce, inline: false, ..NodeMeta::pure(Family::Model, EXAMPLES) };
    type Config = ToolConfig;
    type Output = ToolOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let kind = Kind::read(&KindFields {
            workflow: config.workflow.as_deref(),
            builtin: config.builtin,
            knowledge: config.knowledge.as_deref(),
            openapi: config.openapi.as_deref(),
            mcp: config.mcp.as_deref(),
            caller: false,
            allow: &config.allow,
            hosts: &config.hosts,
            methods: &config.methods,
            auth: config.auth.as_ref(),
            parameters: config.parameters.as_ref(),
        })?;
        let has_several = matches!(kind, Kind::OpenApi(_) | Kind::Mcp { .. });
        if config.operation.is_some() && !has_several {
            let message = "`operation` means nothing here: it is for `openapi` and `mcp`";
            return Err(ConfigError::new(codes::TOOL_OPTION, "/operation", message).hint("remove `operation`"));
        }
        if let Some(unknown) = config.inputs.keys().find(|input| !kind.may_fix(input)) {
            let message = format!("the tool has no input `{unknown}`");
            return Err(ConfigError::new(codes::TOOL_OPTION, format!("/inputs/{unknown}"), message));
        }
        if has_several && config.allow.is_empty() && config.operation.as_ref().is_some_and(is_chosen) {
            let message = "the operation comes from a template, and any would do";
            return Err(ConfigError::new(codes::TOOL_OPTION, "/operation", message)
                .hint("name those that may be called under `allow`"));
        }
        Ok(Self { config, kind })
    }

    fn effect(&self) -> Effect {
        self.kind.effect()
    }

    fn acts(&self) -> bool {
        self.kind.acts()
    }

    fn check(&self, known: &Known) -> Vec<ConfigFinding> {
        let unknown = self.kind.unknown_server(known);
        unknown.into_iter().map(|error| ConfigFinding { severity: Severity::Error, error }).collect()
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let mut inputs = match &self.config.arguments {
            None => Value::object(),
            Some(arguments) => match ctx.render(arguments)? {
                Value::Null => Value::object(),
                arguments @ Value::Object(_) => arguments,
                other => {
                    let message = format!("expected an object in `arguments`, found {}", other.kind());
                    return Err(NodeError::new(codes::TOOL_ARGUMENTS, ErrorClass::Invalid, message));
                }
            },
        };
        if let Value::Object(members) = &mut inputs {
            for (name, value) in &self.config.inputs {
                Arc::make_mut(members).insert(name.as_str().into(), ctx.render_tree(value)?);
            }
        }
        let operation = self.operation(ctx)?;
        self.kind.call(ctx, operation.as_deref(), inputs).await
    }

    async fn resume(&self, _: &NodeCtx, event: Resume) -> Result<Outcome<Self::Output>, NodeError> {
        match event {
            Resume::ChildEnded { result: Ok(outputs) } => Ok(Outcome::Done(ToolOutput::of_outputs(outputs))),
            Resume::ChildEnded { result: Err(error) } => {
                Err(workflow::failed(self.config.workflow.as_deref().unwrap_or_default(), &error))
            }
            other => Err(NodeError::internal(format!("expected the end of a child run, found {other:?}"))),
        }
    }
}

/// Whether an operation is not written out. That of a call was looked up among those that are allowed.
fn is_chosen(operation: &Template<Value>) -> bool {
    operation.compiled().is_some_and(|template| template.source() != "{{ _operation }}")
}

impl Tool {
    fn operation(&self, ctx: &NodeCtx) -> Result<Option<String>, NodeError> {
        let named = self.config.operation.as_ref().map(|operation| ctx.render(operation)).transpose()?;
        let named = named.as_ref().and_then(Value::as_str);
        // As an author or the look-up of a call writes it, and not as a model does.
        let as_called = named.map(super::tools::callable);
        self.kind.operation(as_called.as_deref()).ok_or_else(|| {
            let message = match named {
                Some(named) => format!("the tool has no operation `{named}`, or it is not under `allow`"),
                None => "expected `operation`: the tool has several".to_owned(),
            };
            NodeError::new(codes::TOOL_OPERATION, ErrorClass::Invalid, message)
        })
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Calculates exactly",
        yaml: "\
type: tool
builtin: calculator
inputs: { expression: \"{{ inputs.price }} * 3\" }
",
        scope: "inputs: { price: 0.1 }",
        gives: "output: { text: \"0.3\", data: { result: \"0.3\" } }",
    },
    Example {
        title: "Tells the time somewhere else",
        yaml: "\
type: tool
builtin: time
inputs: { timezone: Asia/Tokyo }
",
        scope: "",
        gives: "output: { text: \"Sun, 2026-03-01 18:00:00 +09:00 (Asia/Tokyo)\" }",
    },
    Example {
        title: "Runs a workflow",
        yaml: "\
type: tool
workflow: orders/lookup
inputs: { order: \"{{ inputs.order }}\" }
",
        scope: "inputs: { order: \"70012\" }",
        gives: "{ child: { workflow: orders/lookup, inputs: { order: \"70012\" } } }",
    },
    Example {
        title: "A tool that reaches the network says where",
        yaml: "\
type: tool
builtin: http
inputs: { url: https://example.org }
",
        scope: "",
        gives: "{ error: LA0269 }",
    },
];
