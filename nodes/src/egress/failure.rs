//! What goes wrong on the way, as errors with a code and a class.

use std::error::Error;

use chrono::DateTime;
use liteagent_engine::{
    codes,
    error::{ErrorClass, NodeError},
    units::Millis,
};

use super::policy::Refused;

/// Turns an error of the client into one with a code and a class. `what` is the request: `GET https://...`.
pub(super) fn classify(what: &str, port: Option<u16>, error: &reqwest::Error) -> NodeError {
    if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
        return refused_address(refused, port);
    }
    let cause = causes(error).last().map_or_else(String::new, ToString::to_string);
    if error.is_timeout() {
        return NodeError::new(codes::HTTP_TIMEOUT, ErrorClass::Timeout, format!("{what} took too long: {cause}"))
            .hint("raise `timeout` of the node, or ask the server for less at once");
    }
    if error.is_builder() {
        return NodeError::new(codes::HTTP_REQUEST, ErrorClass::Invalid, format!("{what} cannot be sent: {cause}"));
    }
    let message = match error {
        error if error.is_decode() => format!("the answer to {what} cannot be unpacked: {cause}"),
        error if error.is_connect() => format!("{what} found no server: {cause}"),
        _ => format!("the connection of {what} broke: {cause}"),
    };
    NodeError::new(codes::HTTP_UNREACHABLE, ErrorClass::Unavailable, message)
        .hint("check the host name and the port, and that the server is up")
}

/// The guard refused an address.
pub(super) fn refused_address(refused: &Refused, port: Option<u16>) -> NodeError {
    let hint = if refused.never {
        "ask for another host: no setting allows this address".to_owned()
    } else {
        let port = port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
        format!("add `{}:{port}` to `allow` under `[http]` in `liteagent.toml`, if it is meant", refused.host)
    };
    NodeError::new(codes::HTTP_ADDRESS_REFUSED, ErrorClass::Forbidden, refused.to_string()).hint(hint)
}

/// How long to wait by a `Retry-After` of seconds or a date, from `now`. At most a day; nonsense is `None`.
pub(super) fn retry_after(header: &str, now: Millis) -> Option<Millis> {
    const DAY: Millis = 86_400_000;
    let wait = match header.trim().parse::<u64>() {
        Ok(seconds) => Millis::try_from(seconds).ok()?.saturating_mul(1_000),
        Err(_) => DateTime::parse_from_rfc2822(header.trim()).ok()?.timestamp_millis().saturating_sub(now).max(0),
    };
    Some(wait.min(DAY))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT
        assert_eq!(retry_after("120", now), Some(120_000));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now), Some(30_000));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(0));
        assert_eq!(retry_after("99999999999", now), Some(86_400_000));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-5", now), None);
    }
}
