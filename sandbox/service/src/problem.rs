//! What is said of a request that is none: problem details of RFC 9457.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use liteagent_sandbox_protocol::{Fault, Kind, Limit};
use serde::Serialize;

/// A request that cannot be served, before it is a call.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    code: String,
    detail: String,
    hint: &'static str,
    /// The limit that was exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Limit>,
}

impl Problem {
    fn new(status: StatusCode, fault: Fault, title: &'static str, hint: &'static str) -> Self {
        Self {
            kind: format!("https://liteagent.dev/errors/{}", fault.code),
            title,
            status,
            code: fault.code.into_owned(),
            detail: fault.message,
            hint,
            limit: fault.limit,
        }
    }

    /// The body is no request.
    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Self::request(StatusCode::BAD_REQUEST, detail, "send the JSON of a request: docs/sandbox.md has an example")
    }

    /// The body is too large.
    pub(crate) fn too_large(most: usize) -> Self {
        let fault = Fault::limit(Limit::Input, format!("the body is larger than {most} bytes, the limit `input`"));
        let hint = "send less, or raise `input` under `[sandbox.maximum]` in the configuration of the sandbox";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, fault, "the request is too large", hint)
    }

    /// The body did not arrive.
    pub(crate) fn too_slow() -> Self {
        let detail = "the body did not arrive in time";
        Self::request(StatusCode::REQUEST_TIMEOUT, detail, "send the whole body at once")
    }

    /// There is nothing at this path.
    pub(crate) fn not_found(path: &str) -> Self {
        let hint = "the paths are /v1/run, /v1/sandbox/run, /v1/sandbox/dependencies and /health";
        Self::request(StatusCode::NOT_FOUND, format!("there is nothing at `{path}`"), hint)
    }

    /// The path does not take this method.
    pub(crate) fn wrong_method(method: &str, path: &str) -> Self {
        let hint = "use the method that the header `Allow` of this answer names";
        Self::request(StatusCode::METHOD_NOT_ALLOWED, format!("`{path}` does not take {method}"), hint)
    }

    fn request(status: StatusCode, detail: impl Into<String>, hint: &'static str) -> Self {
        Self::new(status, Fault::new(Kind::Request, detail), "the request cannot be served as it is", hint)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/problem+json");
        (self.status, [(header::CONTENT_TYPE, json)], to_json(&self)).into_response()
    }
}

/// The JSON of something that the service says.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers are JSON")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
