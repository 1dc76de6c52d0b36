//! The native dialect: `POST /v1/run`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use liteagent_sandbox_protocol::{Class, Reply, Request};

use crate::{
    body,
    problem::{Problem, to_json},
    service::Service,
};

/// Runs a call: a `Request` in, a `Success` or a `Failure` out.
pub(crate) async fn run(State(service): State<Arc<Service>>, body: Body) -> Result<Response, Problem> {
    let body = body::read(body, service.most_body()).await?;
    let request = body::work(body.len(), move || parse(&body)).await?;
    let reply = service.run(request).await;
    let size = match &reply {
        Ok(success) => success.outputs.get().len() + success.stdout.len() + success.stderr.len(),
        Err(failure) => failure.stdout.len() + failure.stderr.len(),
    };
    Ok(body::work(size, move || respond(&reply)).await)
}

fn parse(body: &[u8]) -> Result<Request, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::unreadable(format!("the body is no request: {error}")))
}

fn respond(reply: &Reply) -> Response {
    let (status, body) = match reply {
        Ok(success) => (StatusCode::OK, to_json(success)),
        Err(failure) => (status(failure.error.class), to_json(failure)),
    };
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn status(class: Class) -> StatusCode {
    match class {
        Class::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Class::Forbidden => StatusCode::FORBIDDEN,
        Class::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Class::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Class::LimitExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}
