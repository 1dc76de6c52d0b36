//! One question to a model and its whole answer, checked, and asked again once where it does not fit.

use futures::StreamExt;
use liteagent_engine::{
    capability::model::{ChatEnd, ChatEvent, ChatRequest, Finish, Message, Models, Part, ToolCall},
    node::prelude::*,
};

use super::structured::{self, Returns};

/// What is asked.
pub(super) struct Question<'a> {
    /// The request, without a schema.
    pub(super) request: ChatRequest,
    /// What the answer has to give.
    pub(super) returns: Option<&'a Returns>,
    /// Whether people see the text as it comes.
    pub(super) live: bool,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The text.
    pub(super) text: String,
    /// What the model thought.
    pub(super) reasoning: String,
    /// The declared members; `null` where none are declared.
    pub(super) data: Value,
    /// The tools that it wants to call.
    pub(super) calls: Vec<ToolCall>,
    /// How it ended.
    pub(super) end: ChatEnd,
}

/// Asks, and once more when the answer does not fit what is declared.
pub(super) async fn ask(ctx: &NodeCtx, question: Question<'_>) -> Result<Answer, NodeError> {
    let models = ctx.models()?;
    let Question { mut request, returns, live } = question;
    request.run = Some(ctx.run);
    request.node = ctx.path.to_string();
    request.idempotency_key = Some(format!("{}-{}", ctx.idempotency_key(), ctx.attempt));
    let Some(returns) = returns else { return hear(ctx, models, request, live).await };

    request.schema = Some(structured::schema(returns).into());
    let mut first = hear(ctx, models, request.clone(), false).await?;
    if !first.calls.is_empty() {
        return Ok(first);
    }
    let wrong = match structured::read(returns, &first.text) {
        Ok(data) => {
            first.data = data;
            return Ok(first);
        }
        Err(_) if first.end.finish == Finish::Length => return Err(cut_short(&request)),
        Err(wrong) => wrong,
    };
    let repair = format!("That does not fit: {wrong}. Reply with the corrected JSON object only.");
    request.messages.push(Message::Assistant { text: first.text, calls: Vec::new(), opaque: first.end.opaque });
    request.messages.push(Message::User { parts: vec![Part::Text { text: repair }] });
    request.idempotency_key = request.idempotency_key.map(|key| key + "-repair");
    let mut second = hear(ctx, models, request.clone(), false).await?;
    second.end.usage += first.end.usage;
    match structured::read(returns, &second.text) {
        Ok(data) => Ok(Answer { data, ..second }),
        Err(_) if second.end.finish == Finish::Length => Err(cut_short(&request)),
        Err(wrong) => {
            let message =
                format!("expected what `returns` declares, found an answer of `{}` of which {wrong}", second.end.model);
            Err(NodeError::new(codes::MODEL_ANSWER, ErrorClass::Invalid, message)
                .hint("describe the members in `returns`, or take a larger model"))
        }
    }
}

fn cut_short(request: &ChatRequest) -> NodeError {
    let most =
        request.sampling.max_tokens.map_or_else(|| "the most that its model gives".into(), |most| format!("{most}"));
    let message = format!("expected a whole JSON object, found an answer that was cut off after {most} tokens");
    NodeError::new(codes::MODEL_ANSWER, ErrorClass::LimitExceeded, message).hint("raise `max_tokens`, or ask for less")
}

/// The whole answer to one request.
async fn hear(ctx: &NodeCtx, models: &dyn Models, request: ChatRequest, live: bool) -> Result<Answer, NodeError> {
    let mut stream = models.chat(request).await?;
    let (mut text, mut reasoning, mut calls) = (String::new(), String::new(), Vec::new());
    while let Some(event) = stream.next().await {
        match event? {
            ChatEvent::Text(piece) => {
                if live && !piece.is_empty() {
                    ctx.emit(&piece);
                }
                text.push_str(&piece);
            }
            ChatEvent::Reasoning(piece) => reasoning.push_str(&piece),
            ChatEvent::Call(call) => calls.push(call),
            ChatEvent::Spent { model, usage } => ctx.spend(&model, usage),
            ChatEvent::End(mut end) => {
                end.usage.calls = end.usage.calls.max(1);
                ctx.spend(&end.model, end.usage);
                return Ok(Answer { text, reasoning, data: Value::Null, calls, end });
            }
        }
    }
    Err(NodeError::new(
        codes::MODEL_ANSWER,
        ErrorClass::Unavailable,
        "the answer of the model broke off before its end",
    ))
}
