//! A node that asks a model, as far as agents need it, and a model whose answers tests write.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use liteagent_engine::{
    capability::model::{
        ChatEnd, ChatEvent, ChatRequest, ChatStream, EmbedRequest, Embeddings, Finish, Message, ModelInfo, Models,
        Part, ToolCall, ToolSpec, Usage,
    },
    node::prelude::*,
    value,
};
use liteagent_nodes::model::tools::{ToolSet, Tools};

/// Asks a model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmConfig {
    /// The model.
    #[serde(default)]
    pub model: Option<String>,
    /// The conversation so far.
    pub messages: TemplateTree,
    /// What the model may call.
    #[serde(default)]
    pub tools: Tools,
    /// The form of the answer.
    #[serde(default)]
    pub returns: Option<IndexMap<String, Type>>,
    /// 0 takes the likeliest token.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// The most tokens of the answer.
    #[serde(default)]
    pub max_tokens: Option<u64>,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LlmOutput {
    /// The text.
    pub text: String,
    /// The data.
    pub data: Value,
    /// What it used.
    pub usage: Usage,
    /// The passages.
    pub citations: Vec<Value>,
    /// The calls.
    pub calls: Vec<Value>,
    /// The answer as a message.
    #[schemars(with = "Value")]
    pub message: Message,
}

/// See [`LlmConfig`].
pub struct Llm {
    config: LlmConfig,
    tools: ToolSet,
}

impl Node for Llm {
    const TYPE: &'static str = "llm";
    const META: NodeMeta =
        NodeMeta { effect: Effect::AtLeastOnce, inline: false, ..NodeMeta::pure(Family::Model, &[]) };
    type Config = LlmConfig;
    type Output = LlmOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let tools = ToolSet::new(&config.tools, "/tools")?;
        Ok(Self { config, tools })
    }

    fn check(&self) -> Vec<ConfigFinding> {
        self.tools.check("/tools")
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let messages = ctx.render_tree(&self.config.messages)?;
        let request = ChatRequest {
            models: self.config.model.iter().cloned().collect(),
            messages: messages.as_list().unwrap_or_default().iter().map(message).collect(),
            tools: self.tools.specs(ctx).await?,
            ..ChatRequest::default()
        };
        let mut answer = ctx.models()?.chat(request).await?;
        let (mut text, mut calls, mut usage) = (String::new(), Vec::new(), Usage::default());
        while let Some(event) = answer.next().await {
            match event? {
                ChatEvent::Text(piece) => text.push_str(&piece),
                ChatEvent::Reasoning(_) => {}
                ChatEvent::Call(call) => calls.push(call),
                ChatEvent::End(end) => usage = end.usage,
            }
        }
        let data = match &self.config.returns {
            Some(_) if calls.is_empty() => serde_json::from_str(&text).unwrap_or_default(),
            _ => Value::Null,
        };
        let read = |call: &ToolCall| {
            let arguments: Value =
                serde_json::from_str(&call.arguments).unwrap_or_else(|_| call.arguments.as_str().into());
            value!({ "id": call.id.as_str(), "name": call.name.as_str(), "arguments": arguments })
        };
        Ok(Outcome::Done(LlmOutput {
            data,
            usage,
            citations: Vec::new(),
            calls: calls.iter().map(read).collect(),
            message: Message::Assistant { text: text.clone(), calls, opaque: None },
            text,
        }))
    }
}

/// A message as authors write it, or as it is stored.
fn message(value: &Value) -> Message {
    if value.get("role").is_some() {
        return value.to_typed().expect("a stored message");
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("system"), text("user")) {
        (Some(text), _) => Message::System { text },
        (_, Some(text)) => Message::User { parts: vec![Part::Text { text }] },
        _ => panic!("expected a message, found {value}"),
    }
}

/// What a model says to a question.
#[derive(Clone, Debug)]
pub enum Say {
    /// A text.
    Text(&'static str),
    /// Calls of tools: a name and its arguments as JSON.
    Calls(&'static [(&'static str, &'static str)]),
    /// A failure.
    Fails,
}

/// A question to the model.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The conversation.
    pub messages: Vec<Message>,
    /// The tools.
    pub tools: Vec<ToolSpec>,
}

/// Answers from a list, in order, and keeps what it was asked.
#[derive(Debug)]
pub struct Scripted {
    answers: Vec<Say>,
    asked: Mutex<Vec<Asked>>,
}

impl Scripted {
    /// Gives these answers.
    pub fn new(answers: impl Into<Vec<Say>>) -> Self {
        Self { answers: answers.into(), asked: Mutex::default() }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().clone()
    }

    fn state(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Models for Scripted {
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        Ok(ModelInfo {
            name: name.to_owned(),
            chats: true,
            tools: true,
            structured: true,
            images: false,
            context: None,
        })
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, NodeError> {
        let mut asked = self.state();
        let answer = self.answers.get(asked.len()).cloned();
        let round = asked.len();
        asked.push(Asked { messages: request.messages, tools: request.tools });
        let mut events = match answer {
            Some(Say::Text(text)) => vec![ChatEvent::Text(text.to_owned())],
            Some(Say::Calls(calls)) => {
                let call = |(index, (name, arguments)): (usize, &(&str, &str))| ToolCall {
                    id: format!("c{round}-{index}"),
                    name: (*name).to_owned(),
                    arguments: (*arguments).to_owned(),
                };
                calls.iter().enumerate().map(|call_of| ChatEvent::Call(call(call_of))).collect()
            }
            Some(Say::Fails) => {
                return Err(NodeError::new(codes::HTTP_DOWN, ErrorClass::Unavailable, "the model is down"));
            }
            None => return Err(NodeError::internal(format!("the script has no answer {}", round + 1))),
        };
        let usage = Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() };
        events.push(ChatEvent::End(ChatEnd {
            model: "test/scripted".to_owned(),
            finish: Finish::Stop,
            usage,
            opaque: None,
        }));
        Ok(stream::iter(events.into_iter().map(Ok)).boxed())
    }

    async fn embed(&self, _: EmbedRequest) -> Result<Embeddings, NodeError> {
        Err(NodeError::internal("this model does not embed"))
    }
}
