//! `POST /v1/chat/completions` and `POST /v1/completions`.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::HeaderName,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use liteagent_engine::{codes, engine::RunEnd, id::RunId, value, value::Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{
    Failed, Refusal,
    answer::{Answering, Came, Question, failed},
    messages::{self, Message, Said},
    tools::{Call, Tool, asked_for},
};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::Json,
    metrics::OpenStream,
    problem::Problem,
    routes::Routes,
    runs::events::StreamedEvent,
};

pub(super) fn routes(routes: Routes) -> Routes {
    let access = Access::UserOrKey(Role::Editor);
    routes.add(access, routes!(chat)).add(access, routes!(complete))
}

/// A conversation that shall go on.
#[derive(Deserialize, ToSchema)]
struct ChatBody {
    /// The name of a workflow.
    model: String,
    /// The conversation, oldest first. Its end is the user's, or what came of the calls that the model asked for.
    messages: Vec<Message>,
    /// Whether the answer comes piece by piece.
    #[serde(default)]
    stream: bool,
    /// What a stream has besides.
    #[serde(default)]
    stream_options: StreamOptions,
    /// How many answers: 1.
    n: Option<u32>,
    /// Tools that the caller calls itself, where the workflow gives them to its model.
    #[serde(default)]
    #[schema(max_items = 128)]
    tools: Vec<Tool>,
    /// Whether the model may call them: `auto` or `none`.
    #[serde(default)]
    tool_choice: ToolChoice,
    /// Whom it is for, as templates see it in `sys.user.name`.
    user: Option<String>,
}

/// What a stream has besides.
#[derive(Default, Deserialize, ToSchema)]
struct StreamOptions {
    /// Whether its last piece tells what was used.
    #[serde(default)]
    include_usage: bool,
}

/// Whether the model may call the caller's tools.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ToolChoice {
    /// As it likes.
    #[default]
    Auto,
    /// It may not.
    None,
}

impl ChatBody {
    fn question(self) -> Result<Question, Problem> {
        if self.n.is_some_and(|n| n != 1) {
            return Err(Problem::invalid(codes::REQUEST_BODY, "`n` is not 1").hint("ask again for another answer"));
        }
        let tools = if self.tool_choice == ToolChoice::None { Vec::new() } else { self.tools };
        let Said { before, message, called } = messages::read(self.messages)?;
        Ok(Question { message, before, called, tools, user: self.user, ..Question::to(self.model) })
    }
}

/// Tokens that were used.
#[derive(Serialize, ToSchema)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl Tokens {
    fn of(end: &RunEnd) -> Self {
        let usage = end.usage.total();
        Self { prompt_tokens: usage.input_tokens, completion_tokens: usage.output_tokens, total_tokens: usage.tokens() }
    }
}

/// The two forms of answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Chat,
    Text,
}

/// What a reply has besides its text.
struct Frame {
    form: Form,
    id: String,
    created: i64,
    model: String,
}

impl Frame {
    fn new(app: &App, form: Form, run: RunId, model: &str) -> Self {
        Self { form, id: run.to_string(), created: app.clock.now() / 1_000, model: model.to_owned() }
    }

    fn reply(&self, object: &str, choice: Value, usage: Option<&Tokens>) -> Value {
        let mut members = vec![
            ("id", Value::from(self.id.as_str())),
            ("object", Value::from(object)),
            ("created", Value::from(self.created)),
            ("model", Value::from(self.model.as_str())),
            ("choices", Value::from(if choice.is_null() { vec![] } else { vec![choice] })),
        ];
        if let Some(usage) = usage {
            members.push(("usage", Value::from_serialize(usage).expect("numbers have a JSON form")));
        }
        Value::from_pairs(members)
    }

