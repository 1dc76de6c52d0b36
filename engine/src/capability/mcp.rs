//! Servers of the Model Context Protocol as nodes see them. Which there are is configured, never written in a workflow.

use async_trait::async_trait;

use crate::{error::NodeError, value::Value};

/// MCP servers by name.
#[async_trait]
pub trait Mcp: Send + Sync {
    /// The tools that a server offers.
    ///
    /// # Errors
    /// When no server has this name, it cannot be reached, or it does not speak the protocol.
    async fn tools(&self, server: &str) -> Result<Vec<McpTool>, NodeError>;

    /// Calls a tool. `key` is the same for every attempt of the same call.
    ///
    /// # Errors
    /// As [`Mcp::tools`]. That the tool itself failed is no error of the call.
    async fn call(&self, server: &str, tool: &str, arguments: Value, key: &str) -> Result<McpReply, NodeError>;
}

/// A tool of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct McpTool {
    /// Its name.
    pub name: String,
    /// What the server says of it.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq)]
pub struct McpReply {
    /// Its content, in order.
    pub content: Vec<McpContent>,
    /// The structured result, else `null`.
    pub data: Value,
    /// Whether the tool failed.
    pub failed: bool,
}

/// A part of a result.
#[derive(Clone, Debug, PartialEq)]
pub enum McpContent {
    /// Text.
    Text(String),
    /// Something else: its kind, such as `image`.
    Other(String),
}
