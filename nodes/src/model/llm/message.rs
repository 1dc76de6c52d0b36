//! The messages of a question.

use liteagent_engine::{
    capability::{
        Turn,
        model::{Message, Part},
    },
    node::prelude::*,
};

use schemars::SchemaGenerator;
use serde::{
    Deserializer,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use crate::{io::file_value, passages::numbered};

mod given;

/// How many turns are read at most where tokens bound them.
const MOST_TURNS: usize = 1000;
/// The bytes that a token has on average in English.
const BYTES_A_TOKEN: u64 = 4;

/// What is said: messages as an author writes them, or a template that gives a list.
#[derive(Debug)]
pub enum Messages {
    /// As an author writes them.
    Written(Vec<MessageConfig>),
    /// Computed.
    Given(Template<Value>),
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Messages;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of messages, or a template that gives one")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Messages, E> {
                let template = Template::parse(text).map_err(|findings| match findings.into_iter().next() {
                    Some(finding) => E::custom(finding.message),
                    None => E::custom("the template cannot be compiled"),
                })?;
                Ok(Messages::Given(template))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Messages, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Messages::Written)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Messages {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Messages".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let message = generator.subschema_for::<MessageConfig>();
        schemars::json_schema!({
            "type": "array",
            "items": message,
            "minItems": 1,
            "x-liteagent-template": "text",
        })
    }
}

impl Messages {
    /// Checks what types cannot.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Written(messages) => check(messages),
            Self::Given(_) => Ok(()),
        }
    }

    /// The messages with what their templates give, and with what was said before.
    pub(super) async fn render(&self, ctx: &NodeCtx, models: &[String]) -> Result<Vec<Message>, NodeError> {
        match self {
            Self::Written(messages) => render(messages, ctx, models).await,
            Self::Given(template) => given::render(&ctx.render(template)?, ctx, models).await,
        }
    }
}

/// A message: exactly one of its keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageConfig {
    /// What the model is told to be, and how to answer.
    #[schemars(extend("x-liteagent-file" = "text"))]
    pub system: Option<Template<String>>,
    /// What the person says: a text, or a list of parts.
    #[schemars(extend("x-liteagent-file" = "text"))]
    pub user: Option<UserConfig>,
    /// What the model said: an example of an answer.
    #[schemars(extend("x-liteagent-file" = "text"))]
    pub assistant: Option<Template<String>>,
    /// What was said before in the conversation. Nothing outside of a conversation.
    pub history: Option<HistoryConfig>,
}

/// What a person says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UserConfig {
    /// A text.
    Text(Template<String>),
    /// Texts, images and files, in order.
    Parts(Vec<PartConfig>),
}

/// A part of what a person says: exactly one of its keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartConfig {
    /// A text.
    pub text: Option<Template<String>>,
    /// A file value that is an image, or a list of them.
    pub image: Option<Template<Value>>,
    /// A file value such as a PDF, or a list of them.
    pub file: Option<Template<Value>>,
}

/// How much of what was said before is passed on: exactly one of its keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    /// At most this many messages, of the person and of the workflow together.
    #[schemars(range(min = 1, max = 1000))]
    pub last: Option<u32>,
    /// As many whole turns as fit into this many tokens, newest first; a token is counted as four bytes.
    #[schemars(range(min = 1))]
    pub tokens: Option<u64>,
}

/// Checks what types cannot.
fn check(messages: &[MessageConfig]) -> Result<(), ConfigError> {
    if messages.is_empty() {
        return Err(ConfigError::new(codes::MESSAGE_FORM, "/messages", "expected at least one message, found none")
            .hint("add one such as `- user: \"{{ inputs.question }}\"`"));
    }
    for (index, message) in messages.iter().enumerate() {
        let place = format!("/messages/{index}");
        let MessageConfig { system, user, assistant, history } = message;
        let given = [system.is_some(), user.is_some(), assistant.is_some(), history.is_some()];
        one_of(&given, "`system`, `user`, `assistant` or `history`", &place)?;
        if let Some(HistoryConfig { last, tokens }) = history {
            one_of(&[last.is_some(), tokens.is_some()], "`last` or `tokens`", &format!("{place}/history"))?;
        }
        let Some(UserConfig::Parts(parts)) = user else { continue };
        for (index, PartConfig { text, image, file }) in parts.iter().enumerate() {
            let given = [text.is_some(), image.is_some(), file.is_some()];
            one_of(&given, "`text`, `image` or `file`", &format!("{place}/user/{index}"))?;
        }
    }
    Ok(())
}

fn one_of(given: &[bool], names: &str, place: &str) -> Result<(), ConfigError> {
    let count = given.iter().filter(|given| **given).count();
    if count == 1 {
        return Ok(());
    }
    let found = if count == 0 { "none" } else { "several" };
    Err(ConfigError::new(codes::MESSAGE_FORM, place, format!("expected exactly one of {names}, found {found}"))
        .hint("give each its own entry of the list"))
}