    /// The whole answer.
    fn whole(&self, text: &str, calls: &[Call], usage: &Tokens) -> Value {
        let finish = finish(calls);
        if self.form == Form::Text {
            let choice = value!({ "index": 0, "text": text, "logprobs": null, "finish_reason": finish });
            return self.reply("text_completion", choice, Some(usage));
        }
        let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
        let mut message = vec![("role", Value::from("assistant")), ("content", content)];
        if !calls.is_empty() {
            message.push(("tool_calls", written(calls)));
        }
        let choice = value!({ "index": 0, "message": Value::from_pairs(message), "finish_reason": finish });
        self.reply("chat.completion", choice, Some(usage))
    }

    /// The first piece of a stream; texts begin with what they say.
    fn begin(&self) -> Option<Value> {
        let delta = value!({ "role": "assistant", "content": "" });
        (self.form == Form::Chat).then(|| self.chunk(delta, None))
    }

    /// A piece of a stream that says this.
    fn says(&self, text: &str) -> Value {
        match self.form {
            Form::Chat => self.chunk(value!({ "content": text }), None),
            Form::Text => self.text_chunk(text, None),
        }
    }

    /// The last piece of a stream with a choice.
    fn ends(&self, calls: &[Call]) -> Value {
        match (self.form, calls) {
            (Form::Text, _) => self.text_chunk("", Some("stop")),
            (Form::Chat, []) => self.chunk(Value::object(), Some("stop")),
            (Form::Chat, calls) => {
                let indexed = |(index, call)| IndexedCall { index, call };
                let all: Vec<_> = calls.iter().enumerate().map(indexed).collect();
                self.chunk(value!({ "tool_calls": written(&all) }), Some(finish(calls)))
            }
        }
    }

    /// The piece that tells what was used.
    fn used(&self, usage: &Tokens) -> Value {
        let object = if self.form == Form::Chat { "chat.completion.chunk" } else { "text_completion" };
        self.reply(object, Value::Null, Some(usage))
    }

    fn chunk(&self, delta: Value, finish: Option<&str>) -> Value {
        let choice = value!({ "index": 0, "delta": delta, "finish_reason": finish });
        self.reply("chat.completion.chunk", choice, None)
    }

    fn text_chunk(&self, text: &str, finish: Option<&str>) -> Value {
        let choice = value!({ "index": 0, "text": text, "logprobs": null, "finish_reason": finish });
        self.reply("text_completion", choice, None)
    }
}

/// A call in a stream.
#[derive(Serialize)]
struct IndexedCall<'c> {
    index: usize,
    #[serde(flatten)]
    call: &'c Call,
}

fn written(calls: &(impl Serialize + ?Sized)) -> Value {
    Value::from_serialize(calls).expect("calls have a JSON form")
}

/// Why an answer ends.
const fn finish(calls: &[Call]) -> &'static str {
    if calls.is_empty() { "stop" } else { "tool_calls" }
}

/// Asks a workflow, with the conversation so far
///
/// The reply is that of OpenAI's API; `id` is the id of the run.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = ChatBody,
    responses((status = 200, description = "The answer", content((serde_json::Value = "application/json"), (StreamedEvent = "text/event-stream")))))]
async fn chat(State(app): State<Arc<App>>, caller: Caller, Json(body): Json<ChatBody>) -> Result<Response, Refusal> {
    let how = How { form: Form::Chat, is_stream: body.stream, with_usage: body.stream_options.include_usage };
    answer(&app, &caller, how, body.question()?).await
}

/// How an answer is given.
struct How {
    form: Form,
    is_stream: bool,
    with_usage: bool,
}

async fn answer(app: &Arc<App>, caller: &Caller, how: How, question: Question) -> Result<Response, Refusal> {
    let (model, tools) = (question.model.clone(), question.tools.clone());
    let answering = Answering::begin(app, caller, question).await?;
    let run = answering.run;
    let frame = Frame::new(app, how.form, run, &model);
    if how.is_stream {
        let (then, open) = (Then::Begin(answering), OpenStream::begin(&app.metrics));
        let pieces = Pieces { frame, tools, with_usage: how.with_usage, said: String::new(), then, _open: open };
        return Ok(sse(pieces.events()));
    }
    let (text, end) = answering.whole().await?;
    if let Some(problem) = failed(run, &end) {
        return Err(problem.into());
    }
    Ok(Json(frame.whole(&text, &asked_for(&end.outputs, &tools), &Tokens::of(&end))).into_response())
}

