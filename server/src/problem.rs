//! What is said of a request that cannot be served: problem details of RFC 9457, with a code and a hint.

use axum::{
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use liteagent_engine::{
    codes,
    engine::EngineError,
    error::{Code, ErrorClass, NodeError},
    id::RunId,
    queue::QueueError,
    store::StoreError,
    types::Misfit,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::limits::Spent;

/// Why a request was not served (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    #[schema(example = "https://liteagent.dev/errors/LA3002")]
    kind: String,
    /// What the code says, the same for every request.
    title: &'static str,
    /// The HTTP status.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// The stable code.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, example = "LA3002")]
    code: Code,
    /// What was expected and what was found.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Every single finding, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<Finding>,
    /// The run that it is about.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "run_id")]
    #[schema(value_type = Option<String>)]
    run: Option<RunId>,
    #[serde(skip)]
    #[schema(ignore)]
    retry_after: Option<u64>,
    #[serde(skip)]
    #[schema(ignore)]
    spent: Option<Spent>,
}

/// One finding.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Finding {
    /// Its code, where it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    /// `error`, `warning` or `note`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) severity: Option<&'static str>,
    /// Where in the request, as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// Where in a definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Place>,
    /// What was expected and what was found.
    pub(crate) message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

/// A place in a definition.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// The column, from 1, in characters.
    pub(crate) column: usize,
}

impl Problem {
    /// A problem with a status and a code.
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        let title = codes::ALL.iter().find(|(known, _)| *known == code).map_or("", |(_, title)| *title);
        Self {
            kind: format!("https://liteagent.dev/errors/{code}"),
            title,
            status,
            code,
            detail: detail.into(),
            hint: None,
            diagnostics: Vec::new(),
            run: None,
            retry_after: None,
            spent: None,
        }
    }

    /// The request is wrong.
    pub(crate) fn invalid(code: Code, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// What the request is about is not there, or not for this caller.
    pub(crate) fn missing(code: Code, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// The state does not allow it.
    pub(crate) fn conflict(code: Code, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// A fault of the platform: a task that panicked.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, codes::NODE_PANICKED, error.to_string())
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the single findings.
    pub(crate) fn findings(mut self, findings: impl IntoIterator<Item = Finding>) -> Self {
        self.diagnostics.extend(findings);
        self
    }

    /// Adds the run that it is about.
    pub(crate) fn about(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// What was expected and what was found.
    pub(crate) fn said(&self) -> &str {
        &self.detail
    }

    /// What to do about it.
    pub(crate) fn hinted(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Adds after how many seconds another try is worth it.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds the rate limit that was exceeded.
    pub(crate) fn spent(mut self, spent: Spent) -> Self {
        self.spent = Some(spent);
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

fn text<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.0)
}

#[expect(clippy::ref_option, reason = "serde asks for a reference")]
fn run_id<S: serde::Serializer>(run: &Option<RunId>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&run.expect("left out when there is none"))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(code = %self.code, detail = %self.detail, "a request failed");
        }
        let body = serde_json::to_vec(&self).expect("texts and numbers are JSON");
        let json = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(header::CONTENT_TYPE, json)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(spent) = self.spent {
            spent.tell(response.headers_mut());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        match error {
            EngineError::Inputs { misfits, .. } => misfit(detail, misfits),
            EngineError::MissingSecret(name) => Self::conflict(codes::SECRET_MISSING, detail).hint(format!(
                "set it: PUT /api/secrets/{name}, or `LITEAGENT_SECRET_{name}` in the environment of the server"
            )),
            EngineError::SecretNotMeant { secret, workflow } => {
                Self::new(StatusCode::FORBIDDEN, codes::SECRET_WORKFLOW, detail)
                    .hint(format!("let the owner of `{secret}` add `{workflow}` to its `workflows`"))
            }
            EngineError::UnknownRun(_) => Self::missing(codes::NO_RUN, detail).hint("list them with GET /api/runs"),
            EngineError::HasEnded(run) => Self::conflict(codes::RUN_STATE, detail)
                .hint("restart or fork it: POST /api/runs/{id}/restart")
                .about(run),
            EngineError::Elsewhere(run) => Self::conflict(codes::RUN_STATE, detail)
                .hint(format!("follow it with GET /api/runs/{run}/events"))
                .about(run),
            EngineError::Held(run) => Self::conflict(codes::RUN_HELD, detail)
                .hint("let an owner release it: POST /api/runs/release")
                .about(run),
            EngineError::Busy { .. } => Self::new(StatusCode::TOO_MANY_REQUESTS, codes::BUSY, detail)
                .hint("try again later; `[limits]` of the configuration says how many runs may go on and wait")
                .retry_after(5),
            EngineError::KeyConflict(run) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, codes::RUN_STATE, detail)
                .hint("use a new `Idempotency-Key` for other inputs")
                .about(run),
            EngineError::Full(_) => Self::new(StatusCode::TOO_MANY_REQUESTS, codes::RUNS_FULL, detail)
                .hint("try again when one has ended; `concurrency` of the workflow says how many may go on at once, or `runs` of the API key")
                .retry_after(1),
            EngineError::Key(error) | EngineError::Secret(error) => error.into(),
            EngineError::UnknownNode(_) => {
                Self::invalid(codes::UNKNOWN_NAME, detail).hint("give the id of a node of the workflow")
            }
            EngineError::Store(error) => error.into(),
            EngineError::Queue(error) => error.into(),
            EngineError::Plan(_) | EngineError::Stuck(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, codes::RUN_STUCK, detail)
            }
        }
    }
}

/// Inputs that do not fit their types.
pub(crate) fn misfit(detail: impl Into<String>, misfits: Vec<Misfit>) -> Problem {
    let finding = |misfit: Misfit| Finding {
        pointer: Some(format!("/inputs{}", misfit.pointer)),
        message: misfit.message,
        hint: misfit.hint,
        ..Finding::default()
    };
    Problem::invalid(codes::WRONG_INPUT, detail)
        .hint("`diagnostics` says what each of them should be")
        .findings(misfits.into_iter().map(finding))
}

impl From<NodeError> for Problem {
    fn from(error: NodeError) -> Self {
        let status = match error.class {
            ErrorClass::Invalid => StatusCode::BAD_REQUEST,
            ErrorClass::NotFound => StatusCode::NOT_FOUND,
            ErrorClass::Conflict => StatusCode::CONFLICT,
            ErrorClass::Forbidden | ErrorClass::Unauthenticated => StatusCode::FORBIDDEN,
            ErrorClass::RateLimited | ErrorClass::LimitExceeded => StatusCode::TOO_MANY_REQUESTS,
            ErrorClass::Timeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorClass::Cancelled | ErrorClass::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorClass::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after = error.retry_after.map(|wait| wait.as_secs().max(1));
        Self { hint: error.hint, retry_after, ..Self::new(status, error.code, error.message) }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let problem = Self::new(rejection.status(), codes::REQUEST_BODY, rejection.body_text());
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => problem.hint("send less; files are uploaded with POST /api/files"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => problem.hint("send the header `Content-Type: application/json`"),
            _ => problem.hint("see /docs for what the body holds"),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(codes::REQUEST_PARAMETER, rejection.body_text()).hint("see /docs for the parameters")
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::invalid(codes::REQUEST_PARAMETER, rejection.body_text())
            .hint("write `/` in the name of a workflow as `%2F`")
    }
}
