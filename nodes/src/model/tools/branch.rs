//! The nodes that run for a call of a tool: `ask` and `approval` where someone must agree, and `call`.

use liteagent_engine::definition::NodeMap;
use serde_json::{Map, Value as Json, json};

use super::{Approval, AskApproval, ToolDef};

/// The nodes of a call.
pub(super) fn nodes(name: &str, def: &ToolDef) -> NodeMap {
    let mut nodes = Map::new();
    let mut call = call(def);
    if let Some(Approval::Ask(ask)) = &def.approval {
        let mut approval = approval(name, ask);
        if let Some(when) = &ask.when {
            nodes.insert("ask".to_owned(), json!({ "type": "if-else", "cases": { "yes": when } }));
            approval["needs"] = json!(["ask.yes"]);
            call["needs"] = json!([{ "any": ["ask.else", "approval.approve"] }]);
        } else {
            call["needs"] = json!(["approval.approve"]);
        }
        nodes.insert("approval".to_owned(), approval);
    }
    nodes.insert("call".to_owned(), call);
    serde_json::from_value(nodes.into()).expect("each has a type")
}

/// The fields of the tool itself; `call` and `_operation` are what the engine gives a frame of a call.
fn call(def: &ToolDef) -> Json {
    let mut node = json!(def);
    if let Some(fields) = node.as_object_mut() {
        for key in ["approval", "description"] {
            fields.remove(key);
        }
    }
    node["type"] = "tool".into();
    node["arguments"] = "{{ call }}".into();
    if def.openapi.is_some() || def.mcp.is_some() {
        node["operation"] = "{{ _operation }}".into();
    }
    node
}

fn approval(name: &str, ask: &AskApproval) -> Json {
    let mut node = json!({
        "type": "human-input",
        "message": format!("May `{name}` be called with {{{{ call | tojson }}}}?"),
        "form": { "note": { "type": "string", "optional": true, "description": "Why, for the model." } },
        "actions": { "approve": "Approve", "reject": "Reject" },
        // Whatever the message says: what is agreed to is seen.
        "call": { "tool": name, "arguments": "{{ call }}" },
    });
    if let Some(message) = &ask.message {
        node["message"] = json!(message);
    }
    if let Some(to) = &ask.to {
        node["to"] = json!(to);
    }
    if let Some(timeout) = &ask.timeout {
        node["timeout"] = json!(timeout);
    }
    node
}