fn sse(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let headers = [(HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Sse::new(events).keep_alive(KeepAlive::default())).into_response()
}

/// The pieces of a stream.
struct Pieces {
    frame: Frame,
    /// The tools of the caller.
    tools: Vec<Tool>,
    with_usage: bool,
    /// What was sent of the answer.
    said: String,
    then: Then,
    /// For whoever counts.
    _open: OpenStream,
}

/// What comes next.
enum Then {
    Begin(Answering),
    Go(Answering),
    Usage(Tokens),
    Done,
    Nothing,
}

impl Pieces {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
        stream::unfold(self, async |mut pieces| {
            let event = pieces.next().await?;
            Some((Ok(event), pieces))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        let data = match std::mem::replace(&mut self.then, Then::Nothing) {
            Then::Begin(answering) => {
                let Some(first) = self.frame.begin() else { return Some(self.go(answering).await) };
                self.then = Then::Go(answering);
                first
            }
            Then::Go(answering) => return Some(self.go(answering).await),
            Then::Usage(usage) => {
                self.then = Then::Done;
                self.frame.used(&usage)
            }
            Then::Done => return Some(Event::default().data("[DONE]")),
            Then::Nothing => return None,
        };
        Some(json(&data))
    }

    async fn go(&mut self, mut answering: Answering) -> Event {
        loop {
            match answering.next().await {
                Ok(Came::Text(text)) => {
                    // A piece that was sent cannot be taken back here: what holds is awaited, and sent when it goes on.
                    if let Some(piece) = text.strip_prefix(&self.said).filter(|piece| !piece.is_empty()) {
                        let chunk = self.frame.says(piece);
                        self.said = text;
                        self.then = Then::Go(answering);
                        return json(&chunk);
                    }
                }
                Ok(Came::End(_)) if answering.text() != self.said => {
                    let detail =
                        "a part of the answer was sent before its attempt failed, and the next one says something else";
                    let problem = Problem::conflict(codes::RUN_STATE, detail).hint("ask without `stream` to be sure");
                    return json(&Failed::of(&problem.about(answering.run)));
                }
                Ok(Came::End(end)) => return self.end(answering.run, &end),
                Err(problem) => return json(&Failed::of(&problem)),
            }
        }
    }

    fn end(&mut self, run: RunId, end: &RunEnd) -> Event {
        if let Some(problem) = failed(run, end) {
            return json(&Failed::of(&problem));
        }
        self.then = if self.with_usage { Then::Usage(Tokens::of(end)) } else { Then::Done };
        json(&self.frame.ends(&asked_for(&end.outputs, &self.tools)))
    }
}

fn json(data: &impl Serialize) -> Event {
    Event::default().json_data(data).expect("everything that goes out has a JSON form")
}

/// A text that shall be answered.
#[derive(Deserialize, ToSchema)]
struct CompleteBody {
    /// The name of a workflow.
    model: String,
    /// The text.
    prompt: String,
    /// Whether the answer comes piece by piece.
    #[serde(default)]
    stream: bool,
    /// What a stream has besides.
    #[serde(default)]
    stream_options: StreamOptions,
    /// Whom it is for, as templates see it in `sys.user.name`.
    user: Option<String>,
}

/// Asks a workflow without a conversation
#[utoipa::path(post, path = "/v1/completions", tag = "openai", request_body = CompleteBody,
    responses((status = 200, description = "The answer", content((serde_json::Value = "application/json"), (StreamedEvent = "text/event-stream")))))]
async fn complete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<CompleteBody>,
) -> Result<Response, Refusal> {
    let how = How { form: Form::Text, is_stream: body.stream, with_usage: body.stream_options.include_usage };
    let question = Question { message: body.prompt, user: body.user, ..Question::to(body.model) };
    answer(&app, &caller, how, question).await
}
