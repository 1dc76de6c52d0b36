//! `/v1`: workflows as models, in the dialect of OpenAI's API, so that its clients work unchanged.
//!
//! The model is the name of a workflow. The last message is what the workflow is asked, and those before it are the
//! conversation so far: the client brings them each time, and nothing is kept between requests. Sampling is the workflow's own:
//! `temperature` and its like are not read.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use liteagent_engine::codes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{extract::Json, problem::Problem, routes::Routes};

mod answer;
pub(crate) use self::answer::failed;

mod chat;
mod embeddings;
mod messages;
mod models;
mod tools;

pub(crate) fn routes(routes: Routes) -> Routes {
    [models::routes, chat::routes, embeddings::routes].into_iter().fold(routes, |routes, more| more(routes))
}

/// Whether a path is of OpenAI's API.
pub(crate) fn is_of(path: &str) -> bool {
    path.starts_with("/v1/")
}

/// A failure, as OpenAI's clients read it.
pub(crate) struct Refusal(Problem);

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// A failure.
#[derive(Serialize, ToSchema)]
pub(crate) struct Failed {
    error: FailedError,
}

/// What a failure says.
#[derive(Serialize, ToSchema)]
struct FailedError {
    /// What was expected and what was found, and what to do.
    message: String,
    /// `invalid_request_error` or `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Always `null`.
    param: Option<String>,
    /// The stable code.
    code: String,
}

impl Failed {
    fn new(status: StatusCode, code: &str, message: String) -> Self {
        let kind = if status.is_client_error() { "invalid_request_error" } else { "server_error" };
        Self { error: FailedError { message, kind, param: None, code: code.to_owned() } }
    }

    fn of(problem: &Problem) -> Self {
        let hint = problem.hinted().map(|hint| format!(" ({hint})")).unwrap_or_default();
        // OpenAI's clients look for this name.
        let code = if problem.code() == codes::NO_WORKFLOW { "model_not_found" } else { problem.code().0 };
        Self::new(problem.status(), code, format!("{}{hint}", problem.said()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let failed = Failed::of(&self.0);
        let mut response = self.0.into_response();
        let (parts, body) = Json(failed).into_response().into_parts();
        response.headers_mut().extend(parts.headers);
        response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
        *response.body_mut() = body;
        response
    }
}
