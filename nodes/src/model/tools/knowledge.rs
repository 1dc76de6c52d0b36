//! Tools that search a knowledge base.

use liteagent_engine::{
    capability::knowledge::{Search, SearchMode},
    node::prelude::*,
    template::is_template,
};
use serde_json::json;

use super::kind::ToolOutput;
use crate::retrieval::search::find;

/// How many passages a model reads.
const TOP_K: usize = 5;

pub(super) fn check(name: &str) -> Result<(), ConfigError> {
    if !name.is_empty() && !is_template(name) {
        return Ok(());
    }
    let message = format!("expected the name of a knowledge base, found `{name}`");
    Err(ConfigError::new(codes::KNOWLEDGE_INVALID, "/knowledge", message)
        .hint("write the name itself, as in `knowledge: handbook`"))
}

pub(super) fn told(name: &str) -> String {
    format!(
        "Searches the knowledge base `{name}` and gives the passages that answer a question best, with their sources."
    )
}

pub(super) fn parameters() -> IndexMap<String, Type> {
    let declared = json!({ "query": {
        "type": "string", "maxLength": 2000, "description": "What to look for: a whole question, or its words.",
    } });
    serde_json::from_value(declared).expect("the types of this tool are well-formed")
}

pub(super) async fn search(ctx: &NodeCtx, name: &str, inputs: &Value) -> Result<ToolOutput, NodeError> {
    let search = Search {
        mode: SearchMode::Hybrid,
        text: inputs.get("query").and_then(Value::as_str).unwrap_or_default().to_owned(),
        vector: None,
        top_k: TOP_K,
        score_threshold: None,
        weights: (0.5, 0.5),
        filter: None,
    };
    let found = find(ctx, &[name.to_owned()], &search).await?;
    let text = if found.documents.is_empty() { "Nothing was found.".to_owned() } else { found.context };
    let documents = Value::from_serialize(&found.documents).map_err(|error| NodeError::internal(error.to_string()))?;
    Ok(ToolOutput { text, data: Value::from_pairs([("documents", documents)]) })
}
