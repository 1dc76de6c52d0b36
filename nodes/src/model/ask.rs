//! One question to a model and its whole answer, checked, and asked again once where it does not fit.

use futures::StreamExt;
use liteagent_engine::{
    capability::model::{ChatEnd, ChatEvent, ChatRequest, Finish, Message, Models, Part, ToolCall},
    node::prelude::*,
};

use super::{
    react,
    structured::{self, Returns},
};

/// What is asked.
pub(crate) struct Question<'a> {
    /// The request, without a schema.
    pub(crate) request: ChatRequest,
    /// What the answer has to give.
    pub(crate) returns: Option<&'a Returns>,
    /// Whether people see the text as it comes.
    pub(crate) live: bool,
    /// Whether the messages tell of tools in words, and the answer is read accordingly.
    pub(crate) in_words: bool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The text.
    pub(crate) text: String,
    /// What the model thought.
    pub(crate) reasoning: String,
    /// The declared members; `null` where none are declared.
    pub(crate) data: Value,
    /// The tools that it wants to call.
    pub(crate) calls: Vec<ToolCall>,
    /// How it ended.
    pub(crate) end: ChatEnd,
}

impl Answer {
    /// The answer that was written in words. Only what is for the person is seen, when it is known to be that.
    fn read_in_words(mut self, ctx: &NodeCtx, live: bool) -> Self {
        let said = react::read(&self.text);
        if said.calls.is_empty() {
            if live && !said.text.is_empty() {
                ctx.emit(&said.text);
            }
            self.reasoning.push_str(&said.thought);
            return Self { text: said.text, ..self };
        }
        self.end.finish = Finish::Tools;
        Self { text: said.thought, calls: said.calls, ..self }
    }
}

/// Asks, and once more when the answer does not fit what is declared.
pub(crate) async fn ask(ctx: &NodeCtx, question: Question<'_>) -> Result<Answer, NodeError> {
    let models = ctx.models()?;
    let Question { mut request, returns, live, in_words } = question;
    request.run = Some(ctx.run);
    request.node = ctx.path.to_string();
    request.idempotency_key = Some(format!("{}-{}", ctx.idempotency_key(), ctx.attempt));
    let Some(returns) = returns else { return hear(ctx, models, request, live, in_words).await };

    // What is held to a form could not ask for a call in words; its messages tell of the form.
    if !in_words {
        request.schema = Some(structured::schema(returns).into());
    }
    let mut first = hear(ctx, models, request.clone(), false, in_words).await?;
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
    let mut second = hear(ctx, models, request.clone(), false, in_words).await?;
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

/// Adds a sentence to what the model is told to be.
pub(super) fn tell(messages: &mut Vec<Message>, more: &str) {
    match messages.iter_mut().find(|message| matches!(message, Message::System { .. })) {
        Some(Message::System { text }) => {
            text.push_str("\n\n");
            text.push_str(more);
        }
        _ => messages.insert(0, Message::System { text: more.to_owned() }),
    }
}

/// The whole answer to one request.
async fn hear(
    ctx: &NodeCtx,
    models: &dyn Models,
    request: ChatRequest,
    live: bool,
    in_words: bool,
) -> Result<Answer, NodeError> {
    let mut stream = models.chat(request).await?;
    let (mut text, mut reasoning, mut calls) = (String::new(), String::new(), Vec::new());
    while let Some(event) = stream.next().await {
        match event? {
            ChatEvent::Text(piece) => {
                if live && !in_words && !piece.is_empty() {
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
                let answer = Answer { text, reasoning, data: Value::Null, calls, end };
                return Ok(if in_words { answer.read_in_words(ctx, live) } else { answer });
            }
        }
    }
    Err(NodeError::new(
        codes::MODEL_ANSWER,
        ErrorClass::Unavailable,
        "the answer of the model broke off before its end",
    ))
}
