//! Tools of MCP servers, which `liteagent.toml` names.

use liteagent_engine::{
    capability::mcp::{McpContent, McpTool},
    capability::model::ToolSpec,
    node::prelude::*,
};
use serde_json::Value as Json;

use super::{OF, callable, kind::ToolOutput};

/// What a model is told of the tools of a server. What the server says of their effects is not believed.
pub(super) async fn specs(
    ctx: &NodeCtx,
    name: &str,
    server: &str,
    allow: &[String],
    description: Option<&str>,
    fixed: &[&str],
) -> Result<Vec<ToolSpec>, NodeError> {
    let offered = ctx.mcp()?.tools(server).await?;
    if let Some(missing) = allow.iter().find(|name| !offered.iter().any(|tool| tool.name == **name)) {
        let known: Vec<_> = offered.iter().map(|tool| tool.name.as_str()).collect();
        let message = format!("the MCP server `{server}` does not offer `{missing}`");
        return Err(NodeError::new(codes::TOOL_OPERATION, ErrorClass::NotFound, message)
            .hint(format!("it offers {}", liteagent_engine::suggest::list(known))));
    }
    let allowed = offered.into_iter().filter(|tool| allow.is_empty() || allow.contains(&tool.name));
    let spec = |tool: McpTool| ToolSpec {
        name: format!("{name}{OF}{}", callable(&tool.name)),
        description: [description.unwrap_or_default(), &tool.description].join(" ").trim().to_owned(),
        parameters: without(tool.parameters.to_json(), fixed).into(),
    };
    Ok(allowed.map(spec).collect())
}

/// A schema without the inputs that an author fixed.
fn without(mut schema: Json, fixed: &[&str]) -> Json {
    if let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        properties.retain(|name, _| !fixed.contains(&name.as_str()));
    }
    if let Some(required) = schema.get_mut("required").and_then(Json::as_array_mut) {
        required.retain(|name| name.as_str().is_none_or(|name| !fixed.contains(&name)));
    }
    schema
}

pub(super) async fn call(ctx: &NodeCtx, server: &str, operation: &str, inputs: Value) -> Result<ToolOutput, NodeError> {
    let servers = ctx.mcp()?;
    // A model writes names as it can; without `allow` only the server knows how they are spelled.
    let offered = servers.tools(server).await?;
    let Some(tool) = offered.into_iter().find(|tool| tool.name == operation || callable(&tool.name) == operation)
    else {
        let message = format!("the MCP server `{server}` does not offer `{operation}`");
        return Err(NodeError::new(codes::TOOL_OPERATION, ErrorClass::NotFound, message));
    };
    let reply = servers.call(server, &tool.name, inputs, &ctx.idempotency_key()).await?;
    let text = |content: &McpContent| match content {
        McpContent::Text(text) => text.clone(),
        McpContent::Other(kind) => format!("({kind}, which is not shown)"),
    };
    let text = reply.content.iter().map(text).collect::<Vec<_>>().join("\n");
    if reply.failed {
        let message = format!("`{}` of the MCP server `{server}` says: {text}", tool.name);
        return Err(NodeError::new(codes::TOOL_ANSWER, ErrorClass::Invalid, message));
    }
    let text = if text.is_empty() { reply.data.to_string() } else { text };
    Ok(ToolOutput { text, data: reply.data })
}
