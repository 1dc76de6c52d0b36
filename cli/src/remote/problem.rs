//! What a server says of a request that it did not serve, as a failure of ours.

use liteagent_engine::{codes, error::Code};
use serde::Deserialize;

use super::Address;
use crate::failure::{Exit, Failure};

/// Problem details of RFC 9457, as far as they are read.
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
    hint: Option<String>,
    #[serde(default)]
    diagnostics: Vec<Finding>,
}

/// One finding.
#[derive(Debug, Deserialize)]
pub(crate) struct Finding {
    code: Option<String>,
    severity: Option<String>,
    pointer: Option<String>,
    place: Option<Place>,
    message: String,
}

/// A place in a definition.
#[derive(Debug, Deserialize)]
struct Place {
    file: String,
    line: usize,
    column: usize,
}

impl Finding {
    /// Whether nothing runs before it is mended.
    pub(crate) fn is_error(&self) -> bool {
        self.severity.as_deref().is_none_or(|severity| severity == "error")
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let place = match (&self.place, &self.pointer) {
            (Some(Place { file, line, column }), _) => format!("{file}:{line}:{column}: "),
            (None, Some(pointer)) => format!("`{}`: ", pointer.trim_start_matches('/').replace('/', ".")),
            (None, None) => String::new(),
        };
        let code = self.code.as_ref().map_or_else(String::new, |code| format!("{code}: "));
        format!("{place}{code}{}", self.message)
    }
}

/// The failure that an answer tells.
pub(super) fn failure(server: &Address, status: u16, retry_after: Option<u64>, body: &[u8]) -> Failure {
    let Ok(Problem { code, detail, hint, diagnostics }) = serde_json::from_slice(body) else {
        if matches!(status, 502..=504) {
            return Failure::platform(
                codes::SERVER_UNREACHABLE,
                format!("{server} cannot be reached: status {status}"),
            )
            .hint("what stands before the server does not reach it: see whether it is up");
        }
        return not_ours(server, &format!("it answered with the status {status}, and without a reason"));
    };
    let code = known(code);
    if code == codes::NO_ROUTE {
        return not_ours(server, &detail)
            .hint("it may be another release: compare `liteagent --version` with GET /health/live");
    }
    let mut message = detail;
    for finding in &diagnostics {
        message.push_str(&format!("\n  {}", finding.line()));
    }
    // What may go better later is no wrong usage.
    let exit = if status == 429 || status >= 500 { Exit::Platform } else { Exit::Usage };
    let failure = Failure { exit, ..Failure::usage(code, message) };
    let hint = match (code, retry_after) {
        (codes::NOT_SIGNED_IN | codes::SESSION_ENDED, _) => {
            return Failure::usage(codes::NOT_LOGGED_IN, format!("nobody is signed in at {server}"))
                .hint(format!("`liteagent login --server {server}`, or set `LITEAGENT_API_KEY`"));
        }
        (_, Some(seconds)) if status == 429 => Some(format!("try again in {seconds} s")),
        _ => hint,
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What answers is something else, or another release.
pub(super) fn not_ours(server: &Address, why: &str) -> Failure {
    Failure::platform(codes::SERVER_NOT_OURS, format!("{server} does not answer as a server of LiteAgent does: {why}"))
        .hint("check the address, and what stands between here and there")
}

/// A code of a newer server is kept as it is.
fn known(code: String) -> Code {
    let known = codes::ALL.iter().map(|(known, _)| *known).find(|known| known.0 == code);
    known.unwrap_or_else(|| Code(code.leak()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_its_code_its_hint_and_every_finding() {
        let server = Address::parse("http://localhost:8000").unwrap();
        let told = |status, body: &str| failure(&server, status, Some(7), body.as_bytes());
        let wrong = told(
            400,
            r#"{"code": "LA3002", "detail": "inputs do not fit", "hint": "see", "diagnostics": [
                {"pointer": "/inputs/n", "message": "expected a number"},
                {"severity": "error", "place": {"file": "a.yaml", "line": 2, "column": 3}, "code": "LA0203", "message": "no"}]}"#,
        );
        assert_eq!(
            (wrong.exit, wrong.code, wrong.hint.as_deref()),
            (Exit::Usage, Some(codes::WRONG_INPUT), Some("see"))
        );
        assert_eq!(wrong.message, "inputs do not fit\n  `inputs.n`: expected a number\n  a.yaml:2:3: LA0203: no");
        assert_eq!(told(502, "<html>").code, Some(codes::SERVER_UNREACHABLE));
        let busy = told(429, r#"{"code": "LA4114", "detail": "too many"}"#);
        assert_eq!((busy.exit, busy.hint.as_deref()), (Exit::Platform, Some("try again in 7 s")));
        assert_eq!(told(401, r#"{"code": "LA4101", "detail": "who"}"#).code, Some(codes::NOT_LOGGED_IN));
        assert_eq!(told(404, r#"{"code": "LA9876", "detail": "new"}"#).code, Some(Code("LA9876")));
        assert_eq!(told(404, "<html>").code, Some(codes::SERVER_NOT_OURS));
    }
}
