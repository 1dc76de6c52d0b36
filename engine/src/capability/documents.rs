//! Files as text: what a reader of documents gives.

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;

/// Reads the text of files. Files come from anywhere: whoever implements it makes sure that none can harm the process.
#[async_trait]
pub trait Documents: Send + Sync {
    /// The text of a file with its structure.
    ///
    /// # Errors
    /// LA2651 when the file is broken, LA2652 when it is encrypted, LA2653 when nobody here reads its format or it is not
    /// what its name says, LA2654 when reading it takes more than is allowed, LA2655 when it holds no text, LA2656 when
    /// the reader cannot be used. The message names the file, and the page where one is to blame.
    async fn read(&self, file: FileToRead) -> Result<DocumentText, NodeError>;
}

/// A file.
#[derive(Clone, Debug)]
pub struct FileToRead {
    /// Its name; the ending says what it should be.
    pub name: String,
    /// Its content.
    pub content: Bytes,
}

/// The text of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentText {
    /// The text. Tables are Markdown; headings and lists too, where the format has them.
    pub text: String,
    /// The title that the file gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The format that it was read as: `pdf`, `html`, `markdown`, `text` and so on.
    pub format: String,
    /// The headings, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<Heading>,
    /// Where each page, slide or sheet begins, in characters of `text`, in order; empty where the format has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<u64>,
    /// What could not be read although the rest could, such as a page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A heading of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heading {
    /// Where its line begins, in characters of the text.
    pub start: u64,
    /// Its depth, from 1.
    pub level: u8,
    /// Its text, without marks.
    pub text: String,
}
