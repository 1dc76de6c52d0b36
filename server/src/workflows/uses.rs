//! What only an owner may let a workflow use: secrets and MCP servers.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use liteagent_engine::{bundle::Bundle, codes};
use serde_json::Value as Json;

use super::Workflows;
use crate::problem::Problem;

/// What a bundle uses, as people read it.
fn uses(bundle: &Bundle) -> BTreeSet<String> {
    let secrets = bundle.workflows.values().flat_map(|definition| &definition.secrets);
    let mut found: BTreeSet<String> = secrets.map(|name| format!("the secret `{name}`")).collect();
    let json = serde_json::to_value(bundle).expect("a bundle has a JSON form");
    servers(&json, &mut found);
    found
}

/// Tools name MCP servers, wherever they stand.
fn servers(json: &Json, found: &mut BTreeSet<String>) {
    match json {
        Json::Object(members) => {
            for (key, value) in members {
                match value {
                    Json::String(name) if key == "mcp" => drop(found.insert(format!("the MCP server `{name}`"))),
                    other => servers(other, found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| servers(item, found)),
        _ => {}
    }
}

/// What only an owner may agree to, told to whom it is refused.
pub(crate) struct NeedsOwner(Vec<String>);

impl NeedsOwner {
    /// What is new, as people read it.
    pub(crate) fn said(&self) -> String {
        format!("it newly uses {}", self.0.join(", "))
    }

    /// Why a request is refused.
    pub(crate) fn problem(&self, workflow: &str) -> Problem {
        let detail = format!("`{workflow}` cannot go ahead without an owner: {}", self.said());
        Problem::new(StatusCode::FORBIDDEN, codes::OWNER_NEEDED, detail)
            .hint("add it with `?publish=false`, and let an owner publish it: PUT /api/workflows/{name}/published")
    }
}

impl Workflows {
    /// Whether someone may let a workflow run as in a bundle: what the published version uses was agreed to.
    pub(crate) fn check_uses(&self, bundle: &Bundle, is_owner: bool) -> Result<(), NeedsOwner> {
        if is_owner {
            return Ok(());
        }
        let wanted = uses(bundle);
        if wanted.is_empty() {
            return Ok(());
        }
        let agreed = self.published(&bundle.entry).map(|published| uses(&published.bundle)).unwrap_or_default();
        let new: Vec<String> = wanted.difference(&agreed).cloned().collect();
        if new.is_empty() { Ok(()) } else { Err(NeedsOwner(new)) }
    }
}
