//! Language models as nodes see them. Providers implement [`Models`]; nothing here knows a wire format.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EstimatedTokens, Tokenizer};
pub use crate::usage::Usage;
use crate::{error::NodeError, id::RunId, value::Value};

/// Chat and embedding models by name.
#[async_trait]
pub trait Models: Send + Sync {
    /// What is known of a model before it is called. `name` is `provider/model`, or an alias such as `default`. Calls
    /// nobody.
    ///
    /// # Errors
    /// When no such provider is configured, or nothing can stand for the alias.
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError>;

    /// Asks a chat model, waiting where its limits say so. Returns when the answer begins; dropping the stream ends the
    /// call. After the first event no other model is tried.
    ///
    /// # Errors
    /// When every model of the request failed: the error of the last one.
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, NodeError>;

    /// Turns texts into vectors, all of the same length, in the order of the texts.
    ///
    /// # Errors
    /// When the model cannot be called, or refuses a text.
    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, NodeError>;

    /// The tokens of an embedding model; estimated where they are not known here.
    ///
    /// # Errors
    /// As of [`Self::describe`].
    fn tokenizer(&self, name: &str) -> Result<Arc<dyn Tokenizer>, NodeError> {
        let _ = name;
        Ok(Arc::new(EstimatedTokens))
    }

    /// The models that are known by name; others may work too. Calls nobody.
    fn list(&self) -> Vec<ModelInfo> {
        Vec::new()
    }
}

/// What is known of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// `provider/model`, never an alias.
    pub name: String,
    /// Whether it chats; else it embeds.
    pub chats: bool,
    /// How it calls tools.
    pub tools: ToolUse,
    /// Whether the provider itself holds the answer to a JSON Schema.
    pub structured: bool,
    /// Whether it reads images.
    pub images: bool,
    /// The most tokens of a question and its answer together, where known.
    pub context: Option<u64>,
}

/// How a model calls tools. What stands further below can do more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolUse {
    /// Not at all.
    No,
    /// In words: it is told how to write a call, and what it writes is read.
    InWords,
    /// As its provider offers it.
    Native,
}

/// A question to a chat model.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// `provider/model` or an alias; the next is tried when one cannot answer.
    pub models: Vec<String>,
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<ToolSpec>,
    /// Whether it must call, or must not.
    pub tool_choice: ToolChoice,
    /// The JSON Schema that the answer has to fit; the text of the answer is then JSON. A model that cannot be held to it
    /// is asked for it in words by whoever implements [`Models`]. Keywords that the provider does not know are left out
    /// of its request: the caller validates.
    pub schema: Option<Value>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Whose call it is: limits are fair between runs.
    pub run: Option<RunId>,
    /// The path of the node that asks; empty where no node does.
    pub node: String,
    /// The same for every attempt of the same question; sent where a provider knows such keys.
    pub idempotency_key: Option<String>,
    /// Whether an answer to the same question may come from the cache.
    pub cache: bool,
}

/// How tokens are chosen. What is missing is the provider's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token.
    pub temperature: Option<f64>,
    /// Only the likeliest tokens that make up this share.
    pub top_p: Option<f64>,
    /// The most tokens of the answer.
    pub max_tokens: Option<u64>,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// Where the provider knows it: the same seed gives the same answer, mostly.
    pub seed: Option<i64>,
    /// Against words that came already, by how often.
    pub frequency_penalty: Option<f64>,
    /// Against words that came already.
    pub presence_penalty: Option<f64>,
}

/// Whether tools are called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// It calls at least one.
    Required,
    /// It calls none.
    None,
}

/// One message. Journals and conversations keep it in this form, so it only grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// What the model is told to be.
    System {
        /// The text.
        text: String,
    },
    /// What a person says.
    User {
        /// Texts, images and files, in order.
        parts: Vec<Part>,
    },
    /// What the model said.
    Assistant {
        /// The text; empty when it only called tools.
        text: String,
        /// The tools it called.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<ToolCall>,
        /// What its provider wants to see again with the next question, such as signed reasoning: passed on untouched.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opaque: Option<Value>,
    },
    /// What a tool gave.
    Tool {
        /// The id of the call.
        call: String,
        /// The name of the tool.
        name: String,
        /// Its result, as the model reads it.
        text: String,
        /// Whether it failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        failed: bool,
    },
}

/// A part of what a person says. Images and files are resolved to their content when they are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image {
        /// Its type, `image/png`.
        mime: String,
        /// Its content. It is no part of the stored form.
        #[serde(skip)]
        content: Bytes,
    },
    /// A file such as a PDF.
    File {
        /// Its name.
        name: String,
        /// Its type, `application/pdf`.
        mime: String,
        /// Its content. It is no part of the stored form.
        #[serde(skip)]
        content: Bytes,
    },
}

/// What a model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// The name that the model sees: letters, digits, `_`.
    pub name: String,
    /// When to use it.
    pub description: String,
    /// The JSON Schema of its arguments: that of an object.
    pub parameters: Value,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique within the answer.
    pub id: String,
    /// The name of the tool as the model wrote it.
    pub name: String,
    /// The arguments as the model wrote them: the text of JSON, which may be broken.
    pub arguments: String,
}

/// The answer as it comes. It ends with [`ChatEvent::End`], or with an error.
pub type ChatStream = BoxStream<'static, Result<ChatEvent, NodeError>>;

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatEvent {
    /// The next piece of the text.
    Text(String),
    /// The next piece of what the model thinks.
    Reasoning(String),
    /// A whole call of a tool.
    Call(ToolCall),
    /// What was used although the answer breaks off: it comes right before the error. A whole answer says it in its end.
    Spent {
        /// The model that answered, `provider/model`.
        model: String,
        /// What it used.
        usage: Usage,
    },
    /// It is complete.
    End(ChatEnd),
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatEnd {
    /// The model that answered, `provider/model`.
    pub model: String,
    /// Why it stopped.
    pub finish: Finish,
    /// What it used.
    pub usage: Usage,
    /// See [`Message::Assistant`].
    pub opaque: Option<Value>,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It had said everything.
    Stop,
    /// It reached the most tokens.
    Length,
    /// It wants tools to be called.
    Tools,
}

/// Texts to turn into vectors.
#[derive(Clone, Debug, Default)]
pub struct EmbedRequest {
    /// `provider/model` or an alias.
    pub model: String,
    /// The texts.
    pub texts: Vec<String>,
    /// Whether the texts are questions; some models treat them otherwise than passages.
    pub questions: bool,
    /// Whose call it is.
    pub run: Option<RunId>,
    /// The path of the node that asks; empty where no node does.
    pub node: String,
}

/// Vectors of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// The model, `provider/model`.
    pub model: String,
    /// One vector a text, of length 1.
    pub vectors: Vec<Vec<f32>>,
    /// What it used.
    pub usage: Usage,
}
