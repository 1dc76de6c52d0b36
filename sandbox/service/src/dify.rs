//! The dialect of Dify's sandbox: whole programs, whose output counts.
//!
//! Every answer is an envelope `{code, message, data}`; zero is success. A program that fails is a success whose `error`
//! is not empty, as a process that exits with another code than zero would be.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use liteagent_sandbox_protocol::{Failure, Fault, Kind, Language, Limit, Mode, Package, Reply, Request};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::{body, problem::to_json, service::Service};

const BAD_REQUEST: i32 = -400;
const FAILED: i32 = -500;
const BUSY: i32 = -503;

/// The exit code of a process that was killed.
const KILLED: i32 = -1;

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/run", post(run))
        .route("/dependencies", get(dependencies))
        .route("/dependencies/refresh", get(dependencies))
        .route("/dependencies/update", post(update))
}

/// What Dify sends. `preload` and `enable_network` are taken and mean nothing: nothing is loaded before the program, and
/// there is no network. So is whatever other versions send.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    language: String,
    #[serde(default)]
    code: String,
}

/// What became of a program.
#[derive(Debug, Serialize)]
struct Output {
    stdout: String,
    stderr: String,
    error: String,
    exit_code: i32,
}

async fn run(State(service): State<Arc<Service>>, headers: HeaderMap, body: Body) -> Response {
    let body = match body::read(body, service.most_body()).await {
        Ok(body) => body,
        Err(problem) => return refuse(problem.status(), BAD_REQUEST, problem.detail()),
    };
    let is_form = is_form(&headers);
    let asked = match body::work(body.len(), move || Asked::read(&body, is_form)).await {
        Ok(asked) => asked,
        Err(why) => return refuse(StatusCode::OK, BAD_REQUEST, &why),
    };
    if asked.language.is_empty() || asked.code.is_empty() {
        let field = if asked.language.is_empty() { "language" } else { "code" };
        return refuse(StatusCode::OK, BAD_REQUEST, &format!("the field `{field}` is required"));
    }
    let Ok(language) = asked.language.parse::<Language>() else { return unsupported() };
    answer(service.run(Request::new(language, asked.code).with_mode(Mode::Script)).await)
}

/// The packages of Python. They are part of the interpreter, so reading them anew gives the same.
async fn dependencies(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::from_form(query.unwrap_or_default().as_bytes());
    if let Err(refused) = python(&asked.language) {
        return *refused;
    }
    #[derive(Serialize)]
    struct Dependencies<'a> {
        dependencies: &'a [Package],
    }
    succeed(&Dependencies { dependencies: service.packages() })
}

/// There is nothing to install: the packages are part of the interpreter.
async fn update(State(service): State<Arc<Service>>, headers: HeaderMap, body: Body) -> Response {
    let body = match body::read(body, service.most_body()).await {
        Ok(body) => body,
        Err(problem) => return refuse(problem.status(), BAD_REQUEST, problem.detail()),
    };
    match Asked::read(&body, is_form(&headers)) {
        Ok(asked) => match python(&asked.language) {
            Ok(()) => succeed(&Map::new()),
            Err(refused) => *refused,
        },
        Err(why) => refuse(StatusCode::OK, BAD_REQUEST, &why),
    }
}

fn python(language: &str) -> Result<(), Box<Response>> {
    match language.parse() {
        Ok(Language::Python) => Ok(()),
        Err(_) if language.is_empty() => {
            Err(Box::new(refuse(StatusCode::OK, BAD_REQUEST, "the field `language` is required")))
        }
        Ok(_) | Err(_) => Err(Box::new(unsupported())),
    }
}

impl Asked {
    fn read(body: &[u8], is_form: bool) -> Result<Self, String> {
        if is_form {
            return Ok(Self::from_form(body));
        }
        serde_json::from_slice(body).map_err(|error| format!("the body is no request: {error}"))
    }

    fn from_form(form: &[u8]) -> Self {
        let mut asked = Self { language: String::new(), code: String::new() };
        for (name, value) in form_urlencoded::parse(form) {
            match &*name {
                "language" => asked.language = value.into_owned(),
                "code" => asked.code = value.into_owned(),
                _ => {}
            }
        }
        asked
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.starts_with(b"application/x-www-form-urlencoded")
}

fn answer(reply: Reply) -> Response {
    let failure = match reply {
        Ok(success) => {
            let (stdout, stderr) = (success.stdout, success.stderr);
            return succeed(&Output { stdout, stderr, error: String::new(), exit_code: 0 });
        }
        Err(failure) => failure,
    };
    match (failure.error.kind, failure.error.limit) {
        (Kind::Busy, _) => refuse(StatusCode::SERVICE_UNAVAILABLE, BUSY, "Too many requests"),
        (Kind::Sandbox, _) => refuse(StatusCode::OK, FAILED, &failure.error.message),
        (Kind::Request, _) | (_, Some(Limit::Input)) => refuse(StatusCode::OK, BAD_REQUEST, &failure.error.message),
        _ => succeed(&exited(*failure)),
    }
}

/// A failure as the process that it would have been.
fn exited(failure: Failure) -> Output {
    let Failure { error, stdout, mut stderr, .. } = failure;
    let (exit_code, detail) = match error.kind {
        Kind::Limit => {
            let is_time = matches!(error.limit, Some(Limit::Wall | Limit::Cpu));
            (KILLED, if is_time { "error: timeout\n".to_owned() } else { format!("error: {}\n", error.message) })
        }
        Kind::Refused => (KILLED, format!("error: operation not permitted\n{}\n", error.message)),
        Kind::Exited => {
            let code = error.exit_code.unwrap_or(KILLED);
            let is_told = error.message.starts_with(&format!("the code ended with sys.exit({code})"));
            (code, if code == 0 || is_told { String::new() } else { format!("{}\n", error.message) })
        }
        _ => {
            end_line(&mut stderr);
            stderr.push_str(error.traceback.as_deref().unwrap_or(&error.message));
            end_line(&mut stderr);
            (1, String::new())
        }
    };
    let error = if exit_code == 0 { String::new() } else { told(exit_code, &detail, &stderr, &error) };
    Output { stdout, stderr, error, exit_code }
}

fn told(exit_code: i32, detail: &str, stderr: &str, error: &Fault) -> String {
    let mut text = format!("process exited with code {exit_code}");
    let hint = error.hint.as_deref().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    for part in [detail, stderr, &hint] {
        if !part.is_empty() {
            end_line(&mut text);
            text.push_str(part);
        }
    }
    text
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

fn unsupported() -> Response {
    refuse(StatusCode::BAD_REQUEST, BAD_REQUEST, "unsupported language")
}

fn succeed(data: &impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        code: i32,
        message: &'a str,
        data: &'a T,
    }
    respond(StatusCode::OK, to_json(&Envelope { code: 0, message: "success", data }))
}

fn refuse(status: StatusCode, code: i32, message: &str) -> Response {
    respond(status, to_json(&json!({ "code": code, "message": message, "data": Value::Null })))
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))], body)
        .into_response()
}