/// The messages with what their templates give, and with what was said before.
async fn render(configs: &[MessageConfig], ctx: &NodeCtx, models: &[String]) -> Result<Vec<Message>, NodeError> {
    let mut messages = Vec::with_capacity(configs.len());
    for config in configs {
        let MessageConfig { system, user, assistant, history } = config;
        if let Some(text) = system {
            messages.push(Message::System { text: ctx.render(text)? });
        }
        if let Some(content) = user {
            messages.push(Message::User { parts: parts(content, ctx, models).await? });
        }
        if let Some(text) = assistant {
            messages.push(Message::Assistant { text: ctx.render(text)?, calls: Vec::new(), opaque: None });
        }
        if let Some(history) = history {
            messages.extend(said_before(history, ctx).await?);
        }
    }
    Ok(messages)
}

async fn parts(content: &UserConfig, ctx: &NodeCtx, models: &[String]) -> Result<Vec<Part>, NodeError> {
    let configs = match content {
        UserConfig::Text(text) => return Ok(vec![Part::Text { text: ctx.render(text)? }]),
        UserConfig::Parts(configs) => configs,
    };
    let mut parts = Vec::new();
    for PartConfig { text, image, file } in configs {
        if let Some(text) = text {
            parts.push(Part::Text { text: ctx.render(text)? });
        }
        for (files, is_image) in [(image, true), (file, false)] {
            let Some(files) = files else { continue };
            let files = ctx.render(files)?;
            for value in files.as_list().unwrap_or(std::slice::from_ref(&files)) {
                let (file, content) = file_value::open(ctx, value, if is_image { "image" } else { "file" }).await?;
                if !is_image {
                    parts.push(Part::File { name: file.name, mime: file.mime, content });
                    continue;
                }
                if !file.mime.starts_with("image/") {
                    let message =
                        format!("expected an image in `image`, found `{}` of the type `{}`", file.name, file.mime);
                    return Err(NodeError::new(codes::MODEL_CONTEXT, ErrorClass::Invalid, message)
                        .hint("give other files to `file`"));
                }
                parts.push(Part::Image { mime: file.mime, content });
            }
        }
    }
    if parts.iter().any(|part| matches!(part, Part::Image { .. })) {
        sees(ctx, models)?;
    }
    Ok(parts)
}

/// Refuses images where no model of the list can see.
fn sees(ctx: &NodeCtx, models: &[String]) -> Result<(), NodeError> {
    let mut blind = None;
    for name in models {
        let model = ctx.models()?.describe(name)?;
        if model.images {
            return Ok(());
        }
        blind = Some(model.name);
    }
    let message = format!("expected a model that reads images, found `{}`", blind.unwrap_or_default());
    Err(NodeError::new(codes::MODEL_CONTEXT, ErrorClass::Invalid, message).hint("choose another `model`"))
}

async fn said_before(history: &HistoryConfig, ctx: &NodeCtx) -> Result<Vec<Message>, NodeError> {
    let most = history.last.map_or(MOST_TURNS, |last| last as usize);
    let turns = ctx.history()?.before(ctx.run, most).await?;
    let turns = match history.tokens {
        Some(tokens) => fitting(&turns, tokens),
        None => &turns,
    };
    let mut messages: Vec<_> = turns.iter().flat_map(spoken).collect();
    messages.drain(..messages.len().saturating_sub(most));
    // Some providers refuse a conversation that begins with an answer.
    if matches!(messages.first(), Some(Message::Assistant { .. })) {
        messages.remove(0);
    }
    Ok(messages)
}

/// The newest turns that fit together.
fn fitting(turns: &[Turn], tokens: u64) -> &[Turn] {
    let mut left = tokens * BYTES_A_TOKEN;
    for (index, turn) in turns.iter().enumerate().rev() {
        match left.checked_sub((turn.message.len() + turn.answer.len()) as u64) {
            Some(rest) => left = rest,
            None => return &turns[index + 1..],
        }
    }
    turns
}

fn spoken(turn: &Turn) -> Vec<Message> {
    let names: Vec<_> = turn.files.iter().filter_map(|file| file.get("name")?.as_str()).collect();
    let files = if names.is_empty() { String::new() } else { format!("\n[files: {}]", names.join(", ")) };
    let text = format!("{}{files}", turn.message);
    let mut messages = vec![Message::User { parts: vec![Part::Text { text }] }];
    if !turn.answer.is_empty() {
        messages.push(Message::Assistant { text: turn.answer.clone(), calls: Vec::new(), opaque: None });
    }
    messages
}

/// Puts numbered passages before the last thing that the user says.
pub(super) fn add_passages(messages: &mut [Message], passages: &[Value]) {
    if passages.is_empty() {
        return;
    }
    if let Some(Message::User { parts }) =
        messages.iter_mut().rev().find(|message| matches!(message, Message::User { .. }))
    {
        parts.insert(0, Part::Text { text: format!("{}\n\n", numbered(passages)) });
    }
}
