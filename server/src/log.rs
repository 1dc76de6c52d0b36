//! A line in the log for each request, and the id by which it is found again.

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use liteagent_engine::id::SessionId;
use tracing::{Instrument as _, info, info_span};

use crate::access::Caller;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id of a caller.
const LONGEST: usize = 128;

/// Who called, as the log says it: no more than the kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CalledBy(&'static str);

impl CalledBy {
    pub(crate) fn of(caller: Option<&Caller>) -> Self {
        Self(match caller {
            Some(Caller::User(_)) => "user",
            Some(Caller::Key(_)) => "key",
            None => "none",
        })
    }
}

/// Answers a request under its id, and logs it. The line has neither path nor query nor address: they may hold what is secret.
pub(crate) async fn request(request: Request, next: Next) -> Response {
    let id = request.headers().get(&REQUEST_ID).filter(|id| is_well_formed(id)).cloned().unwrap_or_else(fresh);
    let shown = id.to_str().unwrap_or_default().to_owned();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let begun = tokio::time::Instant::now();
    let span = info_span!("request", request_id = shown, %method, route);
    let mut response = next.run(request).instrument(span).await;
    let caller = response.extensions().get::<CalledBy>().map_or("none", |caller| caller.0);
    let took = begun.elapsed().as_secs_f64() * 1_000.0;
    let status = response.status().as_u16();
    info!(target: "access", request_id = shown, %method, route, status, took_ms = took, caller);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Whether an id of a caller can stand in logs.
fn is_well_formed(id: &HeaderValue) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(fits)
}

fn fresh() -> HeaderValue {
    HeaderValue::from_str(&SessionId::random().to_string()).expect("an id has only letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_cannot_hurt_a_log_are_taken_over() {
        let taken = |id: &str| is_well_formed(&HeaderValue::from_bytes(id.as_bytes()).unwrap());
        assert!(taken("01J-abc_DEF.7:9") && taken(&"a".repeat(LONGEST)) && is_well_formed(&fresh()));
        for wrong in ["", "a b", "a\"b", "{}", "\u{e4}", &"a".repeat(LONGEST + 1)] {
            assert!(!taken(wrong), "{wrong}");
        }
    }
}
