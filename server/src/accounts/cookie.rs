//! The cookie that carries the refresh token.
//!
//! Its prefix makes browsers keep it only from a secure origin, for this host alone and for every path; so nothing but the
//! routes that refresh and end a session may read it, which is why this is private to accounts.

use axum::http::{HeaderMap, HeaderValue, header};

use super::secrets;

const NAME: &str = "__Host-liteagent-refresh";
const FLAGS: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

/// What `Set-Cookie` says to keep a token.
pub(super) fn keep(token: &str, seconds: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("{NAME}={token}; Max-Age={seconds}; {FLAGS}")).expect("a token has only letters")
}

/// What `Set-Cookie` says to forget it.
pub(super) fn forget() -> HeaderValue {
    HeaderValue::from_str(&format!("{NAME}=; Max-Age=0; {FLAGS}")).expect("these are letters")
}

/// The token that a request carries.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == NAME)
        .map(|(_, token)| token)
        .filter(|token| token.starts_with(secrets::REFRESH))
}
