//! What the errors of an object store are called.

use std::error::Error;

use liteagent_engine::store::{ObjectsFault, StoreError};
use object_store::client::HttpError;

pub(super) fn wrong(fault: ObjectsFault, message: String) -> StoreError {
    StoreError::Objects { fault, message }
}

/// What an error means; `place` says of which store it is.
pub(super) fn of(error: &object_store::Error, place: &str, has_credentials: bool) -> StoreError {
    let text = error.to_string();
    let silent = without_answer(error);
    let code = between(&text, "<Code>", "</Code>");
    let (fault, found) = match (silent, code) {
        (Some(_), _) if !has_credentials => {
            (ObjectsFault::Credentials, "no key is set, and this machine has no role".to_owned())
        }
        (Some(why), _) => (ObjectsFault::Unreachable, why),
        (None, Some(code)) => {
            let message = between(&text, "<Message>", "</Message>").unwrap_or("it says no more");
            (named(code, status(&text)), format!("`{code}`: {message}"))
        }
        (None, None) => (named("", status(&text)), text.chars().take(300).collect()),
    };
    wrong(fault, format!("{place}: {found}"))
}

/// What a code of S3 means, or the status of an answer without one.
fn named(code: &str, status: Option<u16>) -> ObjectsFault {
    match (code, status) {
        ("NoSuchBucket", _) => ObjectsFault::NoBucket,
        ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) | (_, Some(401 | 403)) => {
            ObjectsFault::Credentials
        }
        ("SlowDown", _) | (_, Some(408 | 429 | 500..)) => ObjectsFault::Unreachable,
        _ => ObjectsFault::Refused,
    }
}

/// Why there was no answer; `None` when there was one.
fn without_answer(error: &object_store::Error) -> Option<String> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            let mut last: &dyn Error = http;
            while let Some(next) = last.source() {
                last = next;
            }
            return Some(last.to_string());
        }
        cause = error.source();
    }
    None
}

/// The status of an answer, as the client tells it.
fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(begin)?;
    after.split_once(end).map(|(found, _)| found)
}
