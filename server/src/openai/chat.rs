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
    Content, Failed, Refusal,
    answer::{Answering, Came, Question, failed},
};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::Json,
    metrics::OpenStream,
    problem::Problem,
    routes::Routes,
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
    /// The conversation, oldest first. The last message is the user's.
    messages: Vec<Message>,
    /// Whether the answer comes piece by piece.
    #[serde(default)]
    stream: bool,
    /// What a stream has besides.
    #[serde(default)]
    stream_options: StreamOptions,
    /// How many answers: 1.
    n: Option<u32>,
    /// Tools of the caller: a workflow has its own, so there must be none.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    tools: Vec<serde_json::Value>,
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

/// A message.
#[derive(Deserialize, ToSchema)]
struct Message {
    /// `system`, `developer`, `user` or `assistant`.
    role: String,
    /// What it says.
    content: Option<Content>,
}

impl ChatBody {
    fn question(self) -> Result<Question, Problem> {
        let invalid = |detail: &str| Problem::invalid(codes::REQUEST_BODY, detail);
        if !self.tools.is_empty() {
            return Err(invalid("`tools` is not empty").hint("declare the tools in the workflow: it calls them itself"));
        }
        if self.n.is_some_and(|n| n != 1) {
            return Err(invalid("`n` is not 1").hint("ask again for another answer"));
        }
        let mut messages = Vec::new();
        for message in self.messages {
            let content = message.content.map_or(Ok(String::new()), Content::text)?;
            messages.push((message.role, content));
        }
        let message = match messages.pop() {
            Some((role, content)) if role == "user" => content,
            _ => {
                return Err(
                    invalid("the last of `messages` is not the user's").hint("end `messages` with `role: user`")
                );
            }
        };
        let before = messages.into_iter().map(|(role, content)| value!({ "role": role, "content": content })).collect();
        Ok(Question { model: self.model, message, before, user: self.user })
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

/// What a reply has besides its text.
#[derive(Clone)]
struct Frame {
    id: String,
    created: i64,
    model: String,
}

impl Frame {
    fn new(app: &App, run: RunId, model: &str) -> Self {
        Self { id: run.to_string(), created: app.clock.now() / 1_000, model: model.to_owned() }
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

    /// A piece of a stream.
    fn chunk(&self, delta: Value, finish: Option<&str>) -> Value {
        let choice = value!({ "index": 0, "delta": delta, "finish_reason": finish });
        self.reply("chat.completion.chunk", choice, None)
    }
}

/// Asks a workflow, with the conversation so far
///
/// The reply is that of OpenAI's API; `id` is the id of the run.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = ChatBody,
    responses((status = 200, description = "The answer", content((serde_json::Value = "application/json"), (String = "text/event-stream")))))]
async fn chat(State(app): State<Arc<App>>, caller: Caller, Json(body): Json<ChatBody>) -> Result<Response, Refusal> {
    let (model, is_stream, with_usage) = (body.model.clone(), body.stream, body.stream_options.include_usage);
    let answering = Answering::begin(&app, &caller, body.question()?).await?;
    let frame = Frame::new(&app, answering.run, &model);
    if is_stream {
        let _open = OpenStream::begin(&app.metrics);
        let pieces = Pieces { frame, with_usage, said: String::new(), then: Then::Begin(answering), _open };
        return Ok(sse(pieces.events()));
    }
    let run = answering.run;
    let (text, end) = answering.whole().await?;
    if let Some(problem) = failed(run, &end) {
        return Err(problem.into());
    }
    let message = value!({ "role": "assistant", "content": text });
    let choice = value!({ "index": 0, "message": message, "finish_reason": "stop" });
    Ok(Json(frame.reply("chat.completion", choice, Some(&Tokens::of(&end)))).into_response())
}

fn sse(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let headers = [(HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Sse::new(events).keep_alive(KeepAlive::default())).into_response()
}

/// The pieces of a stream.
struct Pieces {
    frame: Frame,
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
                self.then = Then::Go(answering);
                self.frame.chunk(value!({ "role": "assistant", "content": "" }), None)
            }
            Then::Go(answering) => return Some(self.go(answering).await),
            Then::Usage(usage) => {
                self.then = Then::Done;
                self.frame.reply("chat.completion.chunk", Value::Null, Some(&usage))
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
                        let chunk = self.frame.chunk(value!({ "content": piece }), None);
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
        json(&self.frame.chunk(Value::object(), Some("stop")))
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
    /// Whether the answer comes piece by piece: not here.
    #[serde(default)]
    stream: bool,
    /// Whom it is for, as templates see it in `sys.user.name`.
    user: Option<String>,
}

/// Asks a workflow without a conversation
#[utoipa::path(post, path = "/v1/completions", tag = "openai", request_body = CompleteBody,
    responses((status = 200, body = serde_json::Value)))]
async fn complete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<CompleteBody>,
) -> Result<Json<Value>, Refusal> {
    if body.stream {
        return Err(Problem::invalid(codes::REQUEST_BODY, "`stream` is true")
            .hint("use POST /v1/chat/completions for streams")
            .into());
    }
    let question = Question { model: body.model.clone(), message: body.prompt, before: Vec::new(), user: body.user };
    let answering = Answering::begin(&app, &caller, question).await?;
    let (run, frame) = (answering.run, Frame::new(&app, answering.run, &body.model));
    let (text, end) = answering.whole().await?;
    if let Some(problem) = failed(run, &end) {
        return Err(problem.into());
    }
    let choice = value!({ "index": 0, "text": text, "logprobs": null, "finish_reason": "stop" });
    Ok(Json(frame.reply("text_completion", choice, Some(&Tokens::of(&end)))))
}
