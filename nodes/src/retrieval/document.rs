//! Documents as authors give them.

use liteagent_engine::{capability::documents::Heading, node::prelude::*, value::Object};
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

/// A document that is to be found.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenDocument {
    /// Unique in its knowledge base: a path or a URL.
    pub(super) id: String,
    /// The text.
    #[serde(default)]
    pub(super) text: String,
    /// What people call it; its first heading or its id when missing.
    #[serde(default)]
    pub(super) title: Option<String>,
    /// Where it can be read.
    #[serde(default)]
    pub(super) url: Option<String>,
    /// Changes when the document does; a hash of `text` when missing.
    #[serde(default)]
    pub(super) hash: Option<String>,
    /// What filters see: texts, numbers, booleans, and lists of texts.
    #[serde(default)]
    pub(super) metadata: Option<Object>,
    /// Its headings, as `document-extractor` gives them.
    #[serde(default)]
    pub(super) headings: Option<Vec<Heading>>,
    /// Where its pages begin, which `chunk` reads.
    #[serde(default, rename = "pages")]
    _pages: IgnoredAny,
}

impl GivenDocument {
    pub(super) fn read(value: &Value, field: &str) -> Result<Self, NodeError> {
        value.to_typed().map_err(|error| misfit(value, field, &error))
    }

    /// What changes when it does.
    pub(super) fn hash(&self) -> String {
        self.hash.clone().unwrap_or_else(|| format!("{:x}", Sha256::digest(&self.text)))
    }

    pub(super) fn title(&self) -> String {
        let given = self.title.clone().filter(|title| !title.trim().is_empty());
        let first = || Some(self.headings.as_ref()?.first()?.text.clone());
        given.or_else(first).unwrap_or_else(|| self.id.clone())
    }
}

fn misfit(value: &Value, field: &str, error: &serde_json::Error) -> NodeError {
    let message = format!("expected a document in `{field}`, found {}: {error}", value.kind());
    NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message)
        .hint("write `{ id: \"{{ item.path }}\", text: \"{{ text.text }}\", hash: \"{{ item.sha256 }}\" }`")
}
